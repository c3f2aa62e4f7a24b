"""Fit, predict and evaluate: their options, parameters in and out, units, copies and threads."""

from __future__ import annotations

import pickle
import threading
from copy import deepcopy

import numpy as np
import pytest
from samples import N_WAVES, fitted, houses, waves

import fastgd
from fastgd.errors import DeadNetworkWarning, InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, r"epochs must be a whole number of at least 0, not -1"),
        ({"epochs": True}, r"epochs must be a whole number"),
        ({"batch_size": 0}, r"batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.5}, r"batch_size"),
        ({"optimizer": "sgd"}, r"optimizer must be one such as fastgd.SGD"),
        ({"shuffle": "no"}, r"shuffle must be True or False, not 'no'"),
        ({"device": "gpu"}, r"no device 'gpu'; there are: cpu, plain"),
        ({"verbose": 7}, r"verbose must be 'auto', 0"),
        ({"lr": 0.1}, r"`lr` belongs to the optimizer: optimizer=fastgd.SGD\(learning_rate=…\)"),
        ({"n_epochs": 3}, r"`n_epochs` is called `epochs`\."),
    ],
)
def test_options_of_fit(options, message):
    X, y = houses(10)
    with pytest.raises(InvalidInputError, match=message):
        fastgd.MLP([4, 1]).fit(X, y, **options)


@pytest.mark.tiny
def test_it_predicts_before_it_has_learned():
    X, _ = houses(10)
    predicted = fastgd.MLP([4, 8, 1]).predict(X)
    assert predicted.shape == (10,)
    assert np.isfinite(predicted).all()
    assert (fastgd.MLP([4, 8, 1], random_state=1).predict(X) != predicted).any()
    assert fastgd.MLP([4, 8, 3]).predict(X).shape == (10, 3)
    assert fastgd.MLP([4, 8, 1], dtype="float64").predict(X).dtype == np.float64


@pytest.mark.tiny
def test_parameters_in_and_out():
    model, other = fastgd.MLP([4, 3, 2]), fastgd.MLP([4, 3, 2], random_state=1)
    pairs = model.get_parameters()
    assert [(w.shape, b.shape) for w, b in pairs] == [((4, 3), (3,)), ((3, 2), (2,))]
    other.set_parameters(pairs)
    assert (other.parameters == model.parameters).all()
    pairs[0][0][:] = 9
    assert (model.parameters != 9).all(), "what get_parameters returns is a copy"
    model.parameters[0] = 5
    assert model.get_parameters()[0][0][0, 0] == 5
    model.parameters = np.zeros(23)
    assert (model.predict(np.ones((2, 4))) == 0).all()
    for bad, message in (
        (pairs[:1], "has 2 layers, but 1 pairs"),
        ([pairs[0], (np.zeros((2, 3)), np.zeros(2))], r"weights of layer 1 have shape \(3, 2\), but \(2, 3\)"),
        ([pairs[0], (np.zeros((3, 2)), [np.nan, 0])], "biases of layer 1 must be finite"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.set_parameters(bad)
        assert (model.parameters == 0).all()
    for bad, message in (
        (np.zeros(5), r"parameters have shape \(23,\)"),
        (np.full(23, np.inf), "parameters must be finite"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.parameters = bad


@pytest.mark.tiny
def test_errors_are_in_the_units_of_the_target():
    X, y = houses(50)
    model = fastgd.MLP([4, 3, 1])
    model.fit(X, y, epochs=1, verbose=0)
    error = model.predict(X).astype(float) - y
    measured = model.evaluate(X, y)
    assert measured["loss"] == pytest.approx(np.mean(error**2), rel=1e-4)
    assert measured["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert measured["mae"] == pytest.approx(np.mean(np.abs(error)))
    assert measured["r2"] == pytest.approx(1 - np.mean(error**2) / y.var())


def test_two_outputs():
    X, y = houses(1000)
    Y = np.column_stack([y, X[:, 0] * 1e-3])
    model = fastgd.MLP([4, 16, 2])
    model.fit(X, Y, epochs=30, verbose=0)
    r2 = [1 - np.mean((model.predict(X)[:, i] - Y[:, i]) ** 2) / Y[:, i].var() for i in (0, 1)]
    assert min(r2) > 0.9
    assert model.evaluate(X, Y)["r2"] == pytest.approx(np.mean(r2))


@pytest.mark.tiny
def test_without_standardising():
    X, y = houses(20)
    X, y = X / 100, y / 1e6
    plain, scaled = fastgd.MLP([4, 3, 1], standardize=False), fastgd.MLP([4, 3, 1])
    for model in (plain, scaled):
        model.fit(X, y, epochs=1, optimizer=fastgd.SGD(learning_rate=1e-3), verbose=0)
        (weights, biases), (last_weights, last_biases) = model.get_parameters()
        expected = (np.maximum(X @ weights + biases, 0) @ last_weights + last_biases)[:, 0]
        assert np.allclose(model.predict(X), expected, atol=1e-6) == (model is plain)


def test_predictions_from_many_threads_at_once():
    X = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    model = fastgd.MLP([4, 64, 64, 1])
    expected, seen = model.predict(X), []

    def predict(part):
        for _ in range(50):
            seen.append((model.predict(X[part]) == expected[part]).all())

    threads = [threading.Thread(target=predict, args=(slice(i * 400, i * 400 + 400),)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 250
    assert all(seen)


def test_a_model_that_has_predicted_can_be_copied():
    X, y = houses(50)
    X = X.astype(np.float32)
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.predict(X)
    for copy in (pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert (copy.predict(X) == model.predict(X)).all()
        copy.fit(X, y, epochs=1, verbose=0)
        assert (copy.predict(X) != model.predict(X)).any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_predict_names_the_place_of_what_is_not_finite(wrong):
    X = np.ones((300, 4), np.float32)
    X[257, 2] = wrong
    with pytest.raises(InvalidInputError, match=f"X, row 257, column 2 is {wrong}"):
        fastgd.MLP([4, 8, 1], activation="tanh").predict(X)


def test_predictions_follow_parameters_and_scaling():
    X, y = houses(50)
    X = X.astype(np.float32)
    model = fastgd.MLP([4, 8, 1])
    before = model.predict(X)
    model.parameters[:] = 0
    assert (model.predict(X) == 0).all()
    with pytest.warns(DeadNetworkWarning, match="All units of layer 0 give 0"):
        model.fit(X, y, epochs=1, verbose=0)
    twin = fastgd.MLP([4, 8, 1])
    twin.parameters[:] = 0
    with pytest.warns(DeadNetworkWarning):
        twin.fit(X.tolist(), y, epochs=1, verbose=0)
    assert (model.predict(X) == twin.predict(X.tolist())).all()
    assert (before != model.predict(X)).any()


@pytest.mark.parametrize("value", [0, -1, 1.5, "two", True])
def test_n_threads_must_be_a_whole_number(value):
    with pytest.raises(InvalidInputError, match=r"n_threads must be 'auto' or a whole number of at least 1"):
        fastgd.MLP([4, 8, 1]).fit(*houses(50), n_threads=value, verbose=0)


def test_validation_is_on_the_definition_of_the_training_loss():
    X, y = waves()
    model, history = fitted(X * 5, y * 100, validation_data=(X * 5, y * 100), epochs=3)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X * 5, y * 100)["loss"])
    _, history = fitted(X, y, validation_data=(X, y), optimizer=fastgd.SGD(learning_rate=1e-300))
    assert history.history["val_loss"][0] == pytest.approx(history.history["loss"][0])
    weights = np.arange(N_WAVES) + 1.0
    _, history = fitted(
        X, y, sample_weight=weights, validation_data=(X, y, weights), optimizer=fastgd.SGD(learning_rate=1e-300)
    )
    assert history.history["val_loss"][0] == pytest.approx(history.history["loss"][0])
    labels = y > 0
    _, history = fitted(
        X, labels, loss="binary_cross_entropy", class_weight={True: 5}, validation_data=(X, labels),
        optimizer=fastgd.SGD(learning_rate=1e-300),
    )  # fmt: skip
    assert history.history["val_loss"][0] == pytest.approx(history.history["loss"][0])
    assert len(history.history["val_accuracy"]) == 5


@pytest.mark.parametrize("loss", ["mse", "huber", "poisson", "gaussian_nll"])
def test_predictions_follow_what_a_fit_learns_of_tables(loss):
    X, y = houses(200)
    X[:, 3] = 7  # never varies
    y = np.rint(y / 1e4)
    asked, new = (fastgd.MLP([4, 6, 2 if loss == "gaussian_nll" else 1], loss=loss) for _ in range(2))
    X[:, :3] /= X[:, :3].max(axis=0)  # a count is the exponential of the output
    before = asked.predict(X), asked.evaluate(X, y)
    for model in (asked, new):
        model.fit(X, y, epochs=2, verbose=0)
    assert (asked.predict(X) == new.predict(X)).all()
    assert asked.evaluate(X, y) == new.evaluate(X, y)
    assert not np.array_equal(before[0], asked.predict(X))
    X[:, 3] = 1e9
    for model in (asked, new):
        with pytest.warns(fastgd.errors.FastgdWarning, match="column 3"):
            model.predict(X)
