"""How a text file is written: the header line, what separates cells, and what a decimal number looks like."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidInputError
from ...options import printable, shortened, shown

LONGEST = 60  # characters of a cell or a name in a message
MOST_COLUMNS = 1 << 17  # of a text file: each takes some time, and memory of its own
MOST_NAMED = 6  # columns in a message on those that are missing
MOST_KNOWN = 100  # columns that are named instead
SEPARATORS = ",;\t|"  # those that are found; in a tie the first
SAMPLE = 1 << 16  # bytes, from which a decimal comma is found
FIRST = 1 << 13  # characters of them, from which the separator is
MISSING = ("", "-", "?", "n/a", "na", "nan", "none", "null", "#n/a", "<na>")  # for a number that nobody knows
NO_TEXT = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "<NA>")  # likewise for text; "none" is text
# A comma that can only be a decimal one, a number that has none, and one that may be 1.234 or 1234.
COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)?,(\d{1,2}|\d{4,})|[+-]?(0|\d{4,}|\d{1,3}(\.\d{3})+),\d+")
POINT = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)?\.\d+|[+-]?\d{1,3}(,\d{3}){2,}")
NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?", re.IGNORECASE)
SEPARATOR = re.compile(r'[^"\r\n\x80-\U0010ffff]')
EITHER = re.compile(r"[+-]?\d{1,3},\d{3}")


def is_text(value: Any) -> bool:
    """Whether it can stand in a file: halves of characters cannot."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


@dataclass(frozen=True)
class Format:
    """How a file is written, as far as the user says so; None is found from the file.

    Args:
        separator: what stands between cells, one character; found among comma, semicolon, tab and bar.
        decimal: "." or ","; a comma where more cells are written so.
        encoding: of the text, such as "latin-1"; a byte-order mark, UTF-8, or Western European, which is told.
        missing: what stands for an unknown value beside empty cells, such as ("-999",); by default NA, n/a, nan, null
            and the like, and in columns of numbers "-", "?" and "none".
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.separator is not None and not SEPARATOR.fullmatch(self.separator):
            raise InvalidInputError(f"separator must be one character such as ';', not {shown(self.separator)}.")
        for mark in self.missing or ():
            if not is_text(mark):
                raise InvalidInputError(f"missing must be texts such as '-999', not {shown(mark)}.")
        if self.decimal not in (None, ".", ","):
            raise InvalidInputError(f"decimal must be '.' or ',', not {shown(self.decimal)}.")
        if self.decimal is not None and self.decimal == self.separator:
            raise InvalidInputError(f"{self.decimal!r} cannot both separate cells and stand in numbers.")


@dataclass(frozen=True)
class Dialect:
    """The same, found; and the names of the columns."""

    name: str  # of the file
    separator: str
    decimal: str
    header: tuple[str, ...]

    @property
    def n_columns(self) -> int:
        """How many cells a row has."""
        return len(self.header)

    def places(self, columns: Sequence[str]) -> dict[str, int]:
        """Where columns stand.

        Raises:
            InvalidInputError: there is none of such a name, or more than one.
        """
        check_columns(self.name, self.header, columns)
        found = {name: place for place, name in enumerate(self.header)}
        return {column: found[column] for column in columns}

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a finite number, as a person would write it: no 1_000, no digits of other scripts."""
        if not cell.isascii() or "_" in cell:
            return False
        try:
            return abs(float(self.with_point(cell))) < float("inf")
        except ValueError:
            return False

    def with_point(self, cell: str) -> str:
        """A number as programs write it, without separated thousands."""
        group = "," if self.decimal == "." else "."
        if group in cell:
            is_grouped = re.fullmatch(grouped_pattern(self.decimal), cell.strip())
            cell = cell.replace(group, "") if is_grouped else "no number"
        return cell.replace(",", ".")


def grouped_pattern(decimal: str) -> str:
    """The pattern of numbers whose thousands are separated."""
    group, decimal = (r",", r"\.") if decimal == "." else (r"\.", ",")
    return rf"^[+-]?\d{{1,3}}({group}\d{{3}})+({decimal}\d+)?$"


def check_columns(name: str, header: Sequence[str], columns: Sequence[str]) -> None:
    """Whether a header has columns, each once and none a pattern, or one sentence that names all that it lacks."""
    times = Counter(header)
    missing = [column for column in dict.fromkeys(columns) if column not in times]
    if missing:
        named = ", ".join(repr(shortened(column, LONGEST)) for column in missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        known = ", ".join(printable(shortened(other, LONGEST)) for other in header[:MOST_KNOWN])
        known += f" and {len(header) - MOST_KNOWN:,} more" if len(header) > MOST_KNOWN else ""
        also = " Does the file begin with a header line?" if all(map(NUMBER.fullmatch, header)) else ""
        what = f"column{'s' * (len(missing) > 1)} {named}{more}"
        raise InvalidInputError(f"{name} has no {what}; its columns are: {known}.{also}")
    twice = next((column for column in columns if times[column] > 1), None)
    if twice is not None:
        raise InvalidInputError(f"{name} has more than one column {shortened(twice, LONGEST)!r}: rename all but one.")
    pattern = next((column for column in columns if column[:1] == "^" and column[-1:] == "$"), None)
    if pattern is not None:  # its columns' own methods then look for others
        raise InvalidInputError(
            f"{name} has a column {shortened(pattern, LONGEST)!r}, which polars would take for a pattern: rename it "
            "without ^ and $."
        )


def find_separator(sample: str) -> str:
    """What separates cells: it gives most rows as many cells as the header has."""
    best, found = (0.0, 0), SEPARATORS[0]
    for separator in SEPARATORS:
        rows = _rows(sample[:FIRST], separator)
        width = len(rows[0]) if rows else 1
        if width > 1:
            alike = sum(len(row) == width for row in rows) / len(rows)
            best, found = max((best, found), ((alike, width), separator), key=lambda each: each[0])
    return found


def find_decimal(name: str, sample: str, separator: str) -> str:
    """A comma where more cells are written so than with a point.

    Raises:
        InvalidInputError: there are commas in numbers, and nothing tells what they are.
    """
    cells = [cell.strip() for row in _rows(sample, separator)[1:] for cell in row]
    commas, points = (sum(bool(pattern.fullmatch(cell)) for cell in cells) for pattern in (COMMA, POINT))
    if not commas and not points:
        either = next((cell for cell in cells if EITHER.fullmatch(cell)), None)
        if either is not None:
            raise InvalidInputError(
                f"{name} has numbers such as {either}, whose comma may be a decimal one, or separate thousands: say "
                "--decimal , or --decimal . to tell (in Python decimal=)."
            )
    return "," if commas > points else "."


def _rows(sample: str, separator: str) -> list[list[str]]:
    """The rows of a sample, as far as they can be read; the last may be cut."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator):
            if any(map(str.strip, row)):
                rows.append(row)
    except csv.Error:
        pass
    return rows[:-1] if len(rows) > 2 and len(sample) >= FIRST else rows
