"""Reading a CSV file of numbers, plain or gzipped, with messages that name the line and the column."""

from __future__ import annotations

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError

GZIP = b"\x1f\x8b"
LARGEST = float(np.finfo(np.float32).max)


def read_columns(
    path: Path, numbers: Sequence[str], text: Sequence[str] = ()
) -> tuple[NDArray[np.float64], dict[str, list[str]]]:
    """Read the named columns of a CSV file with a header line: numbers (n_rows, n_numbers), and text by name.

    Raises:
        InvalidInputError: no such file, no such column, or a cell that is not a finite number.
    """
    values, line_numbers = array("d"), array("q")
    texts: dict[str, list[str]] = {name: [] for name in text}
    with _opened(path) as file:
        lines = csv.reader(file)
        header = next(([name.strip() for name in row] for row in lines if any(map(str.strip, row))), [])
        if not header:
            raise InvalidInputError(f"{path} is empty.")
        for name in (*numbers, *text):
            if header.count(name) != 1:
                raise InvalidInputError(_no_column(path, name, header))
        places = [header.index(name) for name in numbers]
        text_places = [(texts[name], header.index(name)) for name in text]
        for row in lines:
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(header):
                raise InvalidInputError(
                    f"{path}, line {lines.line_num} has {len(row)} cells, but the header names {len(header)} columns."
                )
            try:
                values.extend([_number(row[place]) for place in places])
            except ValueError:
                raise InvalidInputError(_bad_cell(path, lines.line_num, row, header, places)) from None
            line_numbers.append(lines.line_num)
            for cells, place in text_places:
                cells.append(row[place])
    table = np.frombuffer(values, np.float64) if values else np.empty(0)
    table = table.reshape(-1, len(numbers))
    if not len(table):
        raise InvalidInputError(f"{path} has a header line but no rows.")
    wrong = np.argwhere(~(np.abs(table) <= LARGEST))
    if wrong.size:
        row_number, column = wrong[0]
        cell = table[row_number, column]
        advice = "too large: use other units" if np.isfinite(cell) else "not a finite number: fill it, or drop the line"
        raise InvalidInputError(
            f"{path}, line {line_numbers[row_number]}, column {numbers[column]!r} is {cell}, {advice}."
        )
    return table, texts


def _number(cell: str) -> float:
    """float(cell), but only as a person would write a number: no 1_000, no digits of other scripts."""
    if not cell.isascii() or "_" in cell:
        raise ValueError
    return float(cell)


def _no_column(path: Path, name: str, header: list[str]) -> str:
    if name in header:
        return f"{path} has more than one column {name!r}."
    if len(header) == 1 and any(separator in header[0] for separator in ";\t|"):
        return f"{path} has no column {name!r}: its cells do not seem to be separated by commas ({header[0][:60]})."
    return f"{path} has no column {name!r}; its columns are: {', '.join(header)}."


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text; whatever is wrong with the file itself becomes one sentence."""
    try:
        with path.open("rb") as start:
            zipped = start.read(2) == GZIP
        if zipped:
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
                yield file
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{path} is not a whole gzip file: {error}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not text in UTF-8: save it in that encoding.") from error
    except csv.Error as error:
        raise InvalidInputError(f"{path} cannot be read as CSV: {error}.") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _bad_cell(path: Path, line: int, row: list[str], header: list[str], places: list[int]) -> str:
    for place in places:
        try:
            _number(row[place])
        except ValueError:
            what = f"holds {row[place]!r}, which is not a number" if row[place].strip() else "is empty"
            return f"{path}, line {line}, column {header[place]!r} {what}: correct it, or drop the line."
    raise AssertionError("every cell is a number")
