"""The kernels as explicit loops, compiled by Numba.

Read forward.py, products.py, losses.py, backward.py, updates.py, training.py. The real stages end in `_of_team`: they
are one thread's part, and one thread is a team of one; the names without it are for callers outside. `@kernel(…)` says
how a function is compiled, not what it does. `pointer(v, i)` is v from entry i on; `load`, `load_part` and `store` move
whole vectors, see ../machinery/lanes.py. launch.py is where Python comes in.
"""

from __future__ import annotations

from .backward import backward
from .encoding import encode
from .forward import forward, gather
from .launch import (
    activate,
    activate_backward,
    activate_with_slopes,
    add_product,
    batch_gradient,
    is_compiled,
    last_outputs,
    loss_and_delta,
    new_gradients,
    new_workspaces,
    predict,
    predicting,
    update,
)
from .launch import train_in_threads as train
from .products import add_column_sums, dense, transpose
from .random import drop, row_order
from .training import batch_weight, mean_loss
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
