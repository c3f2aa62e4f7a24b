"""Trainings that blow up over many fits, rare counts that do not, and networks that have died."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.errors import DeadNetworkWarning, DivergenceError, DivergenceWarning, TrainingWarning


def stream(parts=30, n=300):
    """A table that is sorted by a column of large numbers: the scaling is learned from its lowest rows."""
    X = np.random.default_rng(2).normal(size=(n, 3))
    X = X[np.argsort(X[:, 0])] * [1000, 1, 1]
    return [(X[part], 2 * X[part, 0]) for part in np.array_split(np.arange(n), parts)]


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_a_blow_up_over_many_short_fits_is_warned_of(device):
    model, seen, losses = fastgd.MLP([3, 16, 1], random_state=0), [], []
    for X, y in stream(10) * 3:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                losses += model.fit(X, y, epochs=1, device=device, verbose=0).history["loss"]
            except DivergenceError:
                break
        seen += [(len(losses), warning.category) for warning in caught]
    assert losses[-1] > 1e9 * losses[0]
    first = next(fits for fits, category in seen if category is DivergenceWarning)
    assert losses[first - 1] < 1e4 * losses[0], "it is said before the numbers are absurd"


def test_the_yardstick_outlives_a_file_and_another_optimizer(tmp_path):
    X, y = fastgd.datasets.houses(300, random_state=0)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    model.fit(X, y, epochs=1, verbose=0)
    start = model.training.start
    model.fit(X, y, epochs=1, optimizer=fastgd.Adam(), verbose=0)
    assert model.training.start == start > 0
    model.save(tmp_path / "model", training_state=True)
    assert fastgd.load(tmp_path / "model").training.start == model.training.start


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mean", [0.003, 0.03])
def test_rare_counts_are_learned_with_the_defaults(mean, seed):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(4000, 4))
    y = generator.poisson(mean * np.exp(0.3 * X[:, 0]))
    model = fastgd.MLP([4, 16, 1], loss="poisson", random_state=seed)
    model.fit(X, y, verbose=0)
    assert model.predict(X).sum() == pytest.approx(y.sum(), rel=0.6)


@pytest.mark.tiny
def test_gradients_of_counts_of_1_or_more_are_those_of_the_loss():
    loss = fastgd.losses.LOSSES["poisson"]()
    np.testing.assert_allclose(loss.constants(np.array([4.0, 0.25])), [np.log(4), np.log(0.25), 1.0, 0.5])


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
    model.fit(X, np.full(len(X), 3.0), epochs=1, verbose=0)  # a target that does not vary needs no more
    model, X, y = dying()
    model.fit(np.tile(X[:1], (9, 1)), y[:9], epochs=1, verbose=0)  # nor do rows that do not
    fastgd.MLP([4, 8, 1], random_state=0).fit(X, y, epochs=1, optimizer=fastgd.SGD(1e-12), verbose=0)
    model.nudge(X, y)  # one step tells its own story


@pytest.mark.data
@pytest.mark.skipif("FASTGD_DATA" not in os.environ, reason="needs FASTGD_DATA")
@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_a_network_that_died_on_real_data_is_told_of(device):
    from fastgd.data.files import read_columns

    columns = ["size_m2", "bedrooms", "distance_km", "age_years", "price_eur"]
    table, _ = read_columns(Path(os.environ["FASTGD_DATA"]) / "barcelona_houses.csv.gz", columns)
    model = fastgd.MLP([4, 64, 64, 1], random_state=4)
    optimizer = fastgd.SGD(0.02, momentum=0.9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(table[:, :4], table[:, 4], epochs=20, optimizer=optimizer, device=device, verbose=0)
    predicted = model.predict(table[:, :4])
    told = any(issubclass(warning.category, TrainingWarning) for warning in caught)
    assert told == (np.ptp(predicted) == 0)


@pytest.mark.filterwarnings("error")
def test_rows_of_another_kind_are_no_blow_up():
    """Classes that come one after the other: each time the loss is large at first."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = fastgd.MLP([2, 8, 1], loss="binary_cross_entropy", classes=[0, 1], random_state=0)
    for label in (0, 1, 0, 1):
        model.fit(X, np.full(200, label), epochs=20, verbose=0)
    X, y = fastgd.datasets.houses(400, random_state=0)
    houses = fastgd.MLP([4, 8, 1], random_state=0)
    for order in np.array_split(np.argsort(y), 5):
        houses.fit(X[order], y[order], epochs=3, optimizer=fastgd.Adam(), verbose=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_stream_of_single_rows_is_learned(loss, standardize):
    X = np.random.default_rng(0).normal(size=(1500, 3))
    y = 2 * X[:, 0] + X[:, 1] if loss == "mse" else (2 * X[:, 0] + X[:, 1] > 0).astype(int)
    model = fastgd.MLP([3, 16, 1], loss=loss, standardize=standardize, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        for row in range(1500):
            model.fit(X[row : row + 1], y[row : row + 1], epochs=1, optimizer=fastgd.SGD(0.02), verbose=0)
    assert model.evaluate(X, y)["r2" if loss == "mse" else "accuracy"] > 0.95


def test_a_last_step_that_blows_up_is_told():
    X, y = fastgd.datasets.houses(300, random_state=0)
    model = fastgd.MLP([4, 8, 1], activation="tanh", random_state=0)
    with pytest.warns(DivergenceWarning, match="After the last step the loss is .*: the training has blown up"):
        model.fit(X, y, epochs=1, batch_size=300, optimizer=fastgd.SGD(20.0), verbose=0)


@pytest.mark.parametrize(("activation", "loss", "rate", "seed"), [("silu", "mae", 1.0, 1), ("silu", "mse", 1.0, 1)])
def test_a_network_that_answers_next_to_the_same_is_dead(activation, loss, rate, seed):
    X, y = fastgd.datasets.houses(2000, random_state=0)
    model = fastgd.MLP([4, 32, 32, 1], activation=activation, loss=loss, random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y, epochs=4, optimizer=fastgd.SGD(rate, momentum=0.9), verbose=0)
        except DivergenceError:
            return
    predicted = model.predict(X)
    assert np.ptp(predicted) > 1e-5 * np.ptp(y) or any(w.category is DeadNetworkWarning for w in caught)


@pytest.mark.filterwarnings("error")
def test_a_large_target_that_is_fitted_well_is_no_death():
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = fastgd.MLP([2, 1], standardize=False, dtype="float64", random_state=0)
    model.set_parameters([(np.array([[0.05], [0.0]]), np.array([1e6]))])
    model.fit(X, 1e6 + 0.05 * X[:, 0], epochs=2, optimizer=fastgd.SGD(1e-6), verbose=0)


def test_heavy_rows_are_named_where_a_training_diverges():
    X = np.random.default_rng(0).normal(size=(2000, 3))
    weights = np.where(np.arange(2000) < 20, 500.0, 1.0)
    model = fastgd.MLP([3, 16, 1], random_state=0)
    with (
        pytest.warns(DivergenceWarning),
        pytest.raises(DivergenceError, match=r"The heaviest row counts 83\.5 times the"),
    ):
        model.fit(X, X[:, 0], sample_weight=weights, optimizer=fastgd.SGD(0.5), shuffle=False, verbose=0)
