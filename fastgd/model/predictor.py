"""Predictions for checked inputs, with scratch that is kept from call to call."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..kernels.codes import N_OUT
from ..kernels.records import LossRecord, Net, Reals, resting


class _Scratch(NamedTuple):
    """What a prediction needs besides the rows."""

    predict: Callable[..., bool]
    workspace: Any
    net: Net
    loss: LossRecord


class Predictor:
    """One network's predictions on one engine. Several threads may ask at once: each takes scratch of its own."""

    def __init__(self, engine: ModuleType, net: Net, objective: LossRecord) -> None:
        self.engine, self.net, self.objective = engine, resting(net), objective
        self.n_in, self.n_out = len(net.input_std), int(net.layers[-1, N_OUT])
        self.ignores = bool(np.isinf(net.input_std).any())  # whether there are inputs that never varied
        self.scratch: list[_Scratch] = []

    def outputs(self, values: Reals) -> tuple[Reals, bool]:
        """Outputs (n_rows, n_out) in the user's units, and whether these and the scaled inputs are all finite."""
        try:
            scratch = self.scratch.pop()
        except IndexError:
            (workspace,) = self.engine.new_workspaces(self.net)
            scratch = _Scratch(self.engine.predict, workspace, self.net, self.objective)
        out = np.empty((len(values), self.n_out), values.dtype)
        finite = scratch.predict(out, scratch.workspace, values, scratch.net, scratch.loss)
        self.scratch.append(scratch)
        return out, finite
