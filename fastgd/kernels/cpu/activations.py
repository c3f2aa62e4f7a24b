"""Activation functions and their derivatives, forward and backward side by side.

Each activation is up to three kernels over the n numbers that a pointer points to: f(v, n) in place; f_backward(d, v,
n), which turns the loss's derivative in a = f(z) into that in z, written in terms of the output a, so that z need not
be kept; and f_with_slopes(v, s, n), which writes f′(z) beside f(z). GELU and SiLU need z and have only the first and
the last. Units that are dropped ask for slopes, too. The tables at the end say which kernel a code means.
"""

from __future__ import annotations

import math

from ..codes import ELU, GELU, IDENTITY, LEAKY_RELU, RELU, SIGMOID, SILU, SOFTPLUS, TANH
from ..machinery.compile import kernel
from ..machinery.lanes import number
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


@kernel(inner=True)
def identity(v, n):
    """a = z."""


@kernel(inner=True)
def identity_backward(d, v, n):
    """f′ = 1."""


@kernel(inner=True)
def relu(v, n):
    """a = max(z, 0)."""
    zero = number(v, 0)
    for i in range(n):
        v[i] = zero if v[i] < zero else v[i]  # this way round NaN stays NaN


@kernel(noalias=True, inner=True)
def relu_backward(d, v, n):
    """f′ = 1 where a > 0, else 0."""
    zero = number(v, 0)
    for i in range(n):
        d[i] = d[i] if v[i] > zero else zero


@kernel(inner=True)
def hyperbolic_tangent(v, n):
    """a = tanh z."""
    for i in range(n):
        v[i] = tanh(v[i])


@kernel(noalias=True, inner=True)
def hyperbolic_tangent_backward(d, v, n):
    """f′ = 1 − a²."""
    one = number(v, 1)
    for i in range(n):
        d[i] = d[i] * (one - v[i] * v[i])


@kernel(inner=True)
def logistic(v, n):
    """a = 1 / (1 + e⁻ᶻ)."""
    for i in range(n):
        v[i] = sigmoid(v[i])


@kernel(noalias=True, inner=True)
def logistic_backward(d, v, n):
    """f′ = a (1 − a)."""
    one = number(v, 1)
    for i in range(n):
        d[i] = d[i] * (v[i] * (one - v[i]))


@kernel(inner=True)
def leaky_relu(v, n):
    """a = z, or 0.01 z where z < 0."""
    zero, leak = number(v, 0), number(v, LEAK)
    for i in range(n):
        v[i] = leak * v[i] if v[i] < zero else v[i]


@kernel(noalias=True, inner=True)
def leaky_relu_backward(d, v, n):
    """f′ = 1 where a > 0, else 0.01."""
    zero, one, leak = number(v, 0), number(v, 1), number(v, LEAK)
    for i in range(n):
        d[i] = d[i] * (one if v[i] > zero else leak)


@kernel(inner=True)
def elu(v, n):
    """a = z, or eᶻ − 1 where z < 0."""
    zero = number(v, 0)
    for i in range(n):
        v[i] = expm1(min(v[i], zero)) if v[i] < zero else v[i]


@kernel(noalias=True, inner=True)
def elu_backward(d, v, n):
    """f′ = 1 where a > 0, else eᶻ = a + 1."""
    zero, one = number(v, 0), number(v, 1)
    for i in range(n):
        d[i] = d[i] * (one if v[i] > zero else v[i] + one)


@kernel(inner=True)
def softplus(v, n):
    """a = ln(1 + eᶻ), without overflow."""
    zero = number(v, 0)
    for i in range(n):
        v[i] = max(v[i], zero) + log1p(exp(-abs(v[i])))


@kernel(noalias=True, inner=True)
def softplus_backward(d, v, n):
    """f′ = sigmoid z = 1 − e⁻ᵃ."""
    for i in range(n):
        d[i] = d[i] * -expm1(-v[i])


@kernel(inner=True)
def gelu(v, n):
    """a = ½ z (1 + gate)."""
    half, one = number(v, 0.5), number(v, 1)
    inner, cube, flat = number(v, GELU_INNER), number(v, GELU_CUBE), number(v, GELU_FLAT)
    for i in range(n):
        v[i] = half * v[i] * (one + gelu_gate(v[i], inner, cube, flat))


@kernel(noalias=True, inner=True)
def gelu_with_slopes(v, s, n):
    """f′ = ½ (1 + gate) + ½ z (1 − gate²) · d inner / dz."""
    half, one = number(v, 0.5), number(v, 1)
    inner, cube, flat = number(v, GELU_INNER), number(v, GELU_CUBE), number(v, GELU_FLAT)
    for i in range(n):
        t = gelu_gate(v[i], inner, cube, flat)
        z = min(max(v[i], -flat), flat)
        steepness = inner * (one + (cube + cube + cube) * z * z)
        s[i] = half * (one + t) + half * z * (one - t * t) * steepness
        v[i] = half * v[i] * (one + t)


@kernel(inner=True)
def silu(v, n):
    """a = z · sigmoid z."""
    for i in range(n):
        v[i] = v[i] * sigmoid(v[i])


@kernel(noalias=True, inner=True)
def silu_with_slopes(v, s, n):
    """f′ = g (1 + z (1 − g)) with g = sigmoid z."""
    one = number(v, 1)
    for i in range(n):
        gate = sigmoid(v[i])
        s[i] = gate * (one + v[i] * (one - gate))
        v[i] = v[i] * gate


FORWARD = {
    IDENTITY: identity,
    RELU: relu,
    TANH: hyperbolic_tangent,
    SIGMOID: logistic,
    LEAKY_RELU: leaky_relu,
    ELU: elu,
    GELU: gelu,
    SILU: silu,
    SOFTPLUS: softplus,
}
BACKWARD = {
    IDENTITY: identity_backward,
    RELU: relu_backward,
    TANH: hyperbolic_tangent_backward,
    SIGMOID: logistic_backward,
    LEAKY_RELU: leaky_relu_backward,
    ELU: elu_backward,
    SOFTPLUS: softplus_backward,
}
WITH_SLOPES = {GELU: gelu_with_slopes, SILU: silu_with_slopes}  # the others: f, then f_backward on ones
