"""Matrix products by NumPy's BLAS."""

from __future__ import annotations

import numpy as np


def add_product(C, A, B):
    """C += A @ B."""
    C += A @ B


def add_column_sums(c, A):
    """c += A.sum(axis=0)."""
    c += A.sum(axis=0)


def transpose(T, A):
    """T = the transpose of A."""
    T[:] = A.T


def dense(out, x, weights, biases):
    """out (B, O) = x (B, I) @ weights (I, O) + biases (O,)."""
    np.matmul(x, weights, out=out)
    out += biases
