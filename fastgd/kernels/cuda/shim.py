"""Which compiler for NVIDIA GPUs there is, what of it kernels use, and what to say where something is missing.

Three packages have the same `cuda`: the simulator inside Numba, for tests (NUMBA_ENABLE_CUDASIM=1, set before Numba is
imported), numba-cuda-mlir, and numba-cuda, which puts itself in the place of `numba.cuda`. The first that there is, is
taken; Numba's own, which is no longer maintained, never is. Nothing is looked for before it is asked for: `cuda`,
`PACKAGE` and `IS_SIMULATOR` are found at their first use, and raise DeviceError where there is no package.

A module of kernels holds `cuda` as a global of its own (`from .shim import cuda`): the simulator replaces it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from ...errors import DeviceError, FastgdError, pip_install
from .complaints import what_to_do

SHARED_BYTES = 48 << 10  # of shared memory, which a block may have everywhere
LOWEST = {12: (7, 0), 13: (7, 5)}  # compute capability that a toolkit's major version still compiles for
MLIR, CUDA = "numba-cuda-mlir", "numba-cuda"
# By itself numba-cuda-mlir pastes small functions as source, which takes long, and makes machine code of the others for
# nobody: the kernel, into which they are pasted later, calls none. With link-time optimization it compiles the kernel.
OF_FUNCTIONS: dict[str, dict[str, Any]] = {MLIR: {"inline": "never"}}
OF_KERNELS: dict[str, dict[str, Any]] = {MLIR: {"lto": True}}
INSTALL = (
    f"run {pip_install(f'{MLIR}[cu13]>=0.6,<0.7')} (fastgd's extra cuda13), or with cu12 (its extra cuda12) where the "
    "driver is older than 580"
)

_ONE_AT_A_TIME = RLock()


class Package(NamedTuple):
    """The compiler that was found."""

    name: str
    version: str
    cuda: Any

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def is_simulator(self) -> bool:
        """Whether its kernels run as threads of Python."""
        return self.name == "simulator"


@cache
def package() -> Package:
    """The first of the packages that there is.

    Raises:
        DeviceError: there is none, or it cannot be imported.
    """
    from numba.core import config

    if config.ENABLE_CUDASIM:
        from numba import cuda

        return Package("simulator", version("numba"), cuda)
    for name, load in ((MLIR, _mlir), (CUDA, _numba_cuda)):
        if find_spec(name.replace("-", "_")) is None:
            continue
        try:
            return Package(name, _version(name), load())
        except ImportError as error:
            raise DeviceError(f"{name} cannot be imported ({_line(error)}): {INSTALL}.") from error
    raise DeviceError(f"device='cuda' needs a compiler for NVIDIA GPUs, and none is installed: {INSTALL}.")


def _mlir() -> Any:
    from numba_cuda_mlir import cuda

    _be_quiet("numba_cuda_mlir.numba_cuda.core.config")
    return cuda


def _numba_cuda() -> Any:
    from numba import cuda

    if "numba_cuda" not in (cuda.__file__ or ""):  # a site without .pth files, or Numba's own was imported before
        raise ImportError("Python was started without what puts it in the place of numba.cuda")
    _be_quiet("numba.cuda.core.config")
    return cuda


def _be_quiet(config: str) -> None:
    """No warnings that a launch has few blocks: a network that trains alone is a launch of one."""
    with suppress(ImportError):
        vars(import_module(config))["CUDA_LOW_OCCUPANCY_WARNINGS"] = 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of an unknown version"


def __getattr__(name: str) -> Any:
    if name == "cuda":
        return package().cuda
    if name == "PACKAGE":
        return package()
    if name == "IS_SIMULATOR":
        return package().is_simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def device_function(function: Callable[..., Any]) -> Any:
    """A function that kernels and other such functions call."""
    return package().cuda.jit(device=True, **OF_FUNCTIONS.get(package().name, {}))(function)


def kernel(function: Callable[..., Any], **limits: Any) -> Any:
    """A kernel; limits are launch_bounds, max_registers and lineinfo, of which the simulator knows nothing."""
    options = {} if package().is_simulator else {**OF_KERNELS.get(package().name, {}), **limits}
    return package().cuda.jit(**options)(function)


def shared_limit() -> int:
    """Bytes of shared memory that a block may have; numba-cuda cannot ask a device for more than the least."""
    if package().name != MLIR:
        return SHARED_BYTES
    return int(package().cuda.get_current_device().MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)


def require() -> None:
    """Make sure that kernels can be compiled and run here.

    Raises:
        DeviceError: what is missing, and what to do about it.
    """
    found = package()
    if found.is_simulator:
        return
    if found.name == CUDA and not hasattr(np, "row_stack"):
        raise DeviceError(
            f"{found} cannot compile with NumPy {np.__version__}: install {MLIR} in its place, or run "
            f"{pip_install('numpy<2.5')}."
        )
    with errors():
        toolkit = _toolkit(found)
        _check_driver(found, toolkit)
        _check_device(found, toolkit)


def _toolkit(found: Package) -> tuple[int, int]:
    """The version of the toolkit that compiles."""
    try:
        major, minor = found.cuda.runtime.get_version()
    except Exception as error:  # whatever the loader of its libraries says
        raise DeviceError(f"{found} finds no CUDA toolkit, which compiles kernels: {INSTALL}.") from error
    return int(major), int(minor)


def _check_driver(found: Package, toolkit: tuple[int, int]) -> None:
    if not found.cuda.is_available():
        reason = found.cuda.cuda_error()
        if reason is None:
            raise DeviceError(f"{found} finds no libNVVM, which compiles kernels: {INSTALL}.")
        raise DeviceError(what_to_do(str(reason)) or f"The CUDA driver cannot be used: {_line(reason)}.")
    driver = tuple(map(int, found.cuda.cudadrv.driver.driver.get_version()))
    if driver[0] < toolkit[0]:
        raise DeviceError(
            f"The CUDA toolkit of {found} is {_dotted(toolkit)}, but the driver knows no more than CUDA "
            f"{_dotted(driver)}: update the driver, or run {pip_install(f'{found.name}[cu{driver[0]}]')}."
        )


def _check_device(found: Package, toolkit: tuple[int, int]) -> None:
    if not len(found.cuda.gpus):
        raise DeviceError(what_to_do("no CUDA-capable device is detected"))
    device = found.cuda.get_current_device()
    capability = tuple(map(int, device.compute_capability))
    least = LOWEST[min(max(toolkit[0], min(LOWEST)), max(LOWEST))]
    if capability < least:
        name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
        raise DeviceError(
            f"{name} has compute capability {_dotted(capability)}, and kernels need {_dotted(least)} at least with "
            f"CUDA {_dotted(toolkit)}: use device='cpu', or another GPU by CUDA_VISIBLE_DEVICES."
        )


def room_for(n_bytes: int, what: str) -> None:
    """Make sure that the device has so much memory left for what a sentence can begin with, such as "The table".

    Raises:
        DeviceError: it has not.
    """
    with errors():
        free = package().cuda.current_context().get_memory_info().free
    if n_bytes > free:
        raise DeviceError(
            f"{what} needs {n_bytes / 1e6:,.0f} MB of the GPU's memory, of which {free / 1e6:,.0f} MB are free: "
            "train fewer rows or networks at once, or end other programs there."
        )


@contextmanager
def errors() -> Iterator[None]:
    """Around launches, copies and waits: what the driver complains of becomes a DeviceError, all else stays.

    One thread at a time: compilers are not made for several, and the simulator runs one kernel at a time.
    """
    try:
        with _ONE_AT_A_TIME:
            yield
    except FastgdError:
        raise
    except Exception as error:
        told = what_to_do(f"{type(error).__name__}: {error}")
        if told is None:
            raise
        raise DeviceError(told) from error


def _line(reason: object) -> str:
    """A message in one line, without a full stop."""
    return " ".join(str(reason).split()).rstrip(".:")


def _dotted(parts: tuple[int, ...]) -> str:
    return ".".join(map(str, parts))
