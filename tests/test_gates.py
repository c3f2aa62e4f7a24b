"""What has no noise: allocations and hashes of results. A change here is a change, whatever the machine."""

from __future__ import annotations

import tracemalloc

import llvmlite.binding
import numba
import numpy as np
import pytest
from golden.make_hashes import CASES, hash_of, trained, written
from inside import net_of
from networks import make_case
from numba.core.runtime import _nrt_python, rtsys

import fastgd
from fastgd.kernels import cpu
from fastgd.kernels.machinery.compile import kernel


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


@pytest.mark.skipif(not llvmlite.binding.get_host_cpu_features().get("fma"), reason="bits are promised with FMA")
@pytest.mark.parametrize("case", CASES)
def test_hashes_of_results(case):
    parameters = trained(case)
    assert np.isfinite(parameters).all()
    assert hash_of(parameters) == written()[case], "tests/golden/make_hashes.py writes and tells what has changed"


def test_every_hash_has_a_case_and_the_last_bit_of_a_parameter_changes_it():
    assert written().keys() == CASES.keys()
    parameters = np.linspace(-1, 1, 9, dtype=np.float32)
    other = parameters.copy()
    other[4] = np.nextafter(other[4], np.float32(1))
    assert hash_of(parameters) != hash_of(other)


@pytest.mark.parametrize("batch_size", [32, 8192])
def test_memory_beyond_the_data_does_not_grow_with_the_rows(batch_size):
    generator, peaks = np.random.default_rng(0), []
    for n in (20_000, 200_000):
        X, y = generator.normal(size=(n, 4)).astype(np.float32), generator.normal(size=n).astype(np.float32)
        model = fastgd.MLP([4, 64, 64, 1])
        model.fit(X[:300], y[:300], epochs=1, optimizer=fastgd.SGD(), verbose=0)  # compiles
        (workspace,) = cpu.new_workspaces(net_of(model))
        tracemalloc.start()
        model.fit(X, y, epochs=1, batch_size=batch_size, optimizer=fastgd.SGD(), verbose=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert peaks[-1] < 2e6 + 8 * model.parameters.nbytes + sum(part.nbytes for part in workspace)
    assert peaks[1] < peaks[0] + X.nbytes / 4, "as much as a copy of the table would take"
