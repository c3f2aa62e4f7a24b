"""Bytes go to where a path leads: whole or not at all into a file, straight through what cannot be replaced.

A file is written beside its place and moved there when it is whole, so that a crash never leaves half a model. A link
stays a link, and what it points to is replaced. A descriptor that is open already (/dev/stdout, /dev/fd/3) and a device
such as /dev/null get the bytes as they come. (A hard link gets a file of its own: its other names keep what they had.)
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FastgdError, ModelFileError
from ..options import called
from .begun import MOVES_WHILE_OPEN, begun, remove_leftovers

DESCRIPTORS = ("/dev/fd", "/proc/self/fd", "/proc/thread-self/fd")
STANDARD_OUTPUT = 1  # its descriptor
MOST_LINKS = 40  # as Linux itself


def write_whole(path: Path, content: bytes) -> None:
    """Write to where a path leads; a file is flushed to the disk before it takes its place, and keeps its mode.

    Raises:
        ModelFileError: the file cannot be written, or what has this name cannot be replaced, such as a pipe.
    """
    with written_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """The same bit by bit: what is written to the file that this opens takes its place when the block ends.

    An error in the block leaves nothing behind, and the old file as it was.

    Raises:
        ModelFileError: as `write_whole`, also while the block writes.
    """
    try:
        place = destination(path)
    except (OSError, ValueError) as error:
        raise _unwritten(path, error) from error
    try:
        if isinstance(place, int):
            for stream in filter(None, (sys.stdout, sys.stderr)):  # what was printed before comes before
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            with io.BufferedWriter(_Through(place)) as file:
                yield file
        elif place.is_char_device():
            handle = os.open(place, os.O_WRONLY | os.O_NOCTTY)
            try:
                with io.BufferedWriter(_Through(handle)) as file:
                    yield file
            finally:
                os.close(handle)
        else:
            with _replacing(place) as file:
                yield file
    except FastgdError:  # of the block
        raise
    except OSError as error:
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> ModelFileError:
    return ModelFileError(f"{called(path)} cannot be written: {getattr(error, 'strerror', None) or error}.")


def destination(path: Path) -> Path | int:
    """Where a path leads: a file, there or not, or a device, neither of them a link; or the number of a descriptor.

    Raises:
        OSError: nothing can be written there; it says why.
    """
    descriptor = _descriptor(os.fspath(path))
    if descriptor is not None:
        os.write(descriptor, b"")  # refused where it is closed, or open for reading only
        return descriptor
    target = Path(os.path.realpath(path))
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return target
    if stat.S_ISDIR(found.st_mode):
        raise OSError("it is a folder")
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISCHR(found.st_mode):
        raise OSError("it is no file that could be replaced")
    if not os.path.samestat(found, os.stat(target)):  # a descriptor of another process, of a file that was deleted
        raise OSError("it has no name of its own")
    return target


def check_writable(path: Path) -> None:
    """Find out before the work that its result could not be written to where a path leads.

    Raises:
        ModelFileError: a folder, a pipe, an impossible name, or no folder to write into; it says why.
    """
    try:
        place = destination(path)
        if isinstance(place, Path):
            device = place.is_char_device()
            if not device and not place.parent.is_dir():
                raise OSError(f"there is no folder {place.parent}")
            if not os.access(place if device else place.parent, os.W_OK):
                raise OSError(f"{'it' if device else f'the folder {place.parent}'} is closed to you")
    except (OSError, ValueError) as error:  # such as a name that is too long
        raise _unwritten(path, error) from error


def _descriptor(path: str) -> int | None:
    """The number of the open descriptor that a path leads to, if it leads to one."""
    folders = {os.path.realpath(folder) for folder in DESCRIPTORS}
    for _ in range(MOST_LINKS):
        folder, name = os.path.split(path)
        if re.fullmatch("0|[1-9][0-9]{0,8}", name) and os.path.realpath(folder) in folders:
            return int(name)
        if not os.path.islink(path):
            break
        path = os.path.join(folder, os.readlink(path))
    return None


class _Through(io.RawIOBase):
    """Writes to a descriptor, which stays open."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        while True:
            try:
                return os.write(self.handle, content)
            except BlockingIOError:  # a pipe that is full, and that somebody has told not to wait
                select.select([], [self.handle], [])


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a file new content. It keeps its mode, and its owner and group where this process may give them away.

    A new file gets the mode that the system gives; asking for the mask itself would change it for other threads.
    """
    try:
        old = os.stat(target)
    except FileNotFoundError:
        old = None
    remove_leftovers(target.parent)
    with begun(target.parent, 0o666 if old is None else 0o600) as (temporary, file):
        if old is not None:
            _give_away(temporary, old)
        yield file
        file.flush()
        os.fsync(file.fileno())
        if not MOVES_WHILE_OPEN:
            file.close()
        os.replace(temporary, target)


def _give_away(path: Path, old: os.stat_result) -> None:
    """Make a file belong to whom the old one belongs, and give it its mode."""
    if hasattr(os, "chown"):
        for owner in (-1, old.st_uid):  # the group alone is more often permitted
            with contextlib.suppress(OSError):
                os.chown(path, owner, old.st_gid)
    os.chmod(path, stat.S_IMODE(old.st_mode))
