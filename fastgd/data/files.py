"""Files of tables: CSV, plain or packed with gzip or zstd, and Parquet, as data frames of polars.

Each column is numbers or text, with null where nothing is known. Whatever is wrong is one sentence, with the line and
the column of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidInputError
from ..options import shortened
from .reading import cells, parquet
from .reading.dialect import LONGEST, Format, place_of
from .reading.library import library
from .reading.rows import Block, Rows
from .reading.source import opened
from .reading.text import lines_of

__all__ = ["Format", "read_chunks", "read_table"]

FEW_WRONG = 0.05  # of a column's cells: so few that are no numbers are taken for mistakes, and more for text
CODES = r"^0\d+$"  # whole numbers written with leading zeros are codes


def _silent(remark: str) -> None:
    """Say nothing."""


class _Wanted(NamedTuple):
    """The columns to read."""

    columns: list[str]
    text: frozenset[str]
    numbers: frozenset[str]


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    fmt: Format = Format(),  # noqa: B008  it is frozen
    *,
    told: Callable[[str], None] = _silent,
    gaps: bool = True,
) -> Any:
    """Read a table with a header line as a polars.DataFrame (n_rows, n_columns), null where nothing is known.

    Args:
        path: of a CSV file, plain or packed with gzip or zstd, or a Parquet file; "-" is standard input.
        columns: their names, in the order in which they are wanted; None for all.
        text: those to read as text.
        numbers: those that must be numbers; of the others it is found: numbers where all cells are, else text.
        fmt: how the file is written, as far as it is not to be found.
        told: takes remarks, such as on the encoding.
        gaps: whether cells of `numbers` may be empty.

    Raises:
        InvalidInputError: no such file or column, a cell that is not a finite number, or a quote astray.
    """
    pl = library()
    with opened(path) as source:
        if source.parquet is not None:
            return parquet.read(source.name, source.parquet, columns, text, numbers, gaps)
        rows = Rows(source.name, lines_of(source.name, source.pieces, fmt.encoding, told), fmt, numbers)
        wanted = _wanted(source.name, rows.dialect.header, columns, text, numbers)
        marks = cells.marks_of(fmt.missing, rows.dialect)
        places = {column: rows.dialect.place(column) for column in wanted.columns}
        faults = _Faults(rows, gaps)
        frames = []
        for block in rows.blocks():
            if block.frame.height:
                frames.append(pl.DataFrame(_of_block(block, places, wanted, marks, faults)))
    faults.check()
    if not frames:
        raise InvalidInputError(f"{source.name} has a header line but no rows.")
    table = pl.concat(frames)
    return table.with_columns(
        _found(table[column], column, faults, marks)
        for column in wanted.columns
        if column not in wanted.text | wanted.numbers
    )


def read_chunks(
    path: Path,
    columns: Sequence[str] | None = None,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    fmt: Format = Format(),  # noqa: B008  it is frozen
    *,
    told: Callable[[str], None] = _silent,
    gaps: bool = True,
    rows: int = 100_000,
) -> Iterator[tuple[int, Any]]:
    """Read a table that may be larger than memory, some rows at a time: the first one's line, and a data frame.

    What a column holds cannot be found from a part of it: those that are not named in `numbers` are read as text.

    Args:
        path, columns, text, numbers, fmt, told, gaps: as for `read_table`.
        rows: the most rows of a frame.

    Raises:
        InvalidInputError: as `read_table` does, when it comes to the place.
    """
    pl = library()
    with opened(path) as source:
        if source.parquet is not None:
            yield from parquet.chunks(source.name, source.parquet, columns, text, numbers, gaps, rows)
            return
        table = Rows(source.name, lines_of(source.name, source.pieces, fmt.encoding, told), fmt, numbers)
        wanted = _wanted(source.name, table.dialect.header, columns, text, numbers)
        wanted = wanted._replace(text=frozenset(wanted.columns) - wanted.numbers)
        marks = cells.marks_of(fmt.missing, table.dialect)
        places = {column: table.dialect.place(column) for column in wanted.columns}
        n_rows = 0
        for block in table.blocks():
            faults = _Faults(table, gaps)
            frame = pl.DataFrame(_of_block(block, places, wanted, marks, faults))
            faults.check()
            n_rows += frame.height
            for first in range(0, frame.height, rows):
                yield int(block.lines[first]), frame[first : first + rows]
        if not n_rows:
            raise InvalidInputError(f"{source.name} has a header line but no rows.")


def _wanted(
    name: str, header: Sequence[str], columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str]
) -> _Wanted:
    """The columns to read, each of which is there once."""
    chosen = list(header if columns is None else columns)
    for column in chain(chosen, text, numbers):
        place_of(name, header, column)
    return _Wanted(chosen, frozenset(text), frozenset(numbers) - frozenset(text))


def _of_block(
    block: Block, places: dict[str, int], wanted: _Wanted, marks: cells.Marks, faults: _Faults
) -> dict[str, Any]:
    """The columns of a block: numbers and text where that is known, and the cells as they are where it is not."""
    made = {}
    for column, place in places.items():
        series = block.frame.to_series(place)
        if column in wanted.numbers:
            made[column] = faults.numbers(column, block, series, place, marks)
        elif column in wanted.text:
            made[column] = cells.text_of(series, marks)
        else:
            made[column] = series
    faults.remember(block, places)
    return made


class _Faults:
    """Cells that are wrong: how many of each column, and where the first is.

    Args:
        rows: of the table.
        gaps: whether cells may be empty.
    """

    def __init__(self, rows: Rows, gaps: bool) -> None:
        self.rows, self.gaps = rows, gaps
        self.found: dict[str, tuple[int, int, cells.Wrong]] = {}
        self.lines: list[tuple[int, Any]] = []  # the first row of each block, and the lines of its rows

    def numbers(self, column: str, block: Block, series: Any, place: int, marks: cells.Marks) -> Any:
        """The numbers of a block's column; what is wrong there is noted."""
        values, wrong = cells.numbers_of(series, self.rows.dialect, marks)
        if not self.gaps and values.null_count():
            wrong = values.is_null().arg_true() if wrong is None else wrong.append(values.is_null().arg_true())
            wrong = wrong.unique().sort()
        if wrong is not None:
            fault = cells.describe(series, values, wrong, self.rows.dialect)
            self.note(column, block.line(fault.row, place), fault)
        return values

    def note(self, column: str, line: int, fault: cells.Wrong) -> None:
        """Add a block's faults to those of the blocks before."""
        count, first, what = self.found.get(column, (0, line, fault))
        self.found[column] = (count + fault.count, first, what)

    def remember(self, block: Block, places: dict[str, int]) -> None:
        """Note which lines its rows are in."""
        before = self.lines[-1][0] + len(self.lines[-1][1]) if self.lines else 0
        self.lines.append((before, block.lines))

    def line(self, row: int) -> int:
        """The line in which a row of the table begins."""
        before, lines = next(each for each in reversed(self.lines) if each[0] <= row)
        return int(lines[row - before])

    def check(self) -> None:
        """Say what is wrong in the column whose first wrong cell is the first of all.

        Raises:
            InvalidInputError: anything is.
        """
        if not self.found:
            return
        column, (count, line, fault) = min(self.found.items(), key=lambda item: item[1][1])
        many = f" (the first of {count:,} such cells)" if count > 1 else ""
        where = f"{self.rows.dialect.name}, line {line}, column {shortened(column, LONGEST)!r}"
        what, advice = _halves(fault.what)
        raise InvalidInputError(f"{where} {what}{many}{advice}.")


def _halves(what: str) -> tuple[str, str]:
    """What is wrong with a cell, and from the colon on what to do."""
    at = what.rindex(": ")
    return what[:at], what[at:]


def _found(series: Any, column: str, faults: _Faults, marks: cells.Marks) -> Any:
    """A column that nobody has said anything of: numbers where all cells are, else text."""
    dialect = faults.rows.dialect
    values, wrong = cells.numbers_of(series, dialect, marks)
    n_known = len(values) - values.null_count() + (0 if wrong is None else len(wrong))
    if wrong is None:
        begins = series.str.starts_with("0")
        if not (begins.any() and series.filter(begins).str.contains(CODES).any()):
            return values
    elif len(wrong) <= FEW_WRONG * n_known:
        fault = cells.describe(series, values, wrong, dialect)
        faults.note(column, faults.line(fault.row), fault)
        faults.check()
    return cells.text_of(series, marks)
