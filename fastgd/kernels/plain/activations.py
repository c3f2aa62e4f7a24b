"""Activation functions and their derivatives, in place."""

from __future__ import annotations

import numpy as np

from ..formulas import ACTIVATIONS


def activate(a, code):
    """a = f(a)."""
    a[:] = ACTIVATIONS[code].value(a)


def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z); for activations whose output tells the slope."""
    delta[:] = ACTIVATIONS[code].backward(delta, a)


def activate_with_slopes(a, slopes, code):
    """a (B, O) holds z: slopes = f′(z), then a = f(z)."""
    if ACTIVATIONS[code].slope is not None:
        slopes[:] = ACTIVATIONS[code].slope(a)
        activate(a, code)
    else:
        activate(a, code)
        slopes[:] = ACTIVATIONS[code].backward(np.ones_like(a), a)
