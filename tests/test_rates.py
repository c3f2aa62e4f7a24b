"""Learning rates that are too high, too low and well chosen, where the limits are known."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
from samples import houses

import fastgd
from fastgd.errors import InvalidInputError


def quadratic(seed):
    """A linear network on all rows has a quadratic loss: stable below 2 / the largest eigenvalue of its Hessian."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(40, 2)) @ np.diag([1.0, 0.7]) + 0.1
    y = X @ [1.5, -2.0] + 0.3
    inputs = np.column_stack([X, np.ones(40)])
    eigenvalues = np.linalg.eigvalsh(2 * inputs.T @ inputs / 40)
    return fastgd.MLP([2, 1], standardize=False, dtype="float64"), X, y, eigenvalues


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_regimes_of_a_quadratic_at_20_rates(seed):
    model, X, y, eigenvalues = quadratic(seed)
    limit = 2 / eigenvalues[-1]
    rates = limit * np.concatenate([np.geomspace(1e-4, 0.97, 12), np.geomspace(1.03, 50, 8)])
    before = model.parameters.copy()
    regimes = fastgd.explain.learning_rates(model, X, y, rates, steps=60)
    assert (model.parameters == before).all()
    for regime in regimes:
        assert (regime.verdict == "too high") == (regime.learning_rate > limit), regime
        slowest = np.abs(1 - regime.learning_rate * eigenvalues).max() ** 120
        if regime.learning_rate < 0.9 * limit and slowest < 0.01:
            assert regime.verdict == "well chosen", regime
        if regime.learning_rate < 0.002 * limit:
            assert regime.verdict == "too low", regime
            assert regime.more_epochs > 60
    assert len({regime.verdict for regime in regimes}) == 3


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_regimes_of_momentum(momentum, seed):
    """It is stable below 2 (1 + momentum) / the largest eigenvalue, swings, and takes its time to settle."""
    model, X, y, eigenvalues = quadratic(seed)
    limit = 2 * (1 + momentum) / eigenvalues[-1]
    rates = limit * np.array([1e-4, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.03, 1.1, 1.5, 3, 10])
    regimes = fastgd.explain.learning_rates(model, X, y, rates, optimizer=fastgd.SGD(momentum=momentum))
    assert [regime.learning_rate for regime in regimes] == rates.tolist()
    for regime in regimes:
        assert (regime.verdict == "too high") == (regime.learning_rate > limit), regime
        if regime.learning_rate < 0.002 * limit:
            assert regime.verdict == "too low", regime


@pytest.mark.parametrize("rates", [[1e-6], [1e-4, 2e-4], [1e-30, 1e-3, 40.0]], ids=str)
def test_a_list_of_bad_rates_has_no_good_one(rates):
    X, y = houses(300)
    regimes = fastgd.explain.learning_rates(fastgd.MLP([4, 1]), X, y, rates)
    assert [regime.verdict for regime in regimes] == ["too high" if rate > 1 else "too low" for rate in rates]


def test_so_many_more_epochs_bring_it_there():
    model, X, y, eigenvalues = quadratic(0)
    rate = 0.01 / eigenvalues[-1]
    (slow,) = fastgd.explain.learning_rates(model, X, y, [rate])
    twin = copy.deepcopy(model)
    best = np.square(y - np.column_stack([X, np.ones(40)]) @ np.linalg.lstsq(
        np.column_stack([X, np.ones(40)]), y, rcond=None)[0]).mean()  # fmt: skip
    left = []
    for epochs in (slow.more_epochs // 3, slow.more_epochs - slow.more_epochs // 3):
        twin.fit(X, y, epochs=epochs, batch_size=40, shuffle=False, optimizer=fastgd.SGD(rate), verbose=0)
        left.append((twin.evaluate(X, y)["loss"] - best) / (slow.losses[0] - best))
    assert left[1] < 0.02 < left[0]


def test_rates_at_a_minimum():
    X, y = houses(300)
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=3000, batch_size=300, optimizer=fastgd.SGD(0.1), verbose=0)
    regimes = fastgd.explain.learning_rates(model, X, y, [1e-4, 0.05, 0.2, 3.0])
    assert [regime.verdict for regime in regimes] == ["well chosen"] * 3 + ["too high"]
    assert "as low as it gets" in regimes[0].reason


ALONE = [
    (fastgd.SGD(), [0.9]),  # the units die after a leap upwards, and the loss stays there
    (fastgd.SGD(), [0.9, 0.7]),
    (fastgd.SGD(), [0.7, 0.05]),
    (fastgd.Adam(), [3.0]),
    (fastgd.Adam(), [1.0, 0.05]),
    (fastgd.SGD(momentum=0.9), [0.6]),
    (fastgd.SGD(momentum=0.9), [0.6, 0.05]),
]


@pytest.mark.parametrize(("optimizer", "rates"), ALONE, ids=str)
def test_a_rate_that_leads_into_a_dead_end_is_too_high_in_any_company(optimizer, rates):
    X, y = fastgd.datasets.houses(500, random_state=0)
    model = fastgd.MLP([4, 8, 8, 1], random_state=0)
    regimes = fastgd.explain.learning_rates(model, X, y, rates, optimizer=optimizer)
    assert [regime.learning_rate for regime in regimes] == rates
    for regime in regimes:
        assert regime.verdict == ("too high" if regime.learning_rate > 0.1 else "well chosen"), regime


def test_the_limit_itself():
    """The loss of one weight with λ = 2: at a rate of 1 it leaps from side to side for ever, just below it settles."""
    weight = [(np.zeros((1, 1)), np.zeros(1))]
    model = fastgd.MLP([1, 1], standardize=False, dtype="float64", initializer=weight)
    X, y = np.array([[1.0], [-1.0]]), np.array([2.0, -2.0])
    for rate, verdict in ((1.0, "too high"), (1.0001, "too high"), (0.99, "well chosen"), (0.9, "well chosen")):
        (regime,) = fastgd.explain.learning_rates(model, X, y, [rate])
        assert regime.verdict == verdict, regime
    slow, good = fastgd.explain.learning_rates(model, X, y, [0.01, 0.5])
    assert (slow.more_epochs, good.verdict) == (74, "well chosen")  # 0.98^(2·114) of the loss is left, a hundredth


@pytest.mark.parametrize("optimizer", [fastgd.SGD(), fastgd.SGD(momentum=0.9), fastgd.Adam()], ids=str)
def test_so_many_more_epochs_are_about_right(optimizer):
    X, y = fastgd.datasets.houses(200, random_state=0)
    model = fastgd.MLP([4, 16, 1], random_state=1)
    slow, good = fastgd.explain.learning_rates(model, X, y, [0.001, 0.05], optimizer=optimizer)
    goal = good.losses[-1] + 0.01 * (good.losses[0] - good.losses[-1])
    twin, taken = copy.deepcopy(model), 0
    rule = dataclasses.replace(optimizer, learning_rate=0.001)
    while twin.evaluate(X, y)["loss"] > goal:
        twin.fit(X, y, epochs=20, batch_size=200, shuffle=False, optimizer=rule, verbose=0)
        taken += 20
    assert taken / 1.5 < slow.more_epochs + 40 < 1.5 * taken


def test_rates_of_a_dead_network_say_so():
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=1, verbose=0)
    alive = fastgd.explain.learning_rates(model, X, y, [0.05])
    model.network.split(model.parameters)[0][1][:] = -1e3
    dead = fastgd.explain.learning_rates(model, X, y, [0.05])
    assert "the same for every row" in dead[0].reason
    assert "the same for every row" not in alive[0].reason


def test_lists_of_rates():
    X, y = houses(300)
    model = fastgd.MLP([4, 1])
    expected = [r.verdict for r in fastgd.explain.learning_rates(model, X, y, [0.001, 0.1])]
    for rates in (np.array([0.001, 0.1]), (rate for rate in (0.001, 0.1)), (0.001, 0.1)):
        assert [r.verdict for r in fastgd.explain.learning_rates(model, X, y, rates)] == expected
    assert len(fastgd.explain.learning_rates(model, X, y, 0.1)) == 1


@pytest.mark.parametrize("options", [
    {}, {"dropout": 0.3}, {"optimizer": fastgd.Adam(0.01, ema_decay=0.9)}, {"layer_sizes": [4, 3, 2]},
    {"optimizer": fastgd.SGD(fastgd.schedules.ReduceOnPlateau(0.1), momentum=0.5)},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("epochs", [0, 3])
def test_the_trace_follows_one_house(options, epochs):
    X, y = houses(100)
    options = dict(options)
    optimizer = options.pop("optimizer", fastgd.SGD())
    if options.get("layer_sizes"):
        y = np.column_stack([y, -y])
    model = fastgd.MLP(**{"layer_sizes": [4, 8, 1], **options})
    rule = dataclasses.replace(optimizer, learning_rate=0.1)
    model.fit(X, y, epochs=epochs, optimizer=rule, verbose=0)
    (regime,) = fastgd.explain.learning_rates(model, X, y, [0.1], steps=5, row=7, optimizer=optimizer)
    np.testing.assert_allclose(regime.actual, y[7], rtol=1e-6)
    assert len(regime.losses) == 6, "before the first step and after each"
    twin = copy.deepcopy(model)
    for loss, predicted in zip(regime.losses, regime.predictions, strict=True):
        assert (predicted == twin.predict(X[7:8])[0]).all()
        assert loss == twin.evaluate(X, y)["loss"]
        twin.fit(X, y, epochs=1, batch_size=100, shuffle=False, optimizer=rule, verbose=0)


def test_a_rate_that_blows_up_and_labels_that_are_new():
    X, y = houses(300)
    labels = np.where(y > 4e5, "dear", "cheap")
    model = fastgd.MLP([4, 8, 1], loss="binary_cross_entropy")
    low, high = fastgd.explain.learning_rates(model, X, labels, [0.001, 1e30], row=2)
    assert (low.verdict, high.verdict, low.actual) == ("too low", "too high", float(labels[2] == "dear"))
    assert np.isfinite(high.losses).all()
    assert len(high.losses) < len(low.losses) == 41
    assert "blew up" in high.reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": []}, "rates must be a list of positive numbers"),
        ({"rates": [0.1, -1]}, "rates must be a list of positive numbers"),
        ({"rates": [0.1, True]}, "rates must be a list of positive numbers"),
        ({"rates": [[0.1], [0.1, 0.2]]}, "rates must be a list of positive numbers"),
        ({"rates": "0.1"}, "rates must be a list of positive numbers"),
        ({"rates": [0.1], "steps": 2}, "steps must be a whole number of at least 4"),
        ({"rates": [0.1], "row": 300}, "row must be the number of one of 300 rows"),
        ({"rates": [0.1], "row": 1.5}, "row must be the number of one of 300 rows"),
        ({"rates": [0.1], "row": True}, "row must be the number of one of 300 rows"),
        ({"rate": [0.1]}, "`rate` is called `rates`"),
    ],
)
def test_mistakes_in_regimes(options, message):
    with pytest.raises(InvalidInputError, match=message):
        fastgd.explain.learning_rates(fastgd.MLP([4, 1]), *houses(300), **options)


def test_rates_need_a_model():
    with pytest.raises(InvalidInputError, match=r"model must be a fastgd\.MLP, not str"):
        fastgd.explain.learning_rates("model", *houses(300), [0.1])
