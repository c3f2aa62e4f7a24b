"""The kernels in plain NumPy: the engine to read, and the oracle of tests and benchmarks.

Read forward.py, losses.py, backward.py, updates.py, training.py; the formulas are in ../formulas.py and ../rules.py.
"""

from __future__ import annotations

from .activations import activate, activate_backward, activate_with_slopes
from .backward import backward
from .encoding import encode
from .forward import forward, gather, last_outputs
from .losses import loss_and_delta
from .products import add_column_sums, add_product, dense, transpose
from .random import drop, row_order
from .training import batch_gradient, batch_weight, mean_loss, new_gradients, new_workspaces, predict, predicting, train
from .updates import clip, update
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
    "encode",
    "forward",
    "gather",
    "is_compiled",
    "last_outputs",
    "loss_and_delta",
    "mean_loss",
    "new_gradients",
    "new_workspaces",
    "predict",
    "predicting",
    "row_order",
    "to_user_units",
    "train",
    "transpose",
    "update",
]


def is_compiled() -> bool:
    """Whether the training loop can start at once: NumPy always can."""
    return True
