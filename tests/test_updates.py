"""Updates at the ends of the range: long gradients, tiny ones, and averages of few steps. Others are in test_golden."""

from __future__ import annotations

import numpy as np
import pytest
from inside import net_of
from networks import make_case

import fastgd
from fastgd.kernels import cpu, plain
from fastgd.kernels.records import State


@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize(("n", "dtype"), [(4_000_000, "float32"), (20_000_000, "float32"), (1_000_000, "float64")])
def test_a_clipped_gradient_has_the_length_it_is_clipped_to(kernels, n, dtype):
    gradient = np.full(n, 1e-3, dtype)
    gradient[1] = 7
    kernels.clip(gradient, fastgd.SGD(clip_norm=1.0).rule())
    assert np.linalg.norm(gradient.astype(np.float64)) == pytest.approx(1, rel=1e-5)


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("size", [1e-30, 1e25])
def test_lengths_whose_squares_are_out_of_range(kernels, size):
    gradient = np.full(4, size, np.float32)
    kernels.clip(gradient, fastgd.SGD(clip_norm=size).rule())
    # PyTorch adds 1e-6 to the length that it divides by, which is twice the size.
    np.testing.assert_allclose(gradient, size * (size / (2 * size + 1e-6)), rtol=1e-5, atol=1e-45)


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_within_its_bounds_is_left_alone(kernels, dtype):
    given = np.array([0.3, -0.4], dtype)
    for bounds, is_changed in (
        ({}, False),
        ({"clip_norm": 0.51, "clip_value": 0.41}, False),
        ({"clip_norm": 0.49}, True),
    ):
        gradient = given.copy()
        kernels.clip(gradient, fastgd.SGD(**bounds).rule())
        assert (gradient != given).any() == is_changed


ADAPTIVE = {
    "adagrad": lambda eps: fastgd.Adagrad(epsilon=eps),
    "adam": lambda eps: fastgd.Adam(epsilon=eps),
    "adamw": lambda eps: fastgd.AdamW(epsilon=eps, weight_decay=0.0),
    "rmsprop": lambda eps: fastgd.RMSprop(epsilon=eps),
    "rmsprop, momentum": lambda eps: fastgd.RMSprop(epsilon=eps, momentum=0.5),
}


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("kind", ADAPTIVE)
@pytest.mark.parametrize(
    ("dtype", "small", "eps"), [("float32", 1e-16, 1e-20), ("float32", 1e-18, 1e-21), ("float64", 1e-140, 1e-150)]
)
def test_adaptive_steps_do_not_depend_on_the_unit_of_a_gradient(kernels, kind, dtype, small, eps):
    """A gradient of constant size: each step is as long as with a gradient of 1, however small both ε and g are."""
    results = []
    for size, epsilon in ((small, eps), (1.0, eps / small)):
        optimizer, model = ADAPTIVE[kind](epsilon), fastgd.MLP([1, 1], dtype=dtype, random_state=0)
        net, state, rule = net_of(model), optimizer.new_state(model.parameters), optimizer.rule()
        net.parameters[:] = 0
        for _ in range(200):
            kernels.update(net, state, np.full(2, size, dtype), rule, 1e-3)
        results.append(net.parameters.copy())
    np.testing.assert_allclose(*results, rtol=0.02 if small == 1e-18 else 1e-3)  # denormal squares have few digits
    assert (np.abs(results[0]) < 10).all()


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_never_become_denormal(kernels, dtype):
    tiny = np.finfo(dtype).tiny
    for optimizer in (fastgd.SGD(momentum=0.9), fastgd.Adam(), fastgd.RMSprop(momentum=0.9)):
        model = fastgd.MLP([2, 3], dtype=dtype, random_state=0)
        state = optimizer.new_state(model.parameters)
        for moment in (state.velocity, state.squares):
            moment[:] = np.geomspace(0.1 * tiny, 100 * tiny, moment.size)
        for _ in range(300):
            kernels.update(net_of(model), state, np.zeros(9, dtype), optimizer.rule(), 0.1)
            for moment in (state.velocity, state.squares):
                assert ((moment == 0) | (np.abs(moment) >= tiny)).all()


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.998])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_moving_average_is_the_weighted_mean_of_the_steps_alone(kernels, decay, steps):
    optimizer = fastgd.SGD(ema_decay=decay)
    model = fastgd.MLP([2, 3], dtype="float64", random_state=0)
    model.parameters[:] = 1e6  # a start that would be remembered
    state: State = optimizer.new_state(model.parameters)
    generator, path = np.random.default_rng(0), []
    for step in range(steps):
        gradient = model.parameters * (1 if step == 0 else 0) + generator.normal(size=9)
        kernels.update(net_of(model), state, gradient, optimizer.rule(), 1.0 if step == 0 else 0.1)
        path.append(model.parameters.copy())
    weights = float(decay) ** np.arange(steps - 1, -1, -1)
    np.testing.assert_allclose(state.average, weights / weights.sum() @ np.array(path), rtol=1e-9, atol=1e-12)


def test_clipping_a_gradient_whose_square_overflows():
    for dtype, size in (("float32", 2e31), ("float64", 1e300)):
        case = make_case(1, [1, 1], dtype, optimizer=fastgd.SGD(1.0, clip_norm=1.0))
        gradient = np.array([size, -size], dtype)
        cpu.clip(gradient, case.optimizer.rule())
        np.testing.assert_allclose(gradient, [0.5**0.5, -(0.5**0.5)], rtol=1e-5)
