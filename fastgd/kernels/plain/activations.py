"""Activation functions and their derivatives, in place."""

from __future__ import annotations

import numpy as np

from ..codes import ELU, GELU, LEAKY_RELU, RELU, SIGMOID, SILU, SOFTPLUS, TANH

LEAK = 0.01
GELU_INNER = np.sqrt(2 / np.pi).item()


def sigmoid(z):
    """1 / (1 + e⁻ᶻ), without overflow."""
    t = np.exp(-np.abs(z))
    return np.where(z < 0, t, 1) / (1 + t)


def gelu_gate(z):
    """tanh(√(2/π) · (z + 0.044715 z³))."""
    z = np.clip(z, -10, 10)  # beyond, the hyperbolic tangent is ±1, and z³ could overflow
    return np.tanh(GELU_INNER * (z + 0.044715 * z**3))


def activate(a, code):
    """a = f(a)."""
    if code == RELU:
        np.maximum(a, 0, out=a)
    elif code == TANH:
        np.tanh(a, out=a)
    elif code == SIGMOID:
        a[:] = sigmoid(a)
    elif code == LEAKY_RELU:
        a[:] = np.where(a < 0, LEAK * a, a)
    elif code == ELU:
        a[:] = np.where(a < 0, np.expm1(np.minimum(a, 0)), a)
    elif code == GELU:
        a *= 0.5 * (1 + gelu_gate(a))
    elif code == SILU:
        a *= sigmoid(a)
    elif code == SOFTPLUS:
        a[:] = np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))


def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z); for all but GELU and SiLU."""
    if code == RELU:
        delta *= a > 0
    elif code == TANH:
        delta *= 1 - a * a
    elif code == SIGMOID:
        delta *= a * (1 - a)
    elif code == LEAKY_RELU:
        delta *= np.where(a > 0, 1, LEAK).astype(a.dtype)
    elif code == ELU:
        delta *= np.where(a > 0, 1, a + 1)
    elif code == SOFTPLUS:
        delta *= -np.expm1(-a)


def activate_with_slopes(a, slopes, code):
    """slopes = f′(a), then a = f(a)."""
    if code == GELU:
        t = gelu_gate(a)
        z = np.clip(a, -10, 10)
        slopes[:] = 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * GELU_INNER * (1 + 3 * 0.044715 * z * z)
        activate(a, code)
    elif code == SILU:
        gate = sigmoid(a)
        slopes[:] = gate * (1 + a * (1 - gate))
        activate(a, code)
    else:
        activate(a, code)
        slopes[:] = 1
        activate_backward(slopes, a, code)
