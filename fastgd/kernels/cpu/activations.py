"""Activation functions and their derivatives as loops over the n numbers that a pointer points to.

Each activation is up to three kernels: f(v, n) in place; backward(d, v, n), which turns the loss's derivative in
a = f(z) into that in z, from the output a, so that z need not be kept; and with_slopes(v, s, n), which writes f′(z)
beside f(z). GELU and SiLU need z and have only the first and the last. Units that are dropped ask for slopes, too. The
formulas are in formulas.py; the tables at the end say which kernel a code means.
"""

from __future__ import annotations

from typing import Any

from ..formulas import ACTIVATIONS
from ..machinery.compile import copy_of, kernel
from .elementary import FORMULAS

value: Any = None  # each copy of a loop calls formulas of its own
backward: Any = None
slope: Any = None


def forward_loop(v, n):
    """v = f(v)."""
    for i in range(n):
        v[i] = value(v[i])


def backward_loop(d, v, n):
    """d = d · f′(z), where v = f(z)."""
    for i in range(n):
        d[i] = backward(d[i], v[i])


def with_slopes_loop(v, s, n):
    """s = f′(v), then v = f(v)."""
    for i in range(n):
        z = v[i]
        a = value(z)  # before the slope: the other way round gelu took 9 % longer
        s[i] = slope(z)
        v[i] = a


FORWARD, BACKWARD, WITH_SLOPES = {}, {}, {}  # the others of the last: f, then backward on ones
for _code, _formula in enumerate(ACTIVATIONS):
    _value = FORMULAS[_formula.value.__name__]
    FORWARD[_code] = kernel(inner=True)(copy_of(forward_loop, _formula.name, value=_value))
    if _formula.backward is not None:
        _loop = copy_of(backward_loop, f"{_formula.name}_backward", backward=FORMULAS[_formula.backward.__name__])
        BACKWARD[_code] = kernel(noalias=True, inner=True)(_loop)
    if _formula.slope is not None:
        _slope = FORMULAS[_formula.slope.__name__]
        _loop = copy_of(with_slopes_loop, f"{_formula.name}_with_slopes", value=_value, slope=_slope)
        WITH_SLOPES[_code] = kernel(noalias=True, inner=True)(_loop)
