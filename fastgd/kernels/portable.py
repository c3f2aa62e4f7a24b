"""Logarithm, exponential, power, cosine and sums of products for what Python computes around the kernels.

NumPy takes these from the C library, from code for the processor at hand, or from a BLAS: their last bits depend on all
three. Here they are made of additions, multiplications and divisions alone, each of which every processor rounds alike,
in a fixed order: the same bits wherever a model learns (python -m trials same-bits). They are right to a few units in
the last place of float64, but for high powers (tests/test_portable.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .records import Reals

Wide = NDArray[np.float64]

# ln 2 in two parts, of which the first times a whole number below 2²⁰ is exact; from the Cephes library.
LN2_HIGH, LN2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6
LOG2E, SQRT_HALF = 1.4426950408889634, 0.7071067811865476
LARGEST, SMALLEST = 710.0, -746.0  # beyond these eˣ is inf, 0
PART = 4096
PI = 3.141592653589793
OF_EXP = [1 / math.factorial(n) for n in range(2, 14)]  # eʳ = 1 + r + r² (½ + r (1/6 + …)); |r| ≤ ½ ln 2
OF_LOG = [2 / n for n in range(3, 24, 2)]  # ln((1 + s) / (1 − s)) = 2s + s³ (⅔ + s² (⅖ + …)); |s| ≤ 0.1716
OF_COS = [(-1) ** n / math.factorial(2 * n) for n in range(1, 10)]  # cos x = 1 + x² (−½ + …); x ≤ ¼ π
OF_SIN = [(-1) ** n / math.factorial(2 * n + 1) for n in range(1, 10)]  # sin x = x + x³ (−1/6 + …); likewise


def _series(x: Wide, coefficients: list[float]) -> Wide:
    """c₀ + x (c₁ + x (c₂ + …))."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def exp(x: Any) -> Reals:
    """eˣ, in the dtype of x (float64 for what has none)."""
    return _in_parts(_exp, x)


def _exp(x: Wide) -> Wide:
    bounded = np.clip(x, SMALLEST, LARGEST)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        whole = np.rint(bounded * LOG2E)
        r = bounded - whole * LN2_HIGH - whole * LN2_LOW
        value = np.ldexp(1 + (r + r * r * _series(r, OF_EXP)), whole.astype(np.int32))
    return np.where(np.isnan(x), x, value)


def log(x: Any) -> Reals:
    """ln x, in the dtype of x (float64 for what has none): −∞ at 0, NaN below."""
    return _in_parts(_log, x)


def _log(x: Wide) -> Wide:
    with np.errstate(invalid="ignore", divide="ignore"):
        m, e = np.frexp(x)
        low = m < SQRT_HALF
        f, n = np.where(low, 2 * m, m) - 1, (e - low).astype(np.float64)
        s = f / (2 + f)
        half = 0.5 * f * f
        # The form of fdlibm's e_log.c: what is large is exact, what is rounded is small.
        value = n * LN2_HIGH - ((half - (s * (half + s * s * _series(s * s, OF_LOG)) + n * LN2_LOW)) - f)
    value = np.where(x > 0, value, np.where(x == 0, -np.inf, np.nan))
    return np.where(x == np.inf, np.inf, value)


def log1p(x: Any) -> Wide:
    """ln(1 + x): −∞ at −1, NaN below; what the rounding of 1 + x loses is added back."""
    x = np.asarray(x, np.float64)
    u = 1 + x
    with np.errstate(invalid="ignore", divide="ignore"):
        lost = (x - (u - 1)) / u
    return np.asarray(log(u) + np.where(np.isfinite(lost), lost, 0))


def _in_parts(function: Callable[[Wide], Wide], x: Any) -> Reals:
    """function(x) in the dtype of x, a part at a time, which stays in the cache, as fast again."""
    given = np.asarray(x)
    dtype = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
    if given.size <= PART:
        return function(given.astype(np.float64)).astype(dtype)
    out, flat = np.empty(given.size, dtype), given.reshape(-1)
    for start in range(0, given.size, PART):
        out[start : start + PART] = function(flat[start : start + PART].astype(np.float64))
    return out.reshape(given.shape)


def power(base: float, exponents: Any) -> Wide:
    """base to each of these exponents of at least 0, for a base above 0.

    Each squaring doubles the rounding of the one before: 1e6 such factors are right to 1e-10 of the power.
    """
    exponents = np.asarray(exponents, np.float64)
    whole = np.floor(exponents)
    left, square, total = whole.astype(np.int64), float(base), np.ones(exponents.shape)
    with np.errstate(over="ignore", under="ignore"):
        while left.any():
            total = np.where(left & 1, total * square, total)
            left, square = left >> 1, float(np.multiply(square, square))
        part = exponents - whole
        return np.where(part > 0, total * exp(part * log(float(base))), total)


def cos_pi(x: Any) -> Wide:
    """cos(π x) for x from 0 to 1."""
    x = np.asarray(x, np.float64)
    folded = np.minimum(x, 1 - x)  # from 0 to ½
    near = np.minimum(folded, 0.5 - folded) * PI  # from 0 to ¼ π, of a cosine or of a sine
    square = near * near
    value = np.where(
        folded > 0.25, near + near * square * _series(square, OF_SIN), 1 + square * _series(square, OF_COS)
    )
    return np.asarray(np.where(x > 0.5, -value, value), np.float64)


def spaced(low: float, high: float, n: int) -> Wide:
    """n numbers from low to high, each the same multiple of the one before."""
    between = low * exp((log(high) - log(low)) * (np.arange(1, n - 1) / (n - 1)))
    return np.concatenate([[low], between, [high]])


def log_sum_exp(values: NDArray[np.float64]) -> Wide:
    """ln Σ eᵛ over the last axis, without overflow; one after the other, so that a row has the same bits alone."""
    top = values.max(axis=-1)
    with np.errstate(invalid="ignore"):
        apart = np.where(np.isfinite(top)[..., None], values - top[..., None], values)
    return np.asarray(np.where(np.isfinite(top), top, 0) + log(np.add.accumulate(exp(apart), axis=-1)[..., -1]))


def weighted_sum(weights: Reals, values: Reals) -> Reals:
    """Σ weight · value of each column of values (n_rows, n_columns)."""
    return np.asarray(np.multiply(weights[:, None], values).sum(axis=0))
