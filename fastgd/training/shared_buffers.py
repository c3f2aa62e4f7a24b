"""Buffers of a stream of which each rank reads a share: all ranks have as many, and their parts make whole batches."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise

from ..errors import InvalidInputError
from .buffers import Size


def shared_sizes(sizes: Sequence[int], mosts: Sequence[int], batch_size: int, rank: int) -> list[Size]:
    """The buffers of a rank, where the ranks have so many rows (`sizes`), and about so many in a buffer (`mosts`).

    Raises:
        InvalidInputError: a rank whose rows are too few for all buffers; the same on all ranks.
    """
    n_all = sum(sizes)
    fitting = min(most * n_all // n for n, most in zip(sizes, mosts, strict=True))
    per_buffer = n_all if fitting >= n_all else max(fitting // batch_size, 1) * batch_size
    bounds = [first_rows(place, sizes) for place in range(0, n_all, per_buffer)] + [list(sizes)]
    parts = [[end - start for start, end in zip(*pair, strict=True)] for pair in pairwise(bounds)]
    for part in parts:
        if 0 in part:
            poor = part.index(0)
            raise InvalidInputError(
                f"rank {poor} has {sizes[poor]} of {n_all:,} rows, which are too few for a part in each of the "
                f"{len(parts)} buffers: share the rows more evenly, or take a larger buffer."
            )
    return [Size(part[rank], sum(part)) for part in parts]


def first_rows(place: int, sizes: Sequence[int]) -> list[int]:
    """How many of the first `place` rows each rank has, where all walk through their rows evenly; they add up to it.

    Row j of n stands at (2 j + 1) / (2 n) of the way, and rows are taken in this order (Webster's method), so that no
    rank ever goes back when `place` grows.
    """
    n_all, size = sum(sizes), len(sizes)
    counts = [max(0, ((2 * place - size) * n + n_all) // (2 * n_all)) for n in sizes]
    waiting = [((2 * count + 1) / n, rank) for rank, (count, n) in enumerate(zip(counts, sizes, strict=True)) if n]
    heapq.heapify(waiting)
    for _ in range(place - sum(counts)):
        _, rank = waiting[0]
        counts[rank] += 1
        heapq.heapreplace(waiting, ((2 * counts[rank] + 1) / sizes[rank], rank))
    return counts
