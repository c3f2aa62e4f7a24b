"""Tables that are damaged, lie, or unpack to far more than they seem: a table, or one sentence, for stated memory."""

from __future__ import annotations

import functools
import gzip
import io
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastgd
from fastgd.data.files import Format, read_chunks, read_table

from .hostile_models import Trap
from .hostile_mutation import damaged_bytes
from .hostile_watch import Attempt, watched
from .trial import Outcome, Trial

CONSTANT, MULTIPLE = 384 << 20, 60  # bytes, and bytes for each byte of the text or of the declared values
IN_PARTS = 768 << 20  # bytes, however long a text is that is read in parts
LARGE = 8 << 20  # bytes that a small packed file becomes
WORDS = ("\0", '"', '""', '"\n', "\r", "\r\n", "\n\n\n", ",", ";", "\t", "|", "\ufeff", "\ud7ff", "\u2028", "\u202e",
         "1e999", "-1e-999", "nan", "inf", "0x1p3", "1_000", "1,000.5", "1.000,5", "９", "''", "x" * 140_000,
         "," * 300, "\x1a",
         "=cmd|'/c calc'!A0", "<script>alert(1)</script>", "\x1b[2J", " " * 5000, "1" * 5000)  # fmt: skip
ENCODINGS = (None, None, None, "utf-8", "latin-1", "cp1252", "utf-16", "utf-7", "utf-32-be", "idna", "punycode",
             "unicode_escape", "zlib_codec", "rot13", "undefined", "raw_unicode_escape", "no such", "")  # fmt: skip
SEPARATORS = (None, None, None, ",", ";", "\t", "|", " ", "x", "\0")
DTYPES = ("<f8", ">f4", "<f2", "|O", "|V0", "|S0", "<U0", "<U4", "<M8[s]", "<m8[D]", "|b1", "<c16", "<g", "i8,i8",
          "(2,)f8", "|V8", "f8" * 9, "__import__('os')", "<i8")  # fmt: skip
SHAPES = ("(3, 2)", "(-3, 2)", "(3,)", "()", "(1152921504606846976, 2)", "(4611686018427387904, 1)", "(0, 2)",
          "(3, 0)", "(True, 2)", "(3, 2, 1)", "(1.5, 2)", "(9**9**9, 2)", "[3, 2]", "(" * 500 + "3", "(1, 1000000000)",
          "(open('canary', 'w'),)", "(99999999999999999999999, 1)")  # fmt: skip


@functools.cache
def text() -> str:
    """A table with numbers, text, quotes and gaps."""
    rows = (f'{k / 8},"n{k % 7}, b",{k or ""},{"a" if k % 3 else "ü"}\n' for k in range(300))
    return "x,name,y,kind\n" + "".join(rows)


@functools.cache
def whole() -> dict[str, bytes]:
    """A file of each kind."""
    import polars as pl

    content, lines = text().encode(), io.BytesIO()
    pl.LazyFrame({"x": np.arange(500) / 8}).sink_csv(lines, compression="zstd")
    columns: dict[str, Any] = {
        "x": np.arange(500) / 8, "name": [f"n{k % 7}" for k in range(500)], "y": [k or None for k in range(500)],
        "when": pl.Series([k * 86_400_000 for k in range(500)]).cast(pl.Datetime("ms")),
        "is": [k % 2 == 0 for k in range(500)], "list": [[k] * (k % 3) for k in range(500)],
        "code": pl.Series([f"c{k % 5}" for k in range(500)], dtype=pl.Categorical),
    }  # fmt: skip
    files = {"csv": content, "csv.gz": gzip.compress(content), "csv.zst": lines.getvalue()}
    for name, frame, options in (
        ("parquet", pl.DataFrame(columns), {"row_group_size": 100}),
        ("plain.parquet", pl.DataFrame(columns).select("x", "y"), {"compression": "uncompressed"}),
        ("snappy.parquet", pl.DataFrame(columns).select("x", "name"), {"compression": "snappy"}),
    ):
        kept = io.BytesIO()
        frame.write_parquet(kept, **options)
        files[name] = kept.getvalue()
    array = io.BytesIO()
    np.save(array, np.arange(300.0).reshape(100, 3))
    arrow = io.BytesIO()
    pl.DataFrame(columns).write_ipc(arrow)
    return {**files, "npy": array.getvalue(), "arrow": arrow.getvalue()}


def damaged_text(rng: random.Random) -> bytes:
    """The table of text with hostile words in it, in some encoding."""
    made = text()[: rng.choice((30, 500, 10_000))]
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(made) + 1) if rng.random() < 0.7 else rng.randrange(min(20, len(made)) + 1)
        made = made[:place] + rng.choice(WORDS) * rng.choice((1, 1, 1, 3)) + made[place:]
    content = made.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig")))
    return content[rng.choice((0, 0, 0, 1)) :]


def large(rng: random.Random) -> tuple[str, bytes]:
    """Much of one thing."""
    unit = rng.choice(
        (b"\0", b"1", b"1,", b",", b"\n", b"\r", b"x\n", b'"', b'a"b\n', b'"a","\n",', b'"",\n', b"ab,1\r\n")
    )
    head = rng.choice((b"", b"x,y\n", b"x\n"))
    size = LARGE if rng.random() < 0.3 else rng.choice((1000, 100_000, 1 << 20))
    return f"{size:,} bytes of {unit!r} after {head!r}", head + unit * (size // len(unit))


def wide(rng: random.Random) -> tuple[str, bytes]:
    """A table of text with many columns."""
    n = rng.choice((500, 2000, 400_000))
    rows = ",".join(f"c{k}" for k in range(n)), *(",".join("1" * n) for _ in range(2))
    return f"{n:,} columns", "\n".join(rows).encode()


def array_file(rng: random.Random) -> bytes:
    """A .npy file whose head promises something else than what follows."""
    descr = f"'{rng.choice(DTYPES)}'" if rng.random() < 0.9 else rng.choice(("[('a', '<f8')]", "open('canary', 'w')"))
    head = f"{{'descr': {descr}, 'fortran_order': {rng.random() < 0.3}, 'shape': {rng.choice(SHAPES)}, }}\n".encode()
    version = rng.choice((1, 1, 1, 2, 3, 9))
    length = struct.pack("<H" if version == 1 else "<I", len(head) if rng.random() < 0.9 else rng.randrange(1 << 16))
    body = rng.choice((b"", bytes(48), pickle.dumps(Trap()), rng.randbytes(100)))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head + body


def hostile_table(rng: random.Random) -> tuple[str, str, bytes, int]:
    """What it is, the ending of its name, its content, and how many bytes of text or values it stands for."""
    kind = rng.choice(("text", "text", "large", "wide", "array", *whole(), "parquet", "parquet", "plain.parquet"))
    if kind == "text":
        content = damaged_text(rng)
    elif kind == "large":
        kind, content = large(rng)
    elif kind == "wide":
        kind, content = wide(rng)
    elif kind == "array":
        made = array_file(rng)
        return "head of .npy", "npy", made, len(made)
    else:
        made = damaged_bytes(rng, whole()[kind], (*whole().values(), pickle.dumps(Trap())))
        return f"bytes of {kind}", kind, made, max(len(made), 500 * 64)
    if rng.random() < 0.4:
        packed = gzip.compress(content, 1)
        packed = packed if rng.random() < 0.8 else damaged_bytes(rng, packed)
        return f"gzip of {kind}", "csv.gz", packed, len(content)
    return kind, "csv", content, len(content)


def table_read(rng: random.Random, folder: Path) -> Attempt:
    """A hostile file that is read whole, in parts, or as a stream."""
    kind, ending, content, stands_for = hostile_table(rng)
    path = folder / f"t.{ending}"
    path.write_bytes(content)
    other = folder / "t?.csv"  # what a pattern would find, too
    other.write_bytes(content)
    missing = rng.choice((None, None, ("-999",), ("\ud800", "")))
    how = rng.choice(("whole", "parts", "stream"))
    separator, encoding = rng.choice(SEPARATORS), rng.choice(ENCODINGS)

    def streamed() -> None:
        text: dict[str, Any] = {"encoding": encoding, "separator": separator} if ending.startswith("csv") else {}
        for batch in fastgd.Stream(path, spool=False, **text).source.batches(None, 1000):
            del batch

    acts: dict[str, Callable[[], object]] = {
        "whole": lambda: read_table(path, fmt=Format(separator=separator, encoding=encoding, missing=missing)),
        "parts": lambda: [frame.height for _, frame in read_chunks(path, fmt=Format(encoding=encoding))],
        "stream": streamed,
    }
    most = CONSTANT + MULTIPLE * stands_for
    if how != "whole":
        most = min(most, IN_PARTS)
    if "columns" in kind:
        most = CONSTANT + MULTIPLE * stands_for + (IN_PARTS if how == "stream" else 0)
    return Attempt(f"{kind}, {how}", acts[how], most, reads=(path,))


def hostile_tables(cases: int, seed: int) -> Outcome:
    """Damaged tables in children under watch."""
    return watched(f"{__name__}:table_read", cases, seed)


TRIALS = (
    Trial(
        "hostile-tables",
        "A damaged or lying table ends in rows or in one sentence: nothing of it is run, nothing else is opened, and a "
        f"text takes at most {MULTIPLE} times its unpacked bytes and {CONSTANT >> 20} MB of memory, or "
        f"{IN_PARTS >> 20} MB in parts.",
        "tests/test_hostile_files.py::test_hostile_tables",
        2_500,
        hostile_tables,
    ),
)
