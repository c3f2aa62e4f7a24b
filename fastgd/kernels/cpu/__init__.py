"""The kernels as explicit loops, compiled by Numba."""

from __future__ import annotations

from .backward import backward
from .forward import forward, gather
from .launch import (
    activate,
    activate_backward,
    activate_with_slopes,
    batch_gradient,
    is_compiled,
    last_outputs,
    loss_and_delta,
    new_gradients,
    new_workspaces,
    update,
)
from .launch import train_in_threads as train
from .products import add_column_sums, add_product, dense, transpose
from .random import drop, row_order
from .training import batch_weight, mean_loss, predict
from .updates import clip
from .user_units import to_user_units

__all__ = [
    "activate",
    "activate_backward",
    "activate_with_slopes",
    "add_column_sums",
    "add_product",
    "backward",
    "batch_gradient",
    "batch_weight",
    "clip",
    "dense",
    "drop",
    "forward",
    "gather",
    "is_compiled",
    "last_outputs",
    "loss_and_delta",
    "mean_loss",
    "new_gradients",
    "new_workspaces",
    "predict",
    "row_order",
    "to_user_units",
    "train",
    "transpose",
    "update",
]
