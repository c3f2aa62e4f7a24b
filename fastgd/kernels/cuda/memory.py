"""What lies on the device: rows of a table as long as they are used, and what one network has there."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from ..records import LossRecord, Net
from . import layout
from .block import N_WIDE, RESERVED, numbers_of
from .kernels import Room
from .layout import Parameters, Shape
from .shim import cuda, shared_limit
from .tile import Plan

TILES = (32, 16, 8, 4)  # rows: the most that there is room for
LEAST_THREADS, MOST_THREADS = 32, 256
MOST_SHARDS = 256
SHARD_BYTES = 1 << 28  # that the gradients of all shards take at most
MOST_ALIKE = 1 << 26  # bytes: larger arrays are not looked for among those that are there
SAMPLE = 1000  # numbers of an array by which it is looked for


class _Copy:
    """An array on the device, and its numbers as they were: the user's own array may have others by now."""

    def __init__(self, array: Any) -> None:
        self.was = array.copy() if array.nbytes <= MOST_ALIKE else None
        self.there = cuda.to_device(array if array.size else np.ones(1, array.dtype))


_resident: dict[int, tuple[weakref.ref[Any], _Copy]] = {}
_alike: weakref.WeakValueDictionary[Any, _Copy] = weakref.WeakValueDictionary()  # by some of their numbers


def on_device(array: Any) -> Any:
    """An array of a table on the device. It stays there as long as this very array lives, and is never changed.

    Networks that train together have each their own copies of the same targets: on the device they are one array, by
    which the engine sees that a launch can have them all. Weights of rows that all count the same, of which there are
    none, are the single 1 that each of them has.
    """
    there = getattr(array, "device_array", None)
    if there is not None:
        return there
    found = _resident.get(id(array))
    if found is None or found[0]() is not array:
        key = id(array)
        found = _resident[key] = weakref.ref(array, lambda _: _resident.pop(key, None)), _copy_of(array)
    return found[1].there


def name_of(array: Any) -> Any:
    """What arrays of a table have in common that are one on the device, and no others that live as long."""
    if hasattr(array, "device_array"):
        return array.__cuda_array_interface__["data"][0], array.shape, array.dtype.str
    return id(on_device(array))


def _copy_of(array: Any) -> _Copy:
    key = array.shape, array.dtype.str, array.reshape(-1)[:: array.size // SAMPLE + 1].tobytes()
    copy = _alike.get(key)
    if copy is None or copy.was is None or not np.array_equal(copy.was, array):
        copy = _alike[key] = _Copy(array)
    return copy


def tile_and_room(shape: Shape, parameters: Parameters, most_rows: int) -> tuple[int, Room]:
    """How many rows a tile has, and what of it and of the parameters lies in shared memory.

    It depends on the network, the rows of a batch and the room of a block, never on how many blocks there are: so do
    the bits.
    """
    real = np.dtype(shape.dtype).itemsize
    left = shared_limit() - RESERVED - 8 * (numbers_of(len(shape.layers)) + N_WIDE)
    wanted = [rows for rows in TILES if rows < most_rows + 4] or [TILES[-1]]
    for has_parameters in (True, False):
        for T in wanted:
            n_bytes = real * (layout.tile_of(shape, T).size + has_parameters * parameters.size)
            if n_bytes <= left and (TILES[-2] <= T or wanted[0] == T or not has_parameters):
                return T, Room(has_parameters, True, n_bytes)
    return wanted[0], Room(False, False, 0)


def threads_of(shape: Shape, T: int) -> int:
    """Threads of a block: one for each sixteen outputs of the widest layer."""
    tiles = T // 4 * (max(n_out for _, n_out, *_ in shape.layers) // 4)
    return min(max(1 << max(tiles - 1, 0).bit_length(), LEAST_THREADS), MOST_THREADS)


class Work(NamedTuple):
    """A network as kernels are compiled for it."""

    plan: Plan
    room: Room


def work_of(net: Net, loss: LossRecord, most_rows: int, *, trains: bool) -> Work:
    """What to compile for a network. Where it does not train, no slopes are kept and no units dropped."""
    shape = layout.shape_of(net, loss)
    if not trains:
        layers = tuple((*layer[:3], False) for layer in shape.layers)
        shape = shape._replace(layers=layers, drops=(False,) * len(layers))
    parameters = layout.parameters_of(shape)
    T, room = tile_and_room(shape, parameters, most_rows)
    tile = layout.tile_of(shape, T)
    first = tile.size if room.parameters and room.tile else 0
    plan = Plan(shape, parameters, tile, layout.scales_of(shape), threads_of(shape, T), first)
    return Work(plan, room)


def shards_of(plan: Plan, n: int) -> tuple[int, int]:
    """How many shards a batch of n rows has, and how many rows each but the last."""
    T, n_bytes = plan.tile.T, plan.parameters.size * np.dtype(plan.shape.dtype).itemsize
    most = max(min(MOST_SHARDS, SHARD_BYTES // n_bytes), 1)
    tiles = -(-n // T)
    per = -(-tiles // most) * T
    return -(-n // per), per
