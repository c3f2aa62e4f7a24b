"""No compiled kernel leaves its arrays: a few of the calls of trials/guard_pages.py, and what these must notice."""

from __future__ import annotations

import numpy as np
import pytest

from fastgd.kernels import records
from fastgd.kernels.cpu import launch, products, workspace
from trials.guard_control import LEAVING
from trials.guard_pages import watched
from trials.guarded import AFTER, BEFORE, PAGE, SIDES, Fence, unavailable
from trials.kernel_calls import RECIPES, entries
from trials.kernel_cases import DTYPES, KINDS, MOST, N_KINDS, SWEPT, kernel_case, swept
from trials.reached import unreached

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
NOT_CALLED = {"net_for_compiled_code", "mean_for_compiled_code"}  # by these names, but for what is


def test_no_kernel_leaves_its_arrays():
    calls, failures, n_arrays = watched(4, seed=0)
    assert failures == []
    assert set(calls) == set(RECIPES) - NOT_CALLED
    assert n_arrays > 10 * calls.total()
    assert {kernel_case(number, 0).dtype.name for number in range(4)} == set(DTYPES)


def test_a_kernel_that_leaves_its_arrays_is_found_and_the_others_go_on():
    calls, failures, _ = watched(1, seed=0, module="trials.guard_control")
    found = {name: [failure for failure in failures if f" {name} " in failure] for name in calls}
    assert found.pop("reads_part_of_a_vector") == []
    assert set(found) == {kernel.__name__ for kernel in LEAVING}
    for name, side in (("reads_behind", AFTER), ("reads_a_whole_vector", AFTER), ("writes_before", BEFORE)):
        assert len(found[name]) == 1, found
        assert f"case 0 of seed 0: {name} died of SIG" in found[name][0]
        assert f"a forbidden page {side} its arrays" in found[name][0]
    assert "died of SIG" in found["writes_to_inputs"][0]
    assert "has other bits" in found["tells_its_address"][0]


def test_every_kernel_has_a_recipe():
    assert set(RECIPES) == set(entries())


def test_every_compiled_loop_is_reached():
    for_other_processors = {products.tile_6x1, products.tile_8x2} - {products.tile}
    expected = [f"products.{tile.__name__}" for tile in for_other_processors]
    assert unreached(entries().values()) == expected
    without = {name: function for name, function in entries().items() if name != "encode"}
    assert set(unreached(without.values())) - set(expected) == {
        "encoding.encode", "encoding.encode_column", "encoding.left_edge",
    }  # fmt: skip


def test_a_sweep_has_every_width_in_both_dtypes_with_every_loss():
    assert len({swept(number) for number in range(N_KINDS)}) == N_KINDS == len(SWEPT) * MOST * len(DTYPES) * len(KINDS)
    assert {swept(number).width for number in range(N_KINDS)} == set(range(1, MOST + 1))


def ends_at_a_page(array):
    return (array.__array_interface__["data"][0] + array.nbytes) % PAGE == 0


def test_scratch_that_the_package_makes_is_guarded():
    net, fence = kernel_case(0, 0).net, Fence(AFTER)
    with fence.around([launch, workspace, records]):
        made = [launch.new_gradients(net, 1), *launch.new_workspaces(net)[0]]
    found = [array for array in made if array is not launch.addresses(net)]
    assert fence.n_arrays == len(found) > 10
    assert all(ends_at_a_page(array) for array in found)
    assert not all(ends_at_a_page(array) for array in launch.new_workspaces(net)[0])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 3), (PAGE // 4,), (PAGE,)], ids=str)
def test_guarded_arrays_touch_the_forbidden_page(shape, dtype, side):
    array, fence = np.arange(np.prod(shape), dtype=dtype).reshape(shape), Fence(side)
    array.flags.writeable = False
    copies = fence.guarded(array), fence.guarded(array, written=False), fence.guarded(array.copy(order="F"))
    assert fence.n_arrays == 3
    for copy in copies:
        np.testing.assert_array_equal(copy, array)
        first = copy.__array_interface__["data"][0]
        assert (first + (copy.nbytes if side == AFTER else 0)) % PAGE == 0
        assert first % copy.itemsize == 0
    assert not copies[0].flags.writeable
    assert copies[2].flags.writeable
    assert copies[2].flags.f_contiguous
