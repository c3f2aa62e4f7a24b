"""Activation functions and their derivatives, forward and backward side by side.

All take arrays of any shape (C-contiguous). Most derivatives are written in terms of the output a = f(z), so that z
need not be kept. GELU and SiLU need z: training asks for their derivative in the same pass that overwrites it.
"""

from __future__ import annotations

import math

from ..codes import ELU, GELU, LEAKY_RELU, RELU, SIGMOID, SILU, SOFTPLUS, TANH
from ..compile import kernel
from .elementary import exp, expm1, log1p, sigmoid, tanh

LEAK = 0.01  # slope of leaky_relu on the left
GELU_INNER = math.sqrt(2 / math.pi)
GELU_CUBE = 0.044715
GELU_FLAT = 10.0  # beyond ±10 the hyperbolic tangent inside is ±1, and z³ could overflow


@kernel(inline=True)
def gelu_gate(z, inner, cube, flat):
    """tanh(√(2/π) · (z + 0.044715 z³)). Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, the tanh form."""
    z = min(max(z, -flat), flat)
    return tanh(inner * (z + cube * z * z * z))


@kernel(inline=True)
def softplus(z):
    """ln(1 + eᶻ), without overflow."""
    zero = z - z
    return max(z, zero) + log1p(exp(-abs(z)))


@kernel()
def activate(a, code):
    """a = f(a)."""
    v = a.reshape(a.size)
    real = v.dtype.type
    zero, half, one, leak = real(0), real(0.5), real(1), real(LEAK)
    inner, cube, flat = real(GELU_INNER), real(GELU_CUBE), real(GELU_FLAT)
    if code == RELU:
        for i in range(v.size):
            v[i] = zero if v[i] < zero else v[i]  # this way round NaN stays NaN
    elif code == TANH:
        for i in range(v.size):
            v[i] = tanh(v[i])
    elif code == SIGMOID:
        for i in range(v.size):
            v[i] = sigmoid(v[i])
    elif code == LEAKY_RELU:
        for i in range(v.size):
            v[i] = leak * v[i] if v[i] < zero else v[i]
    elif code == ELU:
        for i in range(v.size):
            v[i] = expm1(min(v[i], zero)) if v[i] < zero else v[i]
    elif code == GELU:
        for i in range(v.size):
            v[i] = half * v[i] * (one + gelu_gate(v[i], inner, cube, flat))
    elif code == SILU:
        for i in range(v.size):
            v[i] = v[i] * sigmoid(v[i])
    elif code == SOFTPLUS:
        for i in range(v.size):
            v[i] = softplus(v[i])


@kernel(noalias=True)
def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z); for all but GELU and SiLU."""
    d = delta.reshape(delta.size)
    v = a.reshape(a.size)
    real = v.dtype.type
    zero, one, leak = real(0), real(1), real(LEAK)
    if code == RELU:  # forward: a = max(z, 0)
        for i in range(v.size):
            d[i] = d[i] if v[i] > zero else zero
    elif code == TANH:  # forward: a = tanh z
        for i in range(v.size):
            d[i] = d[i] * (one - v[i] * v[i])
    elif code == SIGMOID:  # forward: a = 1 / (1 + e⁻ᶻ)
        for i in range(v.size):
            d[i] = d[i] * (v[i] * (one - v[i]))
    elif code == LEAKY_RELU:  # forward: a = z, or 0.01 z where z < 0
        for i in range(v.size):
            d[i] = d[i] * (one if v[i] > zero else leak)
    elif code == ELU:  # forward: a = z, or eᶻ − 1 where z < 0
        for i in range(v.size):
            d[i] = d[i] * (one if v[i] > zero else v[i] + one)
    elif code == SOFTPLUS:  # forward: a = ln(1 + eᶻ), so f′ = sigmoid z = 1 − e⁻ᵃ
        for i in range(v.size):
            d[i] = d[i] * -expm1(-v[i])


@kernel(noalias=True)
def activate_with_slopes(a, slopes, code):
    """slopes = f′(a), then a = f(a)."""
    v = a.reshape(a.size)
    s = slopes.reshape(a.size)
    real = v.dtype.type
    half, one = real(0.5), real(1)
    inner, cube, flat = real(GELU_INNER), real(GELU_CUBE), real(GELU_FLAT)
    if code == GELU:
        for i in range(v.size):
            t = gelu_gate(v[i], inner, cube, flat)
            z = min(max(v[i], -flat), flat)
            steepness = inner * (one + (cube + cube + cube) * z * z)
            s[i] = half * (one + t) + half * z * (one - t * t) * steepness
        activate(a, code)
    elif code == SILU:
        for i in range(v.size):
            gate = sigmoid(v[i])
            s[i] = gate * (one + v[i] * (one - gate))
        activate(a, code)
    else:
        activate(a, code)
        for i in range(v.size):
            s[i] = one
        activate_backward(slopes, a, code)
