"""Lines of text to blocks of rows, whose cells are still text.

The library splits the cells. Whether it will split them rightly is looked at before: each quote must open or close its
cell, and every row have as many separators as the header. What fails goes row by row through `exact`, which says why;
rows with line breaks in a cell do so anyway, one by one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from . import exact
from .dialect import MISSING, MOST_COLUMNS, SAMPLE, Dialect, Format, find_decimal, find_separator
from .library import failures, library
from .text import LONGEST_LINE

Places = Sequence[int] | NDArray[np.int64]
QUOTE, LINE_FEED = ord('"'), ord("\n")
NONE = np.zeros(0, np.int64)
LOOKED_AT = 1000  # rows, to see which columns are numbers


class Block(NamedTuple):
    """Some rows: a frame of text with the columns "0", "1", ..., and the number of each row's first line."""

    frame: Any
    lines: Places

    def line(self, row: int, place: int) -> int:
        """The line in which a cell begins."""
        before = [cell or "" for cell in self.frame.row(row)[:place]]
        return int(self.lines[row]) + exact.breaks(before)


class Rows:
    """The rows of a table of text, after its header.

    Args:
        name: what messages call the file.
        pieces: of its text in UTF-8, each of whole lines.
        fmt: what the user says of it.
        numbers: names of columns known to hold numbers.
    """

    def __init__(self, name: str, pieces: Iterator[bytes], fmt: Format, numbers: Sequence[str]) -> None:
        piece, line = next(pieces, b""), 1
        while (piece.isspace() or not piece) and (following := next(pieces, b"")):
            line += exact.byte_breaks(piece)
            piece = following
        sample = piece[:SAMPLE].decode(errors="ignore")
        separator = fmt.separator or find_separator(sample)
        whole = sample[: sample.rfind("\n") + 1]  # lines; one that is cut would be a row, too
        header = _header(name, whole, separator, line)
        header = header or _header(name, piece.decode(), separator, line, is_last=True)
        if header is None:
            raise InvalidInputError(f"{name} is empty.")
        if len(header.cells) > MOST_COLUMNS:
            raise InvalidInputError(
                f"{name} has {len(header.cells):,} columns, and at most {MOST_COLUMNS:,} are read from text: save "
                "those that you need, or an array as .npy."
            )
        decimal = fmt.decimal or ("." if separator == "," else find_decimal(name, sample, separator))
        self.dialect = Dialect(name, separator, decimal, tuple(cell.strip() for cell in header.cells))
        exact.check_header(self.dialect, header, numbers)
        asked = set(numbers)
        self.numbers = [place for place, column in enumerate(self.dialect.header) if column in asked]
        self.line = header.last + 1
        self._pieces, self._first = pieces, _after(piece, header.last + 1 - line)

    def blocks(self) -> Iterator[Block]:
        """Blocks of rows; one may be empty.

        Raises:
            InvalidInputError: a quote astray, or a row that has not as many cells as the header.
        """
        text = self._first
        while True:
            following = next(self._pieces, b"")
            is_last = not following
            if text and not text.endswith(b"\n"):
                text += b"\n"
            if text:
                block, rest = self._block(text, is_last)
                self.line += exact.byte_breaks(text) - exact.byte_breaks(rest)
                yield block
                if len(rest) > LONGEST_LINE:
                    raise InvalidInputError(
                        f"{self.dialect.name}, line {self.line} begins a row of more than {LONGEST_LINE:,} bytes: is "
                        "this a table?"
                    )
                text = rest + following
            else:
                text = following
            if is_last:
                return

    def _block(self, text: bytes, is_last: bool) -> tuple[Block, bytes]:
        """A block, and the bytes of a row that goes on in the next piece."""
        found = self._split(text, is_last)
        return self._one_by_one(text, is_last) if found is None else found

    # By the library.

    def _split(self, text: bytes, is_last: bool) -> tuple[Block, bytes] | None:
        """The block as the library splits it; None where that may be wrong."""
        if b"\r" in text:
            return None
        x = np.frombuffer(text, np.uint8)
        breaks = np.flatnonzero(x == LINE_FEED)
        quotes = np.flatnonzero(x == QUOTE) if b'"' in text else NONE
        ends = breaks
        if quotes.size:
            ends = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
            if quotes.size % 2 and (is_last or not ends.size):
                return None
            size = int(ends[-1]) + 1 if quotes.size % 2 else len(text)
            text, rest = text[:size], text[size:]
            x, breaks, quotes = x[:size], breaks[breaks < size], quotes[quotes < size]
            if len(rest) > csv.field_size_limit() or not self._quotes_are_regular(x, quotes):
                return None
        else:
            rest = b""
        starts = np.concatenate([[0], ends[:-1] + 1])
        if (ends - starts).max(initial=0) > csv.field_size_limit():
            return None
        lines: Places = range(self.line, self.line + len(ends))
        if (ends == starts).any():  # blank lines
            text = np.delete(x, ends[ends == starts]).tobytes()
            starts, ends = starts[starts < ends], ends[starts < ends]
            lines = self.line + np.searchsorted(breaks, starts)
        elif len(ends) < len(breaks):
            lines = self.line + np.searchsorted(breaks, starts)
        if self._separators(x, quotes) != (self.dialect.n_columns - 1) * len(ends):
            return None
        frame = self._read(text, bool(quotes.size), len(ends))
        if frame is None:
            return None
        if quotes.size:
            self._look_at(frame.head(LOOKED_AT).rows())
            inner = breaks[np.searchsorted(quotes, breaks) % 2 == 1]
            for row in np.unique(np.searchsorted(ends, inner)):
                record = x[starts[row] : ends[row] + 1].tobytes().decode()
                self._check(exact.rows(self.dialect.name, record, self.dialect.separator, int(lines[row]), True))
        return _without_blanks(Block(frame, lines)), rest

    def _quotes_are_regular(self, x: NDArray[np.uint8], quotes: NDArray[np.int64]) -> bool:
        """Whether each pair of quotes opens and closes a cell, or stands for one quote in it."""
        opens, closes = quotes[0::2], quotes[1::2]
        outside = np.zeros(256, bool)
        outside[[ord(self.dialect.separator), LINE_FEED]] = True
        doubled = np.zeros(len(opens) + 1, bool)
        doubled[1:-1] = closes[:-1] + 1 == opens[1:]
        begins = outside[x[opens - 1]] | doubled[:-1]
        begins[:1] |= opens[:1] == 0
        return bool(begins.all() and (outside[x[closes + 1]] | doubled[1:]).all())

    def _separators(self, x: NDArray[np.uint8], quotes: NDArray[np.int64]) -> int:
        is_separator = x == ord(self.dialect.separator)
        if not quotes.size:
            return int(np.count_nonzero(is_separator))
        return int(np.count_nonzero(np.searchsorted(quotes, np.flatnonzero(is_separator)) % 2 == 0))

    def _read(self, text: bytes, has_quotes: bool, n_rows: int) -> Any:
        pl = library()
        schema = {str(place): pl.String for place in range(self.dialect.n_columns)}
        if not n_rows:
            return pl.DataFrame(schema=schema)
        try:
            frame = pl.read_csv(
                text, has_header=False, separator=self.dialect.separator, quote_char='"' if has_quotes else None,
                schema=schema, infer_schema=False,
            )  # fmt: skip
        except failures():
            return None
        return frame if frame.height == n_rows else None

    # Row by row.

    def _one_by_one(self, text: bytes, is_last: bool) -> tuple[Block, bytes]:
        pl, rest = library(), ""
        found: list[exact.Row] = []
        for row in exact.rows(self.dialect.name, text.decode(), self.dialect.separator, self.line, is_last):
            if isinstance(row, exact.Rest):
                rest = row.text
            else:
                found.append(row)
        self._look_at([row.cells for row in found[:LOOKED_AT]])
        self._check(found)
        schema = {str(place): pl.String for place in range(self.dialect.n_columns)}
        frame = pl.DataFrame([row.cells for row in found], schema=schema, orient="row")
        return Block(frame, np.array([row.first for row in found], np.int64)), rest.encode()

    def _check(self, rows: Any) -> None:
        for row in rows:
            exact.check(self.dialect, row, self.numbers)

    def _look_at(self, rows: Sequence[Sequence[str | None]]) -> None:
        """See which columns are numbers, if nobody has said so."""
        if self.numbers:
            return
        whole = [row for row in rows if len(row) == self.dialect.n_columns]
        for place in range(self.dialect.n_columns):
            known = [cell.strip() for row in whole if (cell := row[place]) and cell.strip().lower() not in MISSING]
            if sum(map(self.dialect.is_number, known)) > len(known) / 2:
                self.numbers.append(place)


def _header(name: str, text: str, separator: str, line: int, is_last: bool = False) -> exact.Row | None:
    row = next(exact.rows(name, text, separator, line, is_last), None)
    return row if isinstance(row, exact.Row) else None


def _after(piece: bytes, n_lines: int) -> bytes:
    """What follows so many lines."""
    at = 0
    for _ in range(n_lines):
        found = exact.BYTE_BREAK.search(piece, at)
        if found is None:
            return b""
        at = found.end()
    return piece[at:]


def _without_blanks(block: Block) -> Block:
    """Without the rows in which every cell is empty, or holds nothing but blanks."""
    pl = library()
    if not _is_blank(block.frame.to_series(0)).any():  # few columns need more than this look
        return block
    blank = block.frame.select(pl.all_horizontal(_is_blank(pl.all()))).to_series()
    if not blank.any():
        return block
    return Block(block.frame.filter(~blank), np.asarray(block.lines)[(~blank).to_numpy()])


def _is_blank(cells: Any) -> Any:
    return cells.is_null() | (cells.str.strip_chars() == "").fill_null(True)
