"""What is asked of a whole table on the device: sums of its columns, the first cell out of bounds, some of its rows.

Sums have a fixed order, whatever the number of blocks: the rows of a chunk are added one after the other, then the sums
of chunks likewise, chunk by chunk, until one is left. So no kernel needs a barrier.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..records import Integers, Reals
from .shim import IS_SIMULATOR, cuda, kernel

ROWS = 64  # of a chunk
BLOCKS, THREADS = (2, 4) if IS_SIMULATOR else (256, 128)  # at most; the simulator's threads are threads of Python
NO_WEIGHTS = np.zeros(1)


@kernel
def _add_rows(out, values, weights, around, is_weighted, is_squared):
    """out[chunk, column] = Σ weight · (value − around), or of its square, over the rows of a chunk."""
    n_rows, n_columns = values.shape
    cell, n_cells, step = np.int64(cuda.grid(1)), out.shape[0] * n_columns, cuda.gridsize(1)
    while cell < n_cells:
        chunk = cell // n_columns
        column = cell - chunk * n_columns
        row, total, pivot = chunk * ROWS, 0.0, around[column]
        end = row + ROWS if row + ROWS < n_rows else n_rows
        while row < end:
            term = values[row, column] - pivot
            if is_squared:
                term = term * term
            total += weights[row] * term if is_weighted else term
            row += 1
        out[chunk, column] = total
        cell += step


@kernel
def _find_outside(out, cells, low, high):
    """out[thread] = the first of the thread's cells that is not from low to high, which NaN never is; else ≥ n."""
    thread, n, step = cuda.grid(1), cells.shape[0], cuda.gridsize(1)
    cell = np.int64(thread)
    while cell < n and cells[cell] >= low and cells[cell] <= high:
        cell += step
    out[thread] = cell


@kernel
def _gather(out, values, rows, columns):
    """out[i, j] = values[rows[i], columns[j]]."""
    n_columns = columns.shape[0]
    cell, n_cells, step = np.int64(cuda.grid(1)), rows.shape[0] * n_columns, cuda.gridsize(1)
    while cell < n_cells:
        i = cell // n_columns
        j = cell - i * n_columns
        out[i, j] = values[rows[i], columns[j]]
        cell += step


def grid_for(n: int) -> tuple[int, int]:
    """Blocks and threads for n independent pieces of work."""
    return min(BLOCKS, -(-n // THREADS)), THREADS


def column_sums(values: Any, weights: Reals, around: Reals, is_squared: bool) -> Any:
    """Σ weight · (value − around) of each column, or of its square, (n_columns,) in float64.

    `values` (n_rows, n_columns) lies on the device; `weights` (n_rows,), or (0,) for none, and `around` (n_columns,) on
    the host.
    """
    sums = _sums_of_chunks(values, weights, around, is_squared)
    while sums.shape[0] > 1:
        sums = _sums_of_chunks(sums, weights[:0], np.zeros_like(around), False)
    return sums.copy_to_host()[0]


def _sums_of_chunks(values, weights, around, is_squared):
    n_rows, n_columns = values.shape
    out = cuda.device_array((-(-n_rows // ROWS), n_columns), np.float64)
    given = cuda.to_device(weights if weights.size else NO_WEIGHTS)
    pivot = cuda.to_device(np.asarray(around, np.float64))
    _add_rows[grid_for(out.size)](out, values, given, pivot, bool(weights.size), is_squared)
    return out


def first_outside(values: Any, low: float, high: float) -> tuple[int, int] | None:
    """The first cell (row, column) of `values` on the device that is not from low to high; None: all are."""
    n = values.size
    blocks, threads = grid_for(n)
    out = cuda.device_array(blocks * threads, np.int64)
    _find_outside[blocks, threads](out, values.reshape(n), low, high)
    first = int(out.copy_to_host().min())
    return divmod(first, values.shape[1]) if first < n else None


def gathered(values: Any, rows: Integers, columns: Integers) -> Any:
    """values[rows][:, columns] as a new array on the device; row and column numbers are on the host, in bounds."""
    out = cuda.device_array((rows.size, columns.size), values.dtype)
    if out.size:
        _gather[grid_for(out.size)](out, values, cuda.to_device(rows), cuda.to_device(columns))
    return out
