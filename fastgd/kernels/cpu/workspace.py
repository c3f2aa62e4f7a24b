"""Scratch for each thread, with what only the compiled loops need, and how a batch is cut for threads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import N_OUT
from ..machinery.compile import kernel
from ..machinery.teams import FIRST_COUNTER, Team
from ..records import Integers, Reals, aligned_zeros, new_workspace
from .lookups import room_for_knots
from .products import room_for

# Rows of a block, and the fewest of a shard. A block's activations stay in the second cache: 64 rows took 3 to 8 %
# longer, 256 the same.
BLOCK_ROWS = 128
# A batch has at most SHARD_PARAMETERS / n_parameters shards, from 4 to 16. With 136,000 parameters shards took 20 %
# less time than columns. But several gradients as large as a wide network do not fit into the caches: its batch is one
# shard, whose columns threads divide, until shards have so many rows that their work outweighs this. Then it is 2 or 4
# shards: 784-512-256-10 in batches of 2,048 took 14 % less time with two threads, and 5 % more with one.
WIDE = SHARD_PARAMETERS = 1 << 18
LEAST_WIDE_ROWS = 500  # of a shard
# Rows of a shard whose gradients are added in the dtype of the network; those of longer shards go on in float64.
RUN_ROWS = 1024
LOWEST_LIMIT, HIGHEST_LIMIT = 4, 16
DIVIDED_WORK = 1 << 19  # rows × parameters from which threads divide the columns of a batch
LEAST_COLUMNS = 32  # of the widest layer for each thread that divides them


class CpuWorkspace(NamedTuple):
    """The shared scratch, see records.Workspace, and what the compiled loops add to it."""

    order: Integers
    x: Reals
    y: Reals
    w: Reals
    activations: Reals
    slopes: Reals
    deltas: Reals
    upcoming: Integers  # (≥ BLOCK_ROWS,) row numbers: for this block and those after it
    span: Integers  # (2,) the places of the epoch at which these begin and end
    transposed: Reals  # (n_parameters,) real: W of each layer but the first as (n_out, n_in), where its weights start
    knots: Reals  # (room_for_knots,) real: a column's knots, see lookups.py
    left: Integers  # (block × n_lookups,): for each position, column by column, where the knot left of it begins,
    part: Reals  # and likewise real how far behind it the position lies
    zeros: Reals  # (widest layer or input,) real: where sums start
    room: Reals  # (room_for(widest),) real: for copies that products make
    addresses: Integers  # of the kernels for these activations, this loss and this rule; see calls.py
    counters: Integers  # (any,): where a team of one would meet
    losses: NDArray[np.float64]  # (1,): a team must have such an array; a team of one writes nothing there
    runs: NDArray[np.float64]  # (n_parameters,): a shard's gradient, summed over runs of rows; (0,) where it is one run


def new_scratch(net, addresses, block_rows, batch_size):
    """Allocate the scratch of one thread, for batches of up to this many rows."""
    shared, dtype = new_workspace(net, block_rows), net.parameters.dtype
    n_positions = block_rows * len(net.lookups)
    widest = max(shared.x.shape[1], int(net.layers[:, N_OUT].max()))
    return CpuWorkspace(
        *shared,
        upcoming=np.zeros(max(BLOCK_ROWS, block_rows), np.int64),
        span=np.zeros(2, np.int64),
        transposed=aligned_zeros(net.parameters.size, dtype),
        knots=aligned_zeros(room_for_knots(net), dtype),
        left=np.zeros(n_positions, np.int64),
        part=np.zeros(n_positions, dtype),
        zeros=aligned_zeros(max(widest, block_rows), dtype),
        room=aligned_zeros(room_for(widest), dtype),
        addresses=addresses,
        counters=np.zeros(FIRST_COUNTER, np.int64),
        losses=np.zeros(1),
        runs=np.zeros(net.parameters.size if rows_of_shard(net, batch_size) > RUN_ROWS else 0),
    )


@kernel(merge=True)
def team_of_one(workspace):
    """A team of one thread, which never waits."""
    return Team(0, 1, False, workspace.counters, workspace.losses, 0)


def count_shards(net, batch_size):
    """How many shards a batch is cut into."""
    if net.parameters.size < WIDE:
        most = min(max(SHARD_PARAMETERS // net.parameters.size, LOWEST_LIMIT), HIGHEST_LIMIT)
        return min(-(-batch_size // BLOCK_ROWS), most)
    return 4 if batch_size >= 4 * LEAST_WIDE_ROWS else 2 if batch_size >= 2 * LEAST_WIDE_ROWS else 1


def rows_of_shard(net, batch_size):
    """How many rows a shard of a batch has at most."""
    return -(-batch_size // count_shards(net, batch_size))


def divides_columns(net, batch_size):
    """Whether threads divide the columns of every block, because a batch is one shard that is much work."""
    return count_shards(net, batch_size) == 1 and batch_size * net.parameters.size >= DIVIDED_WORK


def worthwhile_threads(net, batch_size, most):
    """How many threads a batch of this size can use, `most` at most."""
    n_shards, widest = count_shards(net, batch_size), int(net.layers[:, N_OUT].max())
    if n_shards > 1:
        return max(min(most, n_shards), 1)
    return max(min(most, widest // LEAST_COLUMNS if divides_columns(net, batch_size) else 1), 1)


@kernel(merge=True)
def shard_rows(n, n_shards):
    """How many rows of a batch of n each of at most n_shards shards has; the last may have fewer."""
    return max(BLOCK_ROWS, (n + 8 * n_shards - 1) // (8 * n_shards) * 8)
