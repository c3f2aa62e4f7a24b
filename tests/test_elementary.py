"""Our own exponential and its kin: accurate over the whole range, monotone, and right at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from fastgd.kernels.cpu import elementary
from fastgd.kernels.machinery.compile import kernel


@kernel()
def apply_exp(out, x):
    for i in range(x.size):
        out[i] = elementary.exp(x[i])


@kernel()
def apply_expm1(out, x):
    for i in range(x.size):
        out[i] = elementary.expm1(x[i])


@kernel()
def apply_log1p(out, x):
    for i in range(x.size):
        out[i] = elementary.log1p(x[i])


@kernel()
def apply_tanh(out, x):
    for i in range(x.size):
        out[i] = elementary.tanh(x[i])


@kernel()
def apply_sigmoid(out, x):
    for i in range(x.size):
        out[i] = elementary.sigmoid(x[i])


def exact_sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {  # the kernel, the exact function, and where it is defined
    "exp": (apply_exp, np.exp, (-np.inf, np.inf)),
    "expm1": (apply_expm1, np.expm1, (-np.inf, 0)),
    "log1p": (apply_log1p, np.log1p, (-1, np.inf)),
    "tanh": (apply_tanh, np.tanh, (-np.inf, np.inf)),
    "sigmoid": (apply_sigmoid, exact_sigmoid, (-np.inf, np.inf)),
}


def evaluate(name, x):
    out = np.empty_like(x)
    FUNCTIONS[name][0](out, x)
    return out


def where_defined(name, x):
    low, high = FUNCTIONS[name][2]
    return x[(x >= low) & (x <= high)]


def error_in_ulp(actual, x, function):
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.longdouble))
        rounded = exact.astype(actual.dtype)
        error = np.abs(actual - exact) / np.spacing(np.abs(rounded))
    return np.where(actual == rounded, 0, error).astype(float)


def sample(dtype):
    """Every 4,099th float32 there is, or random float64 numbers of every size that matters."""
    if dtype == "float32":
        bits = np.arange(0, 2**32, 4099, dtype=np.uint32)
        values = bits.view(np.float32)
        return values[np.isfinite(values)]
    generator = np.random.default_rng(0)
    sizes = 10.0 ** generator.uniform(-20, 3, 200_000)
    return sizes * generator.choice([-1, 1], 200_000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    x = where_defined(name, np.concatenate([sample(dtype), np.linspace(-110, 110, 100_000).astype(dtype)]))
    assert error_in_ulp(evaluate(name, x), x, FUNCTIONS[name][1]).max() <= 3


def test_the_measure_of_accuracy_can_fail():
    x = np.linspace(-5, 5, 1000, dtype=np.float32)
    off = evaluate("exp", x) * np.float32(1 + 1e-6)
    assert error_in_ulp(off, x, np.exp).max() > 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["exp", "expm1", "log1p", "tanh"])
def test_monotone(name, dtype):
    near = np.linspace(-110, 110, 1_000_000), np.linspace(-2, 2, 1_000_000)
    x = np.sort(where_defined(name, np.concatenate([sample(dtype), *near]).astype(dtype)))
    assert (np.diff(evaluate(name, x)[np.isfinite(evaluate(name, x))]) >= 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny], dtype)
    np.testing.assert_array_equal(evaluate("exp", x), np.array([1, 1, np.inf, 0, np.nan, 1, 1], dtype))
    np.testing.assert_array_equal(evaluate("sigmoid", x), np.array([0.5, 0.5, 1, 0, np.nan, 0.5, 0.5], dtype))
    with_one = np.append(x, np.array([-1, -2], dtype))
    expected = np.array([0, -0.0, np.inf, np.nan, np.nan, tiny, -tiny, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(evaluate("log1p", with_one), expected)
    np.testing.assert_array_equal(evaluate("expm1", x[[0, 1, 3, 4, 6]]), np.array([0, 0, -1, np.nan, -tiny], dtype))
    assert np.signbit(evaluate("log1p", x)[1])
    tanh = evaluate("tanh", x)
    np.testing.assert_array_equal(tanh, np.array([0, -0.0, 1, -1, np.nan, tiny, -tiny], dtype))
    assert np.signbit(tanh[1])
    assert not np.signbit(tanh[0])
