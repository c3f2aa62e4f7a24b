"""How long a step of several machines takes: compute + latency + bytes / bandwidth, as one linear function.

A step's seconds are a product of nine amounts (`amounts`: how many multiplications, exchanges and bytes there are,
which is known) with nine costs (`Costs`: what one of them takes, which is fitted by least squares to everything that
was measured). For other machines the same amounts are multiplied by other costs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fastgd.training.ordered_sum import NUMBERS, WORD, WORTH_SLICES

ITEM = 4  # bytes of a weight, float32
CACHED = 16 << 20  # bytes of all weights, up to which they stay in the cache; about
# Bytes of a weight that an update moves: Adam reads four vectors and writes three; the loop copies three of them, so
# that it can go back, and looks whether all are finite. (For small networks it does that once in many steps.)
UPDATED = ITEM * (7 + 6 + 1)
# Bytes of a slice up to which an Alltoall takes log2(P) rounds, in which slices travel with others, and P - 1 beyond
# (Thakur, Rabenseifner and Gropp, 2005): about where both take the same time on either line of scaling_page.py.
SHORT = 8 << 10


class Costs(NamedTuple):
    """Seconds that one of each takes."""

    gradient: float  # a weight's part in the gradient of a row
    update: float  # a weight's update, of a network in the processor's cache
    step: float  # a step of ranks, whatever it does: Python
    call: float  # a sum over ranks, whatever it adds: Python
    latency: float  # a round of messages
    turn: float  # a round's wait for other processes on the same core
    byte: float  # a byte received: 1 / bandwidth
    cached: float  # a byte read or written while parts are packed, added up and taken over
    memory: float  # the same, and for updates, where the network is too large for the cache


class Point(NamedTuple):
    """What was measured: a step of one process without ranks ("alone"), a step of ranks ("step"), or a sum ("sum")."""

    kind: str
    n: int  # weights
    batch: int  # rows of all ranks together; 0 for a sum
    size: int  # ranks
    seconds: float


class Traffic(NamedTuple):
    """What a sum over ranks costs each of them."""

    rounds: int  # of messages, one after the other
    received: float  # bytes
    handled: float  # bytes that are read or written beside


class Line(NamedTuple):
    """What machines are joined by."""

    name: str
    latency: float  # seconds
    bandwidth: float  # bytes a second


def is_sliced(n: int, size: int) -> bool:
    """Whether OrderedSum cuts n weights into slices."""
    return (size - 1) * (size - 2) / size * n * ITEM > WORTH_SLICES


def traffic(n: int, size: int) -> Traffic:
    """Of OrderedSum: an Allgather of all, or an Alltoall of slices and an Allgather of their sums."""
    others, few = size - 1, math.ceil(math.log2(size))
    parts = size if is_sliced(n, size) else 1
    part = -(-n // parts) * ITEM
    told = part + NUMBERS * WORD
    own = 2 * told + 2 * part * (parts > 1)  # what this rank exchanges with itself
    added = (3 * others + 2) * part
    handled = 2 * ITEM * n + own + added + 2 * ITEM * n  # packed, …, taken over
    if parts == 1:
        return Traffic(few, others * told, handled)
    if told <= SHORT:
        return Traffic(2 * few, few * size / 2 * told + others * part, handled)
    return Traffic(others + few, others * told + others * part, handled)


def amounts(kind: str, n: int, batch: int, size: int, cores: float) -> Costs:
    """How much of each there is, where so many cores are shared by all ranks.

    With more ranks than cores everything that a core does takes its turn, copies between processes included.
    """
    crowd, is_cached = max(1.0, size / cores), n * ITEM <= CACHED
    alone = Costs(*[0.0] * len(Costs._fields))
    if kind != "sum":
        updated = {"update": crowd * n} if is_cached else {"memory": crowd * n * UPDATED}
        alone = alone._replace(gradient=crowd * n * batch / size, **updated)
    if kind == "alone":
        return alone
    sent = traffic(n, size)
    handled = crowd * sent.handled
    return alone._replace(
        step=crowd * (kind == "step"),
        call=crowd,
        latency=sent.rounds,
        turn=sent.rounds * (crowd > 1),
        byte=crowd * sent.received,
        cached=handled * is_cached,
        memory=alone.memory + handled * (not is_cached),
    )


def seconds(kind: str, n: int, batch: int, size: int, costs: Costs, cores: float) -> float:
    """What the model says."""
    return float(np.dot(amounts(kind, n, batch, size, cores), costs))


def fitted(points: Sequence[Point], cores: int) -> Costs:
    """The costs, none below zero, whose relative errors have the least sum of squares.

    Every choice of costs that are not zero is solved; among those without a negative one the best is the answer.
    """
    A = np.array([amounts(*point[:4], cores) for point in points]) / np.array([[point.seconds] for point in points])
    best, least = np.zeros(A.shape[1]), math.inf
    there = [i for i in range(A.shape[1]) if A[:, i].any()]
    for chosen in itertools.chain.from_iterable(itertools.combinations(there, k + 1) for k in range(len(there))):
        columns = A[:, chosen]
        scale = np.linalg.norm(columns, axis=0)  # seconds a byte beside seconds a call: lstsq would cut the small off
        found = np.linalg.lstsq(columns / scale, np.ones(len(A)))[0] / scale
        error = float(np.sum((columns @ found - 1) ** 2))
        if (found >= 0).all() and error < least:
            best, least = np.zeros(A.shape[1]), error
            best[list(chosen)] = found
    return Costs(*best.tolist())


def errors(points: Iterable[Point], costs: Costs, cores: int) -> list[float]:
    """How far the model is from each, as a share of what was measured."""
    return [seconds(*point[:4], costs, cores) / point.seconds - 1 for point in points]


def joined_by(line: Line, costs: Costs) -> Costs:
    """The costs of machines like this one, with one process each, that such a line joins."""
    return costs._replace(latency=line.latency, turn=0.0, byte=1 / line.bandwidth)


def step_of_machines(n: int, batch: int, size: int, costs: Costs) -> float:
    """Seconds of a step; one machine alone exchanges nothing."""
    return seconds("step" if size > 1 else "alone", n, batch, size, costs, size)


class Limits(NamedTuple):
    """How far more machines help, with the same batch for all of them."""

    size: int  # machines with which a step takes least time
    speed_up: float  # there, against one
    half: int  # the most machines of which at least half is used


def limits(n: int, batch: int, costs: Costs) -> Limits:
    """Of all numbers of machines that have at least a row each."""
    alone = step_of_machines(n, batch, 1, costs)
    speed_up = {size: alone / step_of_machines(n, batch, size, costs) for size in range(1, batch + 1)}
    best = max(speed_up, key=lambda size: speed_up[size])
    half = max(size for size, times in speed_up.items() if times >= size / 2)
    return Limits(best, speed_up[best], half)


def rows_of_the_rest(costs: Costs) -> float:
    """Rows whose gradient takes as long as what no number of machines makes less, of large networks.

    That is two vectors received, seven read or written while they are added up, and the update, which all repeat.
    """
    per_weight = 2 * ITEM * costs.byte + (7 * ITEM + UPDATED) * costs.memory
    return per_weight / costs.gradient
