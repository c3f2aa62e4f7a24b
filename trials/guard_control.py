"""Kernels that leave their arrays, each in another way, which guard_pages.py must find; and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgd.kernels.machinery.compile import kernel
from fastgd.kernels.machinery.lanes import load, load_part, pointer, store_part

from .kernel_calls import Call
from .kernel_cases import KernelCase


@kernel()
def reads_behind(out, v):
    """Reads one entry behind the last."""
    p = pointer(v, 0)
    for i in range(out.size):
        out[i] = p[i + 1]


@kernel()
def writes_before(out, v):
    """Writes one entry before the first."""
    p = pointer(out, 0)
    for i in range(v.size):
        p[i - 1] = v[i]


@kernel()
def writes_to_inputs(out, v):
    """Changes what it only reads, and changes it back."""
    p = pointer(v, 0)
    for i in range(v.size):
        p[i] += 1.0
        out[i] = p[i]
        p[i] -= 1.0


@kernel()
def reads_a_whole_vector(out, v):
    """Reads a whole vector where the first part of it counts."""
    store_part(pointer(out, 0), 0, load(pointer(v, 0), 0), out.size)


@kernel()
def reads_part_of_a_vector(out, v):
    """As it should be."""
    store_part(pointer(out, 0), 0, load_part(pointer(v, 0), 0, v.size), out.size)


@kernel()
def tells_its_address(out, v):
    """Its answer depends on where its arrays lie."""
    out[:] = v.ctypes.data % 1021


LEAVING = (reads_behind, writes_before, writes_to_inputs, reads_a_whole_vector, tells_its_address)


def calls(case: KernelCase, generator: Any) -> Iterator[Call]:
    """A call of each, with seven numbers."""
    v = generator.normal(size=7).astype(case.dtype)
    for function in (*LEAVING, reads_part_of_a_vector):
        yield Call(function.__name__, function, {"out": np.zeros_like(v), "v": v}, ("out",))
