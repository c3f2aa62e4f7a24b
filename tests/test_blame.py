"""Blame, nudges and steps: the numbers of the kernels that train, and words that fit them."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import pytest
from samples import FEATURES, houses

import fastgd
from fastgd.errors import DivergenceError, InvalidInputError, NonFiniteWarning

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
    assert effects == ["stronger", "slight decrease", "changes sign", "barely touched"]


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_blame_is_the_gradient(layer):
    X, y = houses(300)
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
    X, y = houses(300)
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
    X, price = houses(300)
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
    X, y = houses(300)
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
    X, y = houses(300)
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
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 1])
    if fitted:
        model.fit(X, y, epochs=1, verbose=0)
    before, predicted = model.parameters.copy(), model.predict(X)
    for rate in (1e30, 1e39):
        with pytest.raises(DivergenceError, match=r"no longer (a finite number|finite numbers)"):
            model.step(X, y, learning_rate=rate)
        assert (model.parameters == before).all()
        assert (model.predict(X) == predicted).all()
    model.fit(X, y, epochs=1, verbose=0)  # at its own rate


def test_gradients_that_are_no_numbers_are_way_off():
    X, y = houses(300)
    model = fastgd.MLP([4, 3, 1])
    model.parameters[:] = 1e30
    with pytest.warns(NonFiniteWarning, match="The gradient is not all finite numbers"):
        table = model.blame(X, y)
    assert set(table["severity"]) == {"way off"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y: m.blame(X, y, layer=2), "layer must be a whole number from 0 to 1, not 2"),
        (lambda m, X, y: m.nudge(X, y, layer="last"), "layer must be a whole number from 0 to 1, or 'all', not 'last'"),
        (lambda m, X, y: m.step(X, y, biases="yes"), "biases must be True or False, not 'yes'"),
        (lambda m, X, y: m.blame(X, y, by="row"), "There is no grouping 'row'; there are: weight, input"),
        (lambda m, X, y: m.nudge(X, y, learning_rate=-1), "learning_rate must be a positive number"),
        (lambda m, X, y: m.blame(X[:, :3], y), "X has 3 columns, but the network has 4 inputs"),
        (lambda m, X, y: m.nudge(X, y, lr=1), "`lr` is called `learning_rate`"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(fastgd.MLP([4, 3, 1]), *houses(300))


def test_feature_names_must_match():
    import pandas as pd

    X, y = houses(300)
    model = fastgd.MLP([4, 3, 1], feature_names=FEATURES)
    with pytest.raises(InvalidInputError, match="X lacks Size"):
        model.blame(pd.DataFrame(X, columns=["Area", *FEATURES[1:]]), y)


def test_more_gradients_than_memory(monkeypatch):
    monkeypatch.setattr("fastgd.explain.memory.free_memory", lambda: 10_000.0)
    with pytest.raises(InvalidInputError, match=r"per_row=True needs .* pass at most 208 rows"):
        fastgd.MLP([4, 3, 1]).blame(*houses(300), per_row=True)
    assert fastgd.MLP([4, 3, 1]).blame(*houses(300), by="input", per_row=True)["per_row"].shape == (4, 300)


def test_every_layer_and_its_biases():
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 5, 1], feature_names=FEATURES)
    model.fit(X, y, epochs=2, verbose=0)
    whole, nudges = model.blame(X, y, layer="all", biases=True), model.nudge(X, y, layer="all", biases=True)
    assert (whole["value"] == model.parameters).all()
    assert (whole["gradient"] == model.gradient(X, y)).all()
    for layer in range(3):
        here = np.array(whole["layer"]) == str(layer)
        one = model.blame(X, y, layer=layer, biases=True)
        for name in ("weight", "value", "gradient", "share", "gain", "severity"):
            assert (np.array(whole[name])[here] == np.array(one[name])).all()
        without = model.blame(X, y, layer=layer)
        assert one["weight"][: len(without)] == without["weight"]
        assert (one["share"][: len(without)] == without["share"]).all(), "beside the largest of the weights"
        assert [name.split(" ")[0] for name in one["weight"][len(without) :]] == ["bias"] * model.network.sizes[
            layer + 1
        ]
        step = model.nudge(X, y, layer=layer)
        assert np.array(nudges["effect"])[here].tolist()[: len(step)] == step["effect"]
    by_input = model.blame(X, y, layer=1, by="input", biases=True)
    assert by_input["input"][-1] == "bias"
    biases = model.get_parameters()[1][1]
    assert by_input["value"][-1] == pytest.approx(np.linalg.norm(biases))


def test_biases_are_seen_beside_the_largest_of_the_weights():
    model, X, y = known()
    weights, everything = model.blame(X, y), model.blame(X, y, biases=True)
    assert everything["share"][-1] == pytest.approx(1 / 0.74)
    assert everything["share"][:4].tolist() == weights["share"].tolist()
    assert everything["severity"] == [*weights["severity"], "way off"]


def test_a_prediction_by_hand():
    X, y = (table.astype(np.float64) for table in houses(300))
    model = fastgd.MLP([4, 1], dtype="float64")
    model.fit(X, y, epochs=2, verbose=0)
    *weights, bias = model.blame(X, y, biases=True)["value"]
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    by_hand = (standard @ weights + bias) * y.std() + y.mean()
    np.testing.assert_allclose(by_hand, model.predict(X), rtol=1e-9)
    without = (standard @ weights) * y.std() + y.mean()
    assert np.abs(without - model.predict(X)).max() > 1


@pytest.mark.parametrize("weighted", [False, True])
def test_a_new_model_is_nudged_by_the_gradient_that_is_blamed(weighted):
    X, y = houses(300)
    weights = np.linspace(0, 2, 300) if weighted else None
    model = fastgd.MLP([4, 6, 1], dtype="float64")
    before = model.parameters.copy()
    options = {"layer": "all", "biases": True, "sample_weight": weights}
    gradient = model.blame(X, y, **options)["gradient"]
    np.testing.assert_allclose(model.nudge(X, y, learning_rate=0.1, **options)["nudge"], -0.1 * gradient, atol=1e-13)
    assert not np.allclose(gradient, model.gradient(X, y, weights)), "that one is of raw houses"
    assert (model.parameters == before).all()
    assert model.fit_state is None


# What is left to blame.


def severities(model, X, y, layer="all"):
    return set(model.blame(X, y, layer=layer, biases=True)["severity"])


@pytest.mark.parametrize(
    ("network", "optimizer", "target"),
    [
        ({"layer_sizes": [4, 1]}, fastgd.SGD(0.05), lambda X, y: y),
        ({"layer_sizes": [4, 16, 1]}, fastgd.SGD(fastgd.schedules.Cosine(0.1, steps=9600)), lambda X, y: y),
        ({"layer_sizes": [4, 16, 1]}, fastgd.SGD(0.1), lambda X, y: X[:, 0] * 3 - X[:, 1]),  # without noise
        (
            {"layer_sizes": [4, 16, 3], "loss": "cross_entropy", "activation": "tanh"},
            fastgd.Adam(0.003),
            lambda X, y: np.digitize(X[:, 0], [60, 120]),
        ),
    ],
    ids=["linear", "houses", "without noise", "classes"],
)
def test_a_trained_network_has_nothing_left_to_blame(network, optimizer, target):
    X, price = houses(1000)
    y = target(X, price)
    model = fastgd.MLP(**network)
    assert "way off" in severities(model, X, y)
    model.fit(X, y, epochs=300, optimizer=optimizer, verbose=0)
    words = model.blame(X, y, layer="all", biases=True)["severity"]
    assert not set(words) & {"way off", "slightly off"}
    assert np.mean(np.array(words) == "nothing left to blame") >= 0.8
    assert model.blame(X, y)["share"].max() == 1, "one of them has the largest gradient all the same"
    assert "way off" in severities(model, X, np.roll(y, 1) if y.dtype == int else -y), (
        "and these rows it has not learned"
    )


@pytest.mark.parametrize("seed", range(3))
def test_gain_is_what_moving_a_weight_alone_takes_away(seed):
    X, y = np.random.default_rng(seed).normal(size=(900, 4)), None
    y = X @ [1.0, -2.0, 0.3, 0.0] + np.random.default_rng(seed + 9).normal(size=900)
    model = fastgd.MLP([4, 1], dtype="float64", random_state=seed)
    model.fit(X, y, epochs=0, verbose=0)
    table, start = model.blame(X, y), model.evaluate(X, y)["loss"]
    zeros = model.twin()
    zeros.parameters[:] = 0
    for weight in range(4):
        curvature = 2.0  # of squared errors, by a weight whose input has a variance of 1
        moved = model.twin()
        moved.parameters[weight] -= table["gradient"][weight] / curvature
        taken = (start - moved.evaluate(X, y)["loss"]) / max(zeros.evaluate(X, y)["loss"], start)
        assert 0.3 * taken - 0.005 < table["gain"][weight] < 1.1 * taken + 0.005
    assert table["gain"].max() > 5 * table["gain"].min()


def test_gain_counts_rows_as_they_count():
    X, y = houses(200)
    model = fastgd.MLP([4, 6, 1], dtype="float64")
    model.fit(X, y, epochs=0, verbose=0)
    weights = np.where(np.arange(200) % 4 == 0, 1.0, 0.0)
    some = model.blame(X, y, sample_weight=weights)["gain"]
    np.testing.assert_allclose(some, model.blame(X[::4], y[::4])["gain"], rtol=1e-9)
    assert np.abs(some - model.blame(X, y)["gain"]).max() > 1e-3
    twice = model.blame(X[:60], y[:60], sample_weight=np.where(np.arange(60) < 20, 2.0, 1.0))["gain"]
    again = np.concatenate([np.arange(60), np.arange(20)])
    np.testing.assert_allclose(twice, model.blame(X[again], y[again])["gain"], rtol=1e-9)


def test_a_thousand_rows_speak_for_all():
    X, y = houses(3000)
    model = fastgd.MLP([4, 6, 1])
    model.fit(X, y, epochs=0, verbose=0)
    first, second = (model.blame(X, y)["gain"] for _ in range(2))
    assert (first == second).all()
    exact = np.mean([model.blame(X[i::3], y[i::3])["gain"] for i in range(3)], axis=0)
    np.testing.assert_allclose(first, exact, atol=0.05)


@pytest.mark.parametrize(
    ("share", "gain", "word"),
    [
        (0.5, 0.05, "way off"),
        (0.49, 0.9, "slightly off"),
        (1.0, 0.049, "slightly off"),
        (0.2, 0.005, "slightly off"),
        (0.19, 0.9, "close"),
        (1.0, 0.0049, "close"),
        (0.0, 0.0005, "close"),
        (1.0, 0.00049, "nothing left to blame"),
    ],
)
def test_words_of_blame(share, gain, word):
    from fastgd.explain import blame

    module = importlib.import_module(blame.__module__)
    assert module.BLAMED[module._degrees(np.array([share]), np.array([gain]))[0]] == word


def test_a_new_model_is_told_to_have_been_scaled_first():
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 1])
    for table in (model.blame(X, y), model.nudge(X, y), model.step(X, y, learning_rate=1e-9)):
        assert repr(table).splitlines()[-2].startswith("The model is new: how inputs and target are scaled was learned")
        assert "<p>The model is new" in table._repr_html_()
    for table in (model.blame(X, y), model.nudge(X, y), model.step(X, y)):
        assert "The model is new" not in repr(table)


def test_lengths_have_no_sign():
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 1])
    model.fit(X, y, epochs=1, verbose=0)
    assert "+" not in repr(model.blame(X, y, by="input"))
    assert "+" in repr(model.blame(X, y))
