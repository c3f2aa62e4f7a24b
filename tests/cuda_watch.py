"""Arrays of which every use is noted, to find what threads must not do: use an entry that another one writes meanwhile.

That is what holds for any order of threads, where running them in some orders is a sample.
"""

from __future__ import annotations

import numpy as np

EVERYONE = -1  # what a program reads itself, all threads read


class Watched:
    """An array whose entries are watched, and what is cut from it."""

    def __init__(self, values, places, watch):
        self.values, self.places, self.watch = values, places, watch
        self.shape, self.size = values.shape, values.size

    def __getitem__(self, index):
        found = self.values[index]
        if isinstance(found, np.ndarray):
            return Watched(found, self.places[index], self.watch)
        self.watch.read(int(self.places[index]))
        return found

    def __setitem__(self, index, value):
        self.watch.written(int(self.places[index]))
        self.values[index] = value


class Watch:
    """Who has used which entry: threads since the last barrier, and blocks in this launch."""

    def __init__(self):
        self.found, self.n_places, self.tid = [], 0, EVERYONE
        self.block, self.of_threads, self.of_blocks = 0, Uses(), Uses()

    def places_of(self, array):
        """A number of its own for each entry."""
        self.n_places += array.size
        return np.arange(self.n_places - array.size, self.n_places).reshape(array.shape)

    def read(self, place):
        """An entry is read."""
        self.note(self.of_threads.read(place, self.tid), place, "threads")
        self.note(self.of_blocks.read(place, self.block), place, "blocks")

    def written(self, place):
        """An entry is written."""
        self.note(self.of_threads.written(place, self.tid), place, "threads")
        self.note(self.of_blocks.written(place, self.block), place, "blocks")

    def note(self, others, place, what):
        """Somebody else has used it."""
        if others:
            self.found.append(f"{what} share entry {place}")

    def barrier(self):
        """All threads have reached a barrier."""
        self.tid, self.of_threads = EVERYONE, Uses()

    def launched(self):
        """A launch has ended."""
        self.block, self.of_blocks = 0, Uses()


class Uses:
    """Who has read and who has written each entry."""

    def __init__(self):
        self.readers, self.writers = {}, {}

    def read(self, place, who):
        """Note it; returns whether another one has written there."""
        self.readers.setdefault(place, set()).add(who)
        return self.writers.get(place, who) != who

    def written(self, place, who):
        """Note it; returns whether another one has read or written there."""
        before = self.writers.setdefault(place, who)
        return before != who or not self.readers.get(place, {who}) <= {who}
