"""Update rules: how the gradient moves every weight."""

from __future__ import annotations

import math

import numpy as np

from ..codes import ADAMW, BIASES, N_OUT
from ..rules import rule_of


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
    step, w = int(state.step[0]), net.parameters
    if rule.weight_decay > 0 or rule.l1 > 0:
        decay(w, gradient, decayed_parameters(net, rule), rule, learning_rate)
    move(w, gradient, state, rule_of(rule), rule, learning_rate, step)
    if net.signs.size:
        w[w * net.signs < 0] = 0
    if state.average.size:
        follow(state.average, w, rule.ema_decay, step)


def decay(w, g, decayed, rule, learning_rate):
    """AdamW shrinks w; other rules add weight_decay · w to the gradient. All add l1 · sign(w) to it."""
    if rule.code == ADAMW:
        w[decayed] *= w.dtype.type(1 - learning_rate * rule.weight_decay)
    else:
        g[decayed] += w.dtype.type(rule.weight_decay) * w[decayed]
    g[decayed] += w.dtype.type(rule.l1) * np.sign(w[decayed])


def move(w, g, state, update_rule, rule, learning_rate, step):
    """w −= the rule's move; what the rule remembers next goes to state."""
    constants = update_rule.constants(w, learning_rate, step, rule.momentum, rule.beta1, rule.beta2, rule.epsilon)
    memory = [state.velocity] * update_rule.has_velocity + [state.squares] * update_rule.has_squares
    moved = update_rule.move(*memory, g, constants)
    if memory:
        moved, *remembered = moved
        for array, values in zip(memory, remembered, strict=True):
            array[:] = values
    w -= moved


def follow(average, w, ema_decay, step):
    """average (n_parameters,): the exponential mean of the parameters after steps 1 … `step`; the start counts 0."""
    left_of_start = ema_decay**step
    kept = (ema_decay - left_of_start) / (1 - left_of_start)
    average *= kept
    average += w.dtype.type(1 - kept) * w


def decayed_parameters(net, rule):
    """Which parameters weight decay and L1 hold for: all weights, and the biases where the rule says so."""
    decayed = np.ones(net.parameters.size, bool)
    if not rule.decay_biases:
        for layer in net.layers:
            decayed[layer[BIASES] : layer[BIASES] + layer[N_OUT]] = False
    return decayed
