"""As many networks as fit into some seconds: the first are measured, and what they took says how many can follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

import numpy as np

from ..errors import InvalidInputError, TrainingWarning, warn
from .records import Record
from .variety import Draw, Variant

Drawn = tuple[Draw, Variant]
Train = Callable[[Sequence[Drawn]], Sequence[Record]]

SHARE = 0.7  # of the seconds that are left, which the next round takes: it tells better how long the last ones take
LOOKED_AT = 8  # variants, of which those that still fit are taken in the end
OVERHEAD = 100  # products that a row costs besides those of its layers
FASTEST = 1e-11  # seconds that a product of a row takes at least, forward and backward: a core makes 1e11 a second


def within(
    seconds: float, variants: Iterator[Drawn], train: Train, n_threads: int, most: int, shape: tuple[int, int]
) -> list[Record]:
    """Records of networks for a table of this shape, trained in rounds until the seconds are over; at least one."""
    end = time.perf_counter() + seconds
    n_rows, n_in = shape
    records: list[Record] = []
    work = taken = 0.0
    chosen = list(islice(variants, min(n_threads, most)))
    least = FASTEST * n_rows * min(_work(variant, n_in) for _, variant in chosen)
    if seconds < least:
        raise InvalidInputError(
            f"time_budget={seconds:g} allows no network: one takes at least {least:.1g} s with {n_rows:,} rows."
        )
    while chosen:
        begun = time.perf_counter()
        done = train(chosen)
        records += done
        work += sum(_work(variant, n_in) for _, variant in chosen)
        taken += (time.perf_counter() - begun) * min(n_threads, len(chosen))
        if any(record.history is None and record.error is None for record in done):  # Ctrl-C
            break
        chosen = _next(end - time.perf_counter(), variants, taken / work, n_threads, most - len(records), n_in)
    late = time.perf_counter() - end
    if late > 0.1 * seconds:
        why = (
            "the first networks took longer than that"
            if len(records) <= n_threads
            else "later networks took longer than the first ones"
        )
        warn(f"time_budget={seconds:g} was exceeded by {late:.3g} s: {why}.", TrainingWarning)
    return records


def _next(left: float, variants: Iterator[Drawn], pace: float, n_threads: int, most: int, n_in: int) -> list[Drawn]:
    """Those of the next round: many while there is much time, and in the end those that still fit."""
    chosen: list[Drawn] = []
    load = np.zeros(n_threads)
    passed_over = 0
    while len(chosen) < most and passed_over < LOOKED_AT:
        drawn = next(variants)
        seconds, free = pace * _work(drawn[1], n_in), int(load.argmin())
        if load[free] + seconds <= (SHARE * left if load[free] else left):
            load[free] += seconds
            chosen.append(drawn)
        else:
            passed_over += 1
    return chosen


def _work(variant: Variant, n_in: int) -> float:
    """What a row costs, in products."""
    sizes = [2 * n_in, *np.ravel(variant.recipe.hidden_layer_sizes).tolist(), 1]
    return float(sum(a * b for a, b in pairwise(sizes)) + OVERHEAD) * variant.recipe.epochs
