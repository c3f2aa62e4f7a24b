"""Files of tables: CSV, plain or packed with gzip or zstd, and Parquet, as data frames of polars.

Each column is numbers or text, with null where nothing is known. Whatever is wrong is one sentence, with the line and
the column of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from .reading import parquet
from .reading.cells import Cells, marks_of
from .reading.dialect import Format, check_columns
from .reading.library import library
from .reading.places import Places
from .reading.rows import Rows
from .reading.source import Source, opened
from .reading.text import lines_of

__all__ = [
    "Format", "Places", "check_columns", "is_parquet", "library", "parquet_part", "parquet_size", "read_chunks",
    "read_header", "read_placed", "read_table",
]  # fmt: skip


def _silent(remark: str) -> None:
    """Say nothing."""


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
    return read_placed(path, columns, text, numbers, fmt, told=told, gaps=gaps)[0]


def read_placed(
    path: Path,
    columns: Sequence[str] | None = None,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    fmt: Format = Format(),  # noqa: B008  it is frozen
    *,
    told: Callable[[str], None] = _silent,
    gaps: bool = True,
) -> tuple[Any, Places]:
    """Read a table as `read_table` does, and where its rows stand in the file.

    Args:
        path, columns, text, numbers, fmt, told, gaps: as for `read_table`.

    Raises:
        InvalidInputError: as `read_table` does.
    """
    pl = library()
    with opened(path) as source:
        if source.parquet is not None:
            table = parquet.read(source.name, source.parquet, columns, text, numbers, gaps)
            return table, Places("row", range(1, table.height + 1))
        rows, cells = _opened(source, columns, text, numbers, fmt, gaps, told)
        blocks = [(cells.frame(block), block.lines) for block in rows.blocks() if block.frame.height]
        cells.check()
    if not blocks:
        raise InvalidInputError(f"{source.name} has a header line but no rows.")
    return pl.concat([frame for frame, _ in blocks]), Places("line", np.concatenate([lines for _, lines in blocks]))


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
    found: dict[str, bool] | None = None,
) -> Iterator[tuple[Places, Any]]:
    """Read a table that may be larger than memory, some rows at a time: where they stand, and a data frame.

    What a column holds cannot be found from a part of it: those that are named in neither `text` nor `numbers` are text
    as it stands in the file, with blanks around it, and whatever stands for unknown values; or, with `found`, what they
    hold at the beginning, and a cell that does not fit is an error.

    Args:
        path, columns, text, numbers, fmt, told, gaps: as for `read_table`.
        rows: the most rows of a frame.
        found: of each column of a text file whether it holds text, as it was found before; what is found is added.

    Raises:
        InvalidInputError: as `read_table` does, when it comes to the place.
    """
    with opened(path) as source:
        if source.parquet is not None:
            yield from parquet.chunks(source.name, source.parquet, columns, text, numbers, gaps, rows)
            return
        known = found or {}
        text, numbers = _both(text, known, True), _both(numbers, known, False)
        table, cells = _opened(source, columns, text, numbers, fmt, gaps, told)
        if found is None:
            cells.as_they_are, cells.open = set(cells.open), []
        cells.found |= known.keys()
        is_empty = True
        for block in table.blocks():
            if not block.frame.height:
                continue
            frame = cells.frame(block)
            cells.check()
            if found is not None:
                found.update({column: column in cells.text for column in cells.found})
            for first in range(0, frame.height, rows):
                part = slice(first, first + rows)
                yield Places("line", block.lines[part]), frame[part]
                is_empty = False
        if is_empty:
            raise InvalidInputError(f"{source.name} has a header line but no rows.")


def _both(named: Sequence[str], found: dict[str, bool], is_text: bool) -> list[str]:
    """The columns that are named, and those that were found to hold the same."""
    return [*named, *(column for column, holds_text in found.items() if holds_text == is_text)]


def read_header(path: Path, fmt: Format = Format()) -> tuple[str, ...]:  # noqa: B008  it is frozen
    """The names of the columns of a text file.

    Raises:
        InvalidInputError: no such file, or no text.
    """
    with opened(path) as source:
        return Rows(source.name, lines_of(source.name, source.pieces, fmt.encoding, _silent), fmt, ()).dialect.header


def is_parquet(path: Path) -> bool:
    """Whether a file is one of Parquet.

    Raises:
        InvalidInputError: it cannot be read.
    """
    with opened(path) as source:
        return source.parquet is not None


def parquet_size(path: Path) -> tuple[dict[str, Any], int]:
    """The columns of a Parquet file with their types, and how many rows it has.

    Raises:
        InvalidInputError: it is none, or broken.
    """
    return parquet.size(str(path), path)


def parquet_part(path: Path, columns: Sequence[str], text: Sequence[str], first: int, n: int) -> Any:
    """Rows of a Parquet file from `first` on, which is counted from 0, with the types that they have.

    Raises:
        InvalidInputError: the file is broken, or has fewer rows.
    """
    return parquet.part(str(path), path, columns, text, first, n)


def _opened(
    source: Source, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str], fmt: Format,
    gaps: bool, told: Callable[[str], None],
) -> tuple[Rows, Cells]:  # fmt: skip
    """The rows of a text file, and what turns them into the columns that are wanted."""
    rows = Rows(source.name, lines_of(source.name, source.pieces, fmt.encoding, told), fmt, numbers)
    header = rows.dialect.header
    check_columns(source.name, header, [*(header if columns is None else columns), *text, *numbers])
    marks = marks_of(fmt.missing, rows.dialect)
    return rows, Cells(rows.dialect, header if columns is None else columns, text, numbers, marks, gaps, told)
