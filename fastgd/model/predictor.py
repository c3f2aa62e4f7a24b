"""Predictions for checked inputs, with scratch that is kept from call to call."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from ..data.target import Target
from ..kernels.codes import N_OUT
from ..kernels.records import LossRecord, Net, Reals, resting
from ..network.losses import MeanSquaredError

Predict = Callable[[Reals, Reals], bool]  # predict(out, X), with scratch of its own


class Predictor:
    """One network's predictions on one engine. Several threads may ask at once: each has scratch of its own."""

    def __init__(self, engine: ModuleType, net: Net, objective: LossRecord, target: Target) -> None:
        self.target, self.is_as_learned = target, not (target.log or target.clip)
        self.engine, self.net, self.objective = engine, resting(net), objective
        self.n_in, self.n_out = len(net.input_std), int(net.layers[-1, N_OUT])
        self.ignores = bool(np.isinf(net.input_std).any())  # whether there are inputs that never varied
        self.ready: list[Predict] = []
        self.ready_as_they_are: list[Predict] = []
        # With this loss, and without a scaling of targets, predictions are the outputs as they are.
        zeros = np.zeros(self.n_out, net.parameters.dtype)
        self.as_it_is = self.net._replace(target_mean=zeros, target_std=zeros + 1)
        self.as_they_are = MeanSquaredError().record(self.as_it_is.target_std)

    def outputs(self, values: Reals) -> tuple[Reals, bool]:
        """Outputs (n_rows, n_out) in the user's units, and whether these and the scaled inputs are all finite."""
        out, finite = self._predicted(values, self.ready, self.net, self.objective)
        if self.is_as_learned:
            return out, finite
        out = self.target.predictions(out)
        return out, finite and bool(np.isfinite(out).all())

    def outputs_as_they_are(self, values: Reals) -> tuple[Reals, bool]:
        """The last layer's outputs (n_rows, n_out), as the loss takes them, and whether all are finite."""
        return self._predicted(values, self.ready_as_they_are, self.as_it_is, self.as_they_are)

    def in_user_units(self, outputs: Reals) -> Reals:
        """What `outputs` returns, from outputs as they are."""
        out = np.empty_like(outputs)
        self.engine.to_user_units(out, outputs, self.net, self.objective)
        return self.target.predictions(out)

    def _predicted(self, values: Reals, ready: list[Predict], net: Net, loss: LossRecord) -> tuple[Reals, bool]:
        try:
            predict = ready.pop()
        except IndexError:
            (workspace,) = self.engine.new_workspaces(net)
            predict = self.engine.predicting(workspace, net, loss)
        out = np.empty((len(values), self.n_out), values.dtype)
        finite = predict(out, values)
        ready.append(predict)
        return out, finite
