"""Stand-ins for the packages that compile for GPUs, so that what a machine lacks can be tried on any machine."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numba
from numba.core import config

import fastgd.kernels.cuda
from fastgd.kernels.cuda import shim

ENGINE = "fastgd.kernels.cuda.engine"
NAMES = {"numba-cuda-mlir": "numba_cuda_mlir", "numba-cuda": "numba_cuda"}


def forget(monkeypatch):
    """The next question what there is begins anew."""
    shim.package.cache_clear()
    sys.modules.pop(ENGINE, None)
    vars(fastgd.kernels.cuda).pop("engine", None)
    for name in NAMES.values():
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(config, "ENABLE_CUDASIM", 0)


def without_package(monkeypatch):
    """A machine without a compiler for GPUs."""
    forget(monkeypatch)


def install(monkeypatch, name="numba-cuda-mlir", **options):
    """Put a stand-in where a package would be; options are what it says of its machine, by default all is well."""
    forget(monkeypatch)
    module, cuda = ModuleType(NAMES[name]), fake_cuda(**options)
    module.__spec__, module.cuda = ModuleSpec(NAMES[name], None), cuda
    monkeypatch.setitem(sys.modules, NAMES[name], module)
    if name == "numba-cuda":
        monkeypatch.setattr(numba, "cuda", cuda, raising=False)
        monkeypatch.setitem(sys.modules, "numba.cuda", cuda)
    return cuda


def fake_cuda(
    error=None, toolkit=(13, 5), driver=(13, 0), n_devices=1, capability=(9, 0), free=1 << 30, nvvm=True,
    file="/site-packages/numba_cuda/numba/cuda/__init__.py",
):  # fmt: skip
    """What `cuda` says of a machine with this driver, toolkit and device."""
    cuda = ModuleType("cuda")
    device = SimpleNamespace(name=b"Fake GPU", compute_capability=capability, MAX_SHARED_MEMORY_PER_BLOCK_OPTIN=232448)

    def runtime():
        if toolkit is None:
            raise RuntimeError("Failure finding libnvrtc.so.13")
        return toolkit

    cuda.__file__ = file
    cuda.is_available = lambda: error is None and nvvm
    cuda.cuda_error = lambda: error
    cuda.runtime = SimpleNamespace(get_version=runtime)
    cuda.cudadrv = SimpleNamespace(driver=SimpleNamespace(driver=SimpleNamespace(get_version=lambda: driver)))
    cuda.gpus = [device] * n_devices
    cuda.get_current_device = lambda: device
    cuda.current_context = lambda: SimpleNamespace(get_memory_info=lambda: SimpleNamespace(free=free))
    cuda.jit = lambda **options: lambda function: (function, options)
    return cuda
