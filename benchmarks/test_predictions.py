"""Predictions: many rows, one row from Python, and one row from the user's own compiled code."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.kernels.cpu.training import predict_packed

from .baselines import BASELINES
from .cases import PREDICTIONS
from .problems import engine_of, problem, tables
from .stages import loops, repeated, single_predictions

plain = engine_of(fastgd, "plain")
pytestmark = pytest.mark.predictions


def expected(case, X):
    p = problem(fastgd, case, tables(case), 1024, "plain")
    out = np.zeros((len(X), case.sizes[-1]), case.dtype)
    plain.predict(out, p.workspace, X, p.net, p.loss)
    return out


def scratch_bytes(case, data):
    """What predictions work in."""
    return single_predictions(fastgd, case, data).problem.workspace_bytes


def signatures():
    return len(predict_packed.signatures) + len(loops(fastgd)["predict_row_compiled"].signatures)


@pytest.mark.parametrize("case", PREDICTIONS, ids=lambda case: case.name)
def test_loops(measure, case):
    data = tables(case)
    X = data.X[: case.work_rows]
    run, answer = repeated(fastgd, case, data)
    run(1)
    np.testing.assert_allclose(answer().reshape(-1), expected(case, X)[:, 0], rtol=1e-3, atol=1e-4)
    measure(case, "fastgd", run, scratch_bytes(case, data), signatures)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("case", PREDICTIONS[:3], ids=lambda case: case.name)
def test_numpy(measure, case, baseline):
    data = tables(case)
    X = data.X[: case.work_rows]
    rival = baseline(case, data, problem(fastgd, case, data).net.parameters)
    np.testing.assert_allclose(rival.predict(X), expected(case, X), rtol=1e-3, atol=1e-4)

    def run(repeats):
        for _ in range(repeats):
            rival.predict(X)

    measure(case, baseline.name, run, rival.workspace_bytes)
