"""How good predictions are on a file that is read part by part, because memory may not hold it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.files import read_chunks
from ..data.reading.source import shown
from ..data.streams.source import Batch, placed
from ..data.streams.stream import BUFFER
from ..errors import InvalidInputError
from ..mlp import MLP
from ..model.streamed import measures_over
from .footprint import footprint
from .labelled import Asked
from .terminal import remark, warn
from .unlike import Gaps, Unlike

if TYPE_CHECKING:
    from ..data.files import Format


def are_wanted(which: Asked, file: Path) -> bool:
    """Whether a file is so large, and the model is one network that knows its columns by name."""
    model = which.question.model
    return footprint(file) > BUFFER and isinstance(model, MLP) and model.feature_names is not None


def measured_in_parts(which: Asked, file: Path, fmt: Format) -> tuple[dict[str, float], int]:
    """The metrics without rankings, and of how many rows.

    Raises:
        InvalidInputError: rows that cannot be used.
    """
    model, rows = which.question.model, Rows(which, file, fmt)
    assert isinstance(model, MLP)
    if model.network.loss.task in ("classes", "labels"):
        remark(f"{shown(file)} is read part by part: roc_auc and average_precision, which take all rows, are left out.")
    return measures_over(model, rows.batches()).metrics(), rows.n_rows


class Rows:
    """The rows of the file, and what is to be said of them."""

    def __init__(self, which: Asked, file: Path, fmt: Format) -> None:
        self.which, self.file, self.fmt, self.n_rows = which, file, fmt, 0

    def batches(self) -> Iterator[Batch]:
        """All of them; what is unlike the rows of the training is told in the end."""
        question, targets, name = self.which.question, self.which.targets, shown(self.file)
        names, numbers = list(question.names), [*question.numbers, *self.which.numbers]
        text = [column for column in [*names, *targets] if column not in numbers]
        unlike, gaps = Unlike(question.model), Gaps(name)
        for places, frame in read_chunks(self.file, [*names, *targets], text, numbers, self.fmt, told=warn):
            X = frame[list(names)]
            if question.is_encoded:
                unlike.add(question.model.schema.columns(X), places)
            elif gaps.found(X, places):
                continue  # the rest is read to count them
            for column in targets:
                if frame[column].has_nulls():
                    place = places.of(int(frame[column].is_null().arg_max() or 0))
                    raise InvalidInputError(f"{name}, {place}, column {column!r} is empty: fill it, or drop the row.")
            self.n_rows += len(frame)
            yield placed(X, self.which.values(frame, places, self.file), None, name, places)
        gaps.refuse()
        for line in unlike.told(names):
            warn(f"{name}, {line}")
