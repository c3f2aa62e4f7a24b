"""Several models as one: what they have in common, and the predictions and errors of their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..data.frames import frame_like
from ..data.rows import Measured, measured
from ..data.schema import Schema
from ..data.shared import SharedTable
from ..data.splits import group_numbers
from ..errors import InvalidInputError, Told, kept_warnings, warn
from ..kernels.portable import exp, log
from ..kernels.records import Net, Reals
from ..network.network import Network
from ..options import checked_names, is_number, listed, shown, yes_or_no
from ..training.cores import allowance
from . import measures
from .answers import answers, check_classes, named, named_probabilities, output_names, probabilities
from .blend import blended, blended_classes, outputs_behind
from .core import Core
from .intervals import Band, Calibration, calibrated

THREADED_ROWS = 1000  # from which on threads take less time than their start does


class Mean:
    """Models of one task, and how much each counts; fastgd.Ensemble documents it.

    Attributes:
        members: the models.
        weights: how much each counts; only ratios count.
        shares: the same, (n_models,), with a sum of 1.
    """

    def __init__(self, models: Sequence[Core], weights: Any = None) -> None:
        self.members = _checked(models)
        self.weights = _checked_weights(weights, len(self.members))
        self.calibration: Calibration | None = None
        self.shares = np.array(self.weights) / sum(self.weights)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Core]:
        return iter(self.members)

    def __getitem__(self, place: int) -> Core:
        return self.members[place]

    @property
    def network(self) -> Network:
        """The architecture of the first model: what it reads, predicts and makes small are those of all."""
        return self.members[0].network

    @property
    def schema(self) -> Schema:
        """What the first model knows of its tables."""
        return self.members[0].schema

    @property
    def net(self) -> Net:
        """Parameters and scaling of the first model."""
        return self.members[0].net

    @property
    def classes(self) -> NDArray[Any] | None:
        """The labels that the outputs stand for, in their order; None where they stand for no classes."""
        return self.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """A name for each input; None where no model knows one."""
        return next((member.feature_names for member in self.members if member.feature_names is not None), None)

    @property
    def target_names(self) -> tuple[str, ...] | None:
        """A name for each column of y; None where no model knows one."""
        return next((member.target_names for member in self.members if member.target_names is not None), None)

    @checked_names
    def predict(self, X: Any, as_frame: bool = False) -> Any:
        """The mean of the predictions, in the units of y; of classes the label with the highest mean probability.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            as_frame: whether to return a data frame of the same library, with the same index.

        Raises:
            InvalidInputError: a table that cannot be used, or a row without a finite prediction.
        """
        predictions = answers(self.schema, self.outputs_for(X))
        if not yes_or_no(as_frame, "as_frame"):
            return predictions
        return frame_like(X, named(predictions, output_names(self.network)))

    @checked_names
    def predict_proba(self, X: Any, as_frame: bool = False) -> Any:
        """The mean of the probabilities, (n_rows, n_classes) in the order of `classes`, or (n_rows, n_labels).

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            as_frame: whether to return a data frame of the same library, with a column for each class.

        Raises:
            InvalidInputError: a table that cannot be used, or models that do not predict classes.
        """
        check_classes(self.network)
        found = probabilities(self.network, self.outputs_for(X))
        return frame_like(X, named_probabilities(self.schema, found)) if yes_or_no(as_frame, "as_frame") else found

    @checked_names
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """How wrong the mean is: the same numbers as of one model, see `MLP.evaluate`.

        The "loss" is that of the first model (that did not learn logarithms, if there is one), in its scaling, if it
        predicted what the mean predicts. With calibrated models there are "inside_0.9", the share of actual values
        within the intervals of `predict_interval`, and "width_0.9", the mean width of these in the units of y.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used, or a row that has no finite prediction.
        """
        table = SharedTable(X)
        rows = [measured(member.schema, table.inputs(member.schema), y, sample_weight) for member in self.members]
        found = measures.metrics(self.loss_of(*rows), self.schema, rows[0], self.outputs_for(X))
        return found if self.calibration is None else found | self._of_intervals(X, rows[0])

    @checked_names
    def calibrate(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn from held-out rows how wide intervals must be, for `predict_interval`; returns the ensemble itself.

        The intervals hold for new rows that are like these. Distances of numbers are taken in units that grow with the
        spread of the models' predictions; of networks with quantiles the outermost two are widened.

        Args:
            X: inputs of rows that no model has learned from, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            groups: which rows belong together, (n_rows,), such as the sales of one house; no model may have learned
                from a row of these groups.

        Raises:
            InvalidInputError: a table that cannot be used, too few rows or groups, or models that predict classes.
        """
        rows, band = measured(self.schema, X, y, None), self._band(X)
        members = None if groups is None else group_numbers(groups, len(rows.X))
        self.calibration = calibrated(band, self._learned(rows), members)
        return self

    @checked_names
    def predict_interval(self, X: Any, coverage: float = 0.9, as_frame: bool = False) -> Any:
        """Intervals that hold a share of the actual values: (n_rows, 2), or (n_rows, n_targets, 2), low and high.

        By split-conformal prediction: of new rows like those of `calibrate` (of new groups, where it was given groups)
        so many are inside, whatever the models are worth; better ones have narrower intervals.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            coverage: the share, between 0 and 1.
            as_frame: whether to return a data frame of the same library, with columns "low" and "high".

        Raises:
            InvalidInputError: a table that cannot be used, no calibration yet, or one with too few rows.
        """
        if not is_number(coverage) or not 0 < coverage < 1:
            raise InvalidInputError(f"coverage must be a share between 0 and 1, such as 0.9, not {shown(coverage)}.")
        if self.calibration is None:
            raise InvalidInputError("Intervals need rows that nothing was learned from: call calibrate(X, y) first.")
        found = self.calibration.interval(self._band(X), float(coverage))
        if self._is_log:
            found = exp(found)
        if not yes_or_no(as_frame, "as_frame"):
            return found[:, 0] if found.shape[1] == 1 else found
        ends = ["low", "high"]
        numbered = [f"{end} {target}" for target in range(found.shape[1]) for end in ends]
        return frame_like(X, named(found, ends if found.shape[1] == 1 else numbered))

    def outputs_for(self, X: Any) -> Reals:
        """The mean of what the models put out for a table, (n_rows, n_out) in the user's units."""
        return self._blended(self._outputs(X))

    def _outputs(self, X: Any) -> list[Reals]:
        """What each model puts out for a table, which is read once; of many rows in threads."""
        table = SharedTable(X)
        inputs = [table.inputs(member.schema) for member in self.members]
        n_threads = min(allowance("auto").most, len(self.members)) if inputs[0].n_rows >= THREADED_ROWS else 1
        if n_threads == 1:
            found = list(map(_outputs, self.members, inputs))
        else:
            with ThreadPoolExecutor(n_threads) as threads:
                found = list(threads.map(_outputs, self.members, inputs))
        for message, category in dict.fromkeys(one for _, told in found for one in told):
            warn(message, category)
        return [out for out, _ in found]

    # What the rooms around ask for, as they ask it of one model, with checked inputs for each.

    def outputs_of(self, *values: Reals) -> tuple[Reals, bool]:
        """The mean of outputs, in the user's units, and whether all are finite."""
        found = [member.outputs_of(of_member) for member, of_member in zip(self.members, values, strict=True)]
        return self._blended([out for out, _ in found]), all(finite for _, finite in found)

    def loss_of(self, *rows: Measured) -> float:
        """The loss of rows in the user's units, as `evaluate` tells it."""
        # Of logarithms there would be none where the mean of all is not positive.
        place = next((place for place, one in enumerate(self.members) if not one.schema.target.log), 0)
        one = self.members[place]
        if self.network.loss.task in ("classes", "labels"):
            outputs = [
                member.predictor().outputs_as_they_are(of_member.X)[0]
                for member, of_member in zip(self.members, rows, strict=True)
            ]
            behind = blended_classes(self.network, outputs, self.shares)
        else:
            outs = [member.outputs_of(of.X)[0] for member, of in zip(self.members, rows, strict=True)]
            behind = outputs_behind(one.schema, one.net, blended(self.network, outs, self.shares))
        return measures.loss_of(one.schema, one.net, rows[place], behind)

    @property
    def _is_log(self) -> bool:
        """Whether all models have learned logarithms, in which distances are taken then."""
        return all(member.schema.target.log for member in self.members)

    def _learned(self, rows: Measured) -> NDArray[np.float64]:
        actual = rows.actual.astype(np.float64)
        return log(actual) if self._is_log else actual

    def _band(self, X: Any) -> Band:
        """What is predicted of rows, in the unit in which distances are taken."""
        network = self.network
        if network.loss.task in ("classes", "labels"):
            raise InvalidInputError(
                "Intervals are for numbers; of classes predict_proba tells how sure the models are."
            )
        outs = [out.astype(np.float64) for out in self._outputs(X)]
        outs = [log(out) for out in outs] if self._is_log else outs
        mean, n = blended(network, outs, self.shares), network.n_targets
        if network.loss.name == "gaussian_nll":
            return Band(mean[:, :n], mean[:, :n], mean[:, n:])
        if network.n_out > n:
            levels = np.sort(mean.reshape(len(mean), n, -1), axis=2)
            return Band(levels[:, :, 0], levels[:, :, -1], levels[:, :, -1] - levels[:, :, 0])
        return Band(mean, mean, np.sqrt(blended(network, [(out - mean) ** 2 for out in outs], self.shares)))

    def _of_intervals(self, X: Any, rows: Measured) -> dict[str, float]:
        """How many actual values of rows are inside, and how wide intervals are."""
        ends = self.predict_interval(X).reshape(len(rows.X), -1, 2)
        inside = (ends[:, :, 0] <= rows.actual) & (rows.actual <= ends[:, :, 1])
        weights = rows.weights if rows.weights.size else None
        shown = {"inside_0.9": inside, "width_0.9": ends[:, :, 1] - ends[:, :, 0]}
        return {name: float(np.average(values.mean(axis=1), weights=weights)) for name, values in shown.items()}

    def _blended(self, outs: Sequence[Reals]) -> Reals:
        dtype = np.result_type(*(member.dtype for member in self.members))
        return blended(self.network, outs, self.shares).astype(dtype)


def _outputs(member: Core, values: Any) -> tuple[Reals, list[Told]]:
    """What a model puts out, and what it warns of: others may warn of the same."""
    with kept_warnings() as told:
        return member.outputs_for(values), told


def _checked(models: Any) -> tuple[Core, ...]:
    """Models that predict the same thing from the same columns."""
    members = tuple(listed(models) or ())
    if not members:
        raise InvalidInputError(f"models must be a list of fitted fastgd.MLP, at least one, not {shown(models)}.")
    for number, member in enumerate(members):
        if not isinstance(member, Core):
            raise InvalidInputError(f"models must be a list of fastgd.MLP, but number {number} is {shown(member)}.")
        if (member.standardize or member.schema.encoding is not None) and not member.schema.scaled:
            raise InvalidInputError(f"Model {number} has never been fitted: call its fit first.")
    named = next((member for member in members if member.feature_names is not None), members[0])
    for number, member in enumerate(members):
        for other, (what, of) in ((members[0], kind) for kind in ALIKE):
            _check_alike(number, what, of(member), of(other))
        if member.feature_names is not None:
            _check_alike(number, "columns", member.feature_names, named.feature_names)
    return members


def _labels(model: Core) -> Any:
    return None if model.classes is None else model.classes.tolist()


# What must be the same for the mean to mean anything, and how it is called.
ALIKE = (
    ("number of inputs", lambda model: model.network.n_in),
    ("task", lambda model: model.network.loss.task),
    ("outputs", lambda model: ", ".join(output_names(model.network))),
    ("number of outputs", lambda model: model.network.n_out),
    ("levels of quantiles", lambda model: getattr(model.network.loss, "levels", None)),
    ("classes", _labels),
)


def _check_alike(number: int, what: str, mine: Any, others: Any) -> None:
    if mine != others:
        raise InvalidInputError(
            f"Models do not fit together: the {what} of model {number}: {shown(mine)}, of those before it: "
            f"{shown(others)}."
        )


def _checked_weights(weights: Any, n_models: int) -> tuple[float, ...]:
    """How much each model counts."""
    given = (1.0,) * n_models if weights is None else listed(weights, n_models) or ()
    if len(given) != n_models or not all(is_number(weight) and 0 < weight < np.inf for weight in given):
        raise InvalidInputError(
            f"weights must be {n_models} positive numbers, one for each model, not {shown(weights)}."
        )
    return tuple(map(float, given))
