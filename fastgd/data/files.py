"""Reading a CSV file of numbers, plain or gzipped, with messages that name the line and the column.

A stray quote would turn everything up to the next quote, or to the end of the file, into one cell. So a quote must be
closed at the end of its cell, and a quoted cell may span lines, as an address does, but not take in rows of the table.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import printable, shortened

GZIP = b"\x1f"  # the first byte is enough: no text begins with it, and a pipe may have brought no more than that
LARGEST = float(np.finfo(np.float32).max)
LONGEST = 60  # characters of a cell or a name in a message
MISSING = ("", "-", "?", "n/a", "na", "nan", "none", "null")  # what stands for a number that nobody knows
BREAK = re.compile(r"\r\n|\r|\n")
CELL = re.compile(r'"[^"]*(?:""[^"]*)*("?)|[^,\r\n]*')


def read_columns(
    path: Path, numbers: Sequence[str], text: Sequence[str] = ()
) -> tuple[NDArray[np.float64], dict[str, list[str]]]:
    """Read the named columns of a CSV file with a header line: numbers (n_rows, n_numbers), and text by name.

    Raises:
        InvalidInputError: no such file, no such column, a cell that is not a finite number, or a quote astray.
    """
    values = array("d")
    texts: dict[str, list[str]] = {name: [] for name in text}
    with _opened(path) as file:
        rows = _rows(path, file)
        first, last, row = next(rows, (0, 0, []))
        if not row:
            raise InvalidInputError(f"{path} is empty.")
        header = [name.strip() for name in row]
        if last > first:
            for columns in (header, _cut_short(header)):
                found = [columns.index(name) for name in numbers if name in columns]
                _check_quotes(path, first, row, len(columns), found, is_header=True)
        for name in (*numbers, *text):
            if header.count(name) != 1:
                raise InvalidInputError(_no_column(path, name, header))
        places = [header.index(name) for name in numbers]
        text_places = [(texts[name], header.index(name)) for name in text]
        for first, last, row in rows:
            if last > first:
                _check_quotes(path, first, row, len(header), places)
            if len(row) != len(header):
                raise InvalidInputError(_wrong_length(path, first, row, len(header)))
            try:
                values.extend([_number(row[place]) for place in places])
            except ValueError:
                raise InvalidInputError(_bad_cell(path, first, row, header, places)) from None
            for cells, place in text_places:
                cells.append(row[place])
    if not values:
        raise InvalidInputError(f"{path} has a header line but no rows.")
    return np.frombuffer(values, np.float64).reshape(-1, len(numbers)), texts


def _float(cell: str) -> float:
    """float(cell), but only as a person would write a number: no 1_000, no digits of other scripts."""
    if not cell.isascii() or "_" in cell:
        raise ValueError
    return float(cell)


def _number(cell: str) -> float:
    """A finite number that float32 holds."""
    number = _float(cell)
    if not -LARGEST <= number <= LARGEST:
        raise ValueError
    return number


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


# Lines and rows.


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text; whatever is wrong with the file itself becomes one sentence. A pipe can be opened only once."""
    try:
        with path.open("rb") as file:
            content = gzip.GzipFile(fileobj=file) if file.peek(1)[:1] == GZIP else file
            with TextIOWrapper(content, encoding="utf-8-sig", newline="") as lines:
                yield lines
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is not a whole gzip file: {error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not text in UTF-8: save it in that encoding.") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, int, list[str]]]:
    """The rows that are not blank, each with the numbers of its first and its last line."""
    record: list[str] = []  # the lines of the row that is being read
    rows = csv.reader(_kept(file, record), strict=True)
    try:
        for row in rows:
            if any(map(str.strip, row)):
                yield rows.line_num - len(record) + 1, rows.line_num, row
            record.clear()
    except csv.Error:
        raise InvalidInputError(_fault(path, rows.line_num - len(record) + 1, "".join(record))) from None


def _kept(file: TextIO, record: list[str]) -> Iterator[str]:
    for line in file:
        record.append(line)
        yield line


# Quotes astray.


def _check_quotes(
    path: Path, first: int, row: list[str], n_columns: int, places: list[int], is_header: bool = False
) -> None:
    """Refuse a row that spans lines because a quote took in another row.

    A line within a quoted cell gives it away. The last line may be the rest of the row, so it does so only where the
    row would have been a whole one without the quote, too.
    """
    for place, cell in enumerate(row):
        start, *inner = BREAK.split(cell)
        if not inner:
            continue
        head, behind = [*row[:place], *start.split(",")], n_columns - 1 - place
        ended = [*head[: place + 1], *head[len(head) - behind :]]  # if the cell with its commas ended there
        is_whole = is_header or (len(head) >= n_columns and _is_row(ended, n_columns, places))
        tail = [*inner.pop().split(","), *row[place + 1 :]]
        lines = [*(line.split(",") for line in inner), *([tail] if is_whole else [])]
        if any(_is_row(line, n_columns, places) for line in lines):
            opens = first + _breaks(row[:place])
            raise InvalidInputError(_stray(path, opens, f"takes in whole rows, up to line {opens + _breaks([cell])}"))


def _is_row(cells: list[str], n_columns: int, places: list[int]) -> bool:
    """Whether cells look like a row of the table: as many as columns, and numbers where they are wanted."""
    wanted = [cells[place].strip() for place in places] if len(cells) == n_columns else []
    known = [cell for cell in wanted if cell.lower() not in MISSING]
    return bool(known) and all(map(_is_number, known))


def _cut_short(row: list[str]) -> list[str]:
    """A row as it would be if it ended with its first line."""
    for place, cell in enumerate(row):
        start, *inner = BREAK.split(cell)
        if inner:
            return [*row[:place], *(name.strip() for name in start.split(","))]
    return row


def _breaks(cells: Sequence[str]) -> int:
    return sum(len(BREAK.findall(cell)) for cell in cells)


def _fault(path: Path, first: int, record: str) -> str:
    """What csv cannot read in the lines of a row."""
    at = 0
    while True:
        cell = CELL.match(record, at)
        assert cell is not None  # an empty cell is one, too
        opens, behind = first + _breaks([record[:at]]), record[cell.end() : cell.end() + 1]
        if cell[0].startswith('"') and not cell[1]:
            return _stray(path, opens, "is not closed")
        if cell[0].startswith('"') and behind not in ("", ",", "\r", "\n"):
            return _stray(path, opens, "is closed before its cell ends")
        if behind != ",":
            return f"{path}, line {first} has a cell of more than {csv.field_size_limit():,} characters: shorten it."
        at = cell.end() + 1


def _stray(path: Path, line: int, what: str) -> str:
    return f"{path}, line {line} opens a quote that {what}: close it where its cell ends, or drop it."


# What else is wrong.


def _no_column(path: Path, name: str, header: list[str]) -> str:
    if name in header:
        return f"{path} has more than one column {shortened(name, LONGEST)!r}."
    name = shortened(name, LONGEST)
    known = ", ".join(printable(shortened(column, LONGEST)) for column in header)
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
        return f"{path} has no column {name!r}: its cells do not seem to be separated by commas ({known})."
    return f"{path} has no column {name!r}; its columns are: {known}."


def _wrong_length(path: Path, first: int, row: list[str], n_columns: int) -> str:
    for place, cell in enumerate(row):
        if BREAK.search(cell):
            opens = first + _breaks(row[:place])
            what = f"goes on to line {opens + _breaks([cell])}, which makes {len(row)} cells for {n_columns} columns"
            return _stray(path, opens, what)
    return f"{path}, line {first} has {len(row)} cells, but the header names {n_columns} columns."


def _bad_cell(path: Path, first: int, row: list[str], header: list[str], places: list[int]) -> str:
    place = next(place for place in places if not _is_number(row[place]))
    cell = row[place]
    try:
        value = _float(cell)
        advice = (
            "too large: use other units" if np.isfinite(value) else "not a finite number: fill it, or drop the line"
        )
        what = f"is {value}, {advice}"
    except ValueError:
        what = f"holds {shortened(cell, LONGEST)!r}, which is not a number" if cell.strip() else "is empty"
        what += ": correct it, or drop the line"
    return f"{path}, line {first + _breaks(row[:place])}, column {shortened(header[place], LONGEST)!r} {what}."
