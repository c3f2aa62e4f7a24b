"""What the rules promise: gradients of every pair, weights, dropout, schedules, callbacks, resuming, bad options."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from networks import make_case
from test_mirrors import losses_to_test

import fastgd
from fastgd import schedules
from fastgd.callbacks import Callback, EarlyStopping
from fastgd.errors import DivergenceWarning, InvalidInputError
from fastgd.kernels import cpu
from fastgd.network.activations import ACTIVATIONS

N = 60


def table(n=N, n_in=3, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, n_in))
    return X, X @ np.arange(1, n_in + 1) + np.sin(3 * X[:, 0]) + 0.1 * generator.normal(size=n)


def fitted(X, y, sizes=(3, 8, 1), **options):
    construction = {name: options.pop(name) for name in ("loss", "dropout", "dtype", "activation") if name in options}
    model = fastgd.MLP(list(sizes), **{"dtype": "float64", "activation": "tanh", **construction})
    history = model.fit(X, y, **{"epochs": 5, "batch_size": 16, "verbose": 0, **options})
    return model, history


# Gradients, with dropout and sample weights on: the loss of a batch is a plain function of the parameters, because
# which units are dropped depends on seed, epoch and row only.


def batch_loss(case):
    gradients = np.zeros_like(case.gradients)
    n = len(case.rows.X)
    return cpu.batch_gradient(gradients, case.workspace, case.rows, 0, n, case.net, case.loss), gradients[0]


def worst_relative_error(case, gradient, step=1e-6):
    worst, parameters = 0.0, case.net.parameters
    unit = case.loss.unit if case.loss.unit.size else np.ones(1)
    assert (unit == 1).all(), "else the value is in other units than the gradient"
    for p in range(parameters.size):
        kept = parameters[p]
        parameters[p] = kept + step
        above = batch_loss(case)[0]
        parameters[p] = kept - step
        below = batch_loss(case)[0]
        parameters[p] = kept
        slope = (above - below) / (2 * step)
        worst = max(worst, abs(gradient[p] - slope) / max(abs(slope), 1e-2))
    return worst


def gradient_case(activation, loss, n_out):
    case = make_case(9, [3, 5, 4, n_out], "float64", activation, loss=loss, dropout=[0.3, 0.2], weighted=True)
    return case._replace(loss=case.loss._replace(unit=np.ones_like(case.loss.unit)))


@pytest.mark.parametrize(("loss", "n_out"), list(losses_to_test()), ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_every_pair(activation, loss, n_out):
    case = gradient_case(activation, loss, n_out)
    assert worst_relative_error(case, batch_loss(case)[1]) < 1e-6


def test_the_check_of_gradients_can_fail():
    case = gradient_case("tanh", "mse", 2)
    wrong = batch_loss(case)[1]
    wrong[3] *= 1.001
    assert worst_relative_error(case, wrong) > 1e-6
    other_units_dropped = case._replace(rows=case.rows._replace(epoch=1))
    assert worst_relative_error(case, batch_loss(other_units_dropped)[1]) > 1e-2


# Weights.


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh", "poisson", "quantile", "gaussian_nll"])
def test_a_weight_of_2_is_the_row_twice(loss, standardize):
    X, y = table()
    X[20] = 1e6  # a row of weight 0, which must not even reach the scaling
    y = np.abs(y).round() if loss == "poisson" else y
    weights = np.ones(N)
    weights[[3, 10]] = 2
    weights[20] = 0
    rows = [*[i for i in range(N) if i != 20], 3, 10]
    options = {"epochs": 20, "batch_size": 1000, "shuffle": False, "optimizer": fastgd.SGD(0.01), "verbose": 0}

    def new():
        sizes = [3, 8, 2 if loss == "gaussian_nll" else 1]
        return fastgd.MLP(sizes, loss=loss, dtype="float64", activation="tanh", standardize=standardize)

    weighted, repeated, unweighted = new(), new(), new()
    first = weighted.fit(X, y, sample_weight=weights, **options)
    second = repeated.fit(X[rows], y[rows], **options)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(first.history["loss"], second.history["loss"], rtol=1e-9)
    assert weighted.evaluate(X, y, weights) == pytest.approx(repeated.evaluate(X[rows], y[rows]), rel=1e-8)
    unweighted.fit(X, y, **options)
    assert np.abs(unweighted.parameters - repeated.parameters).max() > 1e-5


@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 3), ("binary_cross_entropy", 1)])
def test_class_weights_are_rows_repeated(loss, n_out):
    X, y = table()
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-2, 2])] if n_out == 3 else y > 0
    first = labels == labels[0]
    rows = np.concatenate([np.arange(N), np.flatnonzero(first)])
    results = []
    for data, extra in (((X, labels), {"class_weight": {labels[0].item(): 2}}), ((X[rows], labels[rows]), {})):
        model = fastgd.MLP([3, 6, n_out], loss=loss, dtype="float64")
        model.fit(*data, epochs=20, batch_size=1000, shuffle=False, verbose=0, **extra)
        results.append(model.parameters)
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)
    balanced = fastgd.MLP([3, n_out], loss=loss)
    balanced.fit(X, labels, class_weight="balanced", epochs=1, verbose=0)


def test_a_batch_that_counts_nothing_moves_nothing():
    X, y = table()
    weights = np.zeros(N)
    weights[-1] = 1
    model = fastgd.MLP([3, 4, 1], standardize=False)
    before = model.parameters.copy()
    options = {"batch_size": N - 1, "shuffle": False, "optimizer": fastgd.SGD(1e-4), "verbose": 0}
    history = model.fit(X, y, epochs=1, sample_weight=weights, **options)
    assert np.isfinite(history.history["loss"][0])
    assert (model.parameters != before).any()


# Dropout.


def test_dropout_only_while_training():
    X, y = table()
    model, _ = fitted(X, y, sizes=(3, 50, 1), dropout=0.5)
    assert (model.predict(X) == model.predict(X)).all()
    without, _ = fitted(X, y, sizes=(3, 50, 1))
    assert (model.parameters != without.parameters).any()
    # On average over many patterns, a dropped unit's output is what it would have been.
    a = np.ones((1, 20_000))
    cpu.drop(a, a.copy(), np.zeros(1, np.int64), np.uint64(0), 0, 0, 0.3)
    assert a.mean() == pytest.approx(1, abs=0.02)


def test_dropout_per_layer_and_its_repr():
    model = fastgd.MLP([3, 8, 8, 1], activation=["relu", "gelu"], dropout=[0.0, 0.25])
    assert repr(model) == ("<MLP 3-8-8-1 (relu-gelu, dropout 0-0.25, identity output, mse, 113 parameters), float32>")


# Learning-rate schedules.


def test_warm_up_goes_into_any_schedule():
    warm = schedules.WarmUp(schedules.StepDecay(0.4, every=2, factor=0.5), steps=4)
    np.testing.assert_allclose(warm.rates(np.arange(8), 100), [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.2, 0.2])
    assert schedules.WarmUp(0.4, steps=2, start=0.2).rates(np.arange(3), 9).tolist() == [0.2, pytest.approx(0.3), 0.4]
    np.testing.assert_allclose(schedules.InverseTime(0.6, every=10).rates(np.array([0, 10, 20]), 9), [0.6, 0.3, 0.2])


def test_a_schedule_reaches_every_step(monkeypatch):
    X, y = table()
    expected, history = fitted(X, y, optimizer=fastgd.SGD(learning_rate=lambda t: 0.1 / (1 + t)))
    assert history.history["learning_rate"] == [0.1 / (4 * epoch) for epoch in range(1, 6)]
    same, _ = fitted(X, y, optimizer=fastgd.SGD(learning_rate=schedules.InverseTime(0.1, every=1)))
    np.testing.assert_array_equal(same.parameters, expected.parameters)
    monkeypatch.setattr("fastgd.training.loop.MOST_CHUNK_STEPS", 1)
    again, _ = fitted(X, y, optimizer=fastgd.SGD(learning_rate=lambda t: 0.1 / (1 + t)))
    np.testing.assert_array_equal(again.parameters, expected.parameters)


def test_schedules_that_last_as_long_as_the_fit():
    X, y = table()
    _, history = fitted(X, y, optimizer=fastgd.SGD(learning_rate=schedules.Cosine(0.1)))
    assert history.history["learning_rate"][-1] == pytest.approx(0.05 * (1 + math.cos(math.pi * 19 / 20)))


def test_reduce_on_plateau():
    X, y = table()
    schedule = schedules.ReduceOnPlateau(1e-9, patience=1, factor=0.1, monitor="loss", eps=0.0)
    _, history = fitted(X, y, optimizer=fastgd.SGD(learning_rate=schedule), epochs=6)
    np.testing.assert_allclose(history.history["learning_rate"], [1e-9, 1e-9, 1e-9, 1e-10, 1e-10, 1e-11])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t: float("nan") if t == 7 else 0.1, r"returned nan at step 7"),
        (lambda t: -0.1, r"returned -0\.1 at step 0; a rate must be"),
        (lambda t: "fast", r"returned 'fast' at step 0, not a number"),
    ],
)
def test_schedules_that_return_nonsense(function, message):
    X, y = table()
    with pytest.raises(InvalidInputError, match=message):
        fitted(X, y, optimizer=fastgd.SGD(learning_rate=function))


# Callbacks, validation, early stopping.


class Diary(Callback):
    def __init__(self):
        self.lines = []

    def on_train_begin(self, logs=None):
        self.lines.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.lines.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.lines.append(sorted(logs))
        if epoch == 1:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.lines.append("end")


def test_callbacks_are_told_in_order_and_can_stop():
    X, y = table()
    diary = Diary()
    _, history = fitted(X, y, callbacks=[diary], validation_split=0.2)
    names = ["learning_rate", "loss", "val_loss"]
    assert diary.lines == ["begin", "epoch 0", names, "epoch 1", names, "end"]
    assert (history.epochs, history.stop_reason) == (2, "stopped by a callback after epoch 2")


def test_validation_is_on_the_definition_of_the_training_loss():
    X, y = table()
    model, history = fitted(X * 5, y * 100, validation_data=(X * 5, y * 100), epochs=3)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X * 5, y * 100)["loss"])
    _, history = fitted(X, y, validation_data=(X, y), optimizer=fastgd.SGD(learning_rate=1e-300))
    assert history.history["val_loss"][0] == pytest.approx(history.history["loss"][0])
    weights = np.arange(N) + 1.0
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


def test_held_out_rows_are_not_trained_on():
    X, y = table()
    model, history = fitted(X, y, validation_split=0.25)
    assert history.rows_seen == 5 * 45
    from fastgd.data.splits import split_rows

    train, test = split_rows(N, 0.25, None, 0)
    same, _ = fitted(X[train], y[train])
    np.testing.assert_array_equal(same.parameters, model.parameters)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X[test], y[test])["loss"])


def test_early_stopping_goes_back_to_the_best():
    _, y = table(200)
    noise = np.random.default_rng(1).normal(size=(200, 3))
    stop = EarlyStopping(patience=5)
    model, history = fitted(
        noise, y, sizes=(3, 64, 1), epochs=500, validation_split=0.5, callbacks=[stop],
        optimizer=fastgd.Adam(learning_rate=0.01),
    )  # fmt: skip
    losses = history.history["val_loss"]
    assert history.epochs < 500
    assert history.epochs - 1 - int(np.argmin(losses)) == 5
    from fastgd.data.splits import split_rows

    _, test = split_rows(200, 0.5, None, 0)
    assert model.evaluate(noise[test], y[test])["loss"] == pytest.approx(min(losses))
    keep = EarlyStopping(patience=5, restore_best_weights=False)
    model, _ = fitted(
        noise, y, sizes=(3, 64, 1), epochs=500, validation_split=0.5, callbacks=[keep],
        optimizer=fastgd.Adam(learning_rate=0.01),
    )  # fmt: skip
    assert model.evaluate(noise[test], y[test])["loss"] == pytest.approx(losses[-1])


def test_the_moving_average_is_what_the_model_has():
    X, y = table()
    raw, _ = fitted(X, y)
    averaged, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9))
    assert (raw.parameters != averaged.parameters).any()
    np.testing.assert_array_equal(averaged.training.raw, raw.parameters)
    averaged.fit(X, y, epochs=2, batch_size=16, verbose=0)
    longer, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9), epochs=7)
    np.testing.assert_array_equal(averaged.parameters, longer.parameters)


# Classes.


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([3, 7]), np.array([False, True]), np.array([0.0, 1.0])]
)
@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_two_classes(labels, loss, n_out):
    X, y = table(300)
    names = labels[(y > 0).astype(int)]
    model = fastgd.MLP([3, 8, n_out], loss=loss)
    model.fit(X, names, epochs=20, verbose=0)
    assert set(model.predict(X)) <= set(labels)
    assert np.mean(model.predict(X) == names) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (300, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    measured = model.evaluate(X, names)
    assert measured["accuracy"] == pytest.approx(np.mean(model.predict(X) == names))
    chosen = probabilities[np.arange(300), (y > 0).astype(int)]
    assert measured["log_loss"] == pytest.approx(-np.mean(np.log(chosen)), rel=1e-4)
    assert measured["loss"] == measured["log_loss"]


def test_labels_in_data_frames():
    import pandas as pd
    import polars as pl

    X, y = table()
    names = np.array(["a", "b", "c"])[np.digitize(y, [-1, 1])]
    predictions = []
    for series in (pd.Series(names), pl.Series(names), pd.Series(names).astype("category"), list(names)):
        model = fastgd.MLP([3, 3], loss="cross_entropy")
        model.fit(X, series, epochs=2, verbose=0)
        predictions.append(model.predict(X))
    assert all((p == predictions[0]).all() for p in predictions)


def test_several_labels_at_once_and_shares():
    X, y = table(300)
    Y = np.column_stack([y > 0, X[:, 0] > 0])
    model = fastgd.MLP([3, 16, 2], loss="binary_cross_entropy")
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.predict(X).shape == model.predict_proba(X).shape == (300, 2)
    assert model.evaluate(X, Y)["accuracy"] > 0.9
    shares = 1 / (1 + np.exp(-y))
    soft = fastgd.MLP([3, 16, 1], loss="binary_cross_entropy")
    soft.fit(X, shares, epochs=300, optimizer=fastgd.Adam(schedules.Cosine(0.01)), verbose=0)
    assert np.abs(soft.predict_proba(X)[:, 1] - shares).mean() < 0.05


def test_quantiles_counts_and_variances():
    generator = np.random.default_rng(0)
    X = generator.uniform(-1, 1, size=(3000, 1))
    y = 100 + 10 * X[:, 0] + (1 + X[:, 0]) * generator.normal(size=3000)
    optimizer = fastgd.Adam(learning_rate=schedules.Cosine(0.01))
    quantiles = fastgd.MLP([1, 16, 3], loss=fastgd.losses.Quantile([0.1, 0.5, 0.9]))
    quantiles.fit(X, y, epochs=30, optimizer=optimizer, verbose=0)
    measured = quantiles.evaluate(X, y)
    for level in (0.1, 0.5, 0.9):
        assert measured[f"below_{level}"] == pytest.approx(level, abs=0.04)
    assert quantiles.predict(X).shape == (3000, 3)
    gaussian = fastgd.MLP([1, 16, 2], loss="gaussian_nll")
    gaussian.fit(X, y, epochs=30, optimizer=optimizer, verbose=0)
    mean, std = gaussian.predict(np.array([[-0.5], [0.5]])).T
    assert mean == pytest.approx([95, 105], abs=0.5)
    assert std == pytest.approx([0.5, 1.5], rel=0.2)
    assert gaussian.evaluate(X, y)["r2"] > 0.95
    counts = generator.poisson(np.exp(5 + X[:, 0]))
    poisson = fastgd.MLP([1, 16, 1], loss="poisson")
    poisson.fit(X, counts, epochs=30, optimizer=optimizer, verbose=0)
    assert poisson.predict([[0.5]])[0] == pytest.approx(math.exp(5.5), rel=0.05)
    value = poisson.evaluate(X, counts)["loss"]
    rate = poisson.predict(X).astype(float)
    assert value == pytest.approx(np.mean(rate - counts * np.log(rate)), rel=1e-4)


# Finding a learning rate.


def test_the_range_test_finds_a_rate_that_trains():
    X, y = fastgd.datasets.houses(20_000)
    model = fastgd.MLP([4, 32, 1])
    before = model.parameters.copy()
    for optimizer in (fastgd.SGD(), fastgd.Adam()):
        search = model.find_learning_rate(X, y, optimizer=optimizer)
        assert (model.parameters == before).all()
        assert not model.schema.scaled
        assert 1e-4 < search.learning_rate < 1
        assert search.rates.shape == search.losses.shape
        assert "tenth" in search.reason
        assert repr(search).startswith("<LearningRateSearch: ")
        trained = fastgd.MLP([4, 32, 1])
        rule = type(optimizer)(learning_rate=search.learning_rate)
        trained.fit(X, y, epochs=3, optimizer=rule, verbose=0)
        assert trained.evaluate(X, y)["r2"] > 0.9
    early = model.find_learning_rate(X, y, lowest=0.05, highest=1e6)
    assert early.learning_rate == early.rates[np.argmin(early.losses)] / 10 < 0.05, "it may lie below the range"
    hopeless = model.find_learning_rate(X, y, lowest=1e-12, highest=1e-11)
    assert "never fell" in hopeless.reason


# Resuming.


RESUME = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
import fastgd
from test_rules import resumable
path = {path!r}
model = fastgd.load(path)
X, y, options = resumable({case!r})
model.fit(X, y, epochs=3, **{{name: value for name, value in options.items() if name != "optimizer"}})
model.save(path, training_state=True)
"""

OPTIMIZERS = {
    "sgd": lambda: fastgd.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: fastgd.Adam(schedules.WarmUp(schedules.CosineRestarts(0.01, period=9), steps=5), ema_decay=0.9),
    "rmsprop": lambda: fastgd.RMSprop(schedules.ReduceOnPlateau(0.01, patience=0, monitor="loss"), momentum=0.5),
    "adagrad": lambda: fastgd.Adagrad(0.05, clip_norm=1.0, weight_decay=0.01),
}


def resumable(case):
    X, y = table()
    return X, y, {"batch_size": 16, "optimizer": OPTIMIZERS[case](), "verbose": 0}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_three_epochs_and_three_in_a_new_process_are_six(case, tmp_path, request):
    X, y, options = resumable(case)
    sizes = {"layer_sizes": [3, 8, 1], "dropout": 0.2}
    once = fastgd.MLP(**sizes)
    once.fit(X, y, epochs=6, **options)
    half = fastgd.MLP(**sizes)
    half.fit(X, y, epochs=3, **options)
    path = str(tmp_path / "half.safetensors")
    half.save(path, training_state=True)
    code = RESUME.format(folder=str(request.path.parent), path=path, case=case)
    subprocess.run([sys.executable, "-c", code], check=True)
    resumed = fastgd.load(path)
    np.testing.assert_array_equal(resumed.parameters, once.parameters)
    for mine, its in zip(resumed.training.state, once.training.state, strict=True):
        np.testing.assert_array_equal(mine, its)
    forgetful = fastgd.MLP(**sizes)
    forgetful.fit(X, y, epochs=3, **options)
    forgetful.training = None
    forgetful.fit(X, y, epochs=3, **options)
    assert (forgetful.parameters != once.parameters).any()


# Bad options.


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastgd.MLP([3, 4, 1], activation=["relu", "tanh"]), r"activation has 2 entries, .* 1 hidden layers"),
        (lambda: fastgd.MLP([3, 4, 1], activation=["swish"]), r"no activation 'swish'; there are: identity, relu"),
        (
            lambda: fastgd.MLP([3, 2], loss="cross_entropy", output_activation="sigmoid"),
            r"do not fit together: the loss",
        ),
        (lambda: fastgd.MLP([3, 1], loss="poisson", output_activation="softplus"), r"do not fit together"),
        (lambda: fastgd.MLP([3, 1], loss="cross_entropy"), r"needs an output for each class, at least 2"),
        (lambda: fastgd.MLP([3, 1], loss="gaussian_nll"), r"needs two outputs for each target"),
        (lambda: fastgd.MLP([3, 3], loss=fastgd.losses.Quantile([0.1, 0.9])), r"quantile with 2 levels"),
        (lambda: fastgd.losses.Quantile([0.1, 1.0]), r"levels must be different numbers between 0 and 1"),
        (lambda: fastgd.losses.Huber(delta=0), r"delta must be a positive number"),
        (lambda: fastgd.losses.Huber(threshold=1), r"no option `threshold`"),
        (lambda: fastgd.MLP([3, 4, 1], dropout=1.0), r"dropout must be a share of at least 0 and below 1, not 1.0"),
        (lambda: fastgd.MLP([3, 4, 1], dropout=[-0.1]), r"dropout must be a share"),
        (lambda: fastgd.MLP([3, 4, 1], dropout="half"), r"dropout must be a share"),
        (lambda: fastgd.MLP([3, 4, 1], initializer=[(1, 2)]), r"2 layers, but 1 pairs"),
        (lambda: fastgd.MLP([3, 4, 1], standardize="no"), r"standardize must be True or False"),
        (lambda: fastgd.MLP([4, 10**12, 1]), r"layer_sizes ask for .* parameters; at most"),
        (lambda: fastgd.SGD(momentum=1.0), r"momentum must be a number of at least 0 and below 1"),
        (lambda: fastgd.SGD(nesterov=True), r"nesterov looks ahead along the momentum"),
        (lambda: fastgd.Adam(beta2=1.5), r"beta2 must be a number"),
        (lambda: fastgd.Adam(weight_decay=-1), r"weight_decay must be a number of at least 0, not -1"),
        (lambda: fastgd.SGD(clip_norm=0), r"clip_norm must be a number above 0"),
        (lambda: fastgd.SGD(l2=0.1), r"`l2` is called `weight_decay`"),
        (lambda: fastgd.SGD(10**400), r"learning_rate must be a positive number"),
        (lambda: schedules.Cosine(-1), r"learning_rate must be a number above 0, not -1"),
        (lambda: schedules.StepDecay(0.1, every=0), r"every must be a number of at least 1"),
        (lambda: schedules.OneCycle(0.1, rise=1), r"rise must be a share"),
        (lambda: schedules.ReduceOnPlateau(0.1, factor=2), r"factor must be below 1"),
        (lambda: schedules.WarmUp(0.1, steps=0), r"steps must be a number of at least 1"),
        (lambda: EarlyStopping(patience=-1), r"patience must be a whole number"),
        (lambda: EarlyStopping(min_delta="x"), r"min_delta must be a number"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


class PerBatch(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": -np.ones(N)}, r"sample_weight, row 0 is -1\.0: a weight must be at least 0"),
        ({"sample_weight": np.zeros(N)}, r"sample_weight is 0 in every row"),
        ({"sample_weight": np.full(N, np.nan)}, r"sample_weight, row 0 is nan"),
        ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\), but there are 60 rows"),
        ({"class_weight": {1: 2}}, r"class_weight is for classes; with loss='mse' there are none"),
        ({"validation_split": 1.0}, r"validation_split must be a share"),
        ({"validation_split": 0.1, "validation_data": (1, 2)}, r"cannot both be given"),
        ({"validation_data": 3}, r"validation_data must be \(X, y\)"),
        ({"validation_data": ([[1, 2]], [1])}, r"X has 2 columns, but the network has 3 inputs"),
        ({"callbacks": EarlyStopping()}, r"callbacks must be a list"),
        ({"callbacks": [print]}, r"is not a callback: make it a subclass"),
        ({"callbacks": [PerBatch()]}, r"PerBatch.on_train_batch_end would never be heard"),
        (
            {"callbacks": [EarlyStopping()]},
            r"no quantity 'val_loss' to monitor; there are: loss, learning_rate. Give validation_data",
        ),
    ],
)
def test_options_of_fit(options, message):
    X, y = table()
    with pytest.raises(InvalidInputError, match=message):
        fitted(X, y, **options)


@pytest.mark.tiny
def test_labels_that_do_not_fit():
    X, _ = table(4)
    model = fastgd.MLP([3, 3], loss="cross_entropy")
    for y, message in (
        ([0, 1, 2, 3], r"y has 4 classes"),
        ([0, 1, 2.5, 1], r"y, row 2 is 2\.5: labels of classes must be whole numbers or text"),
        (np.array(["a", None, "b", "c"], object), r"y, row 1 is None"),
        (np.eye(3)[[0, 1, 2, 0]], r"use y\.argmax\(axis=1\)"),
        ([0, 1, 2], r"X has 4 rows, y has 3"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X, y, verbose=0)
    model.fit(X, ["a", "b", "c", "a"], epochs=1, verbose=0)
    for y in (["a", "b", "d", "a"], [0, 1, 2, 0]):
        with pytest.raises(InvalidInputError, match=r"y, row \d has the label .*; its classes are: a, b, c"):
            model.evaluate(X, y)
    for weights, message in (
        ({"d": 1}, r"class_weight names the class 'd', which the model does not know; its classes are: a, b, c"),
        ({"a": -1}, r"class_weight of 'a' must be a number of at least 0"),
        ("even", r"class_weight must be a dict .* or 'balanced'"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X, ["a", "b", "c", "a"], class_weight=weights, verbose=0)
    with pytest.raises(InvalidInputError, match=r"loss='mse' has no probabilities"):
        fastgd.MLP([3, 1]).predict_proba(X)
    with pytest.raises(InvalidInputError, match=r"y, row 1 is -1.0: poisson needs counts"):
        fastgd.MLP([3, 1], loss="poisson").fit(X, [1, -1, 2, 3], verbose=0)
    with pytest.raises(InvalidInputError, match=r"y, row 3 is 1.5: binary_cross_entropy needs"):
        fastgd.MLP([3, 1], loss="binary_cross_entropy").fit(X, [0, 0.5, 0, 1.5], verbose=0)


# What goes wrong in the middle of a training.


class Refuses(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("the disk is full")


@pytest.mark.parametrize(
    "optimizer", [fastgd.SGD(1e6), fastgd.SGD(1e4, momentum=0.9), fastgd.SGD(1e5, ema_decay=0.9)], ids=str
)
def test_after_a_divergence_training_can_go_on(optimizer):
    X, y = table(200)
    model = fastgd.MLP([3, 8, 1])
    start = model.evaluate(X, y)["loss"]
    stop = EarlyStopping(monitor="loss")
    with pytest.warns(DivergenceWarning, match="rose in a few steps"), pytest.raises(fastgd.errors.DivergenceError):
        model.fit(X, y, epochs=50, optimizer=optimizer, callbacks=[stop], verbose=0)
    assert model.evaluate(X, y)["loss"] < 20 * start
    model.fit(X, y, epochs=20, optimizer=fastgd.SGD(0.02), verbose=0)
    assert model.evaluate(X, y)["r2"] > 0.9


def test_nothing_to_do_changes_nothing():
    X, y = table()
    model, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9))
    before = model.parameters.copy()
    model.fit(X, y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.parameters, before)


def test_an_error_in_a_callback_keeps_scaling_and_average():
    X, y = table()
    model = fastgd.MLP([3, 8, 1], dtype="float64")
    with pytest.raises(RuntimeError, match="the disk is full"):
        model.fit(X, y, epochs=3, optimizer=fastgd.SGD(ema_decay=0.9), callbacks=[Refuses()], verbose=0)
    np.testing.assert_array_equal(model.parameters, model.training.state.average)
    before = model.predict(X)
    model.fit(X * 100, y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.predict(X), before)


def test_ctrl_c_with_a_moving_average_then_on():
    X, y = table()

    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    optimizer = fastgd.Adam(0.01, ema_decay=0.9)
    broken, history = fitted(X, y, optimizer=optimizer, callbacks=[Stop()])
    assert history.stop_reason == "interrupted in epoch 3"
    np.testing.assert_array_equal(broken.parameters, broken.training.state.average)
    broken.fit(X, y, epochs=3, batch_size=16, verbose=0)
    whole, _ = fitted(X, y, optimizer=optimizer)
    np.testing.assert_array_equal(broken.parameters, whole.parameters)


def test_schedules_from_fit_to_fit():
    X, y = table()

    def rates(*optimizers):
        model, seen = fastgd.MLP([3, 4, 1]), []
        for optimizer in optimizers:
            seen += model.fit(X, y, epochs=2, optimizer=optimizer, verbose=0).history["learning_rate"]
        return seen

    stretched = fastgd.SGD(schedules.Cosine(0.1))
    first, second, third, fourth = rates(stretched, stretched)
    assert (first, second) == (third, fourth), "without steps, each fit has the whole schedule"
    falling = fastgd.SGD(schedules.InverseTime(0.1, every=1))
    np.testing.assert_allclose(rates(falling, falling), [0.1 / t for t in (2, 4, 6, 8)])
    other = fastgd.SGD(schedules.InverseTime(0.2, every=1))
    np.testing.assert_allclose(rates(falling, other), [0.05, 0.025, 0.1, 0.05])


def test_reduce_on_plateau_within_a_warm_up_and_for_an_accuracy():
    X, y = table()
    inner = schedules.ReduceOnPlateau(1e-9, patience=0, factor=0.1, monitor="loss", eps=0.0)
    warm = fastgd.SGD(schedules.WarmUp(inner, steps=1))
    _, history = fitted(X, y, optimizer=warm, epochs=4)
    np.testing.assert_allclose(history.history["learning_rate"], [1e-9, 1e-9, 1e-10, 1e-11])
    from fastgd.training.state import Plateau

    plateau, schedule = Plateau(), schedules.ReduceOnPlateau(0.1, patience=0, factor=0.5, monitor="val_accuracy")
    for accuracy, share in ((0.5, 1), (0.6, 1), (0.7, 1), (0.7, 0.5), (0.6, 0.25)):
        plateau.look_at(schedule, {"val_accuracy": accuracy})
        assert plateau.share == share


def test_clipping_a_gradient_whose_square_overflows():
    for dtype, size in (("float32", 2e31), ("float64", 1e300)):
        case = make_case(1, [1, 1], dtype, optimizer=fastgd.SGD(1.0, clip_norm=1.0))
        gradient = np.array([size, -size], dtype)
        cpu.clip(gradient, case.optimizer.rule())
        np.testing.assert_allclose(gradient, [0.5**0.5, -(0.5**0.5)], rtol=1e-5)


@pytest.mark.parametrize("kind", ["he", "glorot", "lecun"])
def test_initializers(kind):
    variance = {"he": 2 / 300, "glorot": 2 / 500, "lecun": 1 / 300}[kind]
    for shape in ("normal", "uniform"):
        weights, biases = fastgd.MLP([300, 200], initializer=f"{kind}_{shape}", dtype="float64").get_parameters()[0]
        assert weights.var() == pytest.approx(variance, rel=0.03)
        assert (biases == 0).all()
        assert (np.abs(weights).max() < 2 * variance**0.5) == (shape == "uniform")


def test_orthogonal_zero_and_given_weights():
    for sizes in ([7, 4], [4, 7]):
        weights, _ = fastgd.MLP(sizes, initializer="orthogonal", dtype="float64").get_parameters()[0]
        square = weights.T @ weights if sizes[0] > sizes[1] else weights @ weights.T
        np.testing.assert_allclose(square, np.eye(4), atol=1e-12)
    assert (fastgd.MLP([3, 2], initializer="zeros").parameters == 0).all()
    given = [(np.arange(6).reshape(3, 2), [7, 8])]
    assert fastgd.MLP([3, 2], initializer=given).parameters.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
