"""About how much memory a table takes that is read as a whole, before it is."""

from __future__ import annotations

from pathlib import Path

from ..explain.memory import free_memory
from .terminal import remark

PACKED = (".gz", ".zst", ".parquet", ".pq")
UNPACKED = 8  # times as large, as numbers
COPIES = 3  # of a table in a training: as it is read, as kernels take it, and what is made of it on the way
LARGE_SHARE = 0.5  # of the free memory


def footprint(file: Path) -> int:
    """Bytes; of plain text about as many as it has, because a number takes about as many as its digits."""
    try:
        size = file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0  # it is refused when it is read
    return size * (UNPACKED if file.suffix.lower() in PACKED else 1)


def tell_if_large(file: Path) -> None:
    """Say what to do with a file that memory may not hold."""
    needed, free = COPIES * footprint(file), free_memory()
    if needed > LARGE_SHARE * free:
        remark(
            f"{file} may take {needed / 1e9:.3g} GB of the {free / 1e9:.3g} GB of memory that are free: with "
            "--buffer-rows 100000 it is read a part at a time."
        )
