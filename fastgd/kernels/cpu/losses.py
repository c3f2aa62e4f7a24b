"""The losses: one number for how wrong the predictions are, and which way each output is wrong, in one pass.

Shapes: delta, predicted (B, O) are pointers to the outputs of the last layer; y (B, T) to the targets, w (B,) to their
weights, in standard units. Loss and gradient are multiplied by `scale` (1 / the rows of the batch, so that blocks of
a batch add up to its mean). `unit` (T,) turns a loss in standard units into the user's units; it does not touch the
gradient. A loss of a row is the mean over its outputs, where it has several.
"""

from __future__ import annotations

import math

import numpy as np

from ..codes import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    GAUSSIAN_NLL,
    HUBER,
    LOG_COSH,
    MAE,
    MSE,
    POISSON,
    QUANTILE,
)
from ..machinery.compile import kernel
from ..machinery.lanes import number
from .elementary import exp, expm1, log1p, sigmoid, tanh

LN2 = math.log(2)


@kernel(noalias=True, inner=True)
def mean_squared_error(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """(p − y)²."""
    total = number(delta, 0)
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            error = predicted[i * O + j] - y[i * T + j]
            delta[i * O + j] = (share + share) * error
            total = total + share * unit[j] * error * error
    return total


@kernel(noalias=True, inner=True)
def mean_absolute_error(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """|p − y|; the gradient is 0 where p = y."""
    zero, total = number(delta, 0), number(delta, 0)
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            error = predicted[i * O + j] - y[i * T + j]
            delta[i * O + j] = share if error > zero else (-share if error < zero else share * error)
            total = total + share * unit[j] * abs(error)
    return total


@kernel(noalias=True, inner=True)
def huber(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """½ e² for |e| ≤ δ, else δ (|e| − ½ δ), with e = p − y and δ = constants[0]. Source: Huber 1964."""
    half, total, limit = number(delta, 0.5), number(delta, 0), constants[0]
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            error = predicted[i * O + j] - y[i * T + j]
            bounded = min(max(error, -limit), limit)
            bounded = error if error != error else bounded
            delta[i * O + j] = share * bounded
            # inside: e · e − ½ e²; outside: δ |e| − ½ δ²
            total = total + share * unit[j] * (bounded * error - half * bounded * bounded)
    return total


@kernel(noalias=True, inner=True)
def log_cosh(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """ln cosh(p − y), by a form that loses no digits near zero and does not overflow far from it."""
    half, one, quarter, total, ln2 = (
        number(delta, 0.5),
        number(delta, 1),
        number(delta, 0.25),
        number(delta, 0),
        number(delta, LN2),
    )
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            error = predicted[i * O + j] - y[i * T + j]
            size = abs(error)
            t = expm1(-size - size)
            near = half * log1p(quarter * t * t / (one + t))  # sinh² e = t² / (4 (1 + t))
            far = size - ln2 + log1p(one + t)
            delta[i * O + j] = share * tanh(error)
            total = total + share * unit[j] * (near if size < one else far)
    return total


@kernel(noalias=True, inner=True)
def quantile(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """max(τ e, (τ − 1) e) with e = y − p, for each level τ of constants; outputs of a target stand side by side.

    Source: Koenker and Bassett 1978.
    """
    Q = constants.size
    zero, one, total = number(delta, 0), number(delta, 1), number(delta, 0)
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            level = constants[j % Q]
            error = y[i * T + j // Q] - predicted[i * O + j]
            slope = level if error > zero else (level - one if error < zero else error)
            delta[i * O + j] = -share * slope
            total = total + share * unit[j // Q] * slope * error
    return total


@kernel(noalias=True, inner=True)
def poisson(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """e^p − y p, where p is the logarithm of the rate.

    constants (2 T,) are the logarithms of the units, then what gradients are multiplied by.
    """
    total = number(delta, 0)
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            p = predicted[i * O + j]
            rate = exp(p)
            delta[i * O + j] = share * constants[T + j] * (rate - y[i * T + j])
            total = total + share * unit[j] * (rate - y[i * T + j] * (p + constants[j]))
    return total


@kernel(noalias=True, inner=True)
def binary_cross_entropy(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """−y ln σ(p) − (1 − y) ln(1 − σ(p)) = max(p, 0) − y p + ln(1 + e^−|p|), p a logit: stable however large."""
    zero, total = number(delta, 0), number(delta, 0)
    for i in range(B):
        share = number(delta, scale / O) * w[i]
        for j in range(O):
            p = predicted[i * O + j]
            delta[i * O + j] = share * (sigmoid(p) - y[i * T + j])
            total = total + share * ((zero if p < zero else p) - y[i * T + j] * p + log1p(exp(-abs(p))))
    return total


@kernel(noalias=True, inner=True)
def cross_entropy(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """−ln softmax(p)[y], y the number of the class: ln Σ e^(p − m) − (p[y] − m) with m the largest output."""
    one, total = number(delta, 1), number(delta, 0)
    for i in range(B):
        share = number(delta, scale) * w[i]
        largest = predicted[i * O]
        for j in range(1, O):
            largest = max(largest, predicted[i * O + j])
        for j in range(O):
            delta[i * O + j] = exp(predicted[i * O + j] - largest)
        rest = -one  # Σ − 1: the largest term is 1
        for j in range(O):
            rest = rest + delta[i * O + j]
        for j in range(O):
            delta[i * O + j] = share * (delta[i * O + j] / (rest + one))
        label = np.int64(y[i * T])
        delta[i * O + label] -= share
        total = total + share * (log1p(rest) - (predicted[i * O + label] - largest))
    return total


@kernel(noalias=True, inner=True)
def gaussian_nll(delta, predicted, y, w, B, O, T, scale, unit, constants):
    """½ (s + (y − p)² e^−s): the first T outputs are means p, the last T logarithms s of variances.

    Without the constant ½ ln 2π. constants (T,) are the logarithms of the units. Source: Nix and Weigend 1994.
    """
    half, one, total = number(delta, 0.5), number(delta, 1), number(delta, 0)
    for i in range(B):
        share = number(delta, scale / T) * w[i]
        for j in range(T):
            error = predicted[i * O + j] - y[i * T + j]
            s = predicted[i * O + T + j]
            precision = exp(-s)
            delta[i * O + j] = share * error * precision
            delta[i * O + T + j] = share * half * (one - error * error * precision)
            total = total + share * (half * (s + error * error * precision) + constants[j])
    return total


KERNELS = {
    MSE: mean_squared_error,
    MAE: mean_absolute_error,
    HUBER: huber,
    LOG_COSH: log_cosh,
    QUANTILE: quantile,
    POISSON: poisson,
    BINARY_CROSS_ENTROPY: binary_cross_entropy,
    CROSS_ENTROPY: cross_entropy,
    GAUSSIAN_NLL: gaussian_nll,
}
