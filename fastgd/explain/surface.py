"""The loss around the parameters of a model, on the plane that holds as much as possible of the path of its training.

Source: Li et al. 2018, arXiv 1712.09913, which takes the plane from the principal components of the path, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InvalidInputError
from ..kernels.records import Reals, Rows, resting
from ..model.core import Core
from ..training.callbacks import Recorded

MARGIN = 0.25  # of the path's reach, shown beyond it on each side
LEAST_REACH = 0.2  # of the larger reach: a path that is straight is a plane's only one
ROWS_OF_A_SURFACE = 1024  # whose loss is measured


class Plane(NamedTuple):
    """Two directions of unit length from the model's parameters, and the path as far as it runs in them."""

    directions: Reals  # (2, n_parameters)
    path: Reals  # (n_entries, 2), the model's own parameters are at (0, 0)
    shares: Reals  # (2,) of the squared distances between the path and the model's parameters


def plane_of(model: Core, recorded: list[Recorded]) -> Plane:
    """The two main directions of a recorded path, seen from the model's parameters."""
    if len(recorded[0].parameters) != model.network.n_parameters:
        raise InvalidInputError(
            f"The recorder has seen a model of {len(recorded[0].parameters):,} parameters, but this one has "
            f"{model.network.n_parameters:,}."
        )
    here = model.parameters.astype(np.float32)
    moves = np.stack([entry.parameters - here for entry in recorded])
    _, lengths, directions = np.linalg.svd(moves, full_matrices=False)
    squares = np.square(lengths, dtype=np.float64)
    if not squares[0]:
        raise InvalidInputError("The parameters never moved in this training: there is no path to draw.")
    directions = directions[:2].astype(np.float64)
    path = moves @ directions.T
    signs = np.where(path[0] > 0, -1.0, 1.0)  # a decomposition leaves them open: let the path start at the lower left
    return Plane(directions * signs[:, None], path * signs, (squares / squares.sum())[:2])


def grid_around(path: Reals, points: int) -> tuple[Reals, Reals]:
    """Where to measure along both directions, (points,) each: around the path and the model's parameters."""
    low, high = np.minimum(path.min(axis=0), 0), np.maximum(path.max(axis=0), 0)
    reach = np.maximum(high - low, LEAST_REACH * (high - low).max()) * (0.5 + MARGIN)
    across, up = np.linspace((low + high) / 2 - reach, (low + high) / 2 + reach, points).T
    return across, up


def losses_on(plane: Plane, across: Reals, up: Reals, model: Core, rows: Rows) -> Reals:
    """The mean loss of the rows at each point of the plane, (len(up), len(across)), in the units that fit shows."""
    engine, net, loss = model.engine, resting(model.net), model.objective
    net = net._replace(parameters=net.parameters.copy())
    (workspace,) = engine.new_workspaces(net, loss)
    losses = np.empty((len(up), len(across)))
    for i, j in np.ndindex(losses.shape):
        net.parameters[:] = model.parameters + across[j] * plane.directions[0] + up[i] * plane.directions[1]
        losses[i, j] = engine.mean_loss(workspace, rows, net, loss)
    if not np.isfinite(losses).any():
        raise InvalidInputError("The loss is no finite number anywhere around this model: there is nothing to draw.")
    return losses * model.loss_unit
