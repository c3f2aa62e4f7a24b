"""A model as the user's own compiled code may hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ..kernels import net_for_compiled_code
from .model import Model

if TYPE_CHECKING:
    from ..kernels.machinery.nets import CompiledNet


def compiled(model: Model) -> CompiledNet:
    """The net of a model."""
    if model.schema.encoding is not None:
        raise InvalidInputError(
            "compiled() is for tables of numbers: a model with encoding= has columns of other kinds. "
            "Where all are numbers, fit it with encoding=None."
        )
    if model.schema.standardize and not model.schema.scaled:
        raise InvalidInputError(
            "compiled() needs the scaling of the first fit: call fit before, or say standardize=False."
        )
    network, target = model.network, model.schema.target
    bounds = model.limits() if target.clip else np.zeros((0, network.n_out), model.dtype)
    task = network.loss.task
    highest = {"classes": float(network.n_out - 1), "labels": 1.0}.get(task, np.inf)
    target_range = (-np.inf if task == "regression" else 0.0, highest)
    net: CompiledNet = net_for_compiled_code(
        model.net, model.objective, model.loss_unit, target_range, bounds, target.log, task == "classes",
        model.random_state,
    )  # fmt: skip
    return net
