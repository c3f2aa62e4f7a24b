"""Where a training runs: the devices that can be asked for by name, and what "auto" chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from ..errors import DeviceError
from ..kernels import DEFAULT_DEVICE, DEVICES, GPU, missing
from ..options import look_up

AUTO = "auto"
CHOICES = (*DEVICES, AUTO)
# From when on a GPU is chosen. These are estimates, not measured on a card.
LEAST_BATCH = 1024  # rows: smaller batches of one network leave most of a GPU idle
LEAST_WORK = 1e12  # rows · epochs · parameters of all networks: minutes on one core
LEAST_NETWORKS = 64  # of each shape, which learn side by side


class Work(NamedTuple):
    """What one network has to do."""

    shape: Hashable  # networks of one shape run the same program
    batch_size: int
    total: float  # rows · epochs · parameters


class Choice(NamedTuple):
    """A device, and why it was chosen; "" where it was asked for by name."""

    device: str
    reason: str = ""


def named_device(name: Any, known: Sequence[str] = DEVICES) -> str:
    """A device that can run here, by its name.

    Raises:
        InvalidInputError: there is no such device.
        DeviceError: it cannot run here.
    """
    device = look_up(name, {name: name for name in known}, "device")
    lacking = missing(device)
    if lacking:
        raise DeviceError(lacking)
    return device


def asked_device(name: Any) -> str:
    """The same, or "auto"."""
    return named_device(name, CHOICES)


def chosen(asked: str, works: Sequence[Work]) -> Choice:
    """What was asked for; for "auto" the GPU if the work is worth it and it can run, else the default."""
    if asked != AUTO:
        return Choice(asked)
    against = too_little(works)
    lacking = against or missing(GPU)
    if lacking:
        return Choice(DEFAULT_DEVICE, lacking)
    n = len(works)
    what = f"{n:,} networks side by side" if n > 1 else f"batches of {works[0].batch_size:,} rows"
    return Choice(GPU, f"{what}, and {_total(works)}, are enough work for the GPU")


def too_little(works: Sequence[Work]) -> str:
    """Why such work is not worth a GPU; "" where it is. It looks at the work alone, never at the machine."""
    shapes = Counter(work.shape for work in works)
    least = min(shapes.values())
    if sum(work.total for work in works) < LEAST_WORK:
        return f"{_total(works)} are too little work for a GPU, estimated to pay from {LEAST_WORK:.0e} on"
    if len(works) == 1 and works[0].batch_size < LEAST_BATCH:
        return (
            f"batches of {works[0].batch_size:,} rows are too small for a GPU, estimated to pay from {LEAST_BATCH:,} on"
        )
    if len(works) > 1 and least < LEAST_NETWORKS:
        return f"of one shape there are {least} networks; a GPU is estimated to pay from {LEAST_NETWORKS} of each on"
    return ""


def _total(works: Sequence[Work]) -> str:
    return f"{sum(work.total for work in works):.0e} rows × epochs × parameters"
