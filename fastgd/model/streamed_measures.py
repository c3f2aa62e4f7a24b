"""How good a network is on rows that come in batches: what `measures.metrics` tells of all of them at once.

Sums over the rows are kept, and no row. Rankings ("roc_auc", "average_precision") take the order of all rows, which
cannot be had so: they are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.rows import Measured, Weights
from ..data.schema import Schema
from ..data.streams.moments import Moments, Weighed, moments, weighed
from ..kernels.portable import weighted_sum
from ..kernels.records import Net, Reals
from ..network.losses import Quantile
from .answers import chosen_classes
from .class_metrics import class_counts, label_counts, metrics_of_counts, metrics_of_labels
from .measures import class_numbers, loss_of, tell_of_infinite
from .metrics import met_exactly, never_varies, over_targets, told

Numbers = NDArray[np.float64]


class Sums(NamedTuple):
    """Sums over rows of what is measured of each, by name, in units of the largest weight."""

    weighed: Weighed
    sums: dict[str, Numbers]

    def merged(self, other: Sums) -> Sums:
        """Both together."""
        whole, _ = self.weighed.merged(other.weighed)
        here, there = (part.weighed.largest / whole.largest for part in (self, other))
        return Sums(whole, {name: here * self.sums[name] + there * other.sums[name] for name in self.sums})

    def mean(self, name: str) -> Numbers:
        """The mean over the rows."""
        return self.sums[name] / self.weighed.total


class Truth(NamedTuple):
    """What is known of actual values, (n_targets,) each, beside the errors of their predictions."""

    moments: Moments
    around: Numbers  # one of the values
    met: NDArray[np.bool_]  # whether all are predicted to the precision of predictions


class StreamedMeasures:
    """Takes in batch after batch, and tells their loss and metrics in the end."""

    def __init__(self, schema: Schema, net: Net) -> None:
        self.schema, self.net = schema, net
        self.sums: Sums | None = None
        self.loss: Sums | None = None
        self.truth: Truth | None = None
        self.largest = 0.0, ""  # actual value, and where it stands

    def add(self, rows: Measured, outputs: Reals, out: Reals, at: Callable[[int], str]) -> None:
        """Measure a batch.

        Args:
            rows: of the batch; none of them need count.
            outputs: as the network puts them out, (n_rows, n_out).
            out: the same in the user's units.
            at: what messages call the place of a row.
        """
        actual = rows.actual.astype(np.float64)
        row, column = np.unravel_index(np.abs(actual).argmax(), actual.shape)
        if not self.largest[1] or abs(actual[row, column]) > abs(self.largest[0]):
            self.largest = float(actual[row, column]), at(int(row))
        in_loss = weighed(rows.in_loss, len(out))
        if in_loss.total:
            loss = np.array([loss_of(self.schema, self.net, rows, outputs)])
            self.loss = _merged(self.loss, Sums(in_loss, {"loss": loss * in_loss.total}))
        counted = weighed(rows.weights, len(out))
        if not counted.total:
            return
        shares = rows.weights / counted.largest if rows.weights.size else np.ones(len(out))
        before = self.sums
        with np.errstate(over="ignore", invalid="ignore"):
            self.sums = _merged(before, Sums(counted, self._sums(rows, out, actual, shares)))
            if self._is_of_numbers:
                self._add_truth(before, counted, actual, out[:, : actual.shape[1]], rows.weights)

    def merge(self, other: StreamedMeasures) -> None:
        """Take in what was measured of other rows."""
        if abs(other.largest[0]) > abs(self.largest[0]) or not self.largest[1]:
            self.largest = other.largest
        if other.sums and other.truth:
            self._merge_truth(self.sums, other.sums.weighed, other.truth)
        self.sums = _merged(self.sums, other.sums) if other.sums else self.sums
        self.loss = _merged(self.loss, other.loss) if other.loss else self.loss

    def metrics(self) -> dict[str, float]:
        """The loss and the metrics of all rows; some of them must count."""
        assert self.loss
        assert self.sums
        measured = {"loss": float(self.loss.mean("loss")[0])}
        with np.errstate(over="ignore", invalid="ignore"):
            measured |= self._metrics(self.sums)
        tell_of_infinite(measured, *self.largest)
        return measured

    @property
    def _is_of_numbers(self) -> bool:
        loss = self.schema.network.loss
        return loss.task not in ("classes", "labels") and not isinstance(loss, Quantile)

    def _sums(self, rows: Measured, out: Reals, actual: Numbers, shares: Weights) -> dict[str, Numbers]:
        """What is summed up of the rows of a batch."""
        schema, loss = self.schema, self.schema.network.loss
        if loss.task in ("classes", "labels"):
            chosen = chosen_classes(schema, out)
            truth = rows.Y[:, 0] if loss.task == "classes" else rows.Y >= 0.5
            hits = (chosen.reshape(truth.shape) == truth).reshape(len(out), -1)
            if schema.classes is None:
                counts = label_counts(rows.Y >= 0.5, out >= 0.5, shares)
            else:
                counts = class_counts(class_numbers(schema, rows.Y), chosen, schema.classes.size, shares)
            return {"hits": weighted_sum(shares, hits), "counts": counts}
        if isinstance(loss, Quantile):
            n = len(loss.levels)
            return {
                f"below_{level:g}": weighted_sum(shares, actual <= out[:, at::n])
                for at, level in enumerate(loss.levels)
            }
        error = out[:, : actual.shape[1]] - actual
        return {"squares": weighted_sum(shares, error * error), "distances": weighted_sum(shares, np.abs(error))}

    def _add_truth(
        self, before: Sums | None, counted: Weighed, actual: Numbers, predicted: Reals, weights: Weights
    ) -> None:
        first = actual[int(np.argmax(weights > 0)) if weights.size else 0]
        found = Truth(moments(actual, weights), first, met_exactly(predicted, actual, weights))
        self._merge_truth(before, counted, found)

    def _merge_truth(self, before: Sums | None, counted: Weighed, found: Truth) -> None:
        if self.truth is None or before is None:
            self.truth = found
            return
        _, share = before.weighed.merged(counted)
        together = self.truth.moments.merged(found.moments, share)
        self.truth = Truth(together, self.truth.around, self.truth.met & found.met)

    def _metrics(self, sums: Sums) -> dict[str, float]:
        if self.truth:
            spread = self.truth.moments.variance
            constant = never_varies(spread, self.truth.around)
            return told(sums.mean("squares"), sums.mean("distances"), spread, constant, self.truth.met)
        if "hits" not in sums.sums:
            return {name: over_targets(sums.mean(name)) for name in sums.sums}
        accuracy, counts, classes = over_targets(sums.mean("hits")), sums.sums["counts"], self.schema.classes
        named = metrics_of_labels(counts) if classes is None else metrics_of_counts(counts, list(map(str, classes)))
        return {"accuracy": accuracy} | named


def _merged(some: Sums | None, more: Sums) -> Sums:
    return some.merged(more) if some else more
