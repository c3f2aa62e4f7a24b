"""Each stage of a training step: the compiled loops beside two versions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd

from .baselines import BASELINES, split
from .cases import KERNELS
from .problems import BLOCK, LEARNING_RATE, engine_of, tables
from .stages import answer_of, last_delta, loops, prepared, stage

plain = engine_of(fastgd, "plain")
pytestmark = pytest.mark.kernels
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
STEPS = 2  # after which updates are compared: a first one does not show what a rule remembers


def close(actual, expected, case):
    size = float(np.abs(expected).max())
    assert size > 0, "zeros are no answer"
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[case.dtype] * size)


def loss(case, p, B):
    """The plain engine's, which also writes the last layer's delta."""
    w = p.workspace
    delta, predicted = last_delta(case, p, B).reshape(B, -1), plain.last_outputs(w, B, p.net)
    return plain.loss_and_delta(delta, predicted, w.y[:B], w.w[:B], 1 / case.batch_size, p.loss)


def checked_loops(case, data):
    """The compiled stage, after it has given the plain engine's answer."""
    made = stage(fastgd, case, data)
    made.run(STEPS)
    p, orders = prepared(fastgd, case, data, plain, min(BLOCK, case.batch_size))
    w, delta = p.workspace, last_delta(case, p, min(BLOCK, case.batch_size)).copy()
    for start in range(0, case.batch_size, BLOCK):
        B = min(BLOCK, case.batch_size - start)
        if case.stage == "gather":
            plain.gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[start : start + B], p.net)
        elif case.stage == "forward":
            plain.forward(w, B, np.uint64(0), 0, p.net)
        elif case.stage == "loss":
            loss(case, p, B)
        elif case.stage == "backward":
            last_delta(case, p, B)[:] = delta[: B * case.sizes[-1]]
            plain.backward(p.gradient, w, B, start == 0, p.net)
    if case.stage == "update":
        for _ in range(STEPS):
            plain.update(p.net, p.state, p.gradient, p.rule, LEARNING_RATE)
    close(made.answer()[: len(answer_of(case, p))], answer_of(case, p), case)
    return made


def checked_baseline(baseline, case, data):
    """The baseline and its order of rows, after its stages have given the plain engine's answers."""
    p, orders = prepared(fastgd, case, data, plain, case.batch_size)
    w, B, rival = p.workspace, case.batch_size, baseline(case, data, p.net.parameters)
    if case.stage == "update":
        rival.gradients = split(case, p.gradient)
        for _ in range(STEPS):
            rival.update()
            plain.update(p.net, p.state, p.gradient, p.rule, LEARNING_RATE)
        close(rival.parameters(), p.net.parameters, case)
        return rival, orders
    rival.gather(orders)
    plain.gather(w.x, w.y, w.w, p.rows, orders, p.net)
    close(rival.a[0], w.x, case)
    close(rival.y, w.y, case)
    rival.forward()
    plain.forward(w, B, np.uint64(0), 0, p.net)
    close(np.concatenate([a.reshape(-1) for a in rival.a[1:]]), w.activations, case)
    close(rival.loss(), loss(case, p, B), case)
    close(rival.delta.reshape(-1), last_delta(case, p, B), case)
    if case.stage == "backward":
        rival.backward()
        plain.backward(p.gradient, w, B, True, p.net)
        close(rival.gradient(), p.gradient, case)
    return rival, orders


def signatures():
    return sum(len(getattr(function, "signatures", ())) for function in loops(fastgd).values())


@pytest.mark.parametrize("case", KERNELS, ids=lambda case: case.name)
def test_loops(measure, case):
    made = checked_loops(case, tables(case))
    measure(case, "fastgd", made.run, made.problem.workspace_bytes, signatures)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("case", KERNELS, ids=lambda case: case.name)
def test_numpy(measure, case, baseline):
    rival, orders = checked_baseline(baseline, case, tables(case))
    function = getattr(rival, case.stage)
    arguments = (orders,) if case.stage == "gather" else ()

    def run(repeats):
        for _ in range(repeats):
            function(*arguments)

    measure(case, baseline.name, run, rival.workspace_bytes)
