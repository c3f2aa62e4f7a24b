"""The kernels as explicit loops, compiled by Numba."""

from __future__ import annotations

from ..compile import is_ready
from .activations import activate, activate_backward, activate_with_slopes
from .backward import backward, transpose_weights
from .forward import forward, gather
from .losses import loss_and_delta
from .products import add_column_sums, add_product, dense, transpose
from .random import drop, row_order
from .responses import respond
from .training import batch_gradient, batch_weight, mean_loss, predict, train
from .updates import clip, update

BLOCK_ROWS = 64  # a block's activations stay in the fastest cache; 32 and 128 rows were slower

__all__ = [
    "BLOCK_ROWS",
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
    "loss_and_delta",
    "mean_loss",
    "predict",
    "respond",
    "row_order",
    "train",
    "transpose",
    "transpose_weights",
    "update",
]


def is_compiled() -> bool:
    """Whether the training loop can start at once: it has run in this process, or is in the disk cache."""
    return is_ready(train)
