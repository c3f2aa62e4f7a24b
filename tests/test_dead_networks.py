"""Networks that have died are told of, and those that live are not."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.errors import DeadNetworkWarning, InputWarning


def dying(bias=-1e3, **options):
    X, y = fastgd.datasets.houses(500, random_state=0)
    model = fastgd.MLP([4, 8, 6, 1], random_state=0, **options)
    for weights, biases in model.get_parameters()[1:2]:
        biases[:] = bias
        model.set_parameters([model.get_parameters()[0], (weights, biases), model.get_parameters()[2]])
    return model, X, y


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_a_network_that_died_is_told_of(device):
    model, X, y = dying()
    with pytest.warns(DeadNetworkWarning, match="same for every row. All units of layer 1 give 0 for every row"):
        model.fit(X, y, epochs=1, device=device, verbose=0)
    saturated, X, y = dying(1e3, activation="sigmoid")
    with pytest.warns(DeadNetworkWarning, match="The units of layer 1 give the same for every row"):
        saturated.fit(X, y, epochs=1, optimizer=fastgd.SGD(1e-9), device=device, verbose=0)


@pytest.mark.filterwarnings("error")
def test_a_network_that_lives_is_not():
    model, X, y = dying()
    with pytest.warns(InputWarning, match="y is 3 in every row"):  # a target that does not vary needs no more
        model.fit(X, np.full(len(X), 3.0), epochs=1, verbose=0)
    model, X, y = dying()
    model.fit(np.tile(X[:1], (9, 1)), y[:9], epochs=1, verbose=0)  # nor do rows that do not
    fastgd.MLP([4, 8, 1], random_state=0).fit(X, y, epochs=1, optimizer=fastgd.SGD(1e-12), verbose=0)
    model.nudge(X, y)  # one step tells its own story


@pytest.mark.data
@pytest.mark.skipif("FASTGD_DATA" not in os.environ, reason="needs FASTGD_DATA")
@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize(("rate", "dies"), [(0.1, True), (0.02, False)])
def test_a_network_that_died_on_real_data_is_told_of(rate, dies, device):
    from fastgd.data.files import read_table

    columns = ["size_m2", "bedrooms", "distance_km", "age_years", "price_eur"]
    table = read_table(Path(os.environ["FASTGD_DATA"]) / "barcelona_houses.csv.gz", columns).to_numpy()
    model = fastgd.MLP([4, 64, 64, 1], random_state=1)
    optimizer = fastgd.SGD(rate, momentum=0.9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(table[:, :4], table[:, 4], epochs=2, optimizer=optimizer, device=device, verbose=0)
    predicted = model.predict(table[:, :4])
    assert (np.ptp(predicted) == 0) == dies
    assert [warning.category for warning in caught] == [DeadNetworkWarning] * dies


@pytest.mark.parametrize(("activation", "loss", "rate", "seed"), [("silu", "mae", 1.0, 1), ("silu", "mse", 0.2, 1)])
def test_a_network_that_answers_next_to_the_same_is_dead(activation, loss, rate, seed):
    X, y = fastgd.datasets.houses(2000, random_state=0)
    model = fastgd.MLP([4, 32, 32, 1], activation=activation, loss=loss, random_state=seed)
    with pytest.warns(DeadNetworkWarning):
        model.fit(X, y, epochs=4, optimizer=fastgd.SGD(rate, momentum=0.9), verbose=0)
    assert 0 < np.ptp(model.predict(X)) < 1e-5 * np.ptp(y), "next to the same, and not quite"


@pytest.mark.filterwarnings("error")
def test_a_large_target_that_is_fitted_well_is_no_death():
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = fastgd.MLP([2, 1], standardize=False, dtype="float64", random_state=0)
    model.set_parameters([(np.array([[0.05], [0.0]]), np.array([1e6]))])
    model.fit(X, 1e6 + 0.05 * X[:, 0], epochs=2, optimizer=fastgd.SGD(1e-6), verbose=0)
