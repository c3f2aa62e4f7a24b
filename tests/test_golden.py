"""Against PyTorch: optimizers, losses, activations and schedules give its numbers (see golden/make_golden.py)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.kernels import cpu
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES
from fastgd.training.schedules import SCHEDULES
from fastgd.training.state import Plateau

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden.json").read_text(encoding="utf-8"))
TRAINING = GOLDEN["training"]
OURS = {"lr": "learning_rate", "alpha": "rho"}


def our_optimizer(case):
    options = dict(case["options"])
    if "betas" in options:
        options["beta1"], options["beta2"] = options.pop("betas")
    return getattr(fastgd, case["torch"])(**{OURS.get(name, name): value for name, value in options.items()})


def trained(case, loss, dtype, optimizer=None, steps=50):
    model = fastgd.MLP([5, 7, 3], activation="tanh", loss=loss, dtype=dtype, standardize=False)
    model.parameters = TRAINING["start"]
    model.fit(
        TRAINING["X"],
        TRAINING["y" if loss == "mse" else "labels"],
        epochs=steps,
        batch_size=12,
        shuffle=False,
        optimizer=optimizer or our_optimizer(TRAINING["cases"][case]),
        verbose=0,
    )
    return model.parameters


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("case", TRAINING["cases"])
def test_optimizers(case, loss):
    expected = np.array(TRAINING["cases"][case][loss])
    np.testing.assert_allclose(trained(case, loss, "float64"), expected, rtol=1e-9, atol=1e-13)
    # A parameter near zero has lost its leading digits, so that it is held against the size of all.
    np.testing.assert_allclose(trained(case, loss, "float32"), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_comparison_of_optimizers_can_fail():
    expected = np.array(TRAINING["cases"]["adam"]["mse"])
    for optimizer in (fastgd.Adam(learning_rate=0.02, epsilon=1e-6), fastgd.AdamW(learning_rate=0.02)):
        assert np.abs(trained("adam", "mse", "float64", optimizer) / expected - 1).max() > 1e-6
    assert np.abs(trained("adam", "mse", "float64", steps=49) / expected - 1).max() > 1e-6


@pytest.mark.tiny
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    expected = GOLDEN["activations"]["cases"][name]
    a, slopes = np.array(GOLDEN["activations"]["z"]), np.zeros(len(GOLDEN["activations"]["z"]))
    cpu.activate_with_slopes(a.reshape(1, -1), slopes.reshape(1, -1), ACTIVATIONS[name].code)
    np.testing.assert_allclose(a, expected["a"], rtol=1e-10, atol=1e-15)
    # In the far tail of GELU 1 − tanh² cancels, on both sides: hence 1e-14 beside slopes of about 1.
    np.testing.assert_allclose(slopes, expected["slope"], rtol=1e-10, atol=1e-14)


@pytest.mark.tiny
@pytest.mark.parametrize("case", GOLDEN["losses"], ids=lambda case: case["loss"])
def test_losses(case):
    loss = LOSSES[case["loss"]](**case["options"])
    p = np.array(case["p"])
    y = np.array(case["y"], float).reshape(len(p), -1)
    delta = np.zeros_like(p)
    record = loss.record(np.ones(y.shape[1]))
    value = cpu.loss_and_delta(delta, p, y, np.ones(len(p)), 1 / len(p), record)
    assert value == pytest.approx(case["value"], rel=1e-10)
    np.testing.assert_allclose(delta, case["slope"], rtol=1e-10, atol=1e-16)


@pytest.mark.tiny
@pytest.mark.parametrize("case", GOLDEN["schedules"], ids=lambda case: case["name"])
def test_schedules(case):
    schedule = SCHEDULES[case["name"]](0.3, **case["options"])
    steps = np.arange(len(case["rates"]))
    rates = schedule.rates(steps, 1000)
    if case["name"] == "ReduceOnPlateau":
        plateau, shares = Plateau(), []
        for loss in case["losses"]:
            shares.append(plateau.factor_left)
            plateau.look_at(schedule, {"val_loss": loss})
        rates = rates * shares
    np.testing.assert_allclose(rates, case["rates"], rtol=1e-9)
