"""From the outputs of the last layer to predictions, rates and probabilities."""

from __future__ import annotations

import numpy as np

from ..codes import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, GAUSSIAN_NLL, POISSON, QUANTILE
from ..formulas import sigmoid


def to_user_units(out, outputs, net, loss):
    """out = probabilities for classes, rates for counts, and predictions in the user's units for the rest."""
    mean, std = net.target_mean, net.target_std
    T = mean.size
    if loss.code == CROSS_ENTROPY:
        softmax(out, outputs)
    elif loss.code == BINARY_CROSS_ENTROPY:
        out[:] = sigmoid(outputs)
    elif loss.code == POISSON:
        out[:] = np.exp(outputs) * std
    elif loss.code == GAUSSIAN_NLL:
        out[:, :T] = outputs[:, :T] * std + mean
        out[:, T:] = np.exp(0.5 * outputs[:, T:]) * std
    else:
        levels = loss.constants.size if loss.code == QUANTILE else 1
        out[:] = outputs * np.repeat(std, levels) + np.repeat(mean, levels)


def softmax(out, outputs):
    """out = e^outputs / Σ e^outputs, row by row."""
    np.exp(outputs - outputs.max(axis=1, keepdims=True), out=out)
    out /= out.sum(axis=1, keepdims=True)
