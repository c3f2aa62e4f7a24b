"""The card: what it is, and what it could do at best."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import fastgd
from fastgd import kernels

from .problems import engine_of
from .tool import ToolError

# Multiply-adds of float32 that a multiprocessor does in a cycle, by compute capability; of newer ones the last.
LANES = {(7, 0): 64, (7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 7): 128, (8, 9): 128, (9, 0): 128}
ONE_BLOCK = 64  # rows of a batch that one block trains with, on one multiprocessor
PACKAGES = ("numba-cuda-mlir", "numba-cuda", "numba", "numpy", "torch", "jax")


class Card(NamedTuple):
    """A device."""

    name: str
    driver: str
    multiprocessors: int
    cycles: float  # per second
    lanes: int  # multiply-adds in a cycle of a multiprocessor
    bandwidth: float  # bytes per second
    package: str

    @property
    def of_one(self) -> float:
        """Operations per second of one multiprocessor: a multiply-add is two."""
        return 2 * self.lanes * self.cycles

    @property
    def operations(self) -> float:
        """Of all."""
        return self.multiprocessors * self.of_one


def card() -> Card:
    """The card that kernels run on.

    Raises:
        ToolError: there is none.
    """
    missing = kernels.missing("cuda")
    if missing:
        raise ToolError(missing)
    shim = engine_of(fastgd, "cuda.shim")
    device = shim.cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    capability = tuple(map(int, device.compute_capability))
    lanes = LANES.get(capability, list(LANES.values())[-1])
    # Kilohertz, twice a cycle, and bits.
    bandwidth = 2e3 * device.MEMORY_CLOCK_RATE * device.GLOBAL_MEMORY_BUS_WIDTH / 8
    return Card(
        name, driver(), int(device.MULTIPROCESSOR_COUNT), 1e3 * device.CLOCK_RATE, lanes, bandwidth,
        str(shim.package()),
    )  # fmt: skip


def driver() -> str:
    """The driver's version, as nvidia-smi tells it."""
    if shutil.which("nvidia-smi") is None:
        return "unknown"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return told[0] if told else "unknown"


def floors(job: Any, card: Card | None) -> list[tuple[str, float]]:
    """Seconds that the card needs at best: for the operations or the bytes, whichever takes longer."""
    if card is None:
        return []
    at_least = max(job.operations / card.operations, job.bytes / card.bandwidth)
    found = [("floor: all multiprocessors", at_least)]
    if job.n_networks == 1 and 0 < job.batch_size <= ONE_BLOCK:
        found.append(("floor: one multiprocessor", job.operations / card.of_one))
    return found


def facts(card: Card | None) -> list[str]:
    """Card, driver and versions, in Markdown."""
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := installed(name)))
    if card is None:
        return [f"No card; {versions}.", ""]
    return [
        f"{card.name}: driver {card.driver}, {card.multiprocessors} multiprocessors at {card.cycles / 1e9:.2f} GHz, "
        f"{card.operations / 1e12:.1f} TFLOP/s in float32, {card.bandwidth / 1e9:,.0f} GB/s; {versions}.",
        "",
    ]


def installed(name: str) -> str:
    """A package's version, "" where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
