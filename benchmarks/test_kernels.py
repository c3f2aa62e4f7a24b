"""Each stage of a training step: the compiled loops beside two versions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from baselines import BASELINES
from cases import KERNELS
from problems import BLOCK, tables
from stages import answer_of, loops, prepared, stage

import fastgd
from fastgd.kernels import plain

TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def close(actual, expected, case):
    scale = max(float(np.abs(expected).max()), 1e-6)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[case.dtype] * scale)


def checked_loops(case, data):
    """The compiled stage, after one run of it has given the plain engine's answer."""
    made = stage(fastgd, case, data)
    made.run(1)
    p, orders = prepared(fastgd, case, data, plain, min(BLOCK, case.batch_size))
    w = p.workspace
    if case.stage == "backward":
        if case.batch_size > BLOCK:
            return made  # later blocks of the compiled stage go on from the deltas that earlier ones left
        plain.backward(p.gradient, w, case.batch_size, True, p.net)
    if case.stage == "forward":
        for start in range(0, case.batch_size, BLOCK):
            plain.forward(w, min(BLOCK, case.batch_size - start), np.uint64(0), 0, p.net)
    if case.stage == "update":
        plain.update(p.net, p.state, p.gradient, p.rule, 0.001)
    if case.stage == "gather":
        last = (case.batch_size - 1) // BLOCK * BLOCK
        B = case.batch_size - last
        plain.gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[last:], p.net)
    close(made.answer()[: len(answer_of(case, p))], answer_of(case, p), case)
    return made


def signatures():
    return sum(len(getattr(function, "signatures", ())) for function in loops(fastgd).values())


@pytest.mark.parametrize("case", KERNELS, ids=lambda case: case.name)
def test_loops(measure, case):
    measure(case, "fastgd", checked_loops(case, tables(case)).run, signatures)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("case", KERNELS, ids=lambda case: case.name)
def test_numpy(measure, case, baseline):
    data = tables(case)
    p, orders = prepared(fastgd, case, data, plain, case.batch_size)
    rival = baseline(case, data, p.net.parameters)
    rival.gather(orders)
    rival.forward()
    rival.loss()
    if case.stage in ("backward", "update"):
        rival.backward()
        plain.backward(p.gradient, p.workspace, case.batch_size, True, p.net)
        close(rival.gradient(), p.gradient, case)
    function = getattr(rival, case.stage)
    arguments = (orders,) if case.stage == "gather" else ()

    def run(repeats):
        for _ in range(repeats):
            function(*arguments)

    measure(case, baseline.name, run)
