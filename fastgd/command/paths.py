"""Whether a file can be written is found out before a training, not after it."""

from __future__ import annotations

import os
from pathlib import Path


def check_can_write(*paths: Path | None, table: Path | None = None, overwrite: bool = False) -> None:
    """Find out before a training, not after it, that what it gives cannot be written, or would take something's place.

    Raises:
        ModelFileError: a folder, no folder to write into, the table itself, twice the same file, or, unless it is to
            be overwritten, a file that is there already.
    """
    from ..errors import ModelFileError
    from ..files.atomic import check_writable
    from ..options import called

    given = [path for path in paths if path is not None]
    for number, path in enumerate(given):
        if str(path) == "-":  # who types it does not mean a file of this name
            raise ModelFileError("- cannot be written: it stands for standard input, name a file.")
        check_writable(path)
        why = _why_not(path, given[:number], table, overwrite)
        if why:
            raise ModelFileError(f"{called(path)} cannot be written: {why}")


def _why_not(path: Path, before: list[Path], table: Path | None, overwrite: bool) -> str:
    """What is against replacing what is there, if anything."""
    from ..files.atomic import destination

    place = destination(path)
    if isinstance(place, Path) and place.is_char_device():  # it takes whatever comes, as often as it comes
        return ""
    if table is not None and path.exists() and table.exists() and path.samefile(table):
        return "it is a file to read from, write to another one."
    if os.path.realpath(path) in map(os.path.realpath, before):
        return "it cannot hold the model and the page at once, use two files."
    if isinstance(place, Path) and place.exists() and not overwrite:
        return "it is there already; say --overwrite to replace it."
    return ""
