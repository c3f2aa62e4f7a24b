"""Update rules: how the gradient moves every weight. Each is one loop over a block of the flat vector.

All take (w, g, velocity, squares, rows, stride, n, learning_rate, rule, step): pointers to a block of parameters, to
their gradient and to what the rule remembers (nothing where it needs none); how many rows of n numbers the block has,
`stride` numbers from one to the next; and the number of this step, counted from 1.

Definitions equal PyTorch's (torch.optim), term by term. Weight decay and L1 hold for weights, and for biases only
where the rule says so.
"""

from __future__ import annotations

import math

import numpy as np

from ..codes import ADAGRAD, ADAM, ADAMW, RMSPROP, SGD
from ..formulas import number
from ..machinery.calls import call_rule
from ..machinery.compile import by_dtype, kernel
from ..machinery.lanes import pointer

# Moments of gradients that stay zero shrink into denormal numbers, which processors handle a hundred times slower:
# what is below the smallest normal number becomes zero, squares only where the gradient has next to none itself.
SPECK = 1e-3  # times the root of that number: the square of such a gradient is 0
TINY_32, TINY_64 = np.finfo(np.float32).tiny, float(np.finfo(np.float64).tiny)


@kernel(inline=True)
def tiny_float32(x):
    """For float32."""
    return TINY_32


@kernel(inline=True)
def tiny_float64(x):
    """For float64."""
    return TINY_64


def tiny_of(x):
    """The smallest normal number of the type of x."""
    return tiny_float32(x) if isinstance(x, np.float32) else tiny_float64(x)


by_dtype(tiny_of, tiny_float32, tiny_float64)


@kernel(inner=True)
def norm(v):
    """The length of a vector, in parts of its largest entry, whose square could overflow.

    The sum is float64 in either dtype: in float32, 40 million equal entries would stop it half way.
    """
    largest, total = 0.0, 0.0
    for p in range(v.size):
        largest = max(largest, abs(float(v[p])))
    if largest == 0.0:
        return 0.0
    for p in range(v.size):
        part = float(v[p]) / largest
        total += part * part
    return largest * math.sqrt(total)


@kernel()
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


@kernel(inner=True)
def shrink(w, n, factor):
    """w = w · factor: decoupled weight decay."""
    f = number(w, factor)
    for p in range(n):
        w[p] = w[p] * f


@kernel(noalias=True, inner=True)
def add_penalty(g, w, n, weight_decay):
    """g += weight_decay · w: the gradient of ½ weight_decay Σ w²."""
    decay = number(w, weight_decay)
    for p in range(n):
        g[p] = g[p] + decay * w[p]


@kernel(noalias=True, inner=True)
def add_signs(g, w, n, l1):
    """g += l1 · sign(w): the gradient of l1 Σ |w|."""
    zero, size = number(w, 0), number(w, l1)
    for p in range(n):
        g[p] = g[p] + (size if w[p] > zero else (-size if w[p] < zero else zero))


@kernel(noalias=True, inner=True)
def descend(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """w −= learning_rate · g."""
    rate = number(w, learning_rate)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            w[p] = w[p] - rate * g[p]


@kernel(noalias=True, inner=True)
def descend_with_momentum(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """velocity = momentum · velocity + g; w −= learning_rate · velocity, or one look ahead of it (Nesterov).

    Source: Polyak 1964; Sutskever et al. 2013.
    """
    rate, mu, zero = number(w, learning_rate), number(w, rule.momentum), number(w, 0)
    tiny = tiny_of(zero)
    nesterov = rule.nesterov
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            v = mu * velocity[p] + g[p]
            v = zero if abs(v) < tiny else v
            velocity[p] = v
            w[p] = w[p] - rate * (g[p] + mu * v if nesterov else v)


@kernel(noalias=True, inner=True)
def adagrad(w, g, velocity, sums, rows, stride, n, learning_rate, rule, step):
    """sums += g²; w −= learning_rate · g / (√sums + ε). Source: Duchi, Hazan and Singer 2011."""
    rate, eps = number(w, learning_rate), number(w, rule.epsilon)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            sums[p] = sums[p] + g[p] * g[p]
            w[p] = w[p] - rate * (g[p] / (math.sqrt(sums[p]) + eps))


@kernel(noalias=True, inner=True)
def rmsprop(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """squares = β₂ squares + (1 − β₂) g²; w −= learning_rate · g / (√squares + ε), with momentum if there is one.

    Source: Tieleman and Hinton 2012. PyTorch calls β₂ alpha.
    """
    rate, beta, mu, eps = (
        number(w, learning_rate),
        number(w, rule.beta2),
        number(w, rule.momentum),
        number(w, rule.epsilon),
    )
    one_minus_beta, zero = number(w, 1.0 - rule.beta2), number(w, 0)
    tiny = tiny_of(zero)
    speck = number(w, SPECK) * math.sqrt(tiny)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            s = beta * squares[p] + one_minus_beta * g[p] * g[p]
            s = zero if (s < tiny) & (abs(g[p]) < speck) else s
            squares[p] = s
            v = g[p] / (math.sqrt(s) + eps)
            if rule.momentum > 0:
                v = mu * velocity[p] + v
                velocity[p] = zero if abs(v) < tiny else v
            w[p] = w[p] - rate * v


@kernel(inner=True)
def power(base, n):
    """baseⁿ for a whole n ≥ 0, by squaring: the C library's pow differs from system to system."""
    result = 1.0
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result


@kernel(noalias=True, inner=True)
def adam(w, g, means, squares, rows, stride, n, learning_rate, rule, step):
    """means = β₁ means + (1 − β₁) g; squares = β₂ squares + (1 − β₂) g²; both divided by 1 − βᵗ, then
    w −= learning_rate · means / (√squares + ε). Source: Kingma and Ba 2014, arXiv 1412.6980.
    """
    beta1, one_minus_beta1 = number(w, rule.beta1), number(w, 1.0 - rule.beta1)
    beta2, one_minus_beta2 = number(w, rule.beta2), number(w, 1.0 - rule.beta2)
    rate = number(w, learning_rate / (1.0 - power(rule.beta1, step)))
    root, eps = number(w, 1.0 / math.sqrt(1.0 - power(rule.beta2, step))), number(w, rule.epsilon)
    zero = number(w, 0)
    tiny = tiny_of(zero)
    speck = number(w, SPECK) * math.sqrt(tiny)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            m = beta1 * means[p] + one_minus_beta1 * g[p]
            s = beta2 * squares[p] + one_minus_beta2 * g[p] * g[p]
            m = zero if abs(m) < tiny else m
            s = zero if (s < tiny) & (abs(g[p]) < speck) else s
            means[p] = m
            squares[p] = s
            w[p] = w[p] - rate * (m / (math.sqrt(s) * root + eps))


@kernel(noalias=True, inner=True)
def follow(average, parameters, n, decay):
    """average = decay · average + (1 − decay) · parameters."""
    d, one_minus_d = number(average, decay), number(average, 1.0 - decay)
    for p in range(n):
        average[p] = d * average[p] + one_minus_d * parameters[p]


@kernel(merge=True)
def decay_at(decay, step):
    """What the average keeps of itself at a step, counted from 1, so that it is the weighted mean of the steps alone.

    The weights (1 − d) dᵗ⁻ⁱ of steps 1 … t add up to 1 − dᵗ, and the start counts nothing: as Adam's correction.
    """
    left_of_start = power(decay, step)
    return (decay - left_of_start) / (1.0 - left_of_start)


@kernel(noalias=True, inner=True)
def accumulate(total, part, n):
    """total += part."""
    for p in range(n):
        total[p] = total[p] + part[p]


@kernel(merge=True)
def update_block(parameters, state, gradient, rule, learning_rate, step, begin, rows, stride, n, decayed, address):
    """Move a block of the parameters from entry `begin` on: `rows` rows of n, `stride` entries from one to the next.

    `decayed`: weight decay and L1 hold for them; `address`: where the rule's kernel lies.
    """
    w, g = pointer(parameters, begin), pointer(gradient, begin)
    for i in range(rows):
        wi, gi = pointer(w, i * stride), pointer(g, i * stride)
        if decayed and rule.weight_decay > 0 and rule.code == ADAMW:
            shrink(wi, n, 1.0 - learning_rate * rule.weight_decay)
        elif decayed and rule.weight_decay > 0:
            add_penalty(gi, wi, n, rule.weight_decay)
        if decayed and rule.l1 > 0:
            add_signs(gi, wi, n, rule.l1)
    velocity = pointer(state.velocity, min(begin, state.velocity.size))
    squares = pointer(state.squares, min(begin, state.squares.size))
    call_rule(address, w, g, velocity, squares, rows, stride, n, learning_rate, rule, step)
    if state.average.size:
        for i in range(rows):
            wi, decay = pointer(w, i * stride), decay_at(rule.ema_decay, step)
            follow(pointer(state.average, begin + i * stride), wi, n, decay)


KERNELS = {ADAGRAD: adagrad, RMSPROP: rmsprop, ADAM: adam, ADAMW: adam}


def kernel_of(rule):
    """The kernel of a rule: that of plain descent is one of its own."""
    if rule.code == SGD:
        return descend_with_momentum if rule.momentum else descend
    return KERNELS[rule.code]
