"""Callbacks are told in order; early stopping goes back to what was best, and no odd number misleads it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from inside import ctrl_c, overheard
from samples import fitted, waves

import fastgd
from fastgd.callbacks import Callback, EarlyStopping
from fastgd.errors import InvalidInputError


def table(n=80, seed=13):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 3))
    return X, X[:, 0] + 0.5 * generator.normal(size=n)


@pytest.mark.parametrize("batch_size", [5, 32, 80])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"activation": "tanh"}], ids=str)
def test_monitoring_the_loss_restores_the_lowest_one(batch_size, options):
    X, y = table()
    model, stop = fastgd.MLP([3, 8, 1], random_state=0, **options), EarlyStopping(monitor="loss", patience=100)
    steps = 10 * -(-80 // batch_size)
    # The last steps are far too large: the loss in the logs is that of the weights before them.
    optimizer = fastgd.SGD(lambda t: 0.05 if t < steps - 1 else 1.5)
    weights = np.linspace(0, 3, 80)
    history = model.fit(
        X, y, sample_weight=weights, epochs=10, batch_size=batch_size, optimizer=optimizer, callbacks=[stop], verbose=0
    )
    assert model.evaluate(X, y, weights)["loss"] == pytest.approx(stop.best, rel=1e-6)
    assert stop.best <= min(history.history["loss"]) * 1.05
    assert stop.best_epoch < 9


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")  # it is made to end worse
@pytest.mark.parametrize("new", [False, True], ids=["the same callback", "a new one"])
@pytest.mark.parametrize("monitor", ["val_loss", "loss", "val_accuracy"])
def test_a_second_sitting_does_not_end_worse(monitor, new):
    (X, y), (other, actual) = table(), table(40, 14)
    options, loss = {}, "mse"
    if monitor == "val_accuracy":
        y, actual, loss = y > 0, actual > 0, "binary_cross_entropy"
    model, stop = fastgd.MLP([3, 64, 1], loss=loss, random_state=1), EarlyStopping(monitor, patience=50)
    options = {"batch_size": 8, "validation_data": (other, actual), "verbose": 0}
    model.fit(X, y, epochs=10, optimizer=fastgd.Adam(0.01), callbacks=[stop], **options)

    def badness():
        if monitor == "val_accuracy":
            return 1 - model.evaluate(other, actual)["accuracy"]
        return model.evaluate(*((X, y) if monitor == "loss" else (other, actual)))["loss"]

    first = badness()
    worse = fastgd.Adam(0.3)
    model.fit(X, y, epochs=3, optimizer=worse, callbacks=[EarlyStopping(monitor) if new else stop], **options)
    assert badness() <= first
    model.fit(X, y, epochs=3, optimizer=worse, **options)
    assert badness() > first, "without early stopping it ends worse"


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_a_start_that_is_never_beaten_is_gone_back_to():
    X, y = table()
    model, stop = fastgd.MLP([3, 8, 1], random_state=0), EarlyStopping("val_loss", patience=2)
    model.fit(X, y, epochs=40, verbose=0)
    before = model.parameters.copy()
    history = model.fit(X, y, epochs=9, validation_data=(X, y), optimizer=fastgd.SGD(0.9), callbacks=[stop], verbose=0)
    assert history.epochs == 2
    assert stop.best_epoch == -1
    np.testing.assert_array_equal(model.parameters, before)


@pytest.mark.tiny
@pytest.mark.parametrize("monitor", [None, 3, ["val_loss"]])
def test_a_monitor_is_a_name(monitor):
    for make in (EarlyStopping, lambda monitor: fastgd.schedules.ReduceOnPlateau(0.1, monitor=monitor)):
        with pytest.raises(InvalidInputError, match="monitor must be a name in the logs"):
            make(monitor=monitor)


def test_a_training_that_never_began_brings_back_no_older_one(monkeypatch):
    X, y = table()
    first, stop = fastgd.MLP([3, 8, 1], random_state=0), EarlyStopping("loss")
    first.fit(X, y, epochs=3, callbacks=[stop], verbose=0)
    other = fastgd.MLP([3, 8, 1], random_state=1)
    before = other.parameters.copy()
    overheard(monkeypatch, "train", ctrl_c)
    assert other.fit(X, y, callbacks=[stop], verbose=0).stop_reason == "interrupted in epoch 1"
    np.testing.assert_array_equal(other.parameters, before)


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
    X, y = waves()
    diary = Diary()
    _, history = fitted(X, y, callbacks=[diary], validation_split=0.2)
    names = ["learning_rate", "loss", "val_loss"]
    assert diary.lines == ["begin", "epoch 0", names, "epoch 1", names, "end"]
    assert (history.epochs, history.stop_reason) == (2, "stopped by a callback after epoch 2")
    assert history.ended == "callback"


def test_early_stopping_goes_back_to_the_best():
    _, y = waves(200)
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


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
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
        ({"callbacks": "early"}, r"callbacks must be one, or a list, such as .*, not 'early'"),
        ({"callbacks": EarlyStopping}, r"EarlyStopping is a class of callbacks: make one, EarlyStopping\(\)"),
        ({"callbacks": [EarlyStopping]}, r"EarlyStopping is a class of callbacks: make one, EarlyStopping\(\)"),
        ({"callbacks": int}, r"<class 'int'> is not a callback"),
        ({"callbacks": [print]}, r"is not a callback: make it a subclass"),
        ({"callbacks": [PerBatch()]}, r"PerBatch.on_train_batch_end would never be heard"),
        (
            {"callbacks": [EarlyStopping()]},
            r"no quantity 'val_loss' to monitor; there are: loss, learning_rate. Give validation_data",
        ),
    ],
)
def test_options_of_fit(options, message):
    X, y = waves()
    with pytest.raises(InvalidInputError, match=message):
        fitted(X, y, **options)


@pytest.mark.tiny
@pytest.mark.parametrize(("min_delta", "best_epoch"), [(0.0, 2), (0.15, 1), (0.25, 0)])
def test_an_improvement_is_larger_than_min_delta(min_delta, best_epoch):
    stop = EarlyStopping(min_delta=min_delta)
    stop.model = SimpleNamespace(parameters=np.zeros(1), stop_training=False)
    stop.on_train_begin({})
    for epoch, loss in enumerate((1.0, 0.8, 0.75, 0.78)):
        stop.on_epoch_end(epoch, {"val_loss": loss})
    assert stop.best_epoch == best_epoch


def test_one_callback_need_not_be_a_list():
    X, y = waves()
    recorder = fastgd.callbacks.Recorder()
    _, history = fitted(X, y, callbacks=recorder)
    assert [entry.epoch for entry in recorder.recorded] == list(range(history.epochs + 1))


class Own(Callback):
    def __init__(self, size, name="x"):
        self.size = size


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("callback", "told"),
    [
        (
            EarlyStopping(patience=3),
            "EarlyStopping(monitor='val_loss', patience=3, min_delta=0.0, restore_best_weights=True)",
        ),
        (fastgd.callbacks.Recorder(most=5), "Recorder(most=5, bins=40)"),
        (Own(3), "Own(size=3)"),  # name is kept nowhere
        (Callback(), "Callback()"),
    ],
)
def test_callbacks_print_themselves(callback, told):
    assert repr(callback) == told
