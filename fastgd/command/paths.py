"""Whether a file can be written is found out before a training, not after it."""

from __future__ import annotations

import os
from pathlib import Path


def check_can_write(*paths: Path | None, table: Path | None = None) -> None:
    """Find out before a training, not after it, that what it gives cannot be written, or would take something's place.

    Raises:
        ModelFileError: a folder, no folder to write into, the table itself, or twice the same file.
    """
    from ..errors import ModelFileError

    given = [path for path in paths if path is not None]
    for number, path in enumerate(given):
        try:
            why = _why_not(path, given[:number], table)
        except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be looked into
            why = f"{getattr(error, 'strerror', None) or error}."
        if why:
            raise ModelFileError(f"{path} cannot be written: {why}")


def _why_not(path: Path, before: list[Path], table: Path | None) -> str:
    """What is against writing there, if anything."""
    from ..files.atomic import destination

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
        return "it is the table to train on, write to another file."
    if os.path.realpath(path) in map(os.path.realpath, before):
        return "it cannot hold the model and the page at once, use two files."
    return ""
