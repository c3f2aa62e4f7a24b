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

__all__ = ["Format", "Places", "read_chunks", "read_placed", "read_table"]


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
) -> Iterator[tuple[Places, Any]]:
    """Read a table that may be larger than memory, some rows at a time: where they stand, and a data frame.

    What a column holds cannot be found from a part of it: those that are named in neither `text` nor `numbers` are text
    as it stands in the file, with blanks around it, and whatever stands for unknown values.

    Args:
        path, columns, text, numbers, fmt, told, gaps: as for `read_table`.
        rows: the most rows of a frame.

    Raises:
        InvalidInputError: as `read_table` does, when it comes to the place.
    """
    with opened(path) as source:
        if source.parquet is not None:
            yield from parquet.chunks(source.name, source.parquet, columns, text, numbers, gaps, rows)
            return
        table, cells = _opened(source, columns, text, numbers, fmt, gaps, told)
        cells.as_they_are, cells.open = set(cells.open), []
        is_empty = True
        for block in table.blocks():
            frame = cells.frame(block)
            cells.check()
            for first in range(0, frame.height, rows):
                part = slice(first, first + rows)
                yield Places("line", block.lines[part]), frame[part]
                is_empty = False
        if is_empty:
            raise InvalidInputError(f"{source.name} has a header line but no rows.")


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
