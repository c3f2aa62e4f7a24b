"""Cells of text to columns: numbers, or text, with null where nothing is known; and which cells are wrong.

What a column holds is found from the first block of rows; a cell that does not fit is an error with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ...options import shortened
from .dialect import COMMA, LONGEST, MISSING, NO_TEXT, Dialect, grouped_pattern
from .library import library
from .rows import Block

LARGEST = float(np.finfo(np.float32).max)
BLANKS = " \t"
FEW_WRONG = 0.05  # of a column's cells: so few that are no numbers are taken for mistakes, more for text
CODES = r"^0\d+$"  # whole numbers that are written with leading zeros are codes


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


class Fault(NamedTuple):
    """The cells of a column of numbers that are none: how many, the line of the first, what is wrong and what to do."""

    n_cells: int
    line: int
    what: str
    advice: str


class Cells:
    """Turns blocks of rows into frames, and keeps count of what is wrong.

    Args:
        dialect: of the file.
        columns: the names of those that are wanted, in their order.
        text, numbers: those of them of which it is known what they hold.
        marks: what stands for unknown values.
        gaps: whether cells of `numbers` may be empty.
        told: takes remarks.
    """

    def __init__(
        self, dialect: Dialect, columns: Sequence[str], text: Sequence[str], numbers: Sequence[str], marks: Marks,
        gaps: bool, told: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.dialect, self.marks, self.told = dialect, marks, told
        self.places = dialect.places(columns)
        self.text, self.numbers = set(text), set(numbers) - set(text)
        self.whole = set() if gaps else set(self.numbers)
        known = self.text | self.numbers
        self.open = [column for column in columns if column not in known]
        self.found = set(self.open)
        self.as_they_are: set[str] = set()  # columns of text that nobody reads
        self.faults: dict[str, Fault] = {}
        self.grouped: set[str] = set()

    def frame(self, block: Block) -> Any:
        """The columns of a block; what is wrong there is noted."""
        pl = library()
        is_open = set(self.open)
        asked = [column for column in self.places if column in self.numbers or column in is_open]
        texts = [pl.col(str(self.places[column])) for column in asked]
        table = block.frame.select(_as_number(cells, self.dialect.decimal) for cells in texts)
        fits = table.select(pl.all().is_between(-LARGEST, LARGEST).all()).row(0) if asked else ()
        made = {}
        for column, fit, values in zip(asked, fits, table.get_columns(), strict=True):
            cells = block.frame[values.name]
            is_easy = fit and values.null_count() == cells.null_count() and not self.marks.numbers
            if column in is_open and self._is_text(cells, values):
                self.text.add(column)
                continue
            if not is_easy or (column in self.whole and values.null_count()):
                values = self._looked_at(column, block, cells, values)
            made[column] = values
        self.numbers |= made.keys()
        self.open = []
        for column in self.places.keys() - made.keys():
            cells = block.frame.to_series(self.places[column])
            made[column] = cells if column in self.as_they_are else self._text(cells)
        return pl.DataFrame({column: made[column] for column in self.places})

    def check(self) -> None:
        """Say what is wrong in the column whose first wrong cell is the first of all.

        Raises:
            InvalidInputError: anything is.
        """
        if self.faults:
            column, fault = min(self.faults.items(), key=lambda item: item[1].line)
            many = f" (the first of {fault.n_cells:,} such cells)" if fault.n_cells > 1 else ""
            where = f"{self.dialect.name}, line {fault.line}, column {shortened(column, LONGEST)!r}"
            raise InvalidInputError(f"{where} {fault.what}{many}{fault.advice}.")

    def _is_text(self, cells: Any, values: Any) -> bool:
        """Whether a column of which nobody has said anything holds text."""
        zeros = cells.filter(cells.str.starts_with("0"))
        if len(zeros) and zeros.str.contains(CODES).any():
            return True
        if values.null_count() == cells.null_count():
            return False
        read, wrong, _ = self._read(cells.filter(values.is_null() & cells.is_not_null()))
        n_unknown = cells.null_count() + read.null_count() - wrong.sum()
        return bool(wrong.sum() > FEW_WRONG * (len(cells) - n_unknown))

    def _text(self, cells: Any) -> Any:
        """Text without blanks around it, null where nothing is known."""
        pl = library()
        cells = cells.str.strip_chars(BLANKS)
        unknown = cells.is_in(self.marks.text)
        return pl.select(pl.when(~unknown).then(cells)).to_series() if unknown.any() else cells

    def _read(self, cells: Any) -> tuple[Any, Any, Any]:
        """Cells that are no plain numbers as numbers; where they are wrong; and where thousands are separated."""
        pl = library()
        decimal, group = self.dialect.decimal, "," if self.dialect.decimal == "." else "."
        cells = cells.str.strip_chars()
        grouped = cells.str.contains(grouped_pattern(decimal))
        plain = pl.select(pl.when(grouped).then(cells.str.replace_all(group, "", literal=True)).otherwise(cells))
        values = plain.select(_as_number(pl.col(plain.columns[0]), decimal)).to_series()
        unknown = cells.str.to_lowercase().is_in(self.marks.lower)
        values = pl.select(pl.when(~unknown).then(values)).to_series()
        if self.marks.numbers:
            unknown |= values.is_in(self.marks.numbers).fill_null(False)
            values = pl.select(pl.when(~unknown).then(values)).to_series()
        wrong = ~unknown & ~values.is_between(-LARGEST, LARGEST).fill_null(False)
        return values, wrong, grouped

    def _looked_at(self, column: str, block: Block, cells: Any, values: Any) -> Any:
        """A column in which not every cell is a plain number."""
        asked = cells.is_not_null() & ~values.is_between(-LARGEST, LARGEST).fill_null(False)
        if self.marks.numbers:
            asked |= values.is_in(self.marks.numbers).fill_null(False)
        rows = asked.arg_true()
        read, wrong, grouped = self._read(cells.gather(rows))
        values = values.scatter(rows, read)
        faulty = rows.filter(wrong)
        if column in self.whole and values.null_count():
            faulty = faulty.append(values.is_null().arg_true()).unique().sort()
        if len(faulty):
            self._note(column, block, cells, values, faulty)
        elif grouped.any() and column not in self.grouped:
            self.grouped.add(column)
            cell = cells.gather(rows).filter(grouped)[0]
            self.told(f"Column {shortened(column, LONGEST)!r}: {cell} is read with separated thousands.")
        return values

    def _note(self, column: str, block: Block, cells: Any, values: Any, faulty: Any) -> None:
        row = int(faulty[0])
        what, advice = self._what(column, cells[row], values[row])
        line = block.line(row, self.places[column])
        before = self.faults.get(column, Fault(0, line, what, advice))
        self.faults[column] = before._replace(n_cells=before.n_cells + len(faulty))

    def _what(self, column: str, cell: str | None, value: float | None) -> tuple[str, str]:
        """What is wrong with a cell, and what to do."""
        if cell is None or not cell.strip():
            return "is empty", ": fill it, or drop the line"
        if value is None and cell.strip().lower() in self.marks.lower:
            unknown = f"holds {shortened(cell, LONGEST)!r}, which stands for an unknown value"
            return unknown, ": fill it, or drop the line"
        if value is None:
            also = ", or read the column as text" if column in self.found else ""
            if COMMA.fullmatch(cell.strip()):
                also += "; if its comma is a decimal one, say --decimal , (in Python decimal=',')"
            return f"holds {shortened(cell, LONGEST)!r}, which is not a number", f": correct it, or drop the line{also}"
        if np.isfinite(value) or "inf" not in cell.lower():
            large = str(value) if np.isfinite(value) else shortened(cell.strip(), LONGEST)
            return f"is {large}, too large", ": use other units"
        return f"is {value}, not a finite number", ": fill it, or drop the line"


def _as_number(cells: Any, decimal: str) -> Any:
    """An expression for text as float64, null where no plain number stands."""
    pl = library()
    if decimal == ",":  # a cell with a point is none
        points = cells.str.contains(".", literal=True)
        cells = pl.when(~points).then(cells.str.replace(",", ".", literal=True))
    return cells.cast(pl.Float64, strict=False)
