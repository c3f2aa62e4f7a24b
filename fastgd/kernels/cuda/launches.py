"""Launches for one network whose rows many blocks share: sums over shards, updates, runs over the tiles of a table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..records import LossRecord, Net, Reals, Rows, Rule
from . import kernels, layout
from .block import N_WIDE
from .memory import Work, on_device, shards_of
from .packing import features_of, hyper_record, scales_record
from .shim import cuda

TILE_BLOCKS = 1024  # the most that a launch over the tiles of a table has

NO_RULE = Rule(0, 0.0, False, 0.0, 0.0, 0.0, 0.0, 0.0, False, np.inf, np.inf, 0.0)


def scratch(work: Work, n_blocks: int) -> Any:
    """Tiles in global memory, (n_blocks, entries), for blocks that have no room for one."""
    tile = work.plan.tile
    return cuda.device_array((1, 1) if work.room.tile else (n_blocks, tile.size), np.dtype(work.plan.shape.dtype))


class Placed(NamedTuple):
    """What launches for one network read, on the device."""

    state: Any
    scales: Any
    hyper: Any
    features: Any
    jobs: Any


def place_network(work: Work, state: Reals, net: Net, loss: LossRecord, rule: Rule | None, jobs: Any) -> Placed:
    """Send a network and its rule to the device."""
    hyper = hyper_record(net, rule or NO_RULE).reshape(1, -1)
    scales, features = scales_record(net, loss).reshape(1, -1), features_of(net, work.plan.shape)
    return Placed(*(cuda.to_device(array) for array in (state, scales, hyper, features, jobs)))


class Shards:
    """The launch that sums loss and gradient over shards of rows."""

    def __init__(self, work: Work, rows: Rows, placed: Placed, most_rows: int, *, backward: bool) -> None:
        self.work, self.placed = work, placed
        n_shards = self._cut(most_rows, backward)[0]
        self.backward, self.n_blocks = backward, min(n_shards, TILE_BLOCKS)
        plan, dtype = work.plan, np.dtype(work.plan.shape.dtype)
        self.partials = cuda.device_array((n_shards if backward else 1, plan.parameters.size), dtype)
        self.results = cuda.device_array((n_shards, 3), np.float64)
        self.scratch = scratch(work, self.n_blocks)
        self.table = on_device(rows.X), on_device(rows.Y), on_device(rows.weights)
        self.kernel = kernels.summing_kernel(plan, work.room, backward=backward)

    def _cut(self, n: int, backward: bool) -> tuple[int, int]:
        """Shards, and rows of each: for a loss alone each tile is one."""
        T = self.work.plan.tile.T
        return shards_of(self.work.plan, n) if backward else (-(-n // T), T)

    def __call__(self, place: int, n: int, scale: float | None = None) -> int:
        """Sum n rows from a place of the epoch on; returns how many shards there are."""
        n_shards, per = self._cut(n, self.backward)
        placed, plan, room = self.placed, self.work.plan, self.work.room
        self.kernel[min(n_shards, self.n_blocks), plan.NT, 0, room.bytes](
            placed.state, self.scratch, placed.scales, placed.hyper, placed.features, placed.jobs, *self.table,
            self.partials, self.results, place, n, per, 1.0 / n if scale is None else scale,
        )  # fmt: skip
        return n_shards


class Update:
    """The launches that add gradients and move parameters: one, or three where the gradient's norm is clipped."""

    def __init__(
        self, work: Work, step: layout.Step, held: layout.Held, placed: Placed, shards: Shards, n_steps: int,
        *, moves: bool = True,
    ) -> None:  # fmt: skip
        self.plan, self.placed, self.shards = work.plan, placed, shards
        size = self.plan.parameters.size
        self.n_blocks = min(-(-size // self.plan.NT), TILE_BLOCKS)
        self.gradient = cuda.device_array((1, size), np.dtype(self.plan.shape.dtype))
        self.norms, self.results = cuda.device_array(N_WIDE, np.float64), cuda.to_device(np.zeros((n_steps, 3)))
        split = step.clips_norm and moves
        self.first = kernels.updating_kernel(self.plan, step, held, adds=True, moves=moves and not split)
        self.norm = kernels.norm_kernel(self.plan) if split else None
        self.last = kernels.updating_kernel(self.plan, step, held, adds=False, moves=True) if split else None

    def __call__(self, n_shards: int, rate: float, number: int, index: int) -> None:
        """One step."""
        given = (
            self.placed.state, self.gradient, self.placed.hyper, self.shards.partials, self.shards.results, self.norms,
            self.results, n_shards, rate, number, index,
        )  # fmt: skip
        self.first[self.n_blocks, self.plan.NT](*given)
        if self.norm is not None and self.last is not None:
            self.norm[1, self.plan.NT](self.gradient, self.placed.hyper, self.norms)
            self.last[self.n_blocks, self.plan.NT](*given)


def run_tiles(work: Work, placed: Placed, X: Any, given: Any, out: Reals, shows: bool) -> None:
    """Launch predictions, or a look at all layers, and bring their results to the host."""
    plan, n_blocks = work.plan, min(-(-X.shape[0] // work.plan.tile.T), TILE_BLOCKS)
    there = cuda.to_device(out) if shows else cuda.device_array(out.shape, out.dtype)  # slopes are not always written
    kernels.forward_kernel(plan, work.room, shows=shows)[n_blocks, plan.NT, 0, work.room.bytes](
        placed.state, scratch(work, n_blocks), placed.scales, placed.hyper, placed.features, placed.jobs,
        X.device_array if hasattr(X, "device_array") else cuda.to_device(X), cuda.to_device(given), there,
    )  # fmt: skip
    there.copy_to_host(out)
