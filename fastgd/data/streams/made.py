"""What a user means by a stream: paths of which kind of file, arrays, or batches; and which options belong to it."""

from __future__ import annotations

import glob
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ...options import shown
from ..files import Format, is_parquet
from .arrays import Arrays, arrays
from .batches import Batches
from .parquet_files import parquet_files
from .parts import Parts
from .pieces import is_table
from .source import Source
from .state import FileState
from .text_files import text_files

PATTERN = re.compile(r"[*?\[]")
TABULAR = ("parquet", "text")


class Given(NamedTuple):
    """The arguments of a stream, as `Stream` documents them."""

    source: Any
    y: Any
    sample_weight: Any
    target: str | Sequence[str] | None
    columns: Sequence[str] | None
    text: Sequence[str]
    numbers: Sequence[str]
    separator: str | None
    decimal: str | None
    encoding: str | None
    missing: Sequence[str] | None
    spool: bool | str | Path

    @property
    def of_tables(self) -> dict[str, Any]:
        """What says which columns are read."""
        return {"target": self.target, "columns": self.columns, "text": self.text, "numbers": self.numbers}

    @property
    def of_text(self) -> dict[str, Any]:
        """What says how text is written."""
        names = ("separator", "decimal", "encoding", "missing")
        return {name: getattr(self, name) for name in names}


def source_of(given: Given) -> Source:
    """What is read.

    Raises:
        InvalidInputError: as `Stream` says.
    """
    paths = paths_of(given.source)
    kind = _kind(paths)
    if kind not in TABULAR:
        _check_options(given.of_tables, "Parquet and CSV files")
    elif given.y is not None:
        raise InvalidInputError("The targets of Parquet and CSV files are one of their columns: name it with target=.")
    elif not isinstance(given.sample_weight, str | None):
        raise InvalidInputError("The weights of Parquet and CSV files are one of their columns: give its name.")
    if kind != "text":
        _check_options(given.of_text, "CSV files")
    if kind is not None:
        return MADE[kind](paths, given)
    if isinstance(given.source, np.ndarray):
        return Parts([arrays(given.source, given.y, given.sample_weight)])
    _check_is_batches(given.source, given.y, given.sample_weight)
    return Batches(given.source)


def _of_parquet(paths: Sequence[Path], given: Given) -> Source:
    return Parts(parquet_files(paths, given.columns, given.target, given.sample_weight, given.text, given.numbers))


def _of_text(paths: Sequence[Path], given: Given) -> Source:
    missing = None if given.missing is None else tuple(given.missing)
    fmt = Format(given.separator, given.decimal, given.encoding, missing)
    return text_files(
        paths, given.columns, given.target, given.sample_weight, given.text, given.numbers, fmt, _folder(given.spool)
    )


def _of_npy(paths: Sequence[Path], given: Given) -> Source:
    if len(paths) == 1:
        return Parts([arrays(paths[0], given.y, given.sample_weight)])
    return Parts(_several(paths, given.y, given.sample_weight))


MADE = {"npy": _of_npy, "parquet": _of_parquet, "text": _of_text}


def paths_of(source: Any) -> list[Path]:
    """The files that are meant by a path, a pattern or a list of them, if any are."""
    given = source if isinstance(source, list | tuple) else [source]
    if not given or not all(isinstance(path, str | Path) for path in given):
        return []
    found = [path for text in given for path in _matching(str(text))]
    for path in found:
        FileState.of(path)
    return found


def _matching(text: str) -> list[Path]:
    if not PATTERN.search(text) or Path(text).exists():
        return [Path(text)]
    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise InvalidInputError(f"There is no file that matches {shown(text)}.")
    return [Path(path) for path in found]


def _kind(paths: Sequence[Path]) -> str | None:
    """What all the files are."""
    kinds = [_kind_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            raise InvalidInputError(f"{path} is of another kind than {paths[0]}: stream files of one kind together.")
    return kinds[0] if kinds else None


def _kind_of(path: Path) -> str:
    if path.suffix.lower() == ".npz":
        raise InvalidInputError(f"{path} is an archive of arrays: save each as a file of its own, with np.save.")
    if path.suffix.lower() == ".npy":
        return "npy"
    return "parquet" if is_parquet(path) else "text"


def _check_options(options: dict[str, Any], files: str) -> None:
    """Whether options are left out that belong to other files."""
    for option, value in options.items():
        if value is not None and not (isinstance(value, str | list | tuple) and not value):
            raise InvalidInputError(f"{option} is for {files}: leave it out here.")


def _folder(spool: Any) -> Path | None:
    if spool is False:
        return None
    if spool is True:
        try:
            return Path(tempfile.gettempdir())
        except OSError as error:
            raise InvalidInputError(
                f"Text cannot be copied for later passes, because the system has no folder for it ({error.strerror}): "
                "name one with spool=, or read the text in each pass with spool=False."
            ) from error
    if not isinstance(spool, str | Path) or not Path(spool).is_dir():
        raise InvalidInputError(f"spool must be True, False or a folder that exists, not {shown(str(spool))}.")
    return Path(spool)


def _several(paths: Sequence[Path], y: Any, sample_weight: Any) -> list[Arrays]:
    """Files of X, each with its own of y and weights."""
    others = []
    for given, what in ((y, "y"), (sample_weight, "sample_weight")):
        found = [None] * len(paths) if given is None else paths_of(given)
        if len(found) != len(paths):
            raise InvalidInputError(
                f"X is {len(paths)} files, so {what} must be as many: a list of paths, or a pattern."
            )
        others.append(found)
    made = [arrays(*each) for each in zip(paths, *others, strict=True)]
    for other in made[1:]:
        if other.X.shape[1:] != made[0].X.shape[1:]:
            raise InvalidInputError(
                f"{other.name} has rows of shape {other.X.shape[1:]}, but {made[0].name} of {made[0].X.shape[1:]}."
            )
    return made


def _check_is_batches(source: Any, y: Any, sample_weight: Any) -> None:
    if y is not None or sample_weight is not None:
        raise InvalidInputError("The batches of a stream are (X, y) or (X, y, weights): leave y and sample_weight out.")
    if is_table(source) or not (isinstance(source, Iterable) or callable(source)):
        raise InvalidInputError(
            f"A stream is made of paths, arrays, batches or a function, but this is a {type(source).__name__}: pass a "
            "table that is in memory as it is."
        )
