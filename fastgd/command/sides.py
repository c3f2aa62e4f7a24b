"""The rows of files as a stream, and on which side each is: to learn from, kept to stop with, or held out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..data.files import is_parquet
from ..data.streams.held_out import Split
from ..data.streams.made import paths_of
from ..data.streams.stream import Stream
from ..model.streamed import batches_of
from .look import Look
from .networks import TO_STOP

if TYPE_CHECKING:
    from .request import Request

LEARNED, HELD, KEPT = range(3)


class Sides(NamedTuple):
    """A process's share of the rows."""

    name: str
    whole: Stream
    parts: list[Stream]  # LEARNED, HELD, and KEPT where a training is to be stopped

    def looked_at(self, request: Request, check: Callable[[], None]) -> Look:
        """What all of them tell; `check` may end it.

        Raises:
            InvalidInputError: a file that cannot be read, or lacks a column.
        """
        columns = request.columns
        look, before = Look(columns.target, [*columns.without, *columns.text], len(self.parts)), 0
        splits = [part.source for part in self.parts]
        for batch in batches_of(self.whole):
            check()
            n = len(batch.X)
            sides = np.full(n, LEARNED)
            for side in range(len(splits) - 1, LEARNED, -1):  # what is held out is kept for nothing else
                split = splits[side]
                assert isinstance(split, Split)
                sides[split.held(batch, n, before)] = side
            look.add(batch, sides)
            before += n
        return look


def sides_of(request: Request, rank: int, size: int) -> Sides:
    """The share of the process `rank` of `size`.

    Raises:
        InvalidInputError: files that cannot be read.
    """
    columns, fmt, plan = request.columns, request.fmt, request.plan
    paths = paths_of([str(file) for file in request.files])
    is_text = not is_parquet(paths[0])
    as_text = [columns.target] if is_text and request.as_classes else []
    stream = Stream(
        [str(path) for path in paths],
        columns=None if columns.features is None else [*columns.features, columns.target],
        text=[*columns.text, *as_text],
        numbers=[columns.target] if request.as_classes is False else [],
        separator=fmt.separator, decimal=fmt.decimal, encoding=fmt.encoding,
        missing=None if fmt.missing is None else list(fmt.missing),
        buffer_rows=request.buffer_rows,
    )  # fmt: skip
    name = Path(stream.source.name).name if len(paths) == 1 else stream.source.name
    stream = stream.share(rank, size) if size > 1 else stream
    learned, held = stream.split(request.validation, plan.seed)
    parts = [learned, held]
    if plan.stops_early:
        learned, kept = learned.split(TO_STOP, plan.seed + 1)
        parts = [learned, held, kept]
    return Sides(name, stream, parts)
