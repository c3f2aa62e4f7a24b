"""Bytes to text in UTF-8 whose lines end with a line feed: the encoding is found, or given."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from ...errors import InvalidInputError
from ...options import shown

UTF8 = "utf-8"
LINE_FEED = ord("\n")
MARKS = (  # byte-order marks; that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
LONGEST_LINE = 1 << 26  # bytes
CONTROL = bytes({*range(32), 127} - set(b"\t\n\f\r"))
FEW = 0.05  # of the first bytes; more control characters are no text


def lines_of(name: str, pieces: Iterator[bytes], encoding: str | None, told: Callable[[str], None]) -> Iterator[bytes]:
    """Pieces of text in UTF-8, each of which ends with a whole line.

    Raises:
        InvalidInputError: no text, or none in this encoding.
    """
    first = next(pieces, b"")
    marked = next((found for mark, found in MARKS if first.startswith(mark)), None)
    begin = first[:4096]
    if marked is None and encoding is None and len(begin) - len(begin.translate(None, CONTROL)) > FEW * len(begin):
        raise InvalidInputError(
            f"{name} is binary, or text in UTF-16: save the table as CSV, or name the encoding with "
            "--encoding (in Python encoding=)."
        )
    pieces = _again(first, pieces)
    known = _known(encoding) if encoding is not None else marked
    if known == UTF8:
        known = "utf-8-sig"  # a mark is no part of the first name
    if known is not None:
        pieces = _decoded(name, pieces, known)
    is_ascii, found, returns_only, n_lines = True, known, None, 0
    for part in _whole_lines(name, pieces):
        lines = part
        if known is None and not lines.isascii():
            found, lines = _found(name, lines, found, is_ascii, n_lines, told)
            is_ascii = False
        if b"\r" in lines:
            if returns_only is None:
                returns_only = b"\n" not in lines
            lines = lines.replace(b"\r\n", b"\n")
            lines = lines.replace(b"\r", b"\n") if returns_only else lines
        if known is None:
            n_lines += int(np.count_nonzero(np.frombuffer(lines, np.uint8) == LINE_FEED))
        yield lines


def _again(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces


def _known(encoding: str) -> str:
    try:
        with contextlib.suppress(UnicodeDecodeError):
            b" ".decode(encoding)  # refused of codecs such as zlib, which make no text
        return codecs.lookup(encoding).name
    except (LookupError, ValueError, TypeError) as error:  # ValueError: half a character, or a zero
        raise InvalidInputError(
            f"There is no encoding {shown(encoding)}: name one such as utf-8, latin-1 or cp1252."
        ) from error


def _decoded(name: str, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except (UnicodeError, LookupError, AttributeError) as error:
        raise InvalidInputError(f"{name} is not text in {encoding.removesuffix('-sig')}: {error}.") from error


def _whole_lines(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut where lines end."""
    rest: list[bytes] = []
    size = 0
    for piece in pieces:
        end = piece.rfind(b"\n") + 1 or piece.rfind(b"\r", 0, len(piece) - 1) + 1  # a line feed may follow the last
        if end:
            yield b"".join([*rest, piece[:end]])
            rest, size = [], 0
        rest.append(piece[end:])
        size += len(piece) - end
        if size > LONGEST_LINE:
            raise InvalidInputError(f"{name} has a line of more than {LONGEST_LINE:,} bytes: is this a table?")
    if size:
        yield b"".join(rest)


def _found(
    name: str, lines: bytes, before: str | None, is_ascii: bool, n_lines: int, told: Callable[[str], None]
) -> tuple[str, bytes]:
    """The encoding of lines that are more than ASCII, and these lines in UTF-8."""
    if before is None or before == UTF8:
        try:
            lines.decode(UTF8)
            return UTF8, lines
        except UnicodeDecodeError as error:
            if not is_ascii:
                line = n_lines + lines.count(b"\n", 0, error.start) + 1
                raise InvalidInputError(
                    f"{name}, line {line} is not text in UTF-8, as the lines before: correct it, or name the "
                    "encoding with --encoding (in Python encoding=)."
                ) from error
            before = "cp1252"
            try:
                lines.decode(before)
            except UnicodeDecodeError:
                before = "latin-1"
            told(f"{name} is not UTF-8 and is read as Western European text ({before}).")
    try:
        return before, lines.decode(before).encode()
    except UnicodeDecodeError as error:
        line = n_lines + lines.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(
            f"{name}, line {line} is not text in {before}: name the encoding with --encoding (in Python encoding=)."
        ) from error
