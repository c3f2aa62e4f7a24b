"""How much memory may be had."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory() -> float:
    """Bytes that may be had without harm: what the system would give up of its file cache counts, where it tells."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 4e9
