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

    given = [path for path in paths if path is not None]
    for number, path in enumerate(given):
        try:
            why = _why_not(path, given[:number], table, overwrite)
        except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be looked into
            why = f"{getattr(error, 'strerror', None) or error}."
        if why:
            raise ModelFileError(f"{path} cannot be written: {why}")


def _why_not(path: Path, before: list[Path], table: Path | None, overwrite: bool) -> str:
    """What is against writing there, if anything."""
    from ..files.atomic import destination

    if str(path) == "-":  # who types it does not mean a file of this name
        return "it stands for standard input, name a file."
    place = destination(path)
    if isinstance(place, Path):
        if not place.parent.is_dir():
            return f"there is no folder {place.parent}."
        device = place.is_char_device()
        if not os.access(place if device else place.parent, os.W_OK):
            return f"{'it' if device else f'the folder {place.parent}'} is closed to you."
        if device:  # it takes whatever comes, as often as it comes
            return ""
    if table is not None and path.exists() and table.exists() and path.samefile(table):
        return "it is a file to read from, write to another one."
    if os.path.realpath(path) in map(os.path.realpath, before):
        return "it cannot hold the model and the page at once, use two files."
    if isinstance(place, Path) and place.exists() and not overwrite:
        return "it is there already; say --overwrite to replace it."
    return ""
