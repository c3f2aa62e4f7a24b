"""Early stopping goes back to what was best, over several fits, and is not misled by numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.callbacks import EarlyStopping
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

    def interrupted(run):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastgd.training.run.Run.compile", interrupted)
    assert other.fit(X, y, callbacks=[stop], verbose=0).stop_reason == "interrupted in epoch 1"
    np.testing.assert_array_equal(other.parameters, before)
