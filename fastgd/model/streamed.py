"""What predicts and measures over a stream, batch by batch, and what a training over one cannot do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, Protocol

import numpy as np

from ..data.schema import Schema
from ..data.streams.ahead import ahead
from ..data.streams.checked import measured
from ..data.streams.located import located
from ..data.streams.source import Batch
from ..data.streams.stream import Stream
from ..errors import InvalidInputError, kept_warnings
from ..kernels import DEFAULT_DEVICE
from ..kernels.records import Net, Reals
from ..training.devices import AUTO
from ..training.feed import Feed, Whole
from ..training.optimizers import Optimizer
from . import unseen
from .predictor import Predictor
from .streamed_measures import StreamedMeasures

AT_A_TIME = 1 << 14  # rows


def batches_of(stream: Stream) -> Iterator[Batch]:
    """All rows as they stand, read ahead where that can be."""
    batches = stream.source.batches(None, AT_A_TIME)
    if stream.source.is_one_pass:
        yield from batches
        return
    with closing(ahead(batches)) as read:
        yield from read


def outputs_of_stream(stream: Stream, outputs_for: Callable[[Any], Reals]) -> Reals:
    """What the network puts out for all rows, (n_rows, n_out)."""
    parts = []
    for batch in batches_of(stream):
        with located(batch):
            parts.append(outputs_for(batch.X))
    return np.concatenate(parts)


class Predicting(Protocol):
    """What is asked of a model."""

    schema: Schema
    net: Net

    def predictor(self) -> Predictor:
        """Its predictions."""


def measured_over(model: Predicting, stream: Stream, refuses: bool = True) -> dict[str, float]:
    """The loss and the metrics of all rows, without rankings, which need all of them at once.

    `refuses` is whether a row without a finite prediction is an error.

    Raises:
        InvalidInputError: a batch that cannot be used, such a row, or no row that counts.
    """
    found = measures_over(model, batches_of(stream), refuses)
    if found.sums is None:
        raise InvalidInputError(f"{stream.source.name}: the weight of every row is 0, so that nothing can be measured.")
    return found.metrics()


def measures_over(model: Predicting, batches: Iterable[Batch], refuses: bool = True) -> StreamedMeasures:
    """What is measured of some rows, which may be a machine's share of them: see measured_over."""
    schema, net, predictor = model.schema, model.net, model.predictor()
    found = StreamedMeasures(schema, net)
    for batch in batches:
        rows = measured(schema, batch)
        with located(batch):
            if predictor.ignores:
                unseen.tell_of_ignored(net, rows.X, "X", schema)
            outputs, finite = predictor.outputs_as_they_are(rows.X)
            out = predictor.in_user_units(outputs)
            if refuses and not (finite and np.isfinite(out).all()):
                unseen.refuse(net, rows.X, out, schema)
        found.add(rows, outputs, out, batch.at)
    return found


def loss_and_accuracy(model: Predicting, stream: Stream) -> tuple[float, float | None]:
    """Of all rows, as they are predicted, finite or not; no accuracy where there are no classes."""
    with kept_warnings():
        found = measured_over(model, stream, refuses=False)
    return found["loss"], found.get("accuracy")


def check_stream(feed: Feed, epochs: int, optimizer: Optimizer, device: str) -> None:
    """Refuse what takes a table in memory; one that fits into a buffer is in memory."""
    if isinstance(feed, Whole):
        return
    if device not in (DEFAULT_DEVICE, AUTO, "plain"):
        raise InvalidInputError(f"A stream is learned on the host, not with device={device!r}: use device='cpu'.")
    if feed.n_rows is not None:
        return
    if epochs > 1:
        raise InvalidInputError(
            f"X is an iterator, which can be read only once, but epochs={epochs}: give a function that makes one for "
            "each epoch, or epochs=1."
        )
    if optimizer.schedule.lasts_one_fit:
        raise InvalidInputError(
            f"{optimizer.schedule} stretches over all steps, but how many rows an iterator has is known only at its "
            "end: give the schedule its steps, or a function that makes the iterator."
        )
