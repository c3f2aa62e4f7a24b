"""A whole epoch of training: the compiled loop beside two versions in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastgd

from .baselines import BASELINES
from .cases import EPOCHS
from .problems import LEARNING_RATE, engine_of, problem, tables
from .stages import training_loop

cpu, plain = engine_of(fastgd), engine_of(fastgd, "plain")
pytestmark = pytest.mark.epochs
FEW_STEPS = 20


def epoch(kernels, p, case):
    """One epoch through the engine's own training loop."""
    rates = np.full(math.ceil(len(p.rows.X) / case.batch_size), LEARNING_RATE)
    batch_size = min(case.batch_size, len(p.rows.X))

    def run(repeats=1):
        for _ in range(repeats):
            kernels.train(
                p.net, p.state, p.gradients, p.workspaces, np.zeros(2), p.rows, 0, batch_size, rates, p.loss, p.rule
            )

    return run


def short(case):
    """The same case with a few steps: over a whole epoch, rounding errors of Adam grow as large as its steps."""
    return case._replace(rows=min(case.rows, FEW_STEPS * case.batch_size))


def check(parameters, case):
    """The answer after a few steps against the plain engine's."""
    data = tables(case)
    p = problem(fastgd, case, data, case.batch_size, "plain")
    start = p.net.parameters.copy()
    epoch(plain, p, case)()
    moved = np.abs(p.net.parameters - start).max()
    assert moved > 1e-6, "nothing was learned, so nothing is compared"
    np.testing.assert_allclose(parameters, p.net.parameters, rtol=0, atol=max(1e-2 * moved, 1e-6))


@pytest.mark.parametrize("case", EPOCHS, ids=lambda case: case.name)
def test_loops(measure, case):
    p = problem(fastgd, short(case), tables(short(case)))
    epoch(cpu, p, short(case))()
    check(p.net.parameters, short(case))
    p = problem(fastgd, case, tables(case))
    measure(case, "fastgd", epoch(cpu, p, case), p.workspace_bytes, lambda: len(training_loop(fastgd).signatures))


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("case", EPOCHS, ids=lambda case: case.name)
def test_numpy(measure, case, baseline):
    for made in (short(case), case):
        data = tables(made)
        rival = baseline(made, data, problem(fastgd, made, data).net.parameters)
        order = np.zeros(len(data.X), np.int64)
        cpu.row_order(order, 0, len(order), np.uint64(0), 0, True)
        if made == short(case):
            rival.epoch(order)
            check(rival.parameters(), made)

    def run(repeats):
        for _ in range(repeats):
            rival.epoch(order)

    measure(case, baseline.name, run, rival.workspace_bytes)
