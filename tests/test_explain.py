"""Blame, nudges, learning-rate regimes and health: the numbers of the kernels that train, and words that fit them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import warnings

import numpy as np
import pytest

import fastgd
from fastgd.errors import DivergenceError, DivergenceWarning, InvalidInputError, NonFiniteWarning

FEATURES = ["Size", "Bedrooms", "Distance to centre", "Building age"]
OPTIMIZERS = [
    fastgd.SGD(0.05),
    fastgd.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1, l1=0.01),
    fastgd.Adagrad(0.05),
    fastgd.RMSprop(0.01, momentum=0.5, clip_norm=0.5),
    fastgd.Adam(0.01, ema_decay=0.9),
    fastgd.AdamW(0.01, clip_value=0.1),
    fastgd.SGD(fastgd.schedules.StepDecay(0.05, every=15, factor=0.5)),
    fastgd.Adam(fastgd.schedules.WarmUp(fastgd.schedules.Cosine(0.01, steps=60), steps=20)),
    fastgd.SGD(fastgd.schedules.OneCycle(0.05, steps=50), momentum=0.9),
]
NETWORKS = {
    "dropout": {"layer_sizes": [4, 9, 1], "dropout": 0.3},
    "outputs": {"layer_sizes": [4, 9, 3]},
    "classes": {"layer_sizes": [4, 9, 3], "loss": "cross_entropy"},
}


def houses(n=300):
    return fastgd.datasets.houses(n, random_state=1)


def known():
    """One house and a linear network, such that weights and gradients are those of the story."""
    weights, gradients = np.array([-0.31, 0.18, 0.02, 0.41]), np.array([-0.74, -0.21, -0.68, -0.08])
    model = fastgd.MLP(
        [4, 1], initializer=[(weights.reshape(4, 1), [0.0])], standardize=False, dtype="float64", feature_names=FEATURES
    )
    X = gradients.reshape(1, 4)  # the gradient of (p − y)² is 2 (p − y) x, and 2 (p − y) is 1
    return model, X, np.array([weights @ gradients - 0.5])


def test_the_table_of_the_story():
    model, X, y = known()
    before = model.parameters.copy()
    blame, nudge = model.blame(X, y), model.nudge(X, y, learning_rate=0.197)
    assert blame["weight"] == nudge["weight"] == FEATURES
    np.testing.assert_allclose(blame["gradient"], [-0.74, -0.21, -0.68, -0.08], atol=1e-12)
    assert blame["severity"] == ["way off", "slightly off", "way off", "close"]
    assert np.round(nudge["nudge"], 2).tolist() == [0.15, 0.04, 0.13, 0.02]
    assert np.round(nudge["new"], 2).tolist() == [-0.16, 0.22, 0.15, 0.43]
    assert nudge["effect"] == ["larger contribution", "slight increase", "larger contribution", "barely touched"]
    assert (model.parameters == before).all(), "nudge changes nothing"
    step = model.step(X, y, learning_rate=0.197)
    assert step.to_dict() == nudge.to_dict()
    assert np.round(model.parameters[:4], 2).tolist() == [-0.16, 0.22, 0.15, 0.43]


def test_mirror_words():
    model, X, y = known()
    effects = model.nudge(-X, y, learning_rate=0.197)["effect"]
    assert set(effects) <= {"smaller contribution", "slight decrease", "barely touched"}
    assert len(set(effects)) == 3


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_blame_is_the_gradient(layer):
    X, y = houses()
    model = fastgd.MLP([4, 6, 5, 1], activation="tanh", dtype="float64")
    model.fit(X, y, epochs=2, verbose=0)
    weights, _ = model.network.split(model.gradient(X, y))[layer]
    assert (model.blame(X, y, layer=layer)["gradient"] == weights.reshape(-1)).all()
    by_input = model.blame(X, y, layer=layer, by="input")
    np.testing.assert_allclose(by_input["gradient"], np.linalg.norm(weights, axis=1))
    each = model.blame(X, y, layer=layer, per_row=True)["per_row"]
    assert each.shape == (weights.size, len(X))
    np.testing.assert_allclose(each.mean(axis=1), weights.reshape(-1), atol=1e-12)
    assert np.abs(each[:, 1:].mean(axis=1) - weights.reshape(-1)).max() > 1e-9, "a row less is noticed"


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_nudges_are_what_fit_does_to_the_bit(optimizer):
    X, y = houses()
    model = fastgd.MLP([4, 9, 1])
    model.fit(X, y, epochs=3, optimizer=optimizer, verbose=0)  # moments that are not zero
    nudges = [model.nudge(X, y, layer=layer) for layer in (0, 1)]
    fitted = copy.deepcopy(model)
    fitted.fit(X, y, epochs=1, batch_size=len(X), shuffle=False, verbose=0)
    for layer, table in enumerate(nudges):
        old, new = (m.network.split(m.parameters)[layer][0].reshape(-1) for m in (model, fitted))
        assert (table["new"] == new).all()
        assert (table["nudge"] == new - old).all()
        assert (table["nudge"] != 0).any()
    model.step(X, y)
    assert (model.parameters == fitted.parameters).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_nudges_of_other_networks_are_what_fit_does(name):
    X, price = houses()
    y = {"outputs": np.column_stack([price, -price, price**2]), "classes": np.digitize(price, [3e5, 6e5])}.get(
        name, price
    )
    weights = np.linspace(0, 2, len(X))
    model = fastgd.MLP(**NETWORKS[name])
    model.fit(X, y, epochs=2, optimizer=fastgd.Adam(0.01), verbose=0)
    fitted = copy.deepcopy(model)
    fitted.fit(X, y, epochs=1, batch_size=len(X), shuffle=False, sample_weight=weights, verbose=0)
    table = model.step(X, y, sample_weight=weights)
    assert (model.parameters == fitted.parameters).all()
    assert (table["new"] == model.network.split(model.parameters)[0][0].reshape(-1)).all()
    blame = model.blame(X, y, per_row=True, sample_weight=weights)
    gradient = model.network.split(model.gradient(X, y, weights))[0][0].reshape(-1)
    assert (blame["gradient"] == gradient).all()
    np.testing.assert_allclose(np.average(blame["per_row"], axis=1, weights=weights), gradient, atol=1e-5)
    assert np.abs(blame["per_row"].mean(axis=1) - gradient).max() > 1e-3


@pytest.mark.parametrize("warmed", [False, True])
def test_a_nudge_has_the_rate_that_a_plateau_has_left(warmed):
    X, y = houses()
    plateau = fastgd.schedules.ReduceOnPlateau(0.08, factor=0.5, patience=0, threshold=10.0, monitor="loss")
    optimizer = fastgd.SGD(fastgd.schedules.WarmUp(plateau, steps=5) if warmed else plateau, momentum=0.5)
    model = fastgd.MLP([4, 9, 1])
    model.fit(X, y, epochs=4, optimizer=optimizer, verbose=0)
    twin = copy.deepcopy(model)
    twin.fit(X, y, epochs=1, batch_size=len(X), shuffle=False, verbose=0)
    table = model.step(X, y)
    assert (model.parameters == twin.parameters).all()
    assert (table["nudge"] != 0).any()
    unheard = fastgd.schedules.ReduceOnPlateau(0.08)  # it monitors validation rows, which a step does not have
    assert len(model.nudge(X, y, optimizer=fastgd.SGD(unheard))) == 36
    assert (model.nudge(X, y)["nudge"] != model.nudge(X, y, learning_rate=0.08)["nudge"]).any()


def test_a_learning_rate_is_that_of_one_step_alone():
    X, y = houses()
    models = [fastgd.MLP([4, 9, 1]) for _ in range(2)]
    for model in models:
        schedule = fastgd.schedules.Cosine(0.02, steps=100)
        model.fit(X, y, epochs=2, optimizer=fastgd.Adam(schedule), verbose=0)
    models[0].step(X, y, learning_rate=1e-12)
    models[1].step(X, y, learning_rate=1e-12, optimizer=fastgd.Adam(fastgd.schedules.Cosine(0.02, steps=100)))
    rates = [model.fit(X, y, epochs=1, verbose=0).history["learning_rate"] for model in models]
    assert rates[0] == rates[1] == [pytest.approx(0.01 * (1 + np.cos(np.pi * 30 / 100)))]  # step 30 of the schedule


@pytest.mark.parametrize("fitted", [False, True])
def test_a_step_that_ruins_the_network_is_not_taken(fitted):
    X, y = houses()
    model = fastgd.MLP([4, 6, 1])
    if fitted:
        model.fit(X, y, epochs=1, verbose=0)
    before, predicted = model.parameters.copy(), model.predict(X)
    for rate in (1e30, 1e39):
        with pytest.raises(DivergenceError):
            model.step(X, y, learning_rate=rate)
        assert (model.parameters == before).all()
        assert (model.predict(X) == predicted).all()
    model.fit(X, y, epochs=1, verbose=0)  # at its own rate


def test_gradients_that_are_no_numbers_are_way_off():
    X, y = houses()
    model = fastgd.MLP([4, 3, 1])
    model.parameters[:] = 1e30
    with pytest.warns(NonFiniteWarning, match="The gradient is not all finite numbers"):
        table = model.blame(X, y)
    assert set(table["severity"]) == {"way off"}


def test_tables_are_read_like_data_frames():
    model, X, y = known()
    table = model.blame(X, y)
    assert list(table) == list(table.keys()) == ["weight", "value", "gradient", "severity"]
    assert "gradient" in table
    assert "nudge" not in table
    assert dict(table)["weight"] == FEATURES
    assert [name for name, _ in table.items()] == list(table)
    assert len(list(table.values())) == 4
    assert len(table) == 4


def test_names_with_control_characters_do_not_reach_the_terminal():
    X, y = houses()
    model = fastgd.MLP([4, 1], feature_names=["a\x1b[31m", "b\n", "c\u202e", "d"])
    model.fit(X, y, epochs=1, verbose=0)
    for table in (model.blame(X, y), fastgd.features.permutation_importance(model, X, y, repeats=1)):
        assert not set("\x1b\u202e") & set(repr(table))
        assert r"\x1b[31m" in repr(table)


def test_tables_print_within_80_columns_and_say_what_they_leave_out():
    X, y = houses()
    model = fastgd.MLP([4, 64, 1], feature_names=FEATURES)
    for table in (model.blame(X, y), model.nudge(X, y), model.blame(X, y, per_row=True, by="input")):
        lines = repr(table).splitlines()
        assert max(map(len, lines)) <= 80
        assert "<table>" in table._repr_html_()
    assert "… and 236 more" in repr(model.blame(X, y))
    long = fastgd.MLP([4, 64, 1], feature_names=[f"{'long ' * 30}{i}" for i in range(4)])
    for table in (long.blame(X, y), long.nudge(X, y), long.blame(X, y, by="input")):
        assert max(map(len, repr(table).splitlines())) <= 80
        assert table[next(iter(table))][0].startswith("long " * 30), "only what is printed is shortened"
    largest = np.abs(model.blame(X, y)["gradient"]).argmax()
    assert model.blame(X, y)["weight"][largest] in repr(model.blame(X, y)).splitlines()[2]


# Learning rates.


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
    for regime in fastgd.explain.learning_rates(model, X, y, rates, optimizer=fastgd.SGD(momentum=momentum)):
        assert (regime.verdict == "too high") == (regime.learning_rate > limit), regime
        if regime.learning_rate < 0.002 * limit:
            assert regime.verdict == "too low", regime


@pytest.mark.parametrize("rates", [[1e-6], [1e-4, 2e-4], [1e-30, 1e-3, 40.0]], ids=str)
def test_a_list_of_bad_rates_has_no_good_one(rates):
    X, y = houses()
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
    X, y = houses()
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
    for regime in fastgd.explain.learning_rates(model, X, y, rates, optimizer=optimizer):
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
    X, y = houses()
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=1, verbose=0)
    alive = fastgd.explain.learning_rates(model, X, y, [0.05])
    model.network.split(model.parameters)[0][1][:] = -1e3
    dead = fastgd.explain.learning_rates(model, X, y, [0.05])
    assert "the same for every row" in dead[0].reason
    assert "the same for every row" not in alive[0].reason


def test_lists_of_rates():
    X, y = houses()
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
    twin = copy.deepcopy(model)
    for loss, predicted in zip(regime.losses, regime.predictions, strict=True):
        assert (predicted == twin.predict(X[7:8])[0]).all()
        assert loss == twin.evaluate(X, y)["loss"]
        twin.fit(X, y, epochs=1, batch_size=100, shuffle=False, optimizer=rule, verbose=0)


def test_a_rate_that_blows_up_and_labels_that_are_new():
    X, y = houses()
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
        fastgd.explain.learning_rates(fastgd.MLP([4, 1]), *houses(), **options)


def test_rates_need_a_model():
    with pytest.raises(InvalidInputError, match=r"model must be a fastgd\.MLP, not str"):
        fastgd.explain.learning_rates("model", *houses(), [0.1])


# Health.


def test_planted_dead_units_are_found():
    X, y = houses()
    model = fastgd.MLP([4, 16, 8, 1])
    model.fit(X, y, epochs=2, verbose=0)
    assert not model.health(X, y).of("dead units")
    model.network.split(model.parameters)[0][1][[2, 5, 11]] = -1e3  # biases that no house can lift
    (finding,) = model.health(X).of("dead units")
    assert (finding.layer, model.health(X).layers["dead"].tolist()) == (0, [3, 0, 0])
    assert "3 of 16 relu units" in finding.message


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_planted_saturated_units_are_found(activation):
    X, y = houses()
    model = fastgd.MLP([4, 12, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    assert not model.health(X, y).of("saturated units")
    model.network.split(model.parameters)[0][1][[1, 7]] = [1e3, -1e3]
    assert model.health(X).layers["saturated"].tolist() == [2, 0]


def test_gradients_that_vanish_or_explode_and_steps_of_the_wrong_size():
    X, y = houses()
    deep = fastgd.MLP([4, *[8] * 12, 1], activation="sigmoid", initializer="glorot_uniform")
    deep.fit(X, y, epochs=0, verbose=0)
    assert deep.health(X, y).of("vanishing gradients")
    wild = fastgd.MLP([4, *[8] * 8, 1], activation="identity")
    wild.fit(X, y, epochs=0, verbose=0)
    for weights, _ in wild.network.split(wild.parameters)[1:]:
        weights *= 30
    wild.network.split(wild.parameters)[0][0][:] *= 1e-9
    assert wild.health(X, y).of("exploding gradients")
    well = fastgd.MLP([4, 16, 1])
    well.fit(X, y, epochs=3, optimizer=fastgd.SGD(0.01), verbose=0)
    assert not well.health(X, y).findings
    assert "Nothing to worry about." in repr(well.health(X, y))
    for rate, kind in ((5.0, "bold steps"), (1e-9, "timid steps")):
        well.fit(X, y, epochs=0, optimizer=fastgd.SGD(rate), verbose=0)
        assert well.health(X, y).of(kind)


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu", "softplus"])
def test_dead_units_of_other_activations(activation):
    X, y = houses()
    model = fastgd.MLP([4, 8, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    assert not model.health(X, y).of("dead units")
    model.network.split(model.parameters)[0][1][[1, 2]] = -1e3
    health = model.health(X, y)
    assert health.layers["dead"].tolist() == [2, 0]
    assert f"2 of 8 {activation} units are flat" in str(health.of("dead units"))
    still = model.network.split(np.abs(model.gradient(X, y)))[0][0].sum(axis=0) == 0
    assert np.flatnonzero(still).tolist() == [1, 2]


@pytest.mark.parametrize("activation", ["leaky_relu", "identity"])
def test_units_that_cannot_die(activation):
    X, y = houses()
    model = fastgd.MLP([4, 8, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    model.network.split(model.parameters)[0][1][:] = -1e3
    assert not model.health(X).findings


def test_fresh_networks_at_their_default_rate_are_healthy():
    X, y = fastgd.datasets.houses(2000, random_state=1)
    for seed in range(10):
        for sizes in ([4, 1], [4, 16, 1], [4, 64, 64, 1]):
            model = fastgd.MLP(sizes, random_state=seed)
            model.fit(X, y, epochs=0, verbose=0)
            assert {finding.kind for finding in model.health(X, y).findings} <= {"dead units"}
    assert fastgd.MLP([4, 64, 64, 1]).health(X, y, fastgd.SGD(5.0)).of("bold steps")
    model.fit(X, y, epochs=5, batch_size=64, optimizer=fastgd.SGD(0.01), verbose=0)
    assert not model.health(X, y).of("bold steps")
    assert model.health(X, y, fastgd.SGD(5.0)).of("bold steps")


def test_a_schedule_at_its_end_and_a_network_at_its_goal_are_not_timid():
    X, y = houses()
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=5, optimizer=fastgd.SGD(fastgd.schedules.Cosine(0.05, steps=50)), verbose=0)
    assert model.health(X, y).layers["nudge / weights"].tolist() == [0, 0]
    assert not model.health(X, y).findings
    linear = fastgd.MLP([4, 1], dtype="float64")
    y = X @ [1.0, 2.0, 3.0, 4.0]
    linear.fit(X, y, epochs=3000, batch_size=300, optimizer=fastgd.SGD(0.2), verbose=0)
    assert linear.health(X, y).layers["nudge / weights"][0] < 1e-7
    assert not linear.health(X, y).findings


def test_a_few_rows_prove_little():
    X, y = houses()
    model = fastgd.MLP([4, 16, 1])
    model.fit(X, y, epochs=3, verbose=0)
    for n, words in ((1, "for the one row"), (5, "for all 5 rows")):
        (finding,) = model.health(X[:n]).of("dead units")
        assert words in finding.message
        assert "can no longer learn" not in finding.message
        assert "show it more rows" in finding.advice


def test_health_of_networks_that_are_out_of_range():
    X, y = houses()
    model = fastgd.MLP([4, 6, 6, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.parameters[:] = 1e30
    health = model.health(X, y)
    (finding,) = health.of("numbers out of range")
    assert finding.layer == 1
    assert health.of("bold steps")
    assert health.of("exploding gradients")
    assert not health.of("saturated units")
    assert not health.of("vanishing gradients")
    zeros = fastgd.MLP([4, 6, 1], initializer="zeros")
    zeros.fit(X, y, epochs=0, verbose=0)
    assert zeros.health(X, y).layers["nudge / weights"].tolist() == [0, 0]
    assert zeros.health(X, y).of("dead units")
    deep = fastgd.MLP([4, *[16] * 10, 1])
    deep.fit(X, y, epochs=0, verbose=0)
    deep.parameters[:] *= 8
    assert not deep.health(X, y).of("vanishing gradients")
    assert "%" not in str(deep.health(X, y).of("bold steps"))


def test_health_of_a_model_that_was_never_fitted_has_one_scale():
    X, y = houses()
    fresh, begun = fastgd.MLP([4, 8, 1]), fastgd.MLP([4, 8, 1])
    begun.fit(X, y, epochs=0, verbose=0)
    assert fresh.health(X, y).layers.to_dict() == begun.health(X, y).layers.to_dict()
    (finding,) = fresh.health(X).of("unscaled inputs")
    assert "fit it" in finding.advice
    labels = np.where(y > 4e5, "dear", "cheap")
    assert len(fastgd.MLP([4, 8, 1], loss="binary_cross_entropy").health(X, labels).layers) == 2


def test_health_after_a_first_fit_with_a_plateau_that_blew_up():
    X, y = houses()
    model = fastgd.MLP([4, 8, 1])
    optimizer = fastgd.SGD(fastgd.schedules.ReduceOnPlateau(1e39))
    with pytest.raises(DivergenceError):
        model.fit(X, y, validation_split=0.2, optimizer=optimizer, verbose=0)
    assert model.health(X, y).of("bold steps")
    assert not model.health(X, y, fastgd.SGD()).of("bold steps")


def test_networks_with_one_answer_are_found_and_told_to_start_again():
    X, y = houses()
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=3, verbose=0)
    assert not model.health(X, y).of("constant predictions")
    model.network.split(model.parameters)[0][1][:] = -1e3
    assert model.health(X, y).of("constant predictions")
    assert "start again from a new model" in model.health(X, y).of("dead units")[0].advice
    deep = fastgd.MLP([4, *[16] * 6, 1], activation="sigmoid")
    deep.fit(X, y, epochs=20, verbose=0)
    assert deep.evaluate(X, y)["r2"] < 0.1
    assert deep.health(X, y).of("constant predictions")


@pytest.mark.parametrize("rate", [1e-4, 1e-5, 1e-6])
def test_rates_that_are_far_too_low_are_found(rate):
    X, y = houses(1000)
    model = fastgd.MLP([4, 32, 32, 1], random_state=0)
    model.fit(X, y, epochs=20, optimizer=fastgd.SGD(rate), verbose=0)
    health = model.health(X, y)
    assert health.of("timid steps")
    assert not health.of("bold steps")


def test_a_target_that_nobody_has_scaled_is_found():
    X, y = houses()
    raw = fastgd.MLP([4, 8, 1], standardize=False)
    raw.fit(X / 100, y, epochs=0, verbose=0)
    assert "standardize=True" in raw.health(X / 100, y).of("unscaled target")[0].advice
    assert not raw.health(X / 100, y / 4e5).of("unscaled target")
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=0, verbose=0)
    assert "differ from those" in model.health(X, 1000 * y).of("unscaled target")[0].advice


def test_the_table_of_a_deep_network_is_whole():
    X, y = houses()
    health = fastgd.MLP([4, *[8] * 24, 1]).health(X, y)
    assert len(repr(health.layers).splitlines()) == 27


def test_inputs_that_are_too_small_are_found():
    X, y = houses()
    small = fastgd.MLP([4, 8, 1], standardize=False, feature_names=FEATURES)
    small.fit(X * [1e-9, 0.1, 0.1, 0.01], y / 1e5, epochs=0, verbose=0)
    (finding,) = small.health(X * [1e-9, 0.1, 0.1, 0.01]).of("unscaled inputs")
    assert finding.message.startswith("1 of 4 inputs reaches the network far from mean 0 and spread 1: Size.")
    other = fastgd.MLP([4, 8, 1])
    other.fit(X, y, epochs=0, verbose=0)
    assert "differ from those" in other.health(X * 100).of("unscaled inputs")[0].advice


def test_raw_inputs_are_found():
    X, y = houses()
    raw = fastgd.MLP([4, 8, 1], standardize=False, feature_names=FEATURES)
    (finding,) = raw.health(X).of("unscaled inputs")
    assert "Size" in finding.message
    scaled = fastgd.MLP([4, 8, 1])
    scaled.fit(X, y, epochs=0, verbose=0)
    assert not scaled.health(X).of("unscaled inputs")


# Divergence.


def test_divergence_names_step_layer_loss_and_a_rate():
    """The same steps one by one say at which it happens, and with what loss before."""
    X, y = houses()
    model, alone = fastgd.MLP([4, 16, 8, 1]), fastgd.MLP([4, 16, 8, 1])
    options = {"optimizer": fastgd.SGD(3.0), "batch_size": 300, "verbose": 0}
    with pytest.warns(DivergenceWarning, match="times what it was at first"), pytest.raises(DivergenceError) as caught:
        model.fit(X, y, epochs=200, **options)
    error, losses = caught.value, []
    with contextlib.suppress(DivergenceError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        while True:
            losses.append(alone.fit(X, y, epochs=1, shuffle=False, **options).history["loss"][0])
    assert error.step == len(losses)
    assert error.loss_before == pytest.approx(losses[-1], rel=0.1)
    assert np.isfinite(model.parameters).all()
    for part in (
        f"step {error.step} ",
        f"layer {error.layer})",
        f"{error.loss_before:.4g}",
        "such as 0.3 instead of 3",
    ):
        assert part in str(error)


CASES = {
    "far too high": (fastgd.SGD(50.0), {}, 1e-3),
    "momentum": (fastgd.SGD(0.6, momentum=0.9), {"layer_sizes": [4, 64, 64, 1]}, 1e-6),
    "absurd": (fastgd.Adam(1e30), {}, 1e-6),
    "counts": (fastgd.SGD(0.6), {"loss": "poisson", "layer_sizes": [4, 16, 1]}, 1e-6),
    "clipped": (fastgd.SGD(1e30, clip_norm=1.0), {}, 1e-6),
}


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_rate_to_try_trains(name):
    optimizer, options, least = CASES[name]
    X, y = fastgd.datasets.houses(1000, random_state=1)
    y = np.round(y / 1e5)
    model = fastgd.MLP(**{"layer_sizes": [4, 16, 8, 1], **options})
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, y, epochs=200, optimizer=optimizer, verbose=0)
    assert ("clip_norm" in str(caught.value)) == (name != "clipped")
    before, rate = model.evaluate(X, y)["loss"], caught.value.learning_rate
    assert least <= rate < optimizer.schedule.learning_rate
    model.fit(X, y, optimizer=dataclasses.replace(optimizer, learning_rate=rate), verbose=0)
    assert model.evaluate(X, y)["loss"] < before
    assert model.evaluate(X, y)["r2"] > 0.5


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_divergence_of_raw_inputs_and_of_ruined_weights():
    X, y = houses()
    with pytest.raises(DivergenceError, match=r"Its inputs are far from mean 0 and spread 1: scale them\."):
        fastgd.MLP([4, 16, 8, 1], standardize=False).fit(X, y, verbose=0)
    scaled = fastgd.MLP([4, 16, 8, 1])
    scaled.fit(X, y, epochs=1, verbose=0)
    with pytest.raises(DivergenceError, match="far from those") as caught:
        scaled.fit(1000 * X, y, verbose=0)
    assert "scale them" not in str(caught.value)
    ruined = fastgd.MLP([4, 6, 1])
    ruined.parameters[:] = 1e30
    with pytest.raises(DivergenceError, match=r"at step 0 .* no learning rate mends\. Start again from a new model\.$"):
        ruined.fit(X, y, verbose=0)


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_rows_of_another_kind_at_the_top_do_not_mislead():
    """The yardsticks are rows from all over the table: here a model that has only seen the cheapest goes on."""
    X, y = fastgd.datasets.houses(6000, random_state=0)
    X, y = X[np.argsort(y)], np.sort(y)
    rates = []
    for rate in (5.0, 0.05):
        model = fastgd.MLP([4, 16, 1])
        model.fit(X[:1000], y[:1000], epochs=20, verbose=0)
        with pytest.raises(DivergenceError) as caught:
            model.fit(X, y, epochs=3, optimizer=fastgd.SGD(rate), verbose=0)
        rates.append(caught.value.learning_rate)
    assert 1e-4 < min(rates) <= max(rates) < 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y, epochs=3, optimizer=fastgd.SGD(min(rates)), verbose=0)


def test_no_rate_is_named_where_none_was_found(monkeypatch):
    X, y = houses()
    monkeypatch.setattr("fastgd.training.divergence.TRIES", 0)
    with pytest.warns(DivergenceWarning), pytest.raises(DivergenceError, match="no smaller learning rate") as caught:
        fastgd.MLP([4, 16, 8, 1]).fit(X, y, optimizer=fastgd.SGD(50.0), verbose=0)
    assert np.isnan(caught.value.learning_rate)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"ema_decay": 0.99}], ids=str)
def test_everything_is_as_before_the_divergence(options, n_threads):
    """Rates were tried meanwhile: a training that goes on is that of a twin which never blew up."""
    X, y = houses(2000)
    models = []
    for blows_up in (True, False):
        model = fastgd.MLP([4, 64, 64, 1])
        model.fit(X, y, epochs=2, optimizer=fastgd.SGD(0.01, **options), verbose=0)
        if blows_up:
            shown = model.parameters.copy()
            with pytest.raises(DivergenceError):
                model.fit(X, y, batch_size=1000, n_threads=n_threads, optimizer=fastgd.SGD(1e39, **options), verbose=0)
            assert (model.parameters == shown).all()
        for _ in range(2):
            model.fit(X, y, epochs=1, optimizer=fastgd.SGD(0.01, **options), shuffle=False, verbose=0)
        models.append(model)
    assert (models[0].parameters == models[1].parameters).all()


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_rows_that_count_nothing_do_not_make_the_rest_bad():
    X, y = houses(2000)
    model = fastgd.MLP([4, 1])
    with pytest.raises(DivergenceError):
        model.fit(
            X, y, epochs=100, shuffle=False, sample_weight=np.r_[np.zeros(32), np.ones(1968)], verbose=0,
            optimizer=fastgd.SGD(lambda step: 0.05 if step < 1200 else 1e39),
        )  # fmt: skip
    assert model.evaluate(X, y)["r2"] > 0.8


GROWING = {
    "small target": ({"standardize": False, "initializer": "zeros", "dtype": "float64"}, 1e-3, 1.2, 0),
    "first rows count nothing": ({}, 1.0, 1.5, 2000),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_warning_comes_once_at_ten_times_the_first_loss_and_before_the_end(name):
    options, scale, rate, ignored = GROWING[name]
    A = np.random.default_rng(0).normal(size=(ignored + 1000, 4))
    y, weights = scale * A[:, 0], np.r_[np.zeros(ignored), np.ones(1000)]
    model, losses, warned = fastgd.MLP([4, 1], **options), [], []

    class Watch(fastgd.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            losses.append(logs["loss"])
            warned.append(len(caught))
            self.model.stop_training = len(losses) > 60 or losses[-1] > 1e4 * losses[0]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            A, y, epochs=100, batch_size=3000, optimizer=fastgd.SGD(rate), sample_weight=weights, callbacks=[Watch()],
            verbose=0,
        )  # fmt: skip
    first = next(epoch for epoch, loss in enumerate(losses) if loss > 10 * losses[0])
    assert warned[: first - 1] == [0] * (first - 1)
    assert warned[first + 1 :] == [1] * (len(losses) - first - 1)
    assert len(losses) > first + 2
    (warning,) = caught
    assert warning.category is DivergenceWarning
    assert f" {losses[warned.index(1)] / losses[0]:.3g} times what it was at first" in str(warning.message)


@pytest.mark.parametrize(("loss", "sizes", "rate"), [("poisson", [4, 16, 1], 0.5), ("gaussian_nll", [4, 16, 2], 5.0)])
def test_likelihoods_that_blow_up_are_warned_about(loss, sizes, rate):
    X, y = fastgd.datasets.houses(2000, random_state=1)
    model = fastgd.MLP(sizes, loss=loss)
    with pytest.warns(DivergenceWarning, match="rose in a few steps to"), pytest.raises(DivergenceError):
        model.fit(X, np.round(y / 1e5), optimizer=fastgd.SGD(rate), verbose=0)


def test_the_layer_that_fails_is_the_one_that_is_named():
    X, y = houses()
    model = fastgd.MLP([4, 6, 6, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.network.split(model.parameters)[1][0][:] = 1e38
    with pytest.raises(DivergenceError, match="layer 1"):
        model.fit(X, y, epochs=1, verbose=0)


# Mistakes.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y: m.blame(X, y, layer=2), "layer must be a whole number from 0 to 1, not 2"),
        (lambda m, X, y: m.blame(X, y, by="row"), "There is no grouping 'row'; there are: weight, input"),
        (lambda m, X, y: m.nudge(X, y, learning_rate=-1), "learning_rate must be a positive number"),
        (lambda m, X, y: m.blame(X[:, :3], y), "X has 3 columns, but the network has 4 inputs"),
        (lambda m, X, y: m.nudge(X, y, lr=1), "`lr` is called `learning_rate`"),
        (lambda m, X, y: m.blame(X, y)["gradients"], "There is no column 'gradients'.*Did you mean 'gradient'"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(fastgd.MLP([4, 3, 1]), *houses())


def test_feature_names_must_match():
    import pandas as pd

    X, y = houses()
    model = fastgd.MLP([4, 3, 1], feature_names=FEATURES)
    with pytest.raises(InvalidInputError, match="X lacks Size"):
        model.blame(pd.DataFrame(X, columns=["Area", *FEATURES[1:]]), y)


def test_more_gradients_than_memory(monkeypatch):
    monkeypatch.setattr("fastgd.explain.blame._free_memory", lambda: 10_000.0)
    with pytest.raises(InvalidInputError, match=r"per_row=True needs .* pass at most 208 rows"):
        fastgd.MLP([4, 3, 1]).blame(*houses(), per_row=True)
    assert fastgd.MLP([4, 3, 1]).blame(*houses(), by="input", per_row=True)["per_row"].shape == (4, 300)
