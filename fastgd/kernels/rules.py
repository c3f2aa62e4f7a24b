"""Update rules: how the gradient moves a weight. Each is written once, and every engine that loops compiles it.

w −= move is the step. g is the gradient of a weight w. A rule returns the move, and what it remembers of this
weight from step to step: a velocity (or mean of gradients), a mean (or sum) of squares, both or nothing. Its constants
c are computed once for many weights, from μ, β₁, β₂ and ε, which are momentum, beta1, beta2 and epsilon of a record. As
in formulas.py, a rule is written for one number and holds for arrays as well. What is remembered comes before g in the
arguments, because the compiler rounds a sum of two products by which of them is loaded first.

Definitions equal PyTorch's (torch.optim), term by term. The code of a rule is its place in the table at the end: append
only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .formulas import number, where

# Velocities and means of gradients that stay zero shrink into denormal numbers, which processors handle a hundred times
# slower. So they become 0 below `tiny`, the smallest normal number; squares do so where g² is negligible, too.
SPECK = 1e-3  # times √tiny: a smaller gradient has a square below 1e-6 · tiny


def tiny(x):
    """The smallest normal number of the precision of x."""
    return np.finfo(x.dtype).tiny


def square_root(x):
    """√x."""
    return np.sqrt(x)


def power(base, n):
    """baseⁿ for a whole n ≥ 0, by squaring: the C library's pow differs from system to system."""
    result = 1.0
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result


def flushed(v):
    """A velocity or a mean of gradients, 0 where it is below tiny."""
    return where(abs(v) < tiny(v), number(v, 0), v)


def flushed_square(square, g):
    """A mean of squares, 0 where it is below tiny and g² is below 1e-6 · tiny."""
    smallest = tiny(square)
    speck = number(square, SPECK) * square_root(smallest)
    return where((square < smallest) & (abs(g) < speck), number(square, 0), square)


def mean_of_squares(squares, g, beta, one_minus_beta):
    """β squares + (1 − β) g²."""
    return flushed_square(beta * squares + one_minus_beta * g * g, g)


def descent_constants(like, learning_rate, step, momentum, beta1, beta2, epsilon):
    """The learning rate and μ."""
    return number(like, learning_rate), number(like, momentum)


def descend(g, c):
    """The move is learning_rate · g."""
    return c[0] * g


def descend_with_momentum(velocity, g, c):
    """velocity = μ · velocity + g; the move is learning_rate · velocity. Source: Polyak 1964."""
    rate, mu = c
    v = flushed(mu * velocity + g)
    return rate * v, v


def descend_looking_ahead(velocity, g, c):
    """velocity = μ · velocity + g; the move is learning_rate · (g + μ · velocity). Source: Sutskever et al. 2013."""
    rate, mu = c
    v = flushed(mu * velocity + g)
    return rate * (g + mu * v), v


def adagrad_constants(like, learning_rate, step, momentum, beta1, beta2, epsilon):
    """The learning rate and ε."""
    return number(like, learning_rate), number(like, epsilon)


def adagrad(sums, g, c):
    """sums += g²; the move is learning_rate · g / (√sums + ε). Source: Duchi, Hazan and Singer 2011."""
    rate, eps = c
    s = sums + g * g
    return rate * (g / (square_root(s) + eps)), s


def rmsprop_constants(like, learning_rate, step, momentum, beta1, beta2, epsilon):
    """The learning rate, β₂, 1 − β₂, μ and ε."""
    return (
        number(like, learning_rate), number(like, beta2), number(like, 1.0 - beta2), number(like, momentum),
        number(like, epsilon),
    )  # fmt: skip


def rmsprop(squares, g, c):
    """squares = β₂ squares + (1 − β₂) g²; the move is learning_rate · g / (√squares + ε).

    Source: Tieleman and Hinton 2012. PyTorch calls β₂ alpha.
    """
    rate, beta, one_minus_beta, _, eps = c
    s = mean_of_squares(squares, g, beta, one_minus_beta)
    return rate * (g / (square_root(s) + eps)), s


def rmsprop_with_momentum(velocity, squares, g, c):
    """RMSprop with velocity = μ · velocity + g / (√squares + ε); the move is learning_rate · velocity."""
    rate, beta, one_minus_beta, mu, eps = c
    s = mean_of_squares(squares, g, beta, one_minus_beta)
    v = mu * velocity + g / (square_root(s) + eps)
    return rate * v, flushed(v), s


def adam_constants(like, learning_rate, step, momentum, beta1, beta2, epsilon):
    """learning_rate / (1 − β₁ᵗ), β₁, 1 − β₁, β₂, 1 − β₂, 1 / √(1 − β₂ᵗ) and ε, at step t, counted from 1."""
    return (
        number(like, learning_rate / (1.0 - power(beta1, step))), number(like, beta1), number(like, 1.0 - beta1),
        number(like, beta2), number(like, 1.0 - beta2), number(like, 1.0 / square_root(1.0 - power(beta2, step))),
        number(like, epsilon),
    )  # fmt: skip


def adam(means, squares, g, c):
    """means = β₁ means + (1 − β₁) g; squares = β₂ squares + (1 − β₂) g²; the move is learning_rate · m̂ / (√ŝ + ε).

    m̂ = means / (1 − β₁ᵗ) and ŝ = squares / (1 − β₂ᵗ) at step t, because both start at 0; they are not kept.
    Source: Kingma and Ba 2014, arXiv 1412.6980.
    """
    rate, beta1, one_minus_beta1, beta2, one_minus_beta2, root, eps = c
    m = flushed(beta1 * means + one_minus_beta1 * g)
    s = mean_of_squares(squares, g, beta2, one_minus_beta2)
    return rate * (m / (square_root(s) * root + eps)), m, s


class UpdateRule(NamedTuple):
    """A move, its constants, and what it remembers."""

    move: Callable[..., Any]
    constants: Callable[..., Any]
    has_velocity: bool = False
    has_squares: bool = False


DESCENT = UpdateRule(descend, descent_constants)
MOMENTUM = UpdateRule(descend_with_momentum, descent_constants, has_velocity=True)
LOOKING_AHEAD = UpdateRule(descend_looking_ahead, descent_constants, has_velocity=True)
ADAGRAD = UpdateRule(adagrad, adagrad_constants, has_squares=True)
RMSPROP = UpdateRule(rmsprop, rmsprop_constants, has_squares=True)
RMSPROP_MOMENTUM = UpdateRule(rmsprop_with_momentum, rmsprop_constants, has_velocity=True, has_squares=True)
ADAM = UpdateRule(adam, adam_constants, has_velocity=True, has_squares=True)

# Name → the rule without momentum, with it, and with Nesterov's look ahead. AdamW is Adam with a decay of its own.
UPDATE_RULES = {
    "SGD": (DESCENT, MOMENTUM, LOOKING_AHEAD),
    "Adagrad": (ADAGRAD,),
    "RMSprop": (RMSPROP, RMSPROP_MOMENTUM),
    "Adam": (ADAM,),
    "AdamW": (ADAM,),
}
UPDATE_CODES = {name: code for code, name in enumerate(UPDATE_RULES)}


def rule_of(record: Any) -> UpdateRule:
    """The rule that a record means: its variant with momentum, or with a look ahead, where it has one."""
    variants = list(UPDATE_RULES.values())[record.code]
    wanted = 2 if record.nesterov else 1 if record.momentum else 0
    chosen: UpdateRule = variants[min(wanted, len(variants) - 1)]
    return chosen
