"""Activation functions and their derivatives, in place, forward and backward side by side.

Both take arrays of any shape (C-contiguous). The derivative is written in terms of the output a = f(z), so that z
need not be kept.
"""

from __future__ import annotations

from ..codes import RELU, SIGMOID, TANH
from ..compile import kernel
from .elementary import sigmoid, tanh


@kernel()
def activate(a, code):
    """a = f(a)."""
    v = a.reshape(a.size)
    zero = v.dtype.type(0)
    if code == RELU:
        for i in range(v.size):
            v[i] = zero if v[i] < zero else v[i]  # this way round NaN stays NaN
    elif code == TANH:
        for i in range(v.size):
            v[i] = tanh(v[i])
    elif code == SIGMOID:
        for i in range(v.size):
            v[i] = sigmoid(v[i])


@kernel(noalias=True)
def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z)."""
    d = delta.reshape(delta.size)
    v = a.reshape(a.size)
    zero, one = v.dtype.type(0), v.dtype.type(1)
    if code == RELU:  # forward: a = max(z, 0)
        for i in range(v.size):
            d[i] = d[i] if v[i] > zero else zero
    elif code == TANH:  # forward: a = tanh z
        for i in range(v.size):
            d[i] = d[i] * (one - v[i] * v[i])
    elif code == SIGMOID:  # forward: a = 1 / (1 + e⁻ᶻ)
        for i in range(v.size):
            d[i] = d[i] * (v[i] * (one - v[i]))
