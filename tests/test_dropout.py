"""Dropout: units are dropped while the network trains, and at no other time."""

from __future__ import annotations

import numpy as np
import pytest
from networks import make_case
from samples import fitted, waves

import fastgd
from fastgd.callbacks import Callback
from fastgd.kernels import cpu, plain

LOSSES = {
    "mse": {"loss": "mse"},
    "one of three classes": {"loss": "cross_entropy"},
    "yes or no": {"loss": "binary_cross_entropy"},
    "gelu": {"loss": "mse", "activation": "gelu"},
    "not scaled": {"loss": "mse", "standardize": False},
}


def learned(name, dropout, epochs, X, y, **options):
    """A network with this dropout after so many epochs."""
    n_out = 3 if LOSSES[name]["loss"] == "cross_entropy" else 1
    model = fastgd.MLP([3, 30, 20, n_out], dropout=dropout, dtype="float64", random_state=0, **LOSSES[name])
    options = {"optimizer": fastgd.SGD(0.005), "batch_size": 16, "verbose": 0} | options
    return model, model.fit(X, y, epochs=epochs, **options)


def labelled(name):
    """The table that suits a loss, and how much each row counts."""
    X, y = waves(90)
    loss = LOSSES[name]["loss"]
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-2, 2])] if loss == "cross_entropy" else y > 0
    return X, y if loss == "mse" else labels, np.linspace(0, 2, 90)


def without_dropout(name, model, X, y, weights, device):
    """The same parameters and scaling in a network that never had any dropout."""
    resting, _ = learned(name, 0.0, 0, X, y, sample_weight=weights, device=device)
    resting.parameters = model.parameters
    return resting


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("name", LOSSES)
def test_only_training_drops_units(name, device):
    """What a trained network predicts, measures and derives is that of the same network without dropout."""
    X, y, weights = labelled(name)
    model, _ = learned(name, [0.5, 0.3], 2, X, y, sample_weight=weights, device=device)
    resting = without_dropout(name, model, X, y, weights, device)
    np.testing.assert_array_equal(model.predict(X), resting.predict(X))
    if LOSSES[name]["loss"] != "mse":
        np.testing.assert_array_equal(model.predict_proba(X), resting.predict_proba(X))
    assert model.evaluate(X, y, weights) == resting.evaluate(X, y, weights)
    np.testing.assert_allclose(model.gradient(X, y, weights), resting.gradient(X, y, weights), rtol=1e-12, atol=1e-15)
    trained, _ = learned(name, 0.0, 2, X, y, sample_weight=weights, device=device)
    assert (trained.parameters != model.parameters).any(), "but while it trained, units were dropped"


class Diary(Callback):
    """The parameters after each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.parameters.copy())


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("name", LOSSES)
def test_validation_drops_no_units(name, device):
    X, y, weights = labelled(name)
    diary = Diary()
    model, history = learned(
        name, 0.5, 3, X, y, sample_weight=weights, validation_data=(X, y, weights), callbacks=[diary], device=device
    )
    resting, losses, accuracies = without_dropout(name, model, X, y, weights, device), [], []
    for resting.parameters in diary.seen:
        measured = resting.evaluate(X, y, weights)
        losses.append(measured["loss"])
        accuracies.append(measured.get("accuracy"))
    assert len(losses) == 3
    assert history.history["val_loss"] == pytest.approx(losses, rel=1e-9)
    if LOSSES[name]["loss"] != "mse":
        assert history.history["val_accuracy"] == pytest.approx(accuracies)


def test_the_loss_of_training_is_that_of_what_was_left_of_the_network():
    """The control of the two tests above: where units are dropped, numbers differ."""
    X, y = waves()
    still = {"optimizer": fastgd.SGD(1e-300), "validation_data": (X, y), "sizes": (3, 50, 1)}
    _, history = fitted(X, y, dropout=0.5, **still)
    assert history.history["loss"][0] != pytest.approx(history.history["val_loss"][0], rel=1e-3)
    assert len(set(history.history["loss"])) == 5, "each epoch drops others"
    _, history = fitted(X, y, **still)
    assert history.history["loss"] == pytest.approx(history.history["val_loss"], rel=1e-9)


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
def test_kernels_drop_units_of_whatever_network_they_are_given(kernels):
    """They do not know what they are used for: whoever predicts has to give them a network without dropout."""
    predictions, losses = [], []
    for dropout in (0.5, 0.0):
        case = make_case(20, [3, 30, 1], "float64", dropout=dropout, kernels=kernels)
        out = np.zeros((20, 1))
        assert kernels.predict(out, case.workspace, case.rows.X, case.net, case.loss)
        predictions.append(out)
        losses.append(kernels.mean_loss(case.workspace, case.rows, case.net, case.loss))
    assert (predictions[0] != predictions[1]).any()
    assert losses[0] != losses[1]


def test_on_average_a_dropped_unit_gives_what_it_would_have_given():
    a = np.ones((1, 20_000))
    cpu.drop(a, a.copy(), np.zeros(1, np.int64), np.uint64(0), 0, 0, 0.3)
    assert a.mean() == pytest.approx(1, abs=0.02)


def test_dropout_per_layer_and_its_repr():
    model = fastgd.MLP([3, 8, 8, 1], activation=["relu", "gelu"], dropout=[0.0, 0.25])
    assert repr(model) == ("<MLP 3-8-8-1 (relu-gelu, dropout 0-0.25, identity output, mse, 113 parameters), float32>")
