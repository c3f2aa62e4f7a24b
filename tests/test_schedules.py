"""Learning-rate schedules: refused options, schedules inside schedules, and what of them reaches the steps."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from samples import fitted, waves

import fastgd
from fastgd import schedules
from fastgd.errors import InvalidInputError
from fastgd.training.state import Plateau


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.Cosine(2e-3, final=1000), r"final must be at most .* 0\.002, not 1000\."),
        (lambda: schedules.CosineRestarts(0.1, 10, final=100), r"final must be at most the learning rate"),
        (lambda: schedules.WarmUp(0.1, steps=2**63), r"steps must be below 2\*\*53"),
        (lambda: schedules.Cosine(0.1, steps=10**400), r"steps must be a number of at least 1"),
        (lambda: schedules.StepDecay(0.1, every=2**60), r"every must be below 2\*\*53"),
        (lambda: schedules.OneCycle(0.1, steps=2**64), r"steps must be below 2\*\*53"),
        (lambda: schedules.ReduceOnPlateau(0.1, eps=-1), r"eps must be a number of at least 0"),
    ],
)
def test_options_that_make_no_sense(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "write"),
    [
        (lambda: schedules.Cosine(2e-3, 1000), "learning_rate by place; write Cosine(0.002, steps=1000)."),
        (lambda: schedules.Cosine(2e-3, 1e-5), "learning_rate by place; write Cosine(0.002, final=1e-05)."),
        (lambda: schedules.Cosine(2e-3, 900, 1e-5), "write Cosine(0.002, steps=900, final=1e-05)."),
        (lambda: schedules.Cosine(2e-3, "long"), "write Cosine(0.002, steps=…, final=…)."),
        (lambda: schedules.OneCycle(0.01, 1000), "write OneCycle(0.01, steps=1000)."),
        (lambda: schedules.OneCycle(0.01, 0.2), "write OneCycle(0.01, rise=0.2)."),
        (lambda: schedules.CosineRestarts(0.1, 10, 2, 0.01), "CosineRestarts(0.1, 10, multiply=2, final=0.01)."),
        (lambda: schedules.StepDecay(0.1, 30, 0.5), "and every by place; write StepDecay(0.1, 30, factor=0.5)."),
        (lambda: schedules.Constant(0.1, 30), "Constant takes only learning_rate by place; write Constant(0.1)."),
        (lambda: schedules.ReduceOnPlateau(0.1, 10), "write ReduceOnPlateau(0.1, patience=10)."),
        (lambda: schedules.WarmUp(0.1, 10, 0.01), "schedule and steps by place; write WarmUp(0.1, 10, start=0.01)."),
    ],
)  # fmt: skip
def test_what_is_given_by_place_is_told_its_name(make, write):
    with pytest.raises(InvalidInputError, match=re.escape(write) + "$"):
        make()
    right = eval(write.rpartition("write ")[2].rstrip("."), vars(schedules)) if "…" not in write else None
    assert right is None or isinstance(right, schedules.Schedule)


@pytest.mark.tiny
def test_warm_ups_inside_each_other_ask_the_innermost_schedule_once():
    asked = []
    schedule = schedules.Function(lambda step: asked.append(step) or 0.1)
    for _ in range(12):
        schedule = schedules.WarmUp(schedule, steps=3)
    rates = schedule.rates(np.arange(50), 50)
    assert len(asked) < 100
    np.testing.assert_allclose(rates[36:], 0.1)


@pytest.mark.tiny
def test_warm_ups_have_a_depth():
    schedule = 0.1
    for _ in range(50):
        schedule = schedules.WarmUp(schedule, steps=3)
    with pytest.raises(InvalidInputError, match="A WarmUp may stand in at most 49 others"):
        schedules.WarmUp(schedule, steps=3)


@pytest.mark.tiny
def test_a_warm_up_is_a_line_and_then_its_schedule():
    inner = schedules.Exponential(0.4, every=10, factor=0.5)
    rates = schedules.WarmUp(inner, steps=4, start=0.2).rates(np.arange(8), 8)
    np.testing.assert_allclose(rates, [0.2, 0.25, 0.3, 0.35, *inner.rates(np.arange(4), 4)])


@pytest.mark.tiny
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_one_cycle_of_few_steps_begins_on_its_way_down(steps):
    rates = schedules.OneCycle(0.1, steps=steps).rates(np.arange(steps), steps)
    # Four are enough for a step on the way up.
    assert np.sign(np.diff(rates)).tolist() == {1: [], 2: [-1], 3: [-1, -1], 4: [1, -1, -1]}[steps]
    assert rates[-1] == pytest.approx(0.1 / 25 / 1e4)
    assert (rates.max() > 0.05) == (steps > 1)


def test_warm_up_goes_into_any_schedule():
    warm = schedules.WarmUp(schedules.StepDecay(0.4, every=2, factor=0.5), steps=4)
    np.testing.assert_allclose(warm.rates(np.arange(8), 100), [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.2, 0.2])
    assert schedules.WarmUp(0.4, steps=2, start=0.2).rates(np.arange(3), 9).tolist() == [0.2, pytest.approx(0.3), 0.4]
    np.testing.assert_allclose(schedules.InverseTime(0.6, every=10).rates(np.array([0, 10, 20]), 9), [0.6, 0.3, 0.2])


def test_a_schedule_reaches_every_step(monkeypatch):
    X, y = waves()
    expected, history = fitted(X, y, optimizer=fastgd.SGD(learning_rate=lambda t: 0.1 / (1 + t)))
    assert history.history["learning_rate"] == [0.1 / (4 * epoch) for epoch in range(1, 6)]
    same, _ = fitted(X, y, optimizer=fastgd.SGD(learning_rate=schedules.InverseTime(0.1, every=1)))
    np.testing.assert_array_equal(same.parameters, expected.parameters)
    monkeypatch.setattr("fastgd.training.loop.MOST_CHUNK_STEPS", 1)
    again, _ = fitted(X, y, optimizer=fastgd.SGD(learning_rate=lambda t: 0.1 / (1 + t)))
    np.testing.assert_array_equal(again.parameters, expected.parameters)


def test_schedules_that_last_as_long_as_the_fit():
    X, y = waves()
    _, history = fitted(X, y, optimizer=fastgd.SGD(learning_rate=schedules.Cosine(0.1)))
    assert history.history["learning_rate"][-1] == pytest.approx(0.05 * (1 + math.cos(math.pi * 19 / 20)))


def test_reduce_on_plateau():
    X, y = waves()
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
    X, y = waves()
    with pytest.raises(InvalidInputError, match=message):
        fitted(X, y, optimizer=fastgd.SGD(learning_rate=function))


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.Cosine(-1), r"learning_rate must be a number above 0, not -1"),
        (lambda: schedules.StepDecay(0.1, every=0), r"every must be a number of at least 1"),
        (lambda: schedules.OneCycle(0.1, rise=1), r"rise must be a share"),
        (lambda: schedules.ReduceOnPlateau(0.1, factor=2), r"factor must be below 1"),
        (lambda: schedules.WarmUp(0.1, steps=0), r"steps must be a number of at least 1"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_schedules_from_fit_to_fit():
    X, y = waves()

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
    X, y = waves()
    inner = schedules.ReduceOnPlateau(1e-9, patience=0, factor=0.1, monitor="loss", eps=0.0)
    warm = fastgd.SGD(schedules.WarmUp(inner, steps=1))
    _, history = fitted(X, y, optimizer=warm, epochs=4)
    np.testing.assert_allclose(history.history["learning_rate"], [1e-9, 1e-9, 1e-10, 1e-11])
    plateau, schedule = Plateau(), schedules.ReduceOnPlateau(0.1, patience=0, factor=0.5, monitor="val_accuracy")
    for accuracy, share in ((0.5, 1), (0.6, 1), (0.7, 1), (0.7, 0.5), (0.6, 0.25)):
        plateau.look_at(schedule, {"val_accuracy": accuracy})
        assert plateau.factor_left == share


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("monitor", "values"),
    [("val_loss", (0.5, 0.46, 0.44)), ("val_accuracy", (0.5, 0.54, 0.56))],
    ids=["loss", "accuracy"],
)
def test_what_is_hardly_better_is_a_plateau(monitor, values):
    """A tenth is wanted: the second value is not better, the third is."""
    schedule = schedules.ReduceOnPlateau(0.1, patience=0, factor=0.5, threshold=0.1, monitor=monitor)
    plateau = Plateau()
    for value, share, best in zip(values, (1, 0.5, 0.5), (0, 0, 2), strict=True):
        plateau.look_at(schedule, {monitor: value})
        assert plateau.factor_left == share
        assert abs(plateau.best) == values[best]
