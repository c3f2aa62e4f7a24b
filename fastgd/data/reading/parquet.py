"""Parquet files, whose columns have types already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from ...errors import InvalidInputError
from ...options import shortened
from .cells import LARGEST
from .dialect import LONGEST, check_columns
from .library import failures, library, named, told
from .places import Places

Place = IO[bytes] | Path


def read(
    name: str, place: Place, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str], gaps: bool
) -> Any:
    """The whole table; columns of numbers are float64, null where nothing is known."""
    pl = library()
    with _reading(name, place) as file:
        wanted = _wanted(name, file, columns, text, numbers)
        table = pl.scan_parquet(file).select(named(wanted)).collect()
    if not table.height:
        raise InvalidInputError(f"{name} has columns but no rows.")
    return _made(name, table, set(numbers) - set(text), 0, gaps)


def chunks(
    name: str, place: Place, columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str], gaps: bool,
    rows: int,
) -> Iterator[tuple[Places, Any]]:  # fmt: skip
    """Some rows at a time, with their numbers, counted from 1; columns of which nothing is said as they are."""
    pl = library()
    row = 0
    with _reading(name, place) as file:
        wanted = _wanted(name, file, columns, text, numbers)
        kept = {*wanted}.difference(text, numbers)
        for batch in pl.scan_parquet(file).select(named(wanted)).collect_batches(chunk_size=rows, maintain_order=True):
            if batch.height:
                made = _made(name, batch, set(numbers) - set(text), row, gaps, kept)
                yield Places("row", range(row + 1, row + 1 + batch.height)), made
                row += batch.height
    if not row:
        raise InvalidInputError(f"{name} has columns but no rows.")


def size(name: str, place: Path) -> tuple[dict[str, Any], int]:
    """The columns of a file with their types, and how many rows it has."""
    pl = library()
    with _reading(name, place) as file:
        kinds = dict(pl.read_parquet_schema(file))
        file.seek(0)
        return kinds, int(pl.scan_parquet(file).select(pl.len()).collect().item())


def part(name: str, place: Path, columns: Sequence[str], text: Sequence[str], first: int, n: int) -> Any:
    """Some rows, as they are but for columns that are wanted as text; the row groups that have them are read."""
    pl = library()
    where = f"{name}, rows {first + 1} to {first + n}"
    wanted = [named([column]).cast(pl.String) if column in text else named([column]) for column in columns]
    with _reading(where, place, "part of ") as file:
        table = pl.scan_parquet(file).slice(first, n).select(wanted).collect()
    if table.height != n:
        raise InvalidInputError(f"{where}: the file ends before them: write it anew.")
    return table


@contextmanager
def _reading(name: str, place: Place, part: str = "") -> Iterator[IO[bytes]]:
    """The open file: of a path the library would make a pattern, a folder of the user's or an address elsewhere."""
    try:
        with place.open("rb") if isinstance(place, Path) else nullcontext(place) as file:
            yield file
    except failures() as error:
        raise InvalidInputError(f"{name} is not {part}a whole Parquet file: {told(error)}.") from error


def _wanted(
    name: str, file: IO[bytes], columns: Sequence[str] | None, text: Sequence[str], numbers: Sequence[str]
) -> list[str]:
    header = list(library().read_parquet_schema(file))
    file.seek(0)
    check_columns(name, header, [*(header if columns is None else columns), *text, *numbers])
    return header if columns is None else list(columns)


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
