"""Processors with few registers have a product tile of six rows: here every shape of it, with every index checked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHORT = {"NUMBA_DISABLE_JIT": "1", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
PROGRAM = """
import numpy as np
from fastgd.kernels import cpu
from fastgd.kernels.cpu import products

assert products.ROWS == 6 and products.VECTORS == 1
generator = np.random.default_rng(0)
for M in range(1, 37):
    for N in (1, 5, 8, 13, 19):
        A, B, C = (generator.normal(size=shape) for shape in ((M, 2), (2, N), (M, N)))
        for left in (A, np.asfortranarray(A)):
            sums = C.copy()
            cpu.add_product(sums, left, B)
            np.testing.assert_allclose(sums, C + A @ B, rtol=0, atol=1e-12, err_msg=f"{M} rows, {N} columns")
print("all are right")
"""


@pytest.mark.tiny
def test_products_of_every_shape_are_right_and_stay_in_their_arrays():
    environment = {**os.environ, **SHORT}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.stdout == "all are right\n", done.stderr[-2000:]
