"""Update rules: how the gradient moves every weight."""

from __future__ import annotations

import math

import numpy as np

from ..codes import ADAGRAD, ADAM, ADAMW, BIASES, N_OUT, RMSPROP, SGD

SPECK = 1e-3  # times the root of the smallest normal number: the square of such a gradient is 0


def clip(gradient, rule):
    """Bound every entry of the gradient to ±clip_value, then its length to clip_norm."""
    if rule.clip_value < math.inf:
        np.clip(gradient, -rule.clip_value, rule.clip_value, out=gradient)
    if rule.clip_norm < math.inf:
        wide = gradient.astype(np.float64)
        largest = float(np.abs(wide).max())
        length = largest * float(np.linalg.norm(wide / (largest or 1.0)))  # a square might overflow
        if length > rule.clip_norm:
            gradient *= rule.clip_norm / (length + 1e-6)


def update(net, state, gradient, rule, learning_rate):
    """Take one step: clip the gradient, move every parameter, and bring the moving average along."""
    clip(gradient, rule)
    state.step[0] += 1
    w, g = net.parameters, gradient
    if rule.weight_decay > 0 or rule.l1 > 0:
        decayed = decayed_parameters(net, rule)
        if rule.code == ADAMW:
            w[decayed] *= w.dtype.type(1 - learning_rate * rule.weight_decay)
        else:
            g[decayed] += w.dtype.type(rule.weight_decay) * w[decayed]
        g[decayed] += w.dtype.type(rule.l1) * np.sign(w[decayed])
    if rule.code == SGD and rule.momentum == 0:
        w -= w.dtype.type(learning_rate) * g
    elif rule.code == SGD:
        velocity = state.velocity
        velocity *= rule.momentum
        velocity += g
        flush(velocity)
        w -= w.dtype.type(learning_rate) * (g + rule.momentum * velocity if rule.nesterov else velocity)
    elif rule.code == ADAGRAD:
        state.squares[:] += g * g
        w -= w.dtype.type(learning_rate) * (g / (np.sqrt(state.squares) + w.dtype.type(rule.epsilon)))
    elif rule.code == RMSPROP:
        squares = average_squares(state.squares, g, rule)
        move = g / (np.sqrt(squares) + w.dtype.type(rule.epsilon))
        if state.velocity.size:
            velocity = state.velocity
            velocity *= rule.momentum
            velocity += move
            flush(velocity)
            move = velocity
        w -= w.dtype.type(learning_rate) * move
    elif rule.code in (ADAM, ADAMW):
        step = int(state.step[0])
        means = state.velocity
        means *= rule.beta1
        means += w.dtype.type(1 - rule.beta1) * g
        flush(means)
        squares = average_squares(state.squares, g, rule)
        root = np.sqrt(squares) * w.dtype.type(1 / math.sqrt(1 - rule.beta2**step))
        w -= w.dtype.type(learning_rate / (1 - rule.beta1**step)) * (means / (root + w.dtype.type(rule.epsilon)))
    if state.average.size:
        left = rule.ema_decay ** int(state.step[0])
        decay = (rule.ema_decay - left) / (1 - left)  # the weights of all steps add up to 1, the start counts nothing
        average = state.average
        average *= decay
        average += w.dtype.type(1 - decay) * w


def average_squares(squares, g, rule):
    """squares = β₂ squares + (1 − β₂) g²."""
    squares *= rule.beta2
    squares += squares.dtype.type(1 - rule.beta2) * g * g
    tiny = np.finfo(g.dtype).tiny
    squares[(squares < tiny) & (np.abs(g) < SPECK * math.sqrt(tiny))] = 0
    return squares


def flush(moments):
    """What is below the smallest normal number becomes 0."""
    moments[np.abs(moments) < np.finfo(moments.dtype).tiny] = 0


def decayed_parameters(net, rule):
    """Which parameters weight decay and L1 hold for: all weights, and the biases where the rule says so."""
    decayed = np.ones(net.parameters.size, bool)
    if not rule.decay_biases:
        for layer in net.layers:
            decayed[layer[BIASES] : layer[BIASES] + layer[N_OUT]] = False
    return decayed
