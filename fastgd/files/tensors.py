"""A safetensors file, read with nothing in it believed: sizes are compared before memory is taken.

What comes in is a path; what goes out are named arrays and texts. It is read here and not by the library that writes
it, because that one maps the file into memory and crashes where a file becomes shorter while it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError, ModelFileError
from ..options import called

Arrays = dict[str, NDArray[Any]]

KINDS: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
LONGEST_HEADER = 100_000_000  # bytes, as the library's own limit


def checksum(text: str, arrays: Arrays) -> str:
    """A hash over the header's text and over name, dtype, shape and bytes of every array."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass"))
    for name, array in sorted(arrays.items()):
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"\0{name}\0{plain.dtype.str}\0{plain.shape}\0".encode())
        digest.update(plain.data)
    return digest.hexdigest()


def opened(path: Path) -> BinaryIO:
    """A file to read from. To open what is none might take for ever."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise ModelFileError(f"{called(path)} is not there: name a file.") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise ModelFileError(f"{called(path)} is {what}: name a file.")
    return open(path, "rb")


def index(file: BinaryIO) -> tuple[dict[str, Any], dict[str, Any]]:
    """A safetensors file's own header: metadata, and each array's dtype, shape and place. The arrays come next."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little") if size > 8 else 0
    if not 2 <= length <= min(size - 8, LONGEST_HEADER) or file.read(1) != b"{":
        raise ValueError("it has no header")
    entries = parsed("{" + file.read(length - 1).decode())
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError("its metadata have no names")
    end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if end != size - 8 - length:
        raise ValueError(f"{size - 8 - length:,} bytes of arrays instead of {end:,}")
    return metadata, entries


def in_order(content: bytes) -> bytes:
    """The same file, whose metadata stand in the order of their names: the library has another one in each process."""
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # arrays begin at multiples of 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def parsed(text: str) -> Any:
    """JSON with every name once, and every number a number."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands there twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    return json.loads(text, object_pairs_hook=once, parse_constant=refuse)


def read(file: BinaryIO, entries: dict[str, Any], promised: dict[str, tuple[str, int]]) -> Arrays:
    """The arrays of a file, provided that they are what its header promised, one after the other."""
    order: list[str] = sorted(entries, key=lambda name: entries[name]["data_offsets"])
    place = 0
    missing = promised.keys() - entries.keys() - {"training.raw"}
    if missing:
        raise InvalidInputError(f"it lacks {', '.join(sorted(missing))}")
    for name in order:
        kind, length = promised.get(name, ("none", 0))
        start, place = place, place + length * KINDS[kind].itemsize
        if entries[name] != {"dtype": kind, "shape": [length], "data_offsets": [start, place]}:
            raise InvalidInputError(f"{name} is not {length:,} numbers of {KINDS[kind].name}")
    arrays = {}
    for name in order:
        kind, length = promised[name]
        array = np.empty(length, KINDS[kind])
        if file.readinto(array.view(np.uint8)) < array.nbytes:  # type: ignore[attr-defined]
            raise ValueError("the file became shorter while it was read")
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return arrays
