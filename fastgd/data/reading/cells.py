"""Cells of text to numbers, or to text with gaps; which cells are wrong, and what a column holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...options import shortened
from .dialect import COMMA, LONGEST, MISSING, NO_TEXT, Dialect
from .library import library

LARGEST = float(np.finfo(np.float32).max)
BLANKS = " \t"


class Wrong(NamedTuple):
    """Cells of a column of numbers that are none."""

    count: int
    row: int  # of the first
    what: str  # is wrong with the first
    kind: str  # what all of them are


class Marks(NamedTuple):
    """What stands for unknown values: in columns of numbers in lower case, as numbers, and in columns of text."""

    lower: list[str]
    numbers: list[float]
    text: list[str]


def marks_of(missing: Sequence[str] | None, dialect: Dialect) -> Marks:
    """The marks that a user gave, or those that are common."""
    if missing is None:
        return Marks(list(MISSING), [], list(NO_TEXT))
    cells = sorted({"", *(mark.strip() for mark in missing)})
    values = [float(dialect.with_point(cell)) for cell in cells if dialect.is_number(cell)]
    return Marks([cell.lower() for cell in cells], values, cells)


def text_of(cells: Any, marks: Marks) -> Any:
    """A series of text without blanks around it, null where nothing is known."""
    pl = library()
    cells = cells.str.strip_chars(BLANKS)
    unknown = cells.is_in(marks.text)
    return pl.select(pl.when(~unknown).then(cells)).to_series() if unknown.any() else cells


def numbers_of(cells: Any, dialect: Dialect, marks: Marks) -> tuple[Any, Any]:
    """A series of text as float64, null where nothing is known or no number stands; and where the latter is so."""
    pl = library()
    written = cells if dialect.decimal == "." else _with_points(cells)
    values = written.cast(pl.Float64, strict=False)
    wrong = None
    if values.null_count() > cells.null_count():
        asked = values.is_null() & cells.is_not_null()
        rows = asked.arg_true()
        left = cells.gather(rows).str.strip_chars()
        read = (left if dialect.decimal == "." else _with_points(left)).cast(pl.Float64, strict=False)
        values = values.scatter(rows, read)
        bad = read.is_null() & ~left.str.to_lowercase().is_in(marks.lower)
        wrong = rows.filter(bad)
    odd = ~values.is_finite()  # nan, infinities; null stays null
    if odd.any():
        rows = odd.fill_null(False).arg_true()
        left = cells.gather(rows).str.strip_chars().str.to_lowercase()
        infinite = rows.filter(~left.is_in(marks.lower))
        values = values.scatter(rows.filter(left.is_in(marks.lower)), None)
        wrong = infinite if wrong is None else wrong.append(infinite).sort()
    if marks.numbers:
        values = pl.select(pl.when(~values.is_in(marks.numbers)).then(values)).to_series()
    large = values.is_between(-LARGEST, LARGEST)
    if not large.fill_null(True).all():
        rows = (~large).fill_null(False).arg_true()
        wrong = rows if wrong is None else wrong.append(rows).unique().sort()
    return values, None if wrong is None or not len(wrong) else wrong


def _with_points(cells: Any) -> Any:
    """Decimal commas as points; a cell that has a point already is no number."""
    pl = library()
    points = cells.str.contains(".", literal=True)
    written = cells.str.replace(",", ".", literal=True)
    if points.any():
        written = pl.select(pl.when(~points).then(written).otherwise(pl.lit("no number"))).to_series()
    return written


def describe(cells: Any, values: Any, wrong: Any, dialect: Dialect) -> Wrong:
    """What is wrong with cells of a column of numbers."""
    row = int(wrong[0])
    cell, value = cells[row], values[row]
    if cell is None or not cell.strip():
        return Wrong(len(wrong), row, "is empty: fill it, or drop the line", "empty")
    if value is None:
        what = f"holds {shortened(cell, LONGEST)!r}, which is not a number: correct it, or drop the line"
        if dialect.decimal == "." and COMMA.fullmatch(cell.strip()):
            what += "; if the comma is a decimal one, say so"
        return Wrong(len(wrong), row, what, "no numbers")
    if np.isfinite(value):
        return Wrong(len(wrong), row, f"is {value}, too large: use other units", "wrong")
    return Wrong(len(wrong), row, f"is {value}, not a finite number: fill it, or drop the line", "wrong")
