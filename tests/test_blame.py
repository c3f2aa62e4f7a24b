"""Blame, nudges and steps: the numbers of the kernels that train, and words that fit them."""

from __future__ import annotations

import copy

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
    assert set(effects) <= {"smaller contribution", "slight decrease", "barely touched"}
    assert len(set(effects)) == 3


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
