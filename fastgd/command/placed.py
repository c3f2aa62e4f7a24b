"""Messages on the tables that a model was given, in the words of the file that they are from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from ..data.files import Places

VALIDATION = "validation_data: "  # begins what is said of rows held out
COLUMN = r"(?:, column (\d+)(?: \((.*?)\)(?=[ ,:]))?)?"
PLACE = re.compile(
    rf"\b(X|y)(?=, (?:row|column) \d){COLUMN}(?:, row (\d+))?{COLUMN}"  # a cell or a column
    r"|\bin row (\d+)(?=\.$)|\brow (\d+) of X\b|^(X|y)(?= (?:has|is)\b)"
)


def in_file(message: str, name: str, places: Places, targets: Sequence[str] = ()) -> str:
    """A message on X and y as one on a file, whose rows stand at `places`."""

    def place(match: re.Match[str]) -> str:
        table, column, called, row, other, also_called, alone, of_x, whole = match.groups()
        if alone:
            return f"in {places.of(int(alone))}"
        if of_x:
            return f"{name}, {places.of(int(of_x))}"
        table = table or whole
        called = called or also_called or (", ".join(targets) if table == "y" else None)
        number = column or other if table == "X" else None
        where = f", column {called!r}" if called else f", column {number}" if number else ""
        return name + (f", {places.of(int(row))}" if row else "") + where

    return PLACE.sub(place, message)


@contextmanager
def words_of(name: str, places: Places, targets: Sequence[str] = (), watched: Places | None = None) -> Iterator[None]:
    """Errors and warnings of the block name the file, its lines, and its columns.

    Args:
        name: of the file.
        places: where the rows stand there.
        targets: names of the columns of y.
        watched: where the rows stand by which a training is watched.
    """

    def told(message: Any) -> str:
        text = str(message)
        if watched is not None and text.startswith(VALIDATION):
            return in_file(text.removeprefix(VALIDATION), name, watched, targets)
        return in_file(text, name, places, targets)

    def show(message: Any, category: Any, *others: Any, **options: Any) -> None:
        shown(category(told(message)), category, *others, **options)

    shown, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(told(error)) from error
    finally:
        warnings.showwarning = shown
