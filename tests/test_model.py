"""MLP: options, parameters in and out, the history, what is shown, Ctrl-C and divergence."""

from __future__ import annotations

import json
import pickle
import re
import threading
from copy import deepcopy

import numpy as np
import pytest

import fastgd
from fastgd.errors import DeadNetworkWarning, DivergenceError, DivergenceWarning, InvalidInputError
from fastgd.training.loop import loop as training
from fastgd.training.loop import progress


def houses(n=400):
    return fastgd.datasets.houses(n, random_state=1)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_sizes": [4]}, r"at least the number of inputs and of outputs"),
        ({"layer_sizes": [4, 0, 1]}, r"layer_sizes\[1\] must be a whole number of at least 1, not 0"),
        ({"layer_sizes": [4, -8, 1]}, r"layer_sizes\[1\] .* not -8"),
        ({"layer_sizes": [4, 2.5, 1]}, r"layer_sizes\[1\] .* not 2\.5"),
        ({"layer_sizes": 4}, r"must be a list such as \[4, 64, 64, 1\]"),
        ({"activation": "relux"}, r"no activation 'relux'; there are: identity, relu, .* Did you mean 'relu'\?"),
        ({"output_activation": "softmax"}, r"no activation 'softmax'"),
        ({"loss": "MSE"}, r"no loss 'MSE'; there are: mse"),
        ({"initializer": "kaiming"}, r"no initializer 'kaiming'; there are: auto, he_normal"),
        ({"dtype": "float16"}, r"no dtype 'float16'; there are: float32, float64"),
        ({"random_state": -1}, r"random_state must be a whole number of at least 0"),
        ({"random_state": 2**64}, r"below 2\*\*64"),
        ({"feature_names": ["a", "b"]}, r"feature_names must be a list of 4 different names"),
        ({"seed": 3}, r"`seed` is called `random_state`\."),
        ({"sizes": [4, 1]}, r"`sizes` is called `layer_sizes`\."),
        ({"colour": 3}, r"no option `colour`; the options are: layer_sizes, activation"),
    ],
)
def test_options_of_the_network(options, message):
    with pytest.raises(InvalidInputError, match=message):
        fastgd.MLP(**({"layer_sizes": [4, 1]} | options))


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
@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "0.1", True, None])
def test_learning_rates(rate):
    with pytest.raises(InvalidInputError, match="learning_rate must be a positive number"):
        fastgd.SGD(learning_rate=rate)


@pytest.mark.tiny
def test_a_wrong_name_of_the_learning_rate():
    with pytest.raises(InvalidInputError, match="`lr` is called `learning_rate`"):
        fastgd.SGD(lr=0.1)
    assert fastgd.SGD(0.1) == fastgd.SGD(learning_rate=0.1)


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
def test_starting_weights_keep_the_size_of_a_signal():
    for activation, variance in (("relu", 2 / 200), ("tanh", 2 / 300)):
        (weights, biases), _ = fastgd.MLP([200, 100, 1], activation=activation).get_parameters()
        assert weights.var() == pytest.approx(variance, rel=0.05)
        assert (biases == 0).all()
    unseeded = fastgd.MLP([4, 1], random_state=None)
    assert (fastgd.MLP([4, 1], random_state=unseeded.random_state).parameters == unseeded.parameters).all()


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
    for bad in (np.zeros(5), np.full(23, np.inf)):
        with pytest.raises(InvalidInputError, match=r"parameters (have shape \(23,\)|must be finite)"):
            model.parameters = bad


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_training_makes_it_better_and_the_history_says_what_ran(device):
    X, y = houses(2000)
    model = fastgd.MLP([4, 16, 1])
    before = model.evaluate(X, y)
    history = model.fit(X, y, epochs=5, device=device, verbose=0)
    after = model.evaluate(X, y)
    assert after["r2"] > 0.85 > before["r2"]
    losses = history.history["loss"]
    assert len(losses) == history.epochs == 5
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(after["loss"], rel=0.3)
    assert (history.stop_reason, history.engine) == ("completed", device)
    assert (history.steps, history.rows_seen) == (5 * 63, 10_000)
    assert history.rows_per_second == pytest.approx(10_000 / history.seconds)
    assert json.loads(json.dumps(history.to_dict()))["history"]["loss"] == losses
    assert repr(history).startswith("<History: 5 epochs, loss ")


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
    model = fastgd.MLP([4, 3, 1], standardize=False)
    model.fit(X / 100, y / 1e6, epochs=1, optimizer=fastgd.SGD(learning_rate=1e-3), verbose=0)
    assert (model.net.input_mean == 0).all()
    assert (model.net.target_std == 1).all()


@pytest.mark.tiny
def test_a_batch_larger_than_the_table_is_the_whole_table():
    X, y = houses(20)
    models = [fastgd.MLP([4, 3, 1]) for _ in range(2)]
    for model, batch_size in zip(models, (20, 10**9), strict=True):
        assert model.fit(X, y, epochs=2, batch_size=batch_size, verbose=0).steps == 2
    assert (models[0].parameters == models[1].parameters).all()


class Interrupting(progress.Silent):
    """Presses Ctrl-C after some chunks."""

    def __init__(self, after):
        self.left = after

    def advance(self, epoch, rows_done, loss):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_usable_model(monkeypatch):
    X, y = houses(2000)
    monkeypatch.setattr(training, "MOST_CHUNK_STEPS", 10)
    monkeypatch.setattr("fastgd.model.core.display", lambda verbose: Interrupting(10))
    model = fastgd.MLP([4, 8, 1])
    start = model.parameters.copy()
    history = model.fit(X, y, epochs=5)
    assert history.stop_reason == "interrupted in epoch 2"
    assert history.epochs == 1
    assert 0 < history.steps < 5 * 63
    assert (model.parameters != start).any()
    assert np.isfinite(model.predict(X)).all()
    monkeypatch.undo()
    assert model.fit(X, y, epochs=1, verbose=0).stop_reason == "completed"


def test_an_interruption_where_nothing_was_to_be_trained(monkeypatch):
    from fastgd.training.loop import loop as training

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "compile", interrupted)
    X, y = houses(50)
    with pytest.raises(KeyboardInterrupt):
        fastgd.MLP([4, 1]).fit(X, y, epochs=0, verbose=0)
    assert fastgd.MLP([4, 1]).fit(X, y, epochs=1, verbose=0).stop_reason == "interrupted in epoch 1"


def test_a_real_signal_is_heard_within_a_chunk():
    X, y = houses(50_000)
    model = fastgd.MLP([4, 32, 1])
    model.fit(X, y, epochs=1, verbose=0)
    import signal

    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    history = model.fit(X, y, epochs=100_000, verbose=0)
    timer.join()
    assert history.stop_reason.startswith("interrupted in epoch ")


@pytest.mark.tiny
def test_divergence_keeps_the_last_good_weights():
    X, y = houses(100)
    model = fastgd.MLP([4, 8, 1])
    with (
        np.errstate(all="ignore"),
        pytest.warns(DivergenceWarning, match="rose in a few steps"),
        pytest.raises(DivergenceError, match=r"diverged at step \d+ .* such as 0.1 instead of 100,"),
    ):
        model.fit(X, y, epochs=50, optimizer=fastgd.SGD(learning_rate=100), verbose=0)
    assert issubclass(DivergenceError, ArithmeticError)
    assert np.isfinite(model.parameters).all()


@pytest.mark.tiny
def test_plain_lines(capsys):
    X, y = houses(64)
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25)
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if not line.startswith("compiling")]
    assert len(lines) <= 11
    assert re.fullmatch(r"epoch  1/25  loss \S+  [\d,]+ rows/s", lines[0])
    assert lines[-1].startswith("epoch 25/25  loss ")
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 25
    fastgd.MLP([4, 2, 1]).fit(X, y, epochs=25, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.tiny
def test_it_prints_itself():
    assert repr(fastgd.MLP([4, 64, 64, 1])) == (
        "<MLP 4-64-64-1 (relu, identity output, mse, 4,545 parameters), float32>"
    )
    assert repr(fastgd.MLP([4, 1])) == "<MLP 4-1 (identity output, mse, 5 parameters), float32>"


def test_public_names():
    for name in fastgd.__all__:
        assert getattr(fastgd, name) is not None
        assert name in dir(fastgd)
    with pytest.raises(AttributeError, match="no attribute 'perceptron'"):
        fastgd.perceptron  # noqa: B018


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
    with pytest.raises(InvalidInputError, match="n_threads must be a whole number of at least 1"):
        fastgd.MLP([4, 8, 1]).fit(*houses(50), n_threads=value, verbose=0)
