"""Update rules: how the gradient moves every weight."""

from __future__ import annotations

from ..codes import SGD


def update(parameters, gradient, rule, learning_rate):
    """Take one step of gradient descent: w −= learning_rate · gradient."""
    if rule.code == SGD:
        parameters -= parameters.dtype.type(learning_rate) * gradient
