"""How many threads take the next chunk of steps: what pays depends on the work, and on what else the machine does."""

from __future__ import annotations

import time

TRIAL_SECONDS = 1e-3  # that one thread is tried for
OF_SEVERAL = 3  # times as long for several, which need a quarter of a millisecond to come together
TEAM_SECONDS = 0.03  # that a chunk of several threads takes at most: only then is it seen that one has lost its core
TURNS = 2  # tries of each, of which the shorter counts: the first may meet cold caches, or another program
MOST_SHORT = 2  # chunks in a row that are shorter than a try: then it is the work that is short
LONG_STEP = 5e-3  # seconds: threads that divide such a step pay, and a try would take long
SLOWER = 1.3  # times what a step took before: something else wants the cores
BUSY = 0.85  # of a thread's time: with less, something else has its core
PATIENCE, MOST_PATIENCE = 0.25, 16.0  # seconds after which more threads are given another chance; doubled in vain


class TeamSize:
    """Finds the fastest number of threads as the training runs: the bits are the same for any.

    It is kept for the model and the shape of its work. Few threads and many take turns for some milliseconds; then the
    fastest go on, as long as a step takes what it took. When it takes longer fewer are tried at once, and more again
    from time to time.
    """

    def __init__(self, most: int) -> None:
        halves = [most]
        while halves[-1] > 1:
            halves.append(halves[-1] // 2)
        self.sizes = halves  # from all threads down to one
        self.times: dict[int, float] = {}  # seconds that a step took lately, for those that have been tried
        self.told: dict[int, float] = {}  # the same, also of those that are being tried anew
        self.tries: dict[int, list[float]] = {size: [] for size in halves}
        self.too_short = 0  # chunks in a row that were no try
        self.step_seconds = 0.0  # of the last chunk, however short
        self.patience, self.settled_at = PATIENCE, 0.0

    @property
    def best(self) -> int:
        """The size that needs the least time for a step."""
        return min(self.times, key=lambda size: self.times[size], default=self.sizes[0])

    @property
    def is_trying(self) -> bool:
        """Whether sizes are still to be tried, so that chunks are short."""
        return len(self.times) < len(self.sizes)

    def next(self) -> int:
        """The size for the next chunk."""
        if not self.is_trying:
            return self.best
        waiting = [size for size in self.sizes if size not in self.times]
        return min(waiting, key=lambda size: len(self.tries[size]))

    def steps_in(self, seconds: float) -> float:
        """How many steps fill this time, or a try; none is known before the first."""
        if not self.step_seconds:
            return 1.0
        if self.is_trying:
            return _trial_seconds(self.next()) / self.step_seconds
        return (min(seconds, TEAM_SECONDS) if self.best > 1 else seconds) / self.step_seconds

    def took(self, size: int, seconds: float, steps: float, busy: float = 1.0) -> None:
        """Note how long a chunk of steps has taken, and for which part of the time its threads have had their cores.

        The last step of an epoch counts as the part of a batch that it has; alone it says nothing about a whole one.
        """
        if steps < 1:
            return
        is_cold, each = not self.step_seconds, seconds / steps
        self.step_seconds = each
        if len(self.sizes) == 1:
            self.times[size] = each
        elif self.is_trying and not is_cold:
            self._note_try(size, seconds, each, busy)
        elif not self.is_trying:
            self._look_at(size, seconds, each, busy)
        self.told |= {size: each for size, each in self.times.items() if each < float("inf")}

    def _note_try(self, size: int, seconds: float, each: float, busy: float) -> None:
        if seconds < _trial_seconds(size) / 2 and self.too_short < MOST_SHORT:
            self.too_short += 1  # it only says how many steps make a try; if there are no more, it is one
            return
        self.too_short = 0
        self.tries[size].append(each)
        if each > LONG_STEP and size == self.sizes[0] and busy >= BUSY:
            self.times = dict.fromkeys(self.sizes, float("inf")) | self.times | {size: each}
        elif len(self.tries[size]) >= TURNS or each > LONG_STEP:
            self.times[size] = min(self.tries[size])
        if not self.is_trying:
            self.tries = {size: [] for size in self.sizes}
            self.settled_at = time.perf_counter()

    def _look_at(self, size: int, seconds: float, each: float, busy: float) -> None:
        if seconds < _trial_seconds(size):  # the end of an epoch: to come together takes a part of it
            each, busy = self.times[size], 1.0
        robbed = busy < BUSY
        slow = each > SLOWER * self.times[size] or robbed
        self.times[size] = each
        now = time.perf_counter()
        if size > 1 and slow:
            for tried in self.sizes[self.sizes.index(size) + robbed :]:  # itself, too, if it may have been a moment
                del self.times[tried]
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        elif size < self.sizes[0] and now - self.settled_at > self.patience:
            for more in self.sizes[: self.sizes.index(size)]:
                del self.times[more]
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        elif size == self.sizes[0] and now - self.settled_at > self.patience:
            self.patience = PATIENCE  # all threads have been fast for long

    def reason(self) -> str:
        """What the choice was made from."""
        told = [f"{_shown(self.told[size])} with {size}" for size in sorted(self.told)]
        return f"a step took {', '.join(told)}" if told else "there was no time to try"


def _trial_seconds(size: int) -> float:
    return TRIAL_SECONDS * (OF_SEVERAL if size > 1 else 1)


def _shown(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"
