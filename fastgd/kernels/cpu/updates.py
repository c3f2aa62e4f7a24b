"""Update rules: how the gradient moves every weight. One loop over one flat vector, whatever the architecture."""

from __future__ import annotations

from ..codes import SGD
from ..compile import kernel


@kernel(noalias=True)
def update(parameters, gradient, rule, learning_rate):
    """Take one step of gradient descent: w −= learning_rate · gradient."""
    rate = parameters.dtype.type(learning_rate)
    if rule.code == SGD:
        for p in range(parameters.size):
            parameters[p] = parameters[p] - rate * gradient[p]
