"""The losses: one number for how wrong the predictions are, and which way each output is wrong, in one pass.

Shapes: delta, predicted (B, O) are the outputs of the last layer; y (B, T) the targets, w (B,) their weights, in
standard units. Loss and gradient are multiplied by `scale` (1 / the weights of the batch, so that blocks of a batch
add up to its mean). `unit` (T,) turns a loss in standard units into the user's units; it does not touch the gradient.
A loss of a row is the mean over its outputs, where it has several.
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
from ..compile import kernel
from .elementary import exp, expm1, log1p, sigmoid, tanh

LN2 = math.log(2)


@kernel()
def loss_and_delta(delta, predicted, y, w, scale, loss):
    """delta = scale · d loss / d predicted; return scale · the sum of the rows' losses."""
    unit, constants = loss.unit, loss.constants
    if loss.code == MSE:
        return mean_squared_error(delta, predicted, y, w, scale, unit)
    if loss.code == MAE:
        return mean_absolute_error(delta, predicted, y, w, scale, unit)
    if loss.code == HUBER:
        return huber(delta, predicted, y, w, scale, unit, constants)
    if loss.code == LOG_COSH:
        return log_cosh(delta, predicted, y, w, scale, unit)
    if loss.code == QUANTILE:
        return quantile(delta, predicted, y, w, scale, unit, constants)
    if loss.code == POISSON:
        return poisson(delta, predicted, y, w, scale, unit, constants)
    if loss.code == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(delta, predicted, y, w, scale)
    if loss.code == CROSS_ENTROPY:
        return cross_entropy(delta, predicted, y, w, scale)
    if loss.code == GAUSSIAN_NLL:
        return gaussian_nll(delta, predicted, y, w, scale, constants)
    return delta.dtype.type(0)


@kernel(noalias=True)
def mean_squared_error(delta, predicted, y, w, scale, unit):
    """(p − y)²."""
    B, O = delta.shape
    real = delta.dtype.type
    total = real(0)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            error = predicted[i, j] - y[i, j]
            delta[i, j] = (share + share) * error
            total = total + share * unit[j] * error * error
    return total


@kernel(noalias=True)
def mean_absolute_error(delta, predicted, y, w, scale, unit):
    """|p − y|; the gradient is 0 where p = y."""
    B, O = delta.shape
    real = delta.dtype.type
    zero, total = real(0), real(0)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            error = predicted[i, j] - y[i, j]
            delta[i, j] = share if error > zero else (-share if error < zero else share * error)
            total = total + share * unit[j] * abs(error)
    return total


@kernel(noalias=True)
def huber(delta, predicted, y, w, scale, unit, constants):
    """½ e² for |e| ≤ δ, else δ (|e| − ½ δ), with e = p − y and δ = constants[0]. Source: Huber 1964."""
    B, O = delta.shape
    real = delta.dtype.type
    half, total, limit = real(0.5), real(0), constants[0]
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            error = predicted[i, j] - y[i, j]
            bounded = min(max(error, -limit), limit)
            bounded = error if error != error else bounded
            delta[i, j] = share * bounded
            # inside: e · e − ½ e²; outside: δ |e| − ½ δ²
            total = total + share * unit[j] * (bounded * error - half * bounded * bounded)
    return total


@kernel(noalias=True)
def log_cosh(delta, predicted, y, w, scale, unit):
    """ln cosh(p − y), by a form that loses no digits near zero and does not overflow far from it."""
    B, O = delta.shape
    real = delta.dtype.type
    half, one, quarter, total, ln2 = real(0.5), real(1), real(0.25), real(0), real(LN2)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            error = predicted[i, j] - y[i, j]
            size = abs(error)
            t = expm1(-size - size)
            near = half * log1p(quarter * t * t / (one + t))  # sinh² e = t² / (4 (1 + t))
            far = size - ln2 + log1p(one + t)
            delta[i, j] = share * tanh(error)
            total = total + share * unit[j] * (near if size < one else far)
    return total


@kernel(noalias=True)
def quantile(delta, predicted, y, w, scale, unit, constants):
    """max(τ e, (τ − 1) e) with e = y − p, for each level τ of constants; outputs of a target stand side by side.

    Source: Koenker and Bassett 1978.
    """
    B, O = delta.shape
    real = delta.dtype.type
    Q = constants.size
    zero, one, total = real(0), real(1), real(0)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            level = constants[j % Q]
            error = y[i, j // Q] - predicted[i, j]
            slope = level if error > zero else (level - one if error < zero else error)
            delta[i, j] = -share * slope
            total = total + share * unit[j // Q] * slope * error
    return total


@kernel(noalias=True)
def poisson(delta, predicted, y, w, scale, unit, constants):
    """e^p − y p, where p is the logarithm of the rate; constants (T,) are the logarithms of the units."""
    B, O = delta.shape
    real = delta.dtype.type
    total = real(0)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            p = predicted[i, j]
            rate = exp(p)
            delta[i, j] = share * (rate - y[i, j])
            total = total + share * unit[j] * (rate - y[i, j] * (p + constants[j]))
    return total


@kernel(noalias=True)
def binary_cross_entropy(delta, predicted, y, w, scale):
    """−y ln σ(p) − (1 − y) ln(1 − σ(p)) = max(p, 0) − y p + ln(1 + e^−|p|), p a logit: stable however large."""
    B, O = delta.shape
    real = delta.dtype.type
    zero, total = real(0), real(0)
    for i in range(B):
        share = real(scale / O) * w[i]
        for j in range(O):
            p = predicted[i, j]
            delta[i, j] = share * (sigmoid(p) - y[i, j])
            total = total + share * ((zero if p < zero else p) - y[i, j] * p + log1p(exp(-abs(p))))
    return total


@kernel(noalias=True)
def cross_entropy(delta, predicted, y, w, scale):
    """−ln softmax(p)[y], y the number of the class: ln Σ e^(p − m) − (p[y] − m) with m the largest output."""
    B, O = delta.shape
    real = delta.dtype.type
    one, total = real(1), real(0)
    for i in range(B):
        share = real(scale) * w[i]
        largest = predicted[i, 0]
        for j in range(1, O):
            largest = max(largest, predicted[i, j])
        for j in range(O):
            delta[i, j] = exp(predicted[i, j] - largest)
        rest = -one  # Σ − 1: the largest term is 1
        for j in range(O):
            rest = rest + delta[i, j]
        for j in range(O):
            delta[i, j] = share * (delta[i, j] / (rest + one))
        label = np.int64(y[i, 0])
        delta[i, label] -= share
        total = total + share * (log1p(rest) - (predicted[i, label] - largest))
    return total


@kernel(noalias=True)
def gaussian_nll(delta, predicted, y, w, scale, constants):
    """½ (s + (y − p)² e^−s): the first T outputs are means p, the last T logarithms s of variances.

    Without the constant ½ ln 2π. constants (T,) are the logarithms of the units. Source: Nix and Weigend 1994.
    """
    B, T = y.shape
    real = delta.dtype.type
    half, one, total = real(0.5), real(1), real(0)
    for i in range(B):
        share = real(scale / T) * w[i]
        for j in range(T):
            error = predicted[i, j] - y[i, j]
            s = predicted[i, T + j]
            precision = exp(-s)
            delta[i, j] = share * error * precision
            delta[i, T + j] = share * half * (one - error * error * precision)
            total = total + share * (half * (s + error * error * precision) + constants[j])
    return total
