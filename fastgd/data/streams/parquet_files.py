"""Parquet files, whose rows are read a part at a time: the library reads no more than the row groups that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...errors import InvalidInputError
from ..files import Places, check_columns, parquet_part, parquet_size
from .columns import Wanted, check_same, wanted
from .source import Batch, placed
from .state import FileState

LEAST = 1 << 17  # rows: for fewer, the library's work for each part is more than that for its rows


@dataclass(frozen=True)
class ParquetFile:
    """Rows of a Parquet file."""

    state: FileState
    wanted: Wanted
    text: Sequence[str]
    n_rows: int

    least: ClassVar[int] = LEAST

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.state.path)

    @property
    def row_bytes(self) -> int:
        """As if all cells were numbers."""
        return 8 * len(self.wanted.all)

    def read(self, first: int, n: int) -> Batch:
        """Some rows; messages count them from 1."""
        places = Places("row", range(first + 1, first + n + 1))
        self.state.check(f"{self.name}, rows {first + 1} to {first + n}")
        frame = parquet_part(self.state.path, self.wanted.all, self.text, first, n)
        return placed(*self.wanted.split(frame), self.name, places)


def parquet_files(
    paths: Sequence[Path], columns: Sequence[str] | None, target: str | Sequence[str] | None, weight: str | None,
    text: Sequence[str], numbers: Sequence[str],
) -> list[ParquetFile]:  # fmt: skip
    """The files, all with the same columns.

    Raises:
        InvalidInputError: a file that is none or has no rows, columns that are missing, or of another type.
    """
    made: list[ParquetFile] = []
    first: dict[str, object] = {}
    for path in paths:
        state = FileState.of(path)
        kinds, n_rows = parquet_size(path)
        if made and columns is None:
            check_same(str(path), list(kinds), made[0].name, list(first))
        asked = wanted(str(path), list(kinds), made[0].wanted.inputs if made else columns, target, weight)
        check_columns(str(path), list(kinds), [*text, *numbers])
        first = first or kinds
        for column in asked.all:
            _check_kind(str(path), column, kinds, first, text, numbers)
        if not n_rows:
            raise InvalidInputError(f"{path} has columns but no rows.")
        made.append(ParquetFile(state, asked, text, n_rows))
    return made


def _check_kind(
    name: str, column: str, kinds: dict[str, object], first: dict[str, object], text: Sequence[str],
    numbers: Sequence[str],
) -> None:  # fmt: skip
    kind, other = kinds[column], first[column]
    is_number = _is_numeric(kind)
    if column in numbers and not is_number:
        raise InvalidInputError(f"{name}, column {column!r} holds {kind}, not numbers: convert it first.")
    if column not in text and kind != other and not (is_number and _is_numeric(other)):
        raise InvalidInputError(f"{name}, column {column!r} holds {kind}, but in the first file it holds {other}.")


def _is_numeric(kind: object) -> bool:
    return bool(kind.is_numeric())  # type: ignore[attr-defined]
