"""The file that a save writes before it takes its place, and what saves that were killed have left.

A process that is killed cleans up nothing. So what is being written is locked, and a lock ends with its process: a file
of such a name that nobody has locked is a leftover, which the next save into that folder removes. Where there are no
such locks (Windows, some network disks), nothing is removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = re.compile(r"\.fastgd-[0-9a-f]{16}")  # short, though the file's own name may be long
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
MOVES_WHILE_OPEN = fcntl is not None  # and has to, because the lock ends when the file is closed


@contextlib.contextmanager
def begun(folder: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file that is locked; it is removed if the block fails."""
    while True:
        path = folder / f".fastgd-{secrets.token_hex(8)}"
        try:
            handle = os.open(path, NEW, mode)
        except FileExistsError:  # it is somebody else's
            raise
        except BaseException:
            _unlink(path)
            raise
        try:
            with os.fdopen(handle, "wb") as file:
                if _is_held(handle):
                    yield path, file
                    return
        except BaseException:
            _unlink(path)
            raise


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _is_held(handle: int) -> bool:
    """Lock a new file. Another save may have taken it for a leftover in the moment before: then it is lost."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this disk, and so nobody removes anything
        return True
    return os.fstat(handle).st_nlink > 0


def remove_leftovers(folder: Path) -> None:
    """Remove what saves into this folder have left that were killed; what cannot be removed stays."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for name in filter(NAME.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError):
                _remove(folder / name)


def _remove(path: Path) -> None:
    # Network disks lock only what may be written; a killed save may have left a file that may only be read.
    access = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY
    handle = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)  # neither a link nor a pipe is ours
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)  # if its save has ended meanwhile, the name is gone
    finally:
        os.close(handle)
