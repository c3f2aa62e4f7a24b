"""Learning-rate schedules: refused options, and schedules inside schedules. Their numbers are in test_golden."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd import schedules
from fastgd.errors import InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.Cosine(2e-3, 1000), r"final is the rate at the end, .* not 1000; .* such as steps=1000"),
        (lambda: schedules.CosineRestarts(0.1, 10, 2, 100), r"final is the rate at the end"),
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
    assert (np.diff(rates) <= 0).all() or steps == 4
    assert rates[-1] == pytest.approx(0.1 / 25 / 1e4)
    assert rates[0] > 0.05 or steps in (1, 4)


@pytest.mark.tiny
def test_a_loss_of_ones_own_is_refused():
    class Mine(fastgd.losses.Loss):
        pass

    class Other(fastgd.losses.Huber):
        pass

    for loss in (Mine(), Other(), fastgd.losses.Loss()):
        with pytest.raises(InvalidInputError, match=r"A loss of your own \((Mine|Other|Loss)\) has no compiled loop"):
            fastgd.MLP([2, 1], loss=loss)
