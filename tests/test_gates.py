"""What has no noise: allocations, calls and hashes of results. A change here is a change, whatever the machine."""

from __future__ import annotations

import hashlib
import tracemalloc
from types import SimpleNamespace

import llvmlite.binding
import numba
import numpy as np
import pytest
from networks import make_case
from numba.core.runtime import _nrt_python, rtsys

import fastgd
from fastgd.kernels import cpu
from fastgd.kernels.machinery.compile import kernel
from fastgd.training.loop import loop as training


def allocations(call):
    _nrt_python.memsys_enable_stats()
    before = rtsys.get_allocation_stats().alloc
    call()
    return rtsys.get_allocation_stats().alloc - before


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_no_allocation_inside_a_step(loss):
    case = make_case(600, [5, 33, 7, 4], "float32", "gelu", loss=loss, dropout=0.2, weighted=True)

    def train(steps):
        cpu.train(
            case.net, case.state, case.gradients, case.workspaces, np.zeros(2), case.rows, 0, 2, np.full(steps, 1e-3),
            case.loss, case.optimizer.rule(),
        )  # fmt: skip

    train(1)
    assert allocations(lambda: train(2)) == allocations(lambda: train(300))


def test_the_count_of_allocations_can_fail():
    @numba.njit
    def allocating(n):
        total = 0.0
        for _ in range(n):
            total += np.ones(10).sum()
        return total

    allocating(1)
    assert allocations(lambda: allocating(300)) > allocations(lambda: allocating(2))


def test_a_kernel_that_allocates_is_not_compiled():
    with pytest.raises(numba.core.errors.NumbaError, match="NRT"):
        kernel()(lambda n: np.ones(n).sum())(3)


def test_calls_into_kernels_per_epoch(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(len(arguments[8]))
        return cpu.train(*arguments)

    kernels = SimpleNamespace(**{**vars(cpu), "train": counted})
    monkeypatch.setattr("fastgd.model.core.engine", lambda name: kernels)
    monkeypatch.setattr(training, "CHUNK_SECONDS", 1e9)
    X, y = fastgd.datasets.houses(20_000)
    fastgd.MLP([4, 4, 1]).fit(X, y, epochs=2, batch_size=2, verbose=0)
    # A call that only compiles, then chunks that grow until an epoch is one call.
    assert calls == [0, 1, 8, 64, 512, 4096, 5319, 10_000]


EXPECTED = {
    "relu, SGD": "9d7d414b73b976e0",
    "tanh, Adam": "13f4fa65a708f677",
    "gelu, RMSprop, dropout": "74c97ef2033e1b17",
    "cross-entropy, AdamW": "cd772cf0a5d2ebdd",
}


def trained(case):
    X, y = fastgd.datasets.houses(500, random_state=1)
    X = (X - [90, 3, 6, 45]).astype(np.float32) / np.float32(64)  # exact: no mean or logarithm of any library comes in
    y = (y / np.float32(2**19)).astype(np.float32)
    options = {"standardize": False, "initializer": "zeros"}
    sizes, optimizer, extra = {
        "relu, SGD": ([4, 33, 5, 1], fastgd.SGD(0.125), {}),
        "tanh, Adam": ([4, 33, 5, 1], fastgd.Adam(0.0078125), {"activation": "tanh"}),
        "gelu, RMSprop, dropout": ([4, 20, 1], fastgd.RMSprop(0.0078125), {"activation": "gelu", "dropout": 0.25}),
        "cross-entropy, AdamW": ([4, 20, 3], fastgd.AdamW(0.0078125), {"activation": "silu", "loss": "cross_entropy"}),
    }[case]
    model = fastgd.MLP(sizes, **options, **extra)
    p = np.arange(model.parameters.size)
    model.parameters = ((p * 37) % 101 - 50) / 128
    target = np.digitize(y, [0.5, 0.75]) if "cross" in case else y
    model.fit(X, target, epochs=2, batch_size=48, optimizer=optimizer, verbose=0)
    return model.parameters


@pytest.mark.skipif(not llvmlite.binding.get_host_cpu_features().get("fma"), reason="bits are promised with FMA")
@pytest.mark.parametrize("case", EXPECTED)
def test_hashes_of_results(case):
    parameters = trained(case)
    assert np.isfinite(parameters).all()
    assert hashlib.sha256(parameters.tobytes()).hexdigest()[:16] == EXPECTED[case]


@pytest.mark.parametrize("batch_size", [32, 8192])
def test_memory_beyond_the_data_does_not_grow_with_the_rows(batch_size):
    generator, peaks = np.random.default_rng(0), []
    for n in (20_000, 200_000):
        X, y = generator.normal(size=(n, 4)).astype(np.float32), generator.normal(size=n).astype(np.float32)
        model = fastgd.MLP([4, 64, 64, 1])
        model.fit(X[:300], y[:300], epochs=1, verbose=0)  # compiles
        (workspace,) = cpu.new_workspaces(model.net)
        tracemalloc.start()
        model.fit(X, y, epochs=1, batch_size=batch_size, verbose=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert peaks[-1] < 2e6 + 8 * model.parameters.nbytes + sum(part.nbytes for part in workspace)
    assert peaks[1] < peaks[0] + X.nbytes / 4, "as much as a copy of the table would take"
