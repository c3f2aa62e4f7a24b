"""CSV files, plain or packed, one after the other; after a first pass their copy, in parts of any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import InputWarning, InvalidInputError, warn
from ...options import counted
from ..files import Format, Places, check_columns, read_chunks, read_header
from .columns import Wanted, check_same, wanted
from .parts import PER_BUFFER, Parts, rows_that_fit
from .source import Batch, cut, placed
from .spool import Spool
from .state import FileState

LEAST = 1 << 12  # rows of a part: each is a file of the copy


@dataclass(eq=False)
class TextFiles:
    """Rows of text files.

    Attributes:
        states: of the files, in their order.
        wanted: the columns.
        text, numbers: what some of them hold, as the user says.
        fmt: how the files are written.
        folder: in which a copy is made; None for no copy.
        part_rows: of a part.
        found: what the other columns hold, as the first pass has found it: whether it is text.
        rank, size: of all rows, every process of `size` reads its share.
    """

    states: list[FileState]
    wanted: Wanted
    text: Sequence[str]
    numbers: Sequence[str]
    fmt: Format
    folder: Path | None
    part_rows: int
    found: dict[str, bool] = field(default_factory=dict)
    rank: int = 0
    size: int = 1
    is_one_pass = False
    is_fixed = True

    def __post_init__(self) -> None:
        self.copy: Parts | None = None
        self.n_rows: int | None = None
        self._told: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """What a copy of the object, or another process, gets: the copy of the files goes with this one."""
        return self.__dict__ | {"copy": None}

    @property
    def name(self) -> str:
        """What messages call it."""
        more = len(self.states) - 1
        return str(self.states[0].path) + (f" and {counted(more, 'more file')}" if more else "")

    @property
    def files(self) -> Sequence[str]:
        """Their paths."""
        return [str(state.path) for state in self.states]

    @property
    def n_parts(self) -> int | None:
        """How many parts the copy has, once there is one."""
        return self.copy.n_parts if self.copy is not None else None

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """The rows: of the copy in this order, or of the files as they stand, copying them."""
        if self.copy is None:
            yield from self._first(most)
            return
        for state in self.states:
            state.check(self.name)
        yield from self.copy.batches(order, most)

    def share(self, rank: int, size: int) -> TextFiles:
        """A share of each part of the text, which every process reads."""
        return replace(self, rank=rank, size=size, found=dict(self.found))

    def sized(self, buffer_rows: int) -> TextFiles:
        """The same in other parts; a copy that there is already stays as it is."""
        rows = min(rows_that_fit(8 * len(self.wanted.all)), max(LEAST, buffer_rows // PER_BUFFER))
        return self if self.copy is not None or rows == self.part_rows else replace(self, part_rows=rows)

    def once(self) -> TextFiles:
        """The same without making a copy."""
        return self if self.copy is not None or self.folder is None else replace(self, folder=None)

    def _first(self, most: int) -> Iterator[Batch]:
        spool = Spool(self.name, self.folder) if self.folder is not None else None
        parts, n_rows = [], 0
        try:
            for name, places, frame in self._frames():
                n_rows += frame.height
                if spool is not None:
                    parts.append(spool.add(name, frame, places, self.wanted))
                yield from cut(placed(*self.wanted.split(frame), name, places), frame.height, most)
        except BaseException:
            if spool is not None:
                spool.close()
            raise
        if not n_rows:
            raise InvalidInputError(f"{self.name} has fewer rows than the {self.size} processes that share it.")
        self.n_rows = n_rows
        if parts:
            self.copy = Parts(parts, max(part.n_rows for part in parts))

    def _frames(self) -> Iterator[tuple[str, Places, Any]]:
        """The rows of this share, some at a time, of one file after the other."""
        for state in self.states:
            state.check(str(state.path))
            chunks = read_chunks(
                state.path, self.wanted.all, self.text, self.numbers, self.fmt, told=self._tell,
                rows=self.part_rows * self.size, found=self.found,
            )  # fmt: skip
            for places, frame in chunks:
                own = slice(*(frame.height * k // self.size for k in (self.rank, self.rank + 1)))
                if own.start < own.stop:
                    yield str(state.path), places.at(own), frame[own]

    def _tell(self, remark: str) -> None:
        if remark not in self._told:
            self._told.add(remark)
            warn(remark, InputWarning)


def text_files(
    paths: Sequence[Path], columns: Sequence[str] | None, target: str | Sequence[str] | None, weight: str | None,
    text: Sequence[str], numbers: Sequence[str], fmt: Format, folder: Path | None,
) -> TextFiles:  # fmt: skip
    """The files, all with the same columns.

    Raises:
        InvalidInputError: a file that is no text, or columns that are missing.
    """
    states = [FileState.of(path) for path in paths]
    header = read_header(paths[0], fmt)
    asked = wanted(str(paths[0]), header, columns, target, weight)
    for path in paths[1:]:
        if columns is None:
            check_same(str(path), read_header(path, fmt), str(paths[0]), header)
    check_columns(str(paths[0]), header, [*text, *numbers])
    return TextFiles(states, asked, text, numbers, fmt, folder, rows_that_fit(8 * len(asked.all)))
