"""Functions made of additions and multiplications alone: right to a few units in the last place, and at every edge."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.kernels import portable

LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")
GENERATOR = np.random.default_rng(0)


def units_off(found, right):
    """By how many units in the last place of float64."""
    return float((np.abs(found.astype(LONG) - right) / np.spacing(np.abs(right.astype(np.float64)))).max())


WIDE = np.finfo(LONG).eps < np.finfo(np.float64).eps
X = np.concatenate([GENERATOR.uniform(-700, 700, 9000), GENERATOR.normal(size=9000), GENERATOR.normal(size=999) * 1e-6])
ABOVE_ZERO = np.concatenate([np.exp(GENERATOR.uniform(-700, 700, 9000)), 1 + GENERATOR.normal(size=9000) * 1e-3])


@pytest.mark.skipif(not WIDE, reason="needs a longdouble of more digits than float64")
@pytest.mark.parametrize(
    ("function", "of_numpy", "x", "most"),
    [(portable.exp, np.exp, X, 1.0), (portable.log, np.log, ABOVE_ZERO, 1.0), (portable.log1p, np.log1p, X**2, 1.5)],
    ids=["exp", "log", "log1p"],
)
def test_functions_are_right_to_a_unit_in_the_last_place(function, of_numpy, x, most):
    right = of_numpy(x.astype(LONG))
    assert 0 < units_off(function(x), right) <= most
    assert units_off(np.nextafter(function(x), np.inf) * (1 + 2**-51), right) > most  # the bound can be broken


@pytest.mark.skipif(not WIDE, reason="needs a longdouble of more digits than float64")
def test_cosines_and_powers():
    part, exponents = GENERATOR.uniform(0, 1, 9000), GENERATOR.uniform(0, 900, 9000)
    assert np.abs(portable.cos_pi(part).astype(LONG) - np.cos(PI * part.astype(LONG))).max() < 2e-16
    np.testing.assert_array_equal(portable.cos_pi([0, 0.5, 1]), [1, 0, -1])
    right = np.power(LONG(0.7), exponents.astype(LONG))
    assert (np.abs(portable.power(0.7, exponents).astype(LONG) / right - 1)).max() < 2e-14
    assert abs(float(portable.power(1 + 2.0**-20, 1e6)) / float(np.power(LONG(1 + 2.0**-20), LONG(1e6))) - 1) < 1e-10
    np.testing.assert_array_equal(portable.power(0.5, [0, 1, 2, 10]), [1, 0.5, 0.25, 2**-10])
    np.testing.assert_array_equal(portable.power(2.0, [1e5, 0.0]), [np.inf, 1])


def test_edges():
    infinity, nan = np.inf, np.nan
    np.testing.assert_array_equal(portable.exp([infinity, -infinity, nan, 0, 800]), [infinity, 0, nan, 1, infinity])
    np.testing.assert_array_equal(portable.log([0, -1, infinity, nan, 1]), [-infinity, nan, infinity, nan, 0])
    np.testing.assert_array_equal(portable.log1p([-1, 0, -2, infinity, nan]), [-infinity, 0, nan, infinity, nan])
    assert portable.log(5e-324) == pytest.approx(-744.4400719213812, rel=1e-15)
    assert portable.exp(np.ones((2, 3), np.float32)).dtype == np.float32
    assert portable.exp(np.ones((2, 3), np.float32)).shape == (2, 3)


def test_parts_of_a_long_array_are_as_the_whole():
    x = GENERATOR.normal(size=(3, portable.PART))
    expected = np.stack([portable.exp(row) for row in x])
    np.testing.assert_array_equal(portable.exp(x), expected)
    np.testing.assert_array_equal(portable.exp(x.T), expected.T)


def test_sums():
    values = np.array([[0.0, 0.0], [1.0, -np.inf], [-np.inf, -np.inf], [1000.0, 1000.0]])
    np.testing.assert_allclose(portable.log_sum_exp(values), [np.log(2), 1, -np.inf, 1000 + np.log(2)], rtol=1e-15)
    many = GENERATOR.normal(size=(50, 37))
    alone = np.concatenate([portable.log_sum_exp(many[row : row + 1]) for row in range(50)])
    np.testing.assert_array_equal(portable.log_sum_exp(many), alone)
    np.testing.assert_allclose(portable.log_sum_exp(many), np.logaddexp.reduce(many, axis=1), rtol=1e-14)
    np.testing.assert_allclose(portable.weighted_sum(many[:, 0], many), many[:, 0] @ many, rtol=1e-12)
    np.testing.assert_allclose(portable.spaced(1e-6, 10.0, 25), np.geomspace(1e-6, 10.0, 25), rtol=1e-14)
    assert portable.spaced(1e-6, 10.0, 25)[[0, -1]].tolist() == [1e-6, 10.0]


PACKAGE = Path(fastgd.__file__).parent
ROOMS = "network", "data", "training", "model", "many"
NOT_PORTABLE = {"exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tanh", "power", "geomspace",
                "logspace", "logaddexp", "dot", "matmul", "einsum", "linalg"}  # fmt: skip
# Generated houses are rounded, LAPACK factorises what is orthogonal: docs/reproducibility.md says so.
STATED = {"data/houses.py": {"exp", "sin"}, "network/initializers.py": {"linalg"}}


def not_portable(text):
    """Functions of NumPy in a module whose bits depend on the processor, the C library or the BLAS."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            if node.attr in NOT_PORTABLE:
                yield node.attr
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            yield "@"


def test_no_room_whose_numbers_are_learned_from_asks_numpy_for_them():
    paths = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    found = {path.relative_to(PACKAGE).as_posix(): set(not_portable(path.read_text("utf-8"))) for path in paths}
    assert len(found) > 80
    assert {name: functions for name, functions in found.items() if functions} == STATED
    assert set(not_portable("y = np.log(x) @ w + np.sqrt(x)")) == {"log", "@"}
