"""The file that a training is kept in: whether it can be written, what it has, and whether somebody else writes to it.

A training may go on for days, so that all this is found out before its first step.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Generic

from ..model.mean import Mean
from .atomic import check_writable
from .disk import as_path, read
from .model_file import Model


class KeptFile(Generic[Model]):
    """A path, which stays the same place when the working directory changes, and the kind of model to be read there."""

    def __init__(self, path: str | Path, kind: type[Model]) -> None:
        self.path, self.kind = as_path(path).absolute(), kind
        self.seen = self._state()

    def check(self) -> None:
        """Find out that nothing could be written there.

        Raises:
            ModelFileError: it says why.
        """
        check_writable(self.path)

    def read(self) -> Model | Mean:
        """The model in the file; see fastgd.load."""
        return read(self.path, self.kind, Mean)

    def is_foreign(self) -> bool:
        """Whether the file is there, and another than was noted."""
        return self._state() not in (None, self.seen)

    def note(self) -> None:
        """Take the file as it is now for one's own."""
        self.seen = self._state()

    def _state(self) -> tuple[int, int] | None:
        """What another content has others of; None without a file. (Some network disks change the inodes of a file.)"""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None
