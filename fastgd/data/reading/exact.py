"""Rows read one by one by the standard library: slower, but it sees where a quote goes astray.

A stray quote would turn everything up to the next quote, or to the end of the file, into one cell. So a quote must be
closed at the end of its cell, and a quoted cell may span lines, as an address does, but not take in rows of the table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ...options import counted
from .dialect import MISSING, Dialect

BREAK = re.compile(r"\r\n|\r|\n")
BYTE_BREAK = re.compile(rb"\r\n|\r|\n")
UNFINISHED = "unexpected end of data"  # the csv module's words for a quote that is still open


class Row(NamedTuple):
    """A row, and the numbers of its first and its last line."""

    first: int
    last: int
    cells: list[str]


class Rest(NamedTuple):
    """Lines that begin a row, but do not end it."""

    text: str


def rows(name: str, text: str, separator: str, line: int, is_last: bool) -> Iterator[Row | Rest]:
    """The rows that are not blank, of lines of which the first has the number `line`.

    Raises:
        InvalidInputError: a quote astray.
    """
    record: list[str] = []  # the lines of the row that is being read
    reader = csv.reader(_kept(io.StringIO(text, newline=""), record), strict=True, delimiter=separator)
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield Row(line + reader.line_num - len(record), line + reader.line_num - 1, row)
            record.clear()
    except csv.Error as error:
        if not is_last and UNFINISHED in str(error):
            yield Rest("".join(record))
            return
        first = line + reader.line_num - len(record)
        raise InvalidInputError(_fault(name, separator, first, "".join(record))) from None


def _kept(lines: Iterator[str], record: list[str]) -> Iterator[str]:
    for line in lines:
        record.append(line)
        yield line


def check(dialect: Dialect, row: Row, numbers: Sequence[int]) -> None:
    """Refuse a row that took in another one, or has too many or too few cells; `numbers` are columns of numbers."""
    if row.last > row.first:
        check_quotes(dialect, row, dialect.n_columns, numbers)
    if len(row.cells) != dialect.n_columns:
        raise InvalidInputError(_wrong_length(dialect, row))


def check_header(dialect: Dialect, row: Row, wanted: Sequence[str]) -> None:
    """Refuse a header that took in a row."""
    if row.last > row.first:
        for columns in (list(dialect.header), _cut_short(row.cells, dialect.separator)):
            asked = set(wanted)
            found = [place for place, column in enumerate(columns) if column in asked]
            check_quotes(dialect, row, len(columns), found, is_header=True)


def check_quotes(dialect: Dialect, row: Row, n_columns: int, numbers: Sequence[int], is_header: bool = False) -> None:
    """Refuse a row that spans lines because a quote took in another row.

    A line within a quoted cell gives it away. The last line may be the rest of the row, so it does so only where the
    row would have been a whole one without the quote, too.
    """
    cells = row.cells
    for place, cell in enumerate(cells):
        start, *inner = BREAK.split(cell)
        if not inner:
            continue
        head, behind = [*cells[:place], *start.split(dialect.separator)], n_columns - 1 - place
        ended = [*head[: place + 1], *head[len(head) - behind :]]  # if the cell with its commas ended there
        is_whole = is_header or (len(head) >= n_columns and _is_row(dialect, ended, n_columns, numbers))
        tail = [*inner.pop().split(dialect.separator), *cells[place + 1 :]]
        lines = [*(line.split(dialect.separator) for line in inner), *([tail] if is_whole else [])]
        if any(_is_row(dialect, line, n_columns, numbers) for line in lines):
            opens = row.first + breaks(cells[:place])
            what = f"takes in whole rows, up to line {opens + breaks([cell])}"
            raise InvalidInputError(_stray(dialect.name, opens, what))


def _is_row(dialect: Dialect, cells: list[str], n_columns: int, numbers: Sequence[int]) -> bool:
    """Whether cells look like a row of the table: as many as columns, and numbers where they are wanted."""
    wanted = [cells[place].strip() for place in numbers] if len(cells) == n_columns else []
    known = [cell for cell in wanted if cell.lower() not in MISSING]
    return bool(known) and all(map(dialect.is_number, known))


def _cut_short(row: list[str], separator: str) -> list[str]:
    """A row as it would be if it ended with its first line."""
    for place, cell in enumerate(row):
        start, *inner = BREAK.split(cell)
        if inner:
            return [*row[:place], *(name.strip() for name in start.split(separator))]
    return row


def breaks(cells: Sequence[str]) -> int:
    """How many line breaks cells have."""
    return sum(len(BREAK.findall(cell)) for cell in cells)


def byte_breaks(lines: bytes) -> int:
    """How many line breaks there are; a search for each kind of them only where a return is."""
    if b"\r" in lines:
        return len(BYTE_BREAK.findall(lines))
    return int(np.count_nonzero(np.frombuffer(lines, np.uint8) == ord("\n")))  # faster than to count bytes


def _fault(name: str, separator: str, first: int, record: str) -> str:
    """What csv cannot read in the lines of a row."""
    pattern = re.compile(rf'"[^"]*+(?:""[^"]*+)*+("?)|[^{re.escape(separator)}\r\n]*')
    at, opens = 0, first  # the place and the line in which a cell begins
    while True:
        cell = pattern.match(record, at)
        assert cell is not None  # an empty cell is one, too
        behind = record[cell.end() : cell.end() + 1]
        if cell[0].startswith('"') and not cell[1]:
            return _stray(name, opens, "is not closed")
        if cell[0].startswith('"') and behind not in ("", separator, "\r", "\n"):
            return _stray(name, opens, "is closed before its cell ends")
        if behind != separator:
            return f"{name}, line {first} has a cell of more than {csv.field_size_limit():,} characters: shorten it."
        at, opens = cell.end() + 1, opens + breaks([cell[0]])


def _stray(name: str, line: int, what: str) -> str:
    return f"{name}, line {line} opens a quote that {what}: close it where its cell ends, or drop it."


def _wrong_length(dialect: Dialect, row: Row) -> str:
    n_cells, n_columns = len(row.cells), dialect.n_columns
    for place, cell in enumerate(row.cells):
        if BREAK.search(cell):
            opens = row.first + breaks(row.cells[:place])
            what = f"goes on to line {opens + breaks([cell])}, which makes {n_cells} cells for {n_columns} columns"
            return _stray(dialect.name, opens, what)
    quotes = f", and quote each cell that has a {dialect.separator!r} in it" if n_cells > n_columns else ""
    return (
        f"{dialect.name}, line {row.first} has {counted(n_cells, 'cell')}, but the header names "
        f"{counted(n_columns, 'column')}: correct the line{quotes}."
    )
