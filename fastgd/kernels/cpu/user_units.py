"""From the outputs of the last layer to what a user asks for: predictions in their units, rates, probabilities.

Shapes: outputs (B, O) of the last layer, out (B, O).
"""

from __future__ import annotations

from ..codes import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, GAUSSIAN_NLL, POISSON, QUANTILE
from ..formulas import exp, sigmoid
from ..machinery.compile import kernel


@kernel()
def to_user_units(out, outputs, net, loss):
    """out = probabilities for classes, rates for counts, and predictions in the user's units for the rest."""
    B, O = outputs.shape
    mean, std = net.target_mean, net.target_std
    T = mean.size
    if loss.code == CROSS_ENTROPY:
        softmax(out, outputs)
    elif loss.code == BINARY_CROSS_ENTROPY:
        for i in range(B):
            for j in range(O):
                out[i, j] = sigmoid(outputs[i, j])
    elif loss.code == POISSON:
        for i in range(B):
            for j in range(O):
                out[i, j] = exp(outputs[i, j]) * std[j]
    elif loss.code == GAUSSIAN_NLL:  # means, then standard deviations
        half = out.dtype.type(0.5)
        for i in range(B):
            for j in range(T):
                out[i, j] = outputs[i, j] * std[j] + mean[j]
                out[i, T + j] = exp(half * outputs[i, T + j]) * std[j]
    elif loss.code == QUANTILE:
        Q = loss.constants.size
        for i in range(B):
            for j in range(O):
                out[i, j] = outputs[i, j] * std[j // Q] + mean[j // Q]
    else:
        for i in range(B):
            for j in range(O):
                out[i, j] = outputs[i, j] * std[j] + mean[j]


@kernel(noalias=True)
def softmax(out, outputs):
    """out = e^outputs / Σ e^outputs, row by row, with the largest output taken off first."""
    B, O = outputs.shape
    for i in range(B):
        largest = outputs[i, 0]
        for j in range(1, O):
            largest = max(largest, outputs[i, j])
        for j in range(O):
            out[i, j] = exp(outputs[i, j] - largest)
        total = out.dtype.type(0)
        for j in range(O):
            total = total + out[i, j]
        for j in range(O):
            out[i, j] = out[i, j] / total
