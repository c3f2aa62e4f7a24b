"""A copy of the rows of text files on disk, as the library writes columns, that later passes read in any order.

Text takes far longer to read than to train on: about 0.3 s for a million rows of five columns, each time. The copy lies
in a folder of its own and is removed with the stream, or when Python ends; a process that is killed leaves it behind.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...errors import InvalidInputError
from ..files import Places, library
from .columns import Wanted
from .source import Batch, placed

KEPT_FREE = 1 << 28  # bytes of the disk that are left to others


class Spool:
    """A folder with a file for each part.

    Args:
        name: of what is copied.
        folder: in which that folder is made.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.parts = name, 0
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="fastgd-stream-", dir=folder))
        except OSError as error:
            raise self._failed(f"no folder can be made in {folder}: {error.strerror or error}") from error
        self.close = weakref.finalize(self, _remove, self.folder, os.getpid())

    def add(self, name: str, frame: Any, places: Places, wanted: Wanted) -> SpooledPart:
        """Write one more part."""
        free, needed = shutil.disk_usage(self.folder).free, int(frame.estimated_size())
        if free < needed + KEPT_FREE:
            raise self._failed(f"{free >> 20:,} MB are free in {self.folder.parent}, of which some are left to others")
        path = self.folder / f"{self.parts}.arrows"
        self.parts += 1
        numbers = np.asarray(places.numbers)
        is_range = int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
        try:
            frame.write_ipc_stream(path)
            if not is_range:  # blank lines, and cells of more lines than one
                np.save(path.with_suffix(".npy"), numbers)
        except (OSError, library().exceptions.PolarsError) as error:
            raise self._failed(f"{self.folder} cannot be written: {error}") from error
        kept = Places(places.word, range(int(numbers[0]), int(numbers[-1]) + 1)) if is_range else None
        return SpooledPart(self, name, path, frame.height, wanted, kept)

    def _failed(self, why: str) -> InvalidInputError:
        return InvalidInputError(
            f"{self.name} cannot be copied for later passes, because {why}: name another folder with spool=, or read "
            "the text in each pass with spool=False."
        )


@dataclass(frozen=True)
class SpooledPart:
    """Rows of one part of a copy."""

    spool: Spool  # kept as long as it is read
    name: str
    path: Path
    n_rows: int
    wanted: Wanted
    places: Places | None

    row_bytes: ClassVar[int] = 1  # it is a part as it is
    least: ClassVar[int] = 1

    def read(self, first: int, n: int) -> Batch:
        """Some rows."""
        pl = library()
        try:
            frame = pl.read_ipc_stream(self.path)
            places = self.places or Places("line", np.load(self.path.with_suffix(".npy")))
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise InvalidInputError(
                f"The copy of {self.name} in {self.path.parent} cannot be read: {error}; make the stream anew."
            ) from error
        part = slice(first, first + n)
        return placed(*self.wanted.split(frame[part]), self.name, places.at(part))


def _remove(folder: Path, pid: int) -> None:
    """Remove a folder, unless this is a process that has been forked from the one that made it."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
