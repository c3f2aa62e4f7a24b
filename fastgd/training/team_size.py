"""How many threads take the next chunk of steps: what pays depends on what else the machine is doing."""

from __future__ import annotations

LEAST_SECONDS = 2e-3  # a shorter chunk says nothing
TURNS = 2  # chunks that each number of threads is timed for
PATIENCE = 64  # chunks, some 5 s, after which the slower one is given another chance


class TeamSize:
    """Finds out as the training runs, because the bits are the same for any number of threads.

    One thread and all of them take turns until both have been timed; then the faster goes on.
    """

    def __init__(self, most: int) -> None:
        self.times: dict[int, list[float]] = {size: [] for size in sorted({most, 1}, reverse=True)}
        self.chunks = 0

    def next(self) -> int:
        """A number of threads that has not had its turns, else the number that needs the least time for a step."""
        for size, times in self.times.items():
            if len(times) < TURNS:
                return size
        return min(self.times, key=lambda size: min(self.times[size]))

    def took(self, size: int, seconds: float, steps: int) -> None:
        """Note how long a chunk of steps has taken with this number of threads."""
        self.chunks += 1
        if seconds >= LEAST_SECONDS:
            self.times[size] = [*self.times[size], seconds / steps][-TURNS:]
        if self.chunks % PATIENCE == 0:
            for times in self.times.values():
                del times[TURNS - 1 :]
