"""Parquet files, whose columns have types already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ...errors import InvalidInputError
from ...options import shortened
from .cells import LARGEST
from .dialect import LONGEST, check_columns
from .library import library
from .places import Places

Place = IO[bytes] | Path


def read(
    name: str, place: Place, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str], gaps: bool
) -> Any:
    """The whole table; columns of numbers are float64, null where nothing is known."""
    pl = library()
    wanted = _wanted(name, place, columns, text, numbers)
    try:
        table = pl.read_parquet(place, columns=wanted)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken(name, error) from error
    if not table.height:
        raise InvalidInputError(f"{name} has columns but no rows.")
    return _made(name, table, set(numbers) - set(text), 0, gaps)


def chunks(
    name: str, place: Place, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str], gaps: bool,
    rows: int,
) -> Iterator[tuple[Places, Any]]:  # fmt: skip
    """Some rows at a time, with their numbers, counted from 1; columns of which nothing is said as they are."""
    pl = library()
    wanted = _wanted(name, place, columns, text, numbers)
    kept = {*wanted}.difference(text, numbers)
    row = 0
    try:
        for batch in pl.scan_parquet(place).select(wanted).collect_batches(chunk_size=rows, maintain_order=True):
            if batch.height:
                made = _made(name, batch, set(numbers) - set(text), row, gaps, kept)
                yield Places("row", range(row + 1, row + 1 + batch.height)), made
                row += batch.height
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken(name, error) from error
    if not row:
        raise InvalidInputError(f"{name} has columns but no rows.")


def size(name: str, place: Path) -> tuple[dict[str, Any], int]:
    """The columns of a file with their types, and how many rows it has."""
    pl = library()
    try:
        kinds = dict(pl.read_parquet_schema(place))
        return kinds, int(pl.scan_parquet(place, glob=False).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _broken(name, error) from error


def part(name: str, place: Path, columns: Sequence[str], text: Sequence[str], first: int, n: int) -> Any:
    """Some rows, as they are but for columns that are wanted as text; the row groups that have them are read."""
    pl = library()
    where = f"{name}, rows {first + 1} to {first + n}"
    wanted = [pl.col(column).cast(pl.String) if column in text else pl.col(column) for column in columns]
    try:
        table = pl.scan_parquet(place, glob=False).slice(first, n).select(wanted).collect()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _broken(where, error, "part of ") from error
    if table.height != n:
        raise InvalidInputError(f"{where}: the file ends before them: write it anew.")
    return table


def _wanted(
    name: str, place: Place, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str]
) -> list[str]:
    pl = library()
    try:
        header = list(pl.read_parquet_schema(place))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken(name, error) from error
    if not isinstance(place, Path):
        place.seek(0)
    check_columns(name, header, [*(columns or ()), *text, *numbers])
    return header if columns is None else list(columns)


def _broken(name: str, error: BaseException, part: str = "") -> InvalidInputError:
    return InvalidInputError(f"{name} is not {part}a whole Parquet file: {' '.join(str(error).split())}.")


def _made(
    name: str, table: Any, numbers: set[str], first: int, gaps: bool, kept: Collection[str] = frozenset()
) -> Any:  # fmt: skip
    """Columns of numbers as float64, all others, and those that are to be kept, as they are."""
    pl = library()
    made = []
    for column in table.columns:
        series = table[column]
        where = f"{name}, column {shortened(column, LONGEST)!r}"
        if series.dtype.is_numeric() and column not in kept:
            series = series.cast(pl.Float64).fill_nan(None)
            wrong = ~series.is_between(-LARGEST, LARGEST).fill_null(True)
            if wrong.any():
                row = int(wrong.arg_true()[0])
                raise InvalidInputError(
                    f"{where}, row {first + row + 1} is {series[row]}: correct it, or use other units."
                )
            if column in numbers and not gaps and series.null_count():
                row = int(series.is_null().arg_true()[0])
                raise InvalidInputError(f"{where}, row {first + row + 1} is empty: fill it, or drop the row.")
        elif column in numbers:
            raise InvalidInputError(f"{where} holds {series.dtype}, not numbers: convert it first.")
        made.append(series)
    return pl.DataFrame(made)
