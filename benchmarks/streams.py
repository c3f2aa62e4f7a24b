"""Training over files beside training in memory: rows a second, and how much memory each takes.

    pip install -e '.[dev]'
    python benchmarks/streams.py                    some ten minutes, and 4 GB of disk in the folder for temporary files
    python benchmarks/streams.py --write            puts the table into docs/streams.md, too
    python benchmarks/streams.py --gigabytes 0.1 --kinds memory npy --networks 4-8-1

Each training is a process of its own. Some train more epochs than others, so that what happens once (the first pass) is
taken away by subtraction; it is told beside. The memory is the peak of the process above what it had when it was warmed
up; Linux tells it. Rounds are interleaved, and the medians count.

Exit code: 0 all were measured, 2 a mistake.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.streams import main

    sys.exit(main())

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .tool import Parser, guarded

NETWORKS = {"4-8-1": [4, 8, 1], "4-64-64-1": [4, 64, 64, 1]}
KINDS = "memory", "npy", "parquet", "csv", "batches"
EPOCHS = 1, 3  # of the shorter and of the longer process
ROUNDS = 2
BATCH = 256
BUFFER = 1 << 18  # rows, some 5 MB
ROW_BYTES = 20  # of four inputs and a target in float32
PIECE = 1 << 20  # rows that are made at a time
PAGE = Path(__file__).parents[1] / "docs" / "streams.md"
BEGIN, END = "<!-- benchmarks/streams.py -->\n", "<!-- end of benchmarks/streams.py -->\n"
TITLES = {
    "memory": "arrays in memory",
    "npy": "`.npy` files",
    "parquet": "Parquet",
    "csv": "CSV, from the copy of the first pass",
    "batches": "a function that makes batches of mapped arrays",
}


class Measured(NamedTuple):
    """What one process says of itself."""

    seconds: float  # of fit
    peak: int  # bytes of memory, above those after the warm-up


def measure(folder: str, kind: str, sizes: list[int], epochs: int) -> Measured:
    """Train in this process."""
    import fastgd

    place, dtype = Path(folder), np.float32
    model = fastgd.MLP(sizes, random_state=0)
    warm = np.random.default_rng(0).standard_normal((4096, 4)).astype(dtype)
    model.fit(warm, warm[:, 0], epochs=1, batch_size=BATCH, optimizer=fastgd.SGD(1e-4), verbose=0)
    model = fastgd.MLP(sizes, random_state=0)
    before = _peak(afresh=True)
    begun = time.perf_counter()
    given: dict[str, Any] = {}
    if kind == "memory":
        given = {"X": np.load(place / "X.npy"), "y": np.load(place / "y.npy")}
        begun = time.perf_counter()  # reading it is not training
    elif kind == "npy":
        given["X"] = fastgd.Stream(place / "X.npy", place / "y.npy", buffer_rows=BUFFER)
    elif kind == "batches":
        X, y = (np.load(place / name, mmap_mode="r") for name in ("X.npy", "y.npy"))

        def batches() -> Iterator[Any]:
            for start in range(0, len(X), 1 << 16):
                yield X[start : start + (1 << 16)], y[start : start + (1 << 16)]

        given["X"] = fastgd.Stream(batches, buffer_rows=BUFFER)
    else:
        given["X"] = fastgd.Stream(place / f"houses.{kind}", target="price", spool=folder, buffer_rows=BUFFER)
    model.fit(**given, epochs=epochs, batch_size=BATCH, optimizer=fastgd.SGD(1e-4), verbose=0)
    seconds = time.perf_counter() - begun
    return Measured(seconds, _peak() - before)


def _peak(afresh: bool = False) -> int:
    """The most memory that this process has had, in bytes; afresh: from now on."""
    if afresh:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


def main() -> int:
    """Measure and print."""
    return guarded("streams.py", _measured)


def _measured() -> int:
    parser = Parser(prog="streams.py", description="Training over files beside training in memory.")
    parser.add_argument("--gigabytes", type=float, default=0.6, help="of the inputs and targets as .npy files")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/streams.md")
    asked = parser.parse_args()
    n_rows = int(asked.gigabytes * 1e9 / ROW_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), n_rows, asked.kinds)
        found = {name: _compare(NETWORKS[name], folder, asked.kinds, asked.rounds) for name in asked.networks}
    table = page(found, n_rows)
    print(table)
    if asked.write:
        text = PAGE.read_text()
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2])
    return 0


def page(found: dict[str, dict[str, list[tuple[Measured, Measured]]]], n_rows: int) -> str:
    """The table: for each network and kind of stream the pairs of processes that were measured."""
    size = n_rows * ROW_BYTES / 1e6
    lines = [
        f"{n_rows:,} rows of four inputs, {size:,.0f} MB in float32, buffers of {BUFFER:,} rows "
        f"({BUFFER * ROW_BYTES / 1e6:.0f} MB), batches of {BATCH}, {os.cpu_count()} cores:",
        "",
        "| network | rows from | rows/s in an epoch | beside memory | first pass | most memory |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, kinds in found.items():
        of_memory = rate_of(kinds["memory"], n_rows)[0] if "memory" in kinds else None
        for kind, pairs in kinds.items():
            rate, once = rate_of(pairs, n_rows)
            peak = max(measured.peak for pair in pairs for measured in pair) / 1e6
            share = f"{rate / of_memory:.0%}" if of_memory else ""
            first = "" if kind == "memory" else f"{once:.1f} s"
            lines.append(f"| {name} | {TITLES[kind]} | {rate / 1e6:.1f} million | {share} | {first} | {peak:,.0f} MB |")
    return "\n".join([*lines, "", ""])


def rate_of(pairs: list[tuple[Measured, Measured]], n_rows: int) -> tuple[float, float]:
    """Rows a second in an epoch, and the seconds beside the epochs."""
    epochs = EPOCHS[1] - EPOCHS[0]
    each = statistics.median((long.seconds - short.seconds) / epochs for short, long in pairs)
    once = statistics.median(short.seconds - each * EPOCHS[0] for short, _ in pairs)
    return n_rows / each, once


def _compare(
    sizes: list[int], folder: str, kinds: list[str], rounds: int
) -> dict[str, list[tuple[Measured, Measured]]]:
    """What the processes say for each kind of stream."""
    found: dict[str, list[tuple[Measured, Measured]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            short, long = (_in_process(folder, kind, sizes, epochs) for epochs in EPOCHS)
            found[kind].append((short, long))
    return found


def _in_process(folder: str, kind: str, sizes: list[int], epochs: int) -> Measured:
    code = (
        "import json; from benchmarks.streams import measure; "
        f"print(json.dumps(measure({folder!r}, {kind!r}, {sizes!r}, {epochs})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    return Measured(*json.loads(ran.stdout.splitlines()[-1]))


def _write(folder: Path, n_rows: int, kinds: list[str]) -> None:
    """The same rows as arrays, and where they are asked for as tables."""
    import polars as pl

    random = np.random.default_rng(0)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n_rows, 4))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.float32, (n_rows,))
    tables = []
    for start in range(0, n_rows, PIECE):
        part = random.standard_normal((min(PIECE, n_rows - start), 4)).astype(np.float32)
        price = part @ np.array([3, 1, -2, -1], np.float32) + np.abs(part[:, 0])
        X[start : start + PIECE], y[start : start + PIECE] = part, price
        if {"csv", "parquet"} & set(kinds):
            columns = dict(zip(("size", "bedrooms", "distance", "age"), part.T, strict=True))
            tables.append(folder / f"part{start}.parquet")
            pl.DataFrame(columns | {"price": price}).write_parquet(tables[-1])
    X.flush()
    y.flush()
    if tables:
        whole = pl.scan_parquet(tables)
        if "parquet" in kinds:
            whole.sink_parquet(folder / "houses.parquet", row_group_size=1 << 18)
        if "csv" in kinds:
            whole.sink_csv(folder / "houses.csv", float_precision=5)
        for table in tables:
            table.unlink()
