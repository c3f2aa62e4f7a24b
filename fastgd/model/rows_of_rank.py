"""The rows that a rank was given: a table of its own, or a stream, of which it is to read no more than its share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from ..data.schema import Schema
from ..data.streams.ahead import ahead
from ..data.streams.source import Batch
from ..data.streams.stream import as_stream
from ..data.streams.taught import Taught
from ..errors import InputWarning, InvalidInputError, warn
from ..kernels.records import Rows, read_only
from ..training.buffers import Buffers, rows_at_a_time
from ..training.feed import Feed
from ..training.ranks import Ranks
from ..training.shared_buffers import shared_sizes
from ..training.shared_steps import OwnRows, seed_of_rank
from .lessons import buffer_rows_of, check_there_is


class RowsOfRank:
    """What `fit` was given as X, y and sample_weight on this rank."""

    def __init__(self, ranks: Ranks, X: Any, y: Any, sample_weight: Any, buffer_rows: Any) -> None:
        self.ranks = ranks
        self.stream = as_stream(X, y, sample_weight, buffer_rows)
        self.is_weighted = self.stream is None and sample_weight is not None
        self.table = Batch(X, y, sample_weight, f"rank {ranks.rank}", 0)
        if self.stream is None:
            check_there_is(y)
        elif self.stream.source.is_one_pass:
            raise InvalidInputError(
                "X is an iterator, which can be read only once, but with comm rows are read twice or more: give a "
                "function that makes one."
            )

    def check_is_a_share(self) -> None:
        """Warn if every rank is about to read the whole of one stream."""
        if self.stream is None:
            return
        name, size = self.stream.source.name, self.ranks.size
        told = self.ranks.meet((name, self.stream.source.n_rows, self.stream.is_share))
        if size > 1 and self.ranks.is_first and not self.stream.is_share and len(set(told)) == 1:
            warn(
                f"Each of the {size} ranks reads the whole of {name}: give each its part, "
                "stream.share(comm.rank, comm.size).",
                InputWarning,
            )

    def most(self, schema: Schema, batch_size: int) -> int | None:
        """How many rows a buffer has; None: all lie in memory."""
        if self.stream is None:
            return None
        return buffer_rows_of(schema, self.stream, -(-batch_size // self.ranks.size))

    def batches(self, schema: Schema, most: int | None) -> Generator[Batch, None, None]:
        """All rows, for a first look."""
        if self.stream is None or most is None:
            yield self.table
            return
        at_a_time = rows_at_a_time(schema.network.n_in + schema.network.n_targets, most)
        with closing(ahead(self.stream.source.batches(None, at_a_time))) as found:
            yield from found

    def feed(self, taught: Taught, sizes: list[int], mosts: list[int | None], batch_size: int, shuffle: bool) -> Feed:
        """These rows as a training takes them, in an order of their own; sizes and mosts are those of all ranks."""
        seed = seed_of_rank(int(taught.probe.seed), self.ranks.rank)
        at_hand = taught.probe._replace(seed=seed, shuffle=shuffle)
        known = [n if most is None else most for n, most in zip(sizes, mosts, strict=True)]
        buffers = shared_sizes(sizes, known, batch_size, self.ranks.rank)
        most = mosts[self.ranks.rank]
        if self.stream is not None and most is not None and not (len(buffers) == 1 and self.stream.source.is_fixed):
            return Buffers(self.stream.source, taught.rows_of, buffers, at_hand, most)
        parts = [taught.rows_of(batch) for batch in self.batches(taught.schema, most)]
        X, Y, weights = (_joined(list(arrays)) for arrays in zip(*parts, strict=True))
        return OwnRows(at_hand, Rows(X, Y, weights, seed, 0, shuffle), sum(sizes))


def _joined(arrays: list[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else read_only(np.concatenate(arrays))
