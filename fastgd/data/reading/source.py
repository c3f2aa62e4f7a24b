"""The bytes of a file, a pipe or standard input, unpacked; whatever is wrong with the file itself is one sentence."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import InvalidInputError
from .library import failures, library, told

STANDARD_INPUT = "-"
PIECE = 1 << 24  # bytes that are read at once
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
LINES = 100_000  # that are unpacked at once
FOREIGN = {  # how files begin that are no tables of text
    b"PK\x03\x04": "an Excel workbook or a zip archive: save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the table as CSV",
    b'{"': "JSON: save the table as CSV",
    b"[{": "JSON: save the table as CSV",
    b"[\n": "JSON: save the table as CSV",
    b"%PDF": "a PDF: save the table as CSV",
    b"SQLite f": "an SQLite database: export the table as CSV",
    b"ARROW1": "an Arrow (Feather) file: save the table as Parquet or CSV",
    b"\x89HDF": "an HDF5 file: save the table as CSV",
    b"BZh": "a bzip2 archive: unpack it, or pack it with gzip or zstd",
    b"\xfd7zXZ": "an xz archive: unpack it, or pack it with gzip or zstd",
}


class Source(NamedTuple):
    """What a file turned out to be: pieces of bytes, or a Parquet file that the library reads itself."""

    name: str
    pieces: Iterator[bytes]
    parquet: IO[bytes] | None


def shown(path: Path) -> str:
    """What messages call it."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The file, unpacked. A pipe can be opened only once, and may bring its bytes one by one."""
    name = shown(path)
    try:
        with ExitStack() as held:
            file = held.enter_context(path.open("rb")) if name == str(path) else sys.stdin.buffer
            before = _state(file)
            begun = _Begun(file, held)
            yield _source(name, begun)
            if before != _state(file):
                raise InvalidInputError(f"{name} has changed while it was read: read it again when it is complete.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidInputError(f"{name} is not a whole gzip file: {error}.") from error
    except OSError as error:
        raise InvalidInputError(f"{name} cannot be read: {error.strerror or error}.") from error


class _Begun:
    """A file whose first bytes have been looked at."""

    def __init__(self, file: IO[bytes], held: ExitStack) -> None:
        self.file, self.held = file, held  # the latter closes what is opened besides
        self.first = self.head = file.read(8)

    def read(self, size: int) -> bytes:
        """The next bytes, as of a file."""
        head, self.head = self.head[:size], self.head[size:]
        return head + self.file.read(size - len(head)) if len(head) < size else head


def _source(name: str, begun: _Begun) -> Source:
    first = begun.first
    if first[:1] == GZIP[:1]:  # one byte is enough: no text begins with it
        return Source(name, _checked(name, _pieces(gzip.GzipFile(fileobj=begun))), None)  # type: ignore[call-overload]
    if first.startswith(ZSTD):
        return Source(name, _checked(name, _unpacked(name, begun)), None)
    if first.startswith(PARQUET):
        return Source(name, iter(()), _whole(name, begun))
    return Source(name, _checked(name, _pieces(begun)), None)


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _checked(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same, or one sentence where the first bytes are those of another kind of file."""
    begin = next(pieces, b"")
    for magic, what in FOREIGN.items():
        if begin.startswith(magic):
            raise InvalidInputError(f"{name} is {what}.")
    if begin:
        yield begin
    yield from pieces


def _unpacked(name: str, begun: _Begun) -> Iterator[bytes]:
    """The lines of a file that is packed with zstd, for which Python before 3.14 has no library."""
    pl = library()
    batches = pl.scan_lines(_whole(name, begun)).collect_batches(chunk_size=LINES, maintain_order=True)
    try:
        for batch in batches:
            if batch.height:
                yield f"{batch.to_series().str.join(chr(10)).item()}\n".encode()
    except failures() as error:
        if "utf" in str(error).lower():
            why = "its text is not in UTF-8, which is needed where a file is packed with zstd: unpack it first"
        else:
            why = f"not a whole zstd file: {told(error)}"
        raise InvalidInputError(f"{name} cannot be unpacked, {why}.") from error


def _whole(name: str, begun: _Begun) -> IO[bytes]:
    """A file for a reader that moves to and fro; what comes through a pipe is kept in one of its own."""
    if _is_file(begun.file):
        begun.file.seek(0)
        return begun.file
    with _keeping(name):
        kept: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  it is closed with what it is read from
        begun.held.callback(_closed, kept)
    for piece in _pieces(begun):
        with _keeping(name):
            kept.write(piece)
            kept.flush()
    kept.seek(0)
    return kept


@contextmanager
def _keeping(name: str) -> Iterator[None]:
    """Tell a disk that is full from a pipe that cannot be read."""
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"{name} comes through a pipe and has to be kept in a file meanwhile, but {tempfile.tempdir or 'that'} "
            f"cannot be written: {error.strerror or error}; set TMPDIR to another folder, or name a file."
        ) from error


def _closed(file: IO[bytes]) -> None:
    with suppress(OSError):  # what did not fit is tried once more
        file.close()


def _is_file(file: IO[bytes]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):  # standard input that a test has put there
        return False


def _state(file: IO[bytes]) -> tuple[int, int] | None:
    """Size and time of the last change of a regular file."""
    if not _is_file(file):
        return None
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns
