"""`fastgd.Stream`: rows that are read a part at a time, from whatever holds them; and what is taken for one."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ...errors import InvalidInputError
from ...options import checked_names, counted, is_number, positive_integer, shown
from .around import Changed
from .held_out import Split
from .made import Given, source_of
from .pieces import depth, is_table
from .source import Batch, Source

BUFFER = 1 << 28  # bytes: what is larger is not read as a whole
ENDINGS = re.compile(r"\.(npy|parquet|pq|(csv|tsv|txt)(\.(gz|zst))?)$", re.IGNORECASE)


class Stream:
    """Rows that are read a part at a time, for tables that memory does not hold.

    What `fit`, `predict` and `evaluate` take instead of a table. Bare paths, iterators and functions are made a stream
    by themselves; this class is for what has to be said besides.

    Args:
        source: one of

            - a path of a .npy file, (n_rows, n_in), an np.memmap or an array, with `y` and `sample_weight` alike;
            - a path of a Parquet file, with the extra `io`, of which no more than a part is read at a time;
            - a path of a CSV file, plain or packed with gzip or zstd, likewise;
            - a list of such paths, or a pattern such as ``"houses/*.parquet"``, all with the same columns;
            - an iterable of batches (X, y), (X, y, weights) or X, or a function without arguments that makes one and is
              called for each pass; an iterator can be read only once.

        y: targets (n_rows,) or (n_rows, n_targets), where X is arrays or .npy files.
        sample_weight: one weight per row, likewise; of Parquet and CSV files the name of its column.
        target: the name of the column with the targets, or a list of names, in Parquet and CSV files.
        columns: the names of the inputs in them, in the order of the network's; all other columns by default.
        text: names of columns to read as text, such as codes that are written with digits.
        numbers: names of columns that must hold numbers. What the others of a CSV file hold is found at its beginning.
        separator: of cells in CSV files, one character; by default it is found.
        decimal: "." or "," in their numbers; by default it is found.
        encoding: of their text, such as "latin-1"; by default UTF-8, or what is found.
        missing: what stands for unknown values in them, such as ["-999"].
        spool: whether the first pass over CSV files writes a copy of their columns to disk, which later passes read.
            Text takes longer to read than to train on, and cannot be read in another order, so this is the default. The
            copy lies in a folder fastgd-stream-… in the system's folder for temporary files, or in the folder that is
            named here, which is better where the former is in memory. It takes 8 bytes per number, and text about as
            much as in the file. It is removed with the stream or when Python ends; a process that is killed leaves it
            behind. `predict` and `evaluate`, which read once, make none.
        buffer_rows: how many rows are shuffled together, and held in memory (twice, as the next are read meanwhile); by
            default as many as are 256 MB.

    Attributes:
        source: what is read.
        buffer_rows: as it was given.

    A file that changes, ends early or cannot be read is an `InvalidInputError` that names the file and the rows. Errors
    of the user's own code come through as they are, with a note on the batch.

    Raises:
        InvalidInputError: no such file or column, X and y of different lengths, files with different columns, or
            options that do not belong to this kind of source.

    Example:
        >>> import fastgd, pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> X, y = fastgd.datasets.houses(10_000, random_state=0)
        >>> for k in range(4):
        ...     np.save(folder / f"X{k}.npy", X[k::4])
        ...     np.save(folder / f"y{k}.npy", y[k::4])
        >>> stream = fastgd.Stream(folder / "X*.npy", folder / "y*.npy", buffer_rows=2_000)
        >>> stream.source.n_rows
        10000
        >>> fastgd.Stream(lambda: ((X[first : first + 500], y[first : first + 500]) for first in range(0, 10_000, 500)))
        fastgd.Stream(<lambda>(): not counted yet)
    """

    is_share: bool = False  # of what several processes read together

    @checked_names
    def __init__(
        self,
        source: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        text: Sequence[str] = (),
        numbers: Sequence[str] = (),
        separator: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        missing: Sequence[str] | None = None,
        spool: bool | str | Path = True,
        buffer_rows: int | None = None,
    ) -> None:
        self.buffer_rows = None if buffer_rows is None else positive_integer(buffer_rows, "buffer_rows")
        for names, option in ((columns, "columns"), (text, "text"), (numbers, "numbers"), (missing, "missing")):
            if isinstance(names, str):
                name = shown(names)
                raise InvalidInputError(f"{option} must be a list of names such as [{name}], not {name}.")
        given = Given(
            source, y, sample_weight, target, columns, text, numbers, separator, decimal, encoding, missing, spool
        )
        found = source_of(given)
        self.source: Source = found if self.buffer_rows is None else found.sized(self.buffer_rows)

    def __repr__(self) -> str:
        rows = self.source.n_rows
        known = "read once" if self.source.is_one_pass else "not counted yet" if rows is None else counted(rows, "row")
        return f"fastgd.Stream({self.source.name}: {known})"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise InvalidInputError(
            f"{self!r} is a stream, which fit, predict and evaluate of fastgd.MLP read: pass a table in memory here."
        )

    def buffered(self, buffer_rows: int) -> Stream:
        """The same with a buffer of so many rows."""
        buffer_rows = positive_integer(buffer_rows, "buffer_rows")
        return self._with(self.source.sized(buffer_rows), buffer_rows)

    def once(self) -> Stream:
        """The same for one pass: no copy of text files is made for later ones."""
        return self._with(self.source.once(), self.buffer_rows)

    def split(self, share: float, seed: int = 0) -> tuple[Stream, Stream]:
        """Two streams: rows to learn from, and rows held out, which are about this share of all.

        A row is drawn by seed and its place in the file (or in the pass, of your own batches), so that each pass has
        the same rows on the same side. Both read all rows, and leave out what is on the other side.

        Args:
            share: of the rows that are held out, between 0 and 1.
            seed: of the draw.

        Raises:
            InvalidInputError: no such share, or an iterator, which cannot be read twice.

        Example:
            >>> import fastgd
            >>> train, held_out = fastgd.Stream(np.ones((1000, 3)), np.ones(1000)).split(0.2)
            >>> sum(len(batch.X) for batch in held_out.source.batches(None, 100))
            205
        """
        if not is_number(share) or not 0 < share < 1:
            raise InvalidInputError(f"share must be a number between 0 and 1, not {shown(share)}.")
        if self.source.is_one_pass:
            raise InvalidInputError(
                f"{self.source.name} can be read only once, but both sides of a split are read: give a function that "
                "makes one for each pass."
            )
        seed = positive_integer(seed, "seed", least=0)
        train, held_out = (Split(self.source, float(share), seed, is_held) for is_held in (False, True))
        return self._with(train, self.buffer_rows), self._with(held_out, self.buffer_rows)

    def changed(self, change: Callable[[Batch], Batch | None]) -> Stream:
        """The same rows with each batch as a function makes it, such as other columns; without those that are None."""
        if not callable(change):
            raise InvalidInputError(f"change must be a function that takes a batch, not {shown(change)}.")
        return self._with(Changed(self.source, change), self.buffer_rows)

    def share(self, rank: int, size: int) -> Stream:
        """What the process `rank` of `size` reads: together they read every row once."""
        size = positive_integer(size, "size")
        if positive_integer(rank, "rank", least=0) >= size:
            raise InvalidInputError(f"rank must be below the number of processes, {size}, not {rank}.")
        made = self._with(self.source.share(rank, size), self.buffer_rows)
        made.is_share = True
        return made

    def _with(self, source: Source, buffer_rows: int | None) -> Stream:
        made = copy.copy(self)
        made.source, made.buffer_rows = source, buffer_rows
        return made


def as_stream(X: Any, y: Any, sample_weight: Any, buffer_rows: int | None, once: bool = False) -> Stream | None:
    """What is to be read a part at a time as a stream; None for an ordinary table, found out in next to no time.

    Args:
        X, y, sample_weight: as a user gave them.
        buffer_rows: likewise; an array is streamed where it is given.
        once: whether it is read only once.

    Raises:
        InvalidInputError: as `Stream` does, or y besides a stream that has it already.
    """
    if isinstance(X, Stream):
        if y is not None or sample_weight is not None:
            what = "y" if y is not None else "sample_weight"
            raise InvalidInputError(f"{what} belongs to the stream: give it to fastgd.Stream, not besides.")
        stream = X if buffer_rows in (None, X.buffer_rows) else X.buffered(positive_integer(buffer_rows, "buffer_rows"))
    elif _is_streamed(X, y, buffer_rows):
        stream = Stream(X, y, sample_weight, buffer_rows=buffer_rows)
    elif buffer_rows is None:
        return None
    else:
        raise InvalidInputError(
            f"buffer_rows is for streams, but X is a table in memory ({type(X).__name__}): leave it out."
        )
    return stream.once() if once else stream


def _is_streamed(X: Any, y: Any, buffer_rows: int | None) -> bool:
    if isinstance(X, np.ndarray):
        return buffer_rows is not None or (isinstance(X, np.memmap) and X.nbytes > BUFFER)
    if isinstance(X, str | Path):
        return _is_path(X)
    if isinstance(X, list):
        return bool(X) and _begins_a_stream(X[0], y)
    if is_table(X) or hasattr(X, "read"):  # an open file is no iterator of batches
        return False
    kind = type(X)
    is_sequence = hasattr(kind, "__getitem__") and hasattr(kind, "__len__")
    return (hasattr(kind, "__iter__") and not is_sequence) or callable(X)


def _begins_a_stream(first: Any, y: Any) -> bool:
    """Whether a list of such things is one of paths or of batches, and not of rows."""
    if isinstance(first, str | Path):
        return _is_path(first)
    return y is None and type(first) is tuple and 2 <= len(first) <= 3 and depth(first[0]) > 0


def _is_path(text: str | Path) -> bool:
    return (
        ENDINGS.fullmatch("".join(Path(text).suffixes[-2:])) is not None
        or ENDINGS.fullmatch(Path(text).suffix) is not None
    )
