"""As many networks as fit into some seconds: one epoch tells how fast it goes, and each round tells it better."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInputError, kept_warnings, warn
from .records import Record, was_stopped
from .variety import Variant, shortened

Train = Callable[[Sequence[Variant]], Sequence[Record]]

SHARE = 0.7  # of the seconds that are left, which the next round takes: it tells better how long the last ones take
MARGIN = 0.85  # of the seconds, for networks that one epoch has told of: threads beside each other are slower
MANY = 1_000_000  # networks: as many as fit
LOOKED_AT = 8  # variants, of which those that still fit are taken in the end
SHORTEST = 0.5  # of its epochs, with which a network that fills the last seconds is still worth its place
OVERHEAD = 100  # products that a row costs besides those of its layers
MOST_BEFORE = 5  # epochs that a network may take to begin; more than that is loops that are compiled
LATE = 0.1  # of a budget, from which on it is told
FASTEST = 1e-11  # seconds that a product of a row takes at least, forward and backward: a core makes 1e11 a second


class Tempo(NamedTuple):
    """How fast networks are trained here."""

    pace: float  # seconds of a thread for each product that a row costs
    n_threads: int
    n_in: int
    before: float = 0.0  # seconds until a network begins to learn

    def seconds(self, variant: Variant) -> float:
        """How long a network takes."""
        return self.before + self.pace * work(variant, self.n_in)

    def share(self, variant: Variant, seconds: float) -> float:
        """How much of its training fits into so many seconds."""
        return max(seconds - self.before, 0) / (self.pace * work(variant, self.n_in))


def tempo_of(record: Record, once: Variant, n_in: int, n_threads: int) -> Tempo:
    """How fast it goes, from the record of a network that was trained alone, be it one that has failed.

    Raises:
        KeyboardInterrupt: a person ended its training.
    """
    if was_stopped(record):
        raise KeyboardInterrupt
    seconds = max(record.history.seconds if record.history else record.seconds, 1e-6)
    before = min(record.seconds - seconds, MOST_BEFORE * seconds)
    return Tempo(seconds / work(once, n_in), n_threads, n_in, before)


def overrun(budget: float, seconds: float) -> float:
    """By how many seconds a budget was exceeded; 0 where that is little."""
    return seconds - budget if seconds > (1 + LATE) * budget else 0.0


def work(variant: Variant, n_in: int) -> float:
    """What a row costs in all epochs, in products."""
    sizes = [2 * n_in, *np.ravel(variant.recipe.hidden_layer_sizes).tolist(), 1]
    return float(sum(a * b for a, b in pairwise(sizes)) + OVERHEAD) * variant.recipe.epochs


def check(seconds: float, one: Variant, n_rows: int, n_in: int) -> None:
    """Refuse a budget in which no core could train this network.

    Raises:
        InvalidInputError: it allows nothing.
    """
    least = FASTEST * n_rows * work(one, n_in)
    if seconds < least:
        raise InvalidInputError(
            f"time_budget={seconds:g} allows no network: one epoch takes at least {least:.1g} s with {n_rows:,} rows."
        )


def within(seconds: float, variants: Iterator[Variant], train: Train, n_networks: int, tempo: Tempo) -> list[Record]:
    """Records of networks, trained in rounds until the seconds are over; at least one, with fewer epochs if it must.

    There are at most n_networks of them, or any number where that is 1. What several rounds warn of is told once.
    """
    with kept_warnings() as told:
        records = _in_rounds(seconds, variants, train, n_networks, tempo)
    for message, category in dict.fromkeys(told):
        warn(message, category)
    return records


def _in_rounds(
    seconds: float, variants: Iterator[Variant], train: Train, n_networks: int, tempo: Tempo
) -> list[Record]:
    most = n_networks if n_networks > 1 else MANY
    end = time.perf_counter() + seconds
    records: list[Record] = []
    done = taken = 0.0
    n_threads = tempo.n_threads
    chosen = _next(MARGIN * seconds, variants, tempo, most) or _shorter(MARGIN * seconds, variants, tempo, most, 0.0)
    while chosen:
        begun = time.perf_counter()
        trained = train(chosen)
        records += trained
        done += sum(work(variant, tempo.n_in) for variant in chosen)
        taken += (time.perf_counter() - begun) * min(n_threads, len(chosen))
        if any(record.error is None and was_stopped(record) for record in trained):  # Ctrl-C
            break
        tempo = tempo._replace(pace=taken / done, before=0.0)
        left, most_left = end - time.perf_counter(), most - len(records)
        chosen = _next(left, variants, tempo, most_left) or _shorter(left, variants, tempo, most_left, SHORTEST)
    return records


def fitting(seconds: Sequence[float], left: float, n_threads: int) -> list[int]:
    """Which of several trainings fit beside each other into the seconds that are left; the first one in any case."""
    load, places = np.zeros(n_threads), list[int]()
    for place, each in enumerate(seconds):
        free = int(load.argmin())
        if load[free] + each <= left or not places:
            load[free] += each
            places.append(place)
    return places


def makespan(seconds: Sequence[float], n_threads: int) -> float:
    """How long trainings take beside each other, the longest first."""
    load = np.zeros(n_threads)
    for each in sorted(seconds, reverse=True):
        load[load.argmin()] += each
    return float(load.max())


def _shorter(left: float, variants: Iterator[Variant], tempo: Tempo, most: int, least: float) -> list[Variant]:
    """One for each thread, with as many of its epochs as fit, if these are not less than a share."""
    times = [(one, tempo.share(one, left)) for one in islice(variants, max(min(tempo.n_threads, most), 0))]
    return [shortened(one, min(share, 1.0)) for one, share in times if share >= least]


def _next(left: float, variants: Iterator[Variant], tempo: Tempo, most: int) -> list[Variant]:
    """Those of the next round: many while there is much time, and in the end those that still fit."""
    chosen: list[Variant] = []
    load = np.zeros(tempo.n_threads)
    passed_over = 0
    while len(chosen) < most and passed_over < LOOKED_AT:
        variant = next(variants)
        seconds, free = tempo.seconds(variant), int(load.argmin())
        if load[free] + seconds <= (SHARE * left if load[free] else left):
            load[free] += seconds
            chosen.append(variant)
        else:
            passed_over += 1
    return chosen
