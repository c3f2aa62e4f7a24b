"""Sums over many rows in float32, beside what they are; and what one float32 chain would make of them."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.kernels import cpu
from trials import large_sums


def test_sums_over_many_rows():
    assert large_sums.try_large_sums(200_000, seed=0).failures == []


def test_a_sum_in_one_chain_is_found(monkeypatch):
    right = cpu.new_workspaces

    def wrong(*arguments, **options):
        return [workspace._replace(runs=workspace.runs[:0]) for workspace in right(*arguments, **options)]

    monkeypatch.setattr(cpu, "new_workspaces", wrong)
    found = large_sums.try_large_sums(400_000, seed=0).failures
    assert any(failure.startswith("gradient") for failure in found)


@pytest.mark.parametrize("sizes", [[1, 3, 1], [3, 40, 2], [3, 600, 600, 1]], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_over_many_runs_has_the_same_bits_by_any_threads(sizes, dtype):
    """In shards, and where threads divide the columns of one; and the last run is a part of one."""
    n_rows = 17_500 if len(sizes) == 3 else 4_700
    X = np.random.default_rng(0).normal(size=(n_rows, sizes[0])).astype("f4") + 1
    y = X[:, : sizes[-1]].copy()
    parameters = []
    for n_threads, device in ((1, "cpu"), (2, "cpu"), (1, "plain")):
        model = fastgd.MLP(sizes, dtype=dtype, standardize=False, random_state=0)
        options = {"batch_size": n_rows, "optimizer": fastgd.SGD(1e-4), "verbose": 0}
        model.fit(X, y, epochs=2, n_threads=n_threads, device=device, **options)
        parameters.append(model.parameters.copy())
    np.testing.assert_array_equal(parameters[0], parameters[1])
    np.testing.assert_allclose(parameters[0], parameters[2], rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)
