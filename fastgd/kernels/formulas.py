"""The formulas of activations and losses, once: every engine that loops over numbers compiles these.

z is the weighted sum that a unit forms, a = f(z) its output, da the derivative of the loss in a. A formula is written
for one number and holds for arrays as well, so that plain NumPy takes it as it stands; it calls abs and what is defined
here, and an engine that compiles brings forms of its own of the first few functions. Branches are `where`, because a
loop with real branches does not become a vector loop.

The code of an activation or a loss is its place in the tables at the end: append only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEAK = 0.01  # slope of leaky_relu on the left
GELU_INNER = math.sqrt(2 / math.pi)
GELU_CUBE = 0.044715
GELU_FLAT = 30.0  # beyond ±30 the sigmoid inside is 0 or 1 in either precision, and z³ could overflow
LN2 = math.log(2)

# What formulas are made of.


def number(z, value):
    """`value` in the precision of z."""
    return z.dtype.type(value)


def where(condition, yes, no):
    """`yes` where the condition holds, else `no`."""
    return np.where(condition, yes, no)


def exp(x):
    """eˣ: 0 below the smallest number, inf above the largest, NaN for NaN."""
    return np.exp(x)


def expm1(x):
    """eˣ − 1 for x ≤ 0, exact to the last digits near zero."""
    return np.expm1(x)


def log1p(x):
    """ln(1 + x): −inf at −1, NaN below, exact to the last digits near zero."""
    return np.log1p(x)


def tanh(x):
    """The hyperbolic tangent: (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)."""
    return np.tanh(x)


def sigmoid(x):
    """The logistic function 1 / (1 + e⁻ˣ), without overflow."""
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, 1) / (1 + t)


# Activations. f_backward(da, a) returns dz = da · f′(z) from the output a; where a does not tell the slope, f_slope(z)
# returns f′(z).


def identity(z):
    """a = z."""
    return z


def identity_backward(da, a):
    """f′ = 1."""
    return da


def relu(z):
    """a = max(z, 0)."""
    zero = number(z, 0)
    return where(z < zero, zero, z)  # this way round NaN stays NaN


def relu_backward(da, a):
    """f′ = 1 where a > 0, else 0."""
    zero = number(a, 0)
    return where(a > zero, da, zero)


def hyperbolic_tangent(z):
    """a = tanh z."""
    return tanh(z)


def hyperbolic_tangent_backward(da, a):
    """f′ = 1 − a²."""
    return da * (number(a, 1) - a * a)


def logistic(z):
    """a = 1 / (1 + e⁻ᶻ)."""
    return sigmoid(z)


def logistic_backward(da, a):
    """f′ = a (1 − a)."""
    return da * (a * (number(a, 1) - a))


def leaky_relu(z):
    """a = z, or 0.01 z where z < 0."""
    return where(z < number(z, 0), number(z, LEAK) * z, z)


def leaky_relu_backward(da, a):
    """f′ = 1 where a > 0, else 0.01."""
    return da * where(a > number(a, 0), number(a, 1), number(a, LEAK))


def elu(z):
    """a = z, or eᶻ − 1 where z < 0."""
    zero = number(z, 0)
    return where(z < zero, expm1(where(z < zero, z, zero)), z)


def elu_backward(da, a):
    """f′ = 1 where a > 0, else eᶻ = a + 1."""
    one = number(a, 1)
    return da * where(a > number(a, 0), one, a + one)


def softplus(z):
    """a = ln(1 + eᶻ), without overflow."""
    zero = number(z, 0)
    return where(z < zero, zero, z) + log1p(exp(-abs(z)))


def softplus_backward(da, a):
    """f′ = sigmoid z = 1 − e⁻ᵃ."""
    return da * -expm1(-a)


def gelu_bounded(z):
    """z within ±30."""
    flat = number(z, GELU_FLAT)
    return where(z > flat, flat, where(z < -flat, -flat, z))


def gelu_gate(z):
    """½ (1 + tanh u) with u = √(2/π) · (z + 0.044715 z³), as sigmoid 2u: 1 + tanh u loses its digits far below 0.

    Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, the tanh form.
    """
    z = gelu_bounded(z)
    return sigmoid(number(z, 2 * GELU_INNER) * (z + number(z, GELU_CUBE) * z * z * z))


def gelu(z):
    """a = z · gate."""
    return z * gelu_gate(z)


def gelu_slope(z):
    """f′ = gate + z · gate (1 − gate) · steepness; gate is the sigmoid of something whose derivative is steepness."""
    one, cube = number(z, 1), number(z, GELU_CUBE)
    gate, z = gelu_gate(z), gelu_bounded(z)
    steepness = number(z, 2 * GELU_INNER) * (one + (cube + cube + cube) * z * z)
    return gate + z * (gate * (one - gate)) * steepness


def silu(z):
    """a = z · sigmoid z."""
    return z * sigmoid(z)


def silu_slope(z):
    """f′ = g (1 + z (1 − g)) with g = sigmoid z."""
    one, gate = number(z, 1), sigmoid(z)
    return gate * (one + z * (one - gate))


# Losses of one output: p is what the network puts out, y the actual value in standard units, e = p − y. The first
# function is the loss, the second its derivative in p.


def squared_error(p, y, constants):
    """e²."""
    return (p - y) * (p - y)


def squared_error_slope(p, y, constants):
    """d e² / dp = 2 e."""
    return (p - y) + (p - y)


def absolute_error(p, y, constants):
    """|e|."""
    return abs(p - y)


def absolute_error_slope(p, y, constants):
    """d |e| / dp = sign e, and 0 where p = y."""
    e = p - y
    zero, one = number(e, 0), number(e, 1)
    return where(e > zero, one, where(e < zero, -one, e))


def huber(p, y, constants):
    """½ e² for |e| ≤ δ, else δ (|e| − ½ δ), with δ = constants[0]. Source: Huber 1964."""
    e, bounded = p - y, huber_slope(p, y, constants)
    return bounded * e - number(e, 0.5) * bounded * bounded  # inside e · e − ½ e², outside δ |e| − ½ δ²


def huber_slope(p, y, constants):
    """Its derivative in p: e within ±δ."""
    e, limit = p - y, constants[0]
    return where(e > limit, limit, where(e < -limit, -limit, e))


def log_cosh(p, y, constants):
    """ln cosh e, by a form that loses no digits near zero and does not overflow far from it."""
    size = abs(p - y)
    half, one, quarter, ln2 = number(size, 0.5), number(size, 1), number(size, 0.25), number(size, LN2)
    t = expm1(-size - size)
    near = half * log1p(quarter * t * t / (one + t))  # sinh² e = t² / (4 (1 + t))
    return where(size < one, near, size - ln2 + log1p(one + t))


def log_cosh_slope(p, y, constants):
    """d ln cosh e / dp = tanh e."""
    return tanh(p - y)


def binary_cross_entropy(p, y, constants):
    """−y ln σ(p) − (1 − y) ln(1 − σ(p)) = max(p, 0) − y p + ln(1 + e^−|p|), p a logit: stable however large."""
    zero = number(p, 0)
    return where(p < zero, zero, p) - y * p + log1p(exp(-abs(p)))


def binary_cross_entropy_slope(p, y, constants):
    """Its derivative in p: σ(p) − y."""
    return sigmoid(p) - y


# Losses whose outputs are more than one prediction for each target.


def pinball(p, y, level):
    """max(τ (y − p), (τ − 1) (y − p)) for the level τ. Source: Koenker and Bassett 1978."""
    return pinball_slope(p, y, level) * (p - y)


def pinball_slope(p, y, level):
    """Its derivative in p: −τ where p < y, 1 − τ where p > y, 0 where they are equal."""
    missing = y - p
    zero, one = number(missing, 0), number(missing, 1)
    return -where(missing > zero, level, where(missing < zero, level - one, missing))


def poisson(p, y, log_unit):
    """e^p − y (p + ln m), where e^p is the rate in units of the mean count m; `log_unit` is ln m."""
    return exp(p) - y * (p + log_unit)


def poisson_slope(p, y):
    """Its derivative in p: e^p − y."""
    return exp(p) - y


def gaussian(e, s, precision):
    """½ (s + e² e^−s): e = p − y, s is the logarithm of the variance, and the precision e^−s is its inverse.

    Source: Nix and Weigend 1994.
    """
    return number(e, 0.5) * (s + e * e * precision)


def gaussian_slope_of_mean(e, precision):
    """Its derivative in p: e e^−s."""
    return e * precision


def gaussian_slope_of_variance(e, precision):
    """Its derivative in s: ½ (1 − e² e^−s)."""
    return number(e, 0.5) * (number(e, 1) - e * e * precision)


# The tables.


class ActivationFormula(NamedTuple):
    """f, and either its backward form from the output or its slope from z."""

    name: str
    value: Callable[..., Any]
    backward: Callable[..., Any] | None = None
    slope: Callable[..., Any] | None = None


class LossFormula(NamedTuple):
    """The loss of one output and its derivative; none where a loss has a loop of its own."""

    name: str
    value: Callable[..., Any] | None = None
    slope: Callable[..., Any] | None = None


ACTIVATIONS = (
    ActivationFormula("identity", identity, identity_backward),
    ActivationFormula("relu", relu, relu_backward),
    ActivationFormula("tanh", hyperbolic_tangent, hyperbolic_tangent_backward),
    ActivationFormula("sigmoid", logistic, logistic_backward),
    ActivationFormula("leaky_relu", leaky_relu, leaky_relu_backward),
    ActivationFormula("elu", elu, elu_backward),
    ActivationFormula("gelu", gelu, slope=gelu_slope),
    ActivationFormula("silu", silu, slope=silu_slope),
    ActivationFormula("softplus", softplus, softplus_backward),
)
LOSSES = (
    LossFormula("mse", squared_error, squared_error_slope),
    LossFormula("mae", absolute_error, absolute_error_slope),
    LossFormula("huber", huber, huber_slope),
    LossFormula("log_cosh", log_cosh, log_cosh_slope),
    LossFormula("quantile"),
    LossFormula("poisson"),
    LossFormula("binary_cross_entropy", binary_cross_entropy, binary_cross_entropy_slope),
    LossFormula("cross_entropy"),
    LossFormula("gaussian_nll"),
)
ACTIVATION_CODES = {formula.name: code for code, formula in enumerate(ACTIVATIONS)}
LOSS_CODES = {formula.name: code for code, formula in enumerate(LOSSES)}
