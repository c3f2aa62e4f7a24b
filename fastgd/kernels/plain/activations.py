"""Activation functions and their derivatives, in place."""

from __future__ import annotations

import numpy as np

from ..codes import RELU, SIGMOID, TANH


def activate(a, code):
    """a = f(a)."""
    if code == RELU:
        np.maximum(a, 0, out=a)
    elif code == TANH:
        np.tanh(a, out=a)
    elif code == SIGMOID:
        with np.errstate(over="ignore"):  # e⁻ᶻ = inf gives 0, which is right
            np.exp(-a, out=a)
        a += 1
        np.reciprocal(a, out=a)


def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z)."""
    if code == RELU:
        delta *= a > 0
    elif code == TANH:
        delta *= 1 - a * a
    elif code == SIGMOID:
        delta *= a * (1 - a)
