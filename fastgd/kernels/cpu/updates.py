"""Update rules: how the gradient moves every weight. Each is one loop over a span of the flat vector.

Definitions equal PyTorch's (torch.optim), term by term. Weight decay and L1 hold for weights, and for biases only
where the rule says so.
"""

from __future__ import annotations

import math

from ..codes import ADAGRAD, ADAM, ADAMW, BIASES, N_OUT, RMSPROP, SGD, WEIGHTS
from ..compile import kernel

# Means of gradients that stay zero shrink into denormal numbers, which processors handle a hundred times slower.
TINY = 1e-30


@kernel()
def norm(v):
    """The length of a vector, in parts of its largest entry, whose square could overflow."""
    zero = v.dtype.type(0)
    largest, total = zero, zero
    for p in range(v.size):
        largest = max(largest, abs(v[p]))
    if largest == zero:
        return 0.0
    for p in range(v.size):
        part = v[p] / largest
        total = total + part * part
    return float(largest) * math.sqrt(float(total))


@kernel(merge=True)
def clip(gradient, rule):
    """Bound every entry of the gradient to ±clip_value, then its length to clip_norm (as torch's clip_grad_norm_)."""
    if rule.clip_value < math.inf:
        limit = gradient.dtype.type(rule.clip_value)
        for p in range(gradient.size):
            g = gradient[p]
            gradient[p] = limit if g > limit else (-limit if g < -limit else g)
    if rule.clip_norm < math.inf:
        length = norm(gradient)
        if length > rule.clip_norm:
            scale = gradient.dtype.type(rule.clip_norm / (length + 1e-6))
            for p in range(gradient.size):
                gradient[p] = gradient[p] * scale


@kernel(merge=True)
def update(net, state, gradient, rule, learning_rate):
    """Take one step: clip the gradient, move every parameter, and bring the moving average along."""
    clip(gradient, rule)
    state.step[0] += 1
    if rule.weight_decay > 0 or rule.l1 > 0:
        for layer in net.layers:
            first, middle = layer[WEIGHTS], layer[BIASES]
            last = middle + layer[N_OUT]
            update_span(net.parameters, state, gradient, rule, learning_rate, first, middle, True)
            update_span(net.parameters, state, gradient, rule, learning_rate, middle, last, rule.decay_biases)
    else:  # weights and biases are treated alike
        update_span(net.parameters, state, gradient, rule, learning_rate, 0, gradient.size, False)
    if state.average.size:
        follow(state.average, net.parameters, rule.ema_decay)


@kernel(merge=True)
def update_span(parameters, state, gradient, rule, learning_rate, first, last, decayed):
    """Move the parameters from `first` up to `last`."""
    w, g = parameters[first:last], gradient[first:last]
    if decayed and rule.weight_decay > 0 and rule.code == ADAMW:
        shrink(w, 1.0 - learning_rate * rule.weight_decay)
    elif decayed and rule.weight_decay > 0:
        add_penalty(g, w, rule.weight_decay)
    if decayed and rule.l1 > 0:
        add_signs(g, w, rule.l1)
    if rule.code == SGD and rule.momentum == 0:
        descend(w, g, learning_rate)
    elif rule.code == SGD:
        descend_with_momentum(w, state.first[first:last], g, learning_rate, rule.momentum, rule.nesterov)
    elif rule.code == ADAGRAD:
        adagrad(w, state.second[first:last], g, learning_rate, rule.epsilon)
    elif rule.code == RMSPROP:
        rmsprop(w, state.first[first:last], state.second[first:last], g, learning_rate, rule)
    elif rule.code == ADAM or rule.code == ADAMW:
        adam(w, state.first[first:last], state.second[first:last], g, learning_rate, rule, state.step[0])


@kernel()
def shrink(w, factor):
    """w = w · factor: decoupled weight decay."""
    f = w.dtype.type(factor)
    for p in range(w.size):
        w[p] = w[p] * f


@kernel(noalias=True)
def add_penalty(g, w, weight_decay):
    """g += weight_decay · w: the gradient of ½ weight_decay Σ w²."""
    decay = w.dtype.type(weight_decay)
    for p in range(w.size):
        g[p] = g[p] + decay * w[p]


@kernel(noalias=True)
def add_signs(g, w, l1):
    """g += l1 · sign(w): the gradient of l1 Σ |w|."""
    zero, size = w.dtype.type(0), w.dtype.type(l1)
    for p in range(w.size):
        g[p] = g[p] + (size if w[p] > zero else (-size if w[p] < zero else zero))


@kernel(noalias=True)
def descend(w, g, learning_rate):
    """w −= learning_rate · g."""
    rate = w.dtype.type(learning_rate)
    for p in range(w.size):
        w[p] = w[p] - rate * g[p]


@kernel(noalias=True)
def descend_with_momentum(w, velocity, g, learning_rate, momentum, nesterov):
    """velocity = momentum · velocity + g; w −= learning_rate · velocity, or one look ahead of it (Nesterov).

    Source: Polyak 1964; Sutskever et al. 2013.
    """
    real = w.dtype.type
    rate, mu, tiny, zero = real(learning_rate), real(momentum), real(TINY), real(0)
    for p in range(w.size):
        v = mu * velocity[p] + g[p]
        v = zero if abs(v) < tiny else v
        velocity[p] = v
        w[p] = w[p] - rate * (g[p] + mu * v if nesterov else v)


@kernel(noalias=True)
def adagrad(w, sums, g, learning_rate, epsilon):
    """sums += g²; w −= learning_rate · g / (√sums + ε). Source: Duchi, Hazan and Singer 2011."""
    rate, eps = w.dtype.type(learning_rate), w.dtype.type(epsilon)
    for p in range(w.size):
        sums[p] = sums[p] + g[p] * g[p]
        w[p] = w[p] - rate * (g[p] / (math.sqrt(sums[p]) + eps))


@kernel(noalias=True)
def rmsprop(w, velocity, squares, g, learning_rate, rule):
    """squares = β₂ squares + (1 − β₂) g²; w −= learning_rate · g / (√squares + ε), with momentum if there is one.

    Source: Tieleman and Hinton 2012. PyTorch calls β₂ alpha.
    """
    real = w.dtype.type
    rate, beta, mu, eps = real(learning_rate), real(rule.beta2), real(rule.momentum), real(rule.epsilon)
    rest, tiny, zero = real(1.0 - rule.beta2), real(TINY), real(0)
    for p in range(w.size):
        s = beta * squares[p] + rest * g[p] * g[p]
        s = zero if s < tiny else s
        squares[p] = s
        v = g[p] / (math.sqrt(s) + eps)
        if velocity.size:
            v = mu * velocity[p] + v
            velocity[p] = zero if abs(v) < tiny else v
        w[p] = w[p] - rate * v


@kernel()
def power(base, n):
    """baseⁿ for a whole n ≥ 0, by squaring: the C library's pow differs from system to system."""
    result = 1.0
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result


@kernel(noalias=True)
def adam(w, means, squares, g, learning_rate, rule, step):
    """means = β₁ means + (1 − β₁) g; squares = β₂ squares + (1 − β₂) g²; both divided by 1 − βᵗ, then
    w −= learning_rate · means / (√squares + ε). Source: Kingma and Ba 2014, arXiv 1412.6980.
    """
    real = w.dtype.type
    beta1, rest1 = real(rule.beta1), real(1.0 - rule.beta1)
    beta2, rest2 = real(rule.beta2), real(1.0 - rule.beta2)
    rate = real(learning_rate / (1.0 - power(rule.beta1, step)))
    root, eps = real(1.0 / math.sqrt(1.0 - power(rule.beta2, step))), real(rule.epsilon)
    tiny, zero = real(TINY), real(0)
    for p in range(w.size):
        m = beta1 * means[p] + rest1 * g[p]
        s = beta2 * squares[p] + rest2 * g[p] * g[p]
        m = zero if abs(m) < tiny else m
        s = zero if s < tiny else s
        means[p] = m
        squares[p] = s
        w[p] = w[p] - rate * (m / (math.sqrt(s) * root + eps))


@kernel(noalias=True)
def follow(average, parameters, decay):
    """average = decay · average + (1 − decay) · parameters."""
    d, rest = average.dtype.type(decay), average.dtype.type(1.0 - decay)
    for p in range(average.size):
        average[p] = d * average[p] + rest * parameters[p]
