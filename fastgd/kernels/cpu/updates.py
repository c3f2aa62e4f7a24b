"""How a step moves every weight: the update rules as loops over a range of the flat vector, clipping, decay, averages.

The rules are in rules.py. Their loops all take

    w, g, velocity, squares   pointers to parameters, to their gradient, and to what the rule remembers (if anything)
    rows, stride, n           how many rows of n numbers these are, and the distance from one row to the next
    learning_rate, rule, step   the rate, the record, and the number of the step, from 1 on

Weight decay and L1 hold for weights, and for biases only where the rule says so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import rules
from ..codes import ADAMW
from ..formulas import number, where
from ..machinery.calls import call_rule
from ..machinery.compile import by_dtype, compiled_functions, copy_of, kernel
from ..machinery.lanes import pointer
from ..rules import UPDATE_RULES, rule_of, square_root, tiny

TINY_32, TINY_64 = np.finfo(np.float32).tiny, float(np.finfo(np.float64).tiny)


@kernel(inline=True)
def tiny_float32(x):
    """tiny for float32."""
    return TINY_32


@kernel(inline=True)
def tiny_float64(x):
    """tiny for float64."""
    return TINY_64


@kernel(inline=True)
def root(x):
    """√x, one instruction for a whole vector."""
    return math.sqrt(x)


by_dtype(tiny, tiny_float32, tiny_float64)
by_dtype(square_root, root, root)
RULES = compiled_functions(rules, given=(number, where, tiny, square_root, rule_of))
power = RULES["power"]


@kernel(inner=True)
def norm(v):
    """√Σ v², in parts of the largest entry, so that no square overflows.

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


move: Any = None  # each copy of a loop calls the functions of one rule
constants: Any = None


def loop_without_memory(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """w −= move."""
    c = constants(w, learning_rate, step, rule.momentum, rule.beta1, rule.beta2, rule.epsilon)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            w[p] = w[p] - move(g[p], c)


def loop_with_velocity(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """w −= move, with a velocity."""
    c = constants(w, learning_rate, step, rule.momentum, rule.beta1, rule.beta2, rule.epsilon)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            moved, velocity[p] = move(velocity[p], g[p], c)
            w[p] = w[p] - moved


def loop_with_squares(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """w −= move, with squares."""
    c = constants(w, learning_rate, step, rule.momentum, rule.beta1, rule.beta2, rule.epsilon)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            moved, squares[p] = move(squares[p], g[p], c)
            w[p] = w[p] - moved


def loop_with_both(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
    """w −= move, with a velocity and squares."""
    c = constants(w, learning_rate, step, rule.momentum, rule.beta1, rule.beta2, rule.epsilon)
    for i in range(rows):
        for p in range(i * stride, i * stride + n):
            moved, velocity[p], squares[p] = move(velocity[p], squares[p], g[p], c)
            w[p] = w[p] - moved


LOOPS = {
    (False, False): loop_without_memory,
    (True, False): loop_with_velocity,
    (False, True): loop_with_squares,
    (True, True): loop_with_both,
}
KERNELS: dict[Any, Any] = {}
for _rule in {rule for variants in UPDATE_RULES.values() for rule in variants}:
    _functions = {"move": RULES[_rule.move.__name__], "constants": RULES[_rule.constants.__name__]}
    _loop = copy_of(LOOPS[_rule.has_velocity, _rule.has_squares], _rule.move.__name__, **_functions)
    KERNELS[_rule] = kernel(noalias=True, inner=True)(_loop)


def kernel_of(record):
    """The kernel of an update rule."""
    return KERNELS[rule_of(record)]


@kernel(noalias=True, inner=True)
def follow(average, parameters, n, decay):
    """average = decay · average + (1 − decay) · parameters."""
    d, one_minus_d = number(average, decay), number(average, 1.0 - decay)
    for p in range(n):
        average[p] = d * average[p] + one_minus_d * parameters[p]


@kernel(merge=True)
def kept_of_average(ema_decay, step):
    """The part of the moving average that is kept at step t, counted from 1: (d − dᵗ) / (1 − dᵗ), d = ema_decay.

    The parameters after step i then count (1 − d) dᵗ⁻ⁱ / (1 − dᵗ), which add up to 1, and the start counts 0.
    """
    left_of_start = power(ema_decay, step)
    return (ema_decay - left_of_start) / (1.0 - left_of_start)


@kernel(noalias=True, inner=True)
def accumulate(total, part, n):
    """total += part."""
    for p in range(n):
        total[p] = total[p] + part[p]


@kernel(noalias=True, inner=True)
def keep_signs(w, signs, n):
    """w = 0 where its sign is the wrong one."""
    zero = number(w, 0)
    for p in range(n):
        w[p] = zero if w[p] * signs[p] < zero else w[p]


@kernel(merge=True)
def update_block(net, state, gradient, rule, learning_rate, step, begin, rows, stride, n, decayed, address):
    """Move the parameters from entry `begin` on: `rows` rows of n, `stride` entries from one to the next.

    `decayed`: weight decay and L1 hold for them; `address`: where the rule's kernel lies.
    """
    w, g = pointer(net.parameters, begin), pointer(gradient, begin)
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
    if net.signs.size:
        for i in range(rows):
            keep_signs(pointer(w, i * stride), pointer(net.signs, begin + i * stride), n)
    if state.average.size:
        for i in range(rows):
            wi, decay = pointer(w, i * stride), kept_of_average(rule.ema_decay, step)
            follow(pointer(state.average, begin + i * stride), wi, n, decay)
