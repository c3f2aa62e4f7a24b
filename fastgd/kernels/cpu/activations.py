"""Activation functions and their derivatives as loops over the n numbers that a pointer points to.

Each activation is up to three kernels: forward(z, n), a = f(z) in place; backward(dz, a, n), which turns da into dz in
place, from the output a, so that z need not be kept; and with_slopes(z, slopes, n), which writes f′(z) beside f(z).
GELU and SiLU need z and have only the first and the last. Units that are dropped ask for slopes, too. The formulas are
in formulas.py; the tables at the end say which kernel a code means.
"""

from __future__ import annotations

from typing import Any

from ..formulas import ACTIVATIONS
from ..machinery.compile import copy_of, kernel
from .elementary import FORMULAS

value: Any = None  # each copy of a loop calls formulas of its own
backward: Any = None
slope: Any = None


def forward_loop(z, n):
    """z = f(z)."""
    for i in range(n):
        z[i] = value(z[i])


def backward_loop(dz, a, n):
    """dz = da · f′(z), where a = f(z); dz holds da."""
    for i in range(n):
        dz[i] = backward(dz[i], a[i])


def with_slopes_loop(z, slopes, n):
    """slopes = f′(z), then z = f(z)."""
    for i in range(n):
        a = value(z[i])  # before the slope: the other way round gelu took 9 % longer
        slopes[i] = slope(z[i])
        z[i] = a


FORWARD, BACKWARD, WITH_SLOPES = {}, {}, {}  # where the last has none, the slope is backward(1, f(z))
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
