"""Arrays of more than 2³¹ entries that take a few MB: the same pages of a file lie in memory again and again."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from typing import Any

import numpy as np

PERIOD = 64 * 1031  # rows; no power of two, so that an index that has lost its upper bits finds other rows
MAP_FIXED = 0x10  # the same on Linux and macOS
FAILED = ctypes.c_void_p(-1).value


def periodic(n_rows: int, rows: Any) -> Any:
    """An array (n_rows, …) whose rows repeat those of `rows` (PERIOD, …); what is written to one is written to all.

    A copy of PERIOD rows must fill whole pages, as it does where a row has 256 bytes or a multiple of that.
    """
    rows = np.ascontiguousarray(rows)
    size = rows.nbytes
    if len(rows) != PERIOD or size % mmap.PAGESIZE:
        raise ValueError(f"{len(rows)} rows of {size:,} bytes are not {PERIOD} that fill whole pages.")
    n_times = -(-n_rows // PERIOD)
    room = mmap.mmap(-1, n_times * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON, prot=mmap.PROT_READ)
    address = np.frombuffer(room, np.uint8).ctypes.data
    place = ctypes.CDLL(None, use_errno=True).mmap
    place.restype = ctypes.c_void_p
    place.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
    with tempfile.TemporaryFile() as file:
        file.write(rows.tobytes())
        file.flush()
        for time in range(n_times):
            there = address + time * size
            access, how = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | MAP_FIXED
            if place(there, size, access, how, file.fileno(), 0) == FAILED:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    shape = n_rows, *rows.shape[1:]
    memory = (ctypes.c_char * (n_times * size)).from_address(address)
    memory.room = room  # as long as an array uses it
    return np.frombuffer(memory, rows.dtype)[: int(np.prod(shape))].reshape(shape)
