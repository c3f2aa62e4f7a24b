"""Files that must stay as they were while they are read, part by part and pass by pass."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

from ...errors import InvalidInputError
from ...options import called


class FileState(NamedTuple):
    """A file as it was when it was first looked at."""

    path: Path
    size: int
    changed: int  # when, in nanoseconds
    inode: int

    @classmethod
    def of(cls, path: Path, where: str | None = None) -> FileState:
        """As it is now; `where` is what messages call it.

        Raises:
            InvalidInputError: there is no such file, or it is a folder, or none on a disk, such as a pipe.
        """
        try:
            state = path.stat()
        except (OSError, ValueError) as error:  # ValueError: half a character, or a zero, is in no name
            why = getattr(error, "strerror", None) or "no file has such a name"
            raise InvalidInputError(f"{called(where or path)} cannot be read: {why}.") from error
        if stat.S_ISDIR(state.st_mode):
            raise InvalidInputError(f"{called(path)} is a folder: name its files, such as {str(path / '*.parquet')!r}.")
        if not stat.S_ISREG(state.st_mode):  # to open a pipe would wait for whoever writes to it
            raise InvalidInputError(f"{called(path)} is no file on a disk: pass a function that makes batches of it.")
        return cls(path, state.st_size, state.st_mtime_ns, state.st_ino)

    def check(self, where: str, is_written: bool = False) -> None:
        """Whether it still is as it was; of one that is being written, whether it still is as long.

        Raises:
            InvalidInputError: it has changed, or is gone.
        """
        now = FileState.of(self.path, where)
        if now != self and not (is_written and now.size == self.size):
            raise InvalidInputError(
                f"{where}: {self.path.name} has changed since its stream was made: make the stream anew when the file "
                "is complete."
            )
