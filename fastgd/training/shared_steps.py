"""Steps that several ranks take together: each finds the gradient of its own rows, and all move by the sum.

A rank's part of a batch has as many of its rows as its share of all rows says, so that together they are a batch of the
size that was asked for. All ranks start with the same bits, add up the same numbers in the same order, and so end with
the same bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels.records import LossRecord, Net, Rows, Rule, State, StepRequest
from .cores import Allowance
from .equipment import Equipment, Store
from .feed import Portion
from .ordered_sum import OrderedSum
from .ranks import Ranks
from .team_size import TeamSize

ONE_THREAD = Allowance(1, "each rank trains with one thread: start as many ranks as there are cores")
MOST_SQUARED = 1 << 31  # rows: products of more may be larger than 64 bits hold
OF_RANKS = 2  # keeps the seeds of ranks apart from those of buffers and of the order of parts


class OwnRows:
    """The feed of a rank whose rows lie in memory.

    at_hand: some rows from all over the table, the same on all ranks, so that all judge a training alike.
    """

    is_fixed, buffer_rows = True, 0

    def __init__(self, at_hand: Rows, rows: Rows, n_rows: int) -> None:
        self.at_hand, self.rows, self.n_rows = at_hand, rows, n_rows

    def portions(self, epoch: int) -> Generator[Portion, None, None]:
        """All rows, in the order of this pass."""
        yield Portion(self.rows._replace(epoch=epoch), self.n_rows)


def seed_of_rank(seed: int, rank: int) -> np.uint64:
    """The seed of a rank's order of rows and of its dropout: that of the model for rank 0."""
    if not rank:
        return np.uint64(seed)
    return np.uint64(np.random.SeedSequence([seed, rank, OF_RANKS]).generate_state(1, np.uint64)[0])


def boundaries(places: NDArray[np.int64], n_own: int, n_all: int) -> NDArray[np.int64]:
    """How many of a rank's n_own rows are among the first `places` of all n_all rows, rounded down."""
    wide = places if n_all < MOST_SQUARED else places.astype(object)  # Python's whole numbers, which never overflow
    return np.asarray(wide * n_own // n_all, np.int64)


class SharedStore(Store):
    """Makes equipment for ranks; nothing is kept, because the next fit may have other ranks."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    def fresh(self) -> Store:
        """One for another network."""
        return SharedStore(self.ranks)

    def made(self, *work: Any) -> Equipment:
        """New equipment, which takes what Equipment takes."""
        return SharedEquipment(self.ranks, *work)

    def put_back(self, key: Any, equipment: Equipment) -> None:
        """Let it go."""


class Pace(TeamSize):
    """One thread, and as many steps in a chunk as rank 0 has time for."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__(1)
        self.ranks = ranks

    def steps_in(self, seconds: float) -> float:
        """How many steps fill this time on rank 0."""
        steps: float = self.ranks.meet(super().steps_in(seconds))[0]
        return steps


class Part(NamedTuple):
    """What a rank brings to a step."""

    value: float  # loss · rows
    weight: float  # of these rows
    is_whole: float  # 1; 0 where it has met an error


class SharedEquipment(Equipment):
    """Takes steps with the other ranks."""

    def __init__(
        self, ranks: Ranks, engine: ModuleType, net: Net, loss: LossRecord, rule: Rule, batch_size: int, most: int
    ) -> None:
        super().__init__(engine, net, loss, rule, batch_size, 1)
        self.ranks, self.team_size = ranks, Pace(ranks)
        self.sum = OrderedSum(ranks, net.parameters.size, net.parameters.dtype)

    def train(self, *request: Any) -> int:
        """Take steps, as the engine's `train` does; the places and the batch size are those of all ranks together."""
        asked = StepRequest(*request)
        if not len(asked.learning_rates):
            self._compile(asked)
            return 0
        met = self.ranks.meet((len(asked.rows.X), asked.learning_rates if self.ranks.is_first else None))
        sizes = [size for size, _ in met]
        asked = asked._replace(learning_rates=met[0][1])  # a user's schedule may differ by a bit from rank to rank
        with np.errstate(all="ignore"):
            return self._take(asked, sizes)

    def _take(self, asked: StepRequest, sizes: list[int]) -> int:
        """Steps up to a loss that is not finite; returns how many were taken."""
        n_all = sum(sizes)
        places = np.minimum(asked.place + np.arange(len(asked.learning_rates) + 1) * asked.batch_size, n_all)
        own = boundaries(places, sizes[self.ranks.rank], n_all)
        counts = np.diff(sum(often * boundaries(places, size, n_all) for size, often in Counter(sizes).items()))
        for step, rate in enumerate(asked.learning_rates):
            n = int(counts[step])
            if not n:  # fewer rows than ranks, which rounding has left to the next step
                continue
            value, weight = self._gradient(asked, int(own[step]), int(own[step + 1]), n)
            if not math.isfinite(value):
                return step
            self.engine.update(asked.net, asked.state, asked.gradients[0], asked.rule, float(rate))
            asked.sums[0] += value
            asked.sums[1] += weight
        return len(asked.learning_rates)

    def _gradient(self, asked: StepRequest, first: int, last: int, n_all: int) -> tuple[float, float]:
        """gradients[0] = the gradient of a batch of n_all rows, of which this rank has those from `first` to `last`.

        Returns their loss times n_all, and their weight.
        """
        error: BaseException | None = None
        part, n = Part(0.0, 0.0, 1.0), last - first
        try:
            if n:
                part = self._own_part(asked, first, n)
            else:
                asked.gradients[0] = 0
        except BaseException as met:
            error, part = met, Part(0.0, 0.0, 0.0)
        parts = self.sum.add(asked.gradients[0], n / n_all, part)
        if not parts[:, 2].all():
            self.ranks.meet(error=error)
        value = weight = 0.0
        for row in parts:  # in the order of ranks
            value += float(row[0])
            weight += float(row[1])
        return value, weight

    def _own_part(self, asked: StepRequest, first: int, n: int) -> Part:
        """gradients[0] = the gradient of n rows of this rank."""
        workspace = asked.workspaces[0]
        value = self.engine.batch_gradient(asked.gradients, workspace, asked.rows, first, n, asked.net, asked.loss)
        return Part(value * n, self.engine.batch_weight(workspace, asked.rows, first, n), 1.0)

    def _compile(self, asked: StepRequest) -> None:
        """Have the kernels ready, with copies of what they write; no other rank takes part."""
        net = asked.net._replace(parameters=asked.net.parameters.copy())
        state = State(*(array.copy() for array in asked.state))
        with np.errstate(all="ignore"):
            self._own_part(asked._replace(net=net), 0, 1)
            self.engine.update(net, state, asked.gradients[0], asked.rule, 0.0)
