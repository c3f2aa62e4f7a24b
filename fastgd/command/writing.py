"""A table that comes in parts, to standard output or to a file: never more than some parts in memory.

A file is there when it is whole, or not at all.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from polars import DataFrame

PARQUET, GZIPPED = (".parquet", ".pq"), (".gz",)
LARGEST_WHOLE = 1 << 53  # below it there are no gaps between the whole numbers that a float64 holds
OTHERS = (".xlsx", ".xls", ".ods", ".json", ".jsonl", ".arrow", ".feather", ".ipc", ".zst", ".zip", ".bz2", ".xz")


def check_ending(path: Path | None) -> None:
    """Refuse a file that would not be what its ending says."""
    if path is not None and path.name.lower().endswith(OTHERS):
        raise InvalidInputError(f"{path} would be a file of another kind: .csv, .csv.gz and .parquet can be written.")


def write_table(parts: Iterator[DataFrame], path: Path | None) -> None:
    """Write the parts of a table, below each other; its kind is told by the file's ending, and CSV for all else."""
    from ..files.atomic import written_whole

    if path is None:
        stream = getattr(sys.stdout, "buffer", None)
        _write_csv(parts, stream)
        if stream is not None:
            stream.flush()
        return
    name = path.name.lower()
    with written_whole(path) as file:
        if name.endswith(PARQUET):
            _write_parquet(parts, file)
        elif name.endswith(GZIPPED):
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                _write_csv(parts, packed)
        else:
            _write_csv(parts, file)


def _write_csv(parts: Iterator[DataFrame], stream: Any) -> None:
    """Lines in UTF-8; without a stream nobody reads them."""
    for number, part in enumerate(parts):
        text = _whole_numbers(part).write_csv(include_header=number == 0)
        if stream is not None:
            stream.write(text.encode())


def _whole_numbers(part: DataFrame) -> DataFrame:
    """The part with 5 in place of 5.0 in columns of whole numbers, as files have them."""
    import polars as pl

    whole = [
        name
        for name, dtype in part.schema.items()
        if dtype == pl.Float64 and ((part[name] == part[name].round()) & (part[name].abs() < LARGEST_WHOLE)).all()
    ]
    return part.with_columns(part[name].cast(pl.Int64) for name in whole)


def _write_parquet(parts: Iterator[DataFrame], file: BinaryIO) -> None:
    from polars.exceptions import ComputeError
    from polars.io.plugins import register_io_source

    first = next(parts)

    def source(columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[DataFrame]:
        yield first
        yield from parts

    table = register_io_source(source, schema=first.schema)
    try:
        with contextlib.closing(parts):  # type: ignore[type-var]
            table.sink_parquet(file)
    except ComputeError as error:  # by which the library tells what the system said
        code = re.search(r"\(os error (\d+)\)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error
