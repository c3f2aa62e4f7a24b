"""Arrays in the memory of a GPU that another library owns: where they lie, and how, without a copy.

PyTorch, CuPy, JAX, cuDF and Numba say it by `__cuda_array_interface__`; what has only DLPack says it by a capsule. No
CUDA package is needed to read either.
"""

from __future__ import annotations

import ctypes
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidInputError

LEGACY_STREAM = 1  # how DLPack calls the default stream, on which kernels are launched
VERSION = (1, 0)  # of DLPack, up to which capsules are read
KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}  # DLPack's codes of types that NumPy has, too
PLAIN, VERSIONED = b"dltensor", b"dltensor_versioned"
USED = {PLAIN: b"used_dltensor", VERSIONED: b"used_dltensor_versioned"}  # Python keeps no copy of a capsule's name


@dataclass(frozen=True)
class Borrowed:
    """An array on a GPU that stays where it is, and is kept alive."""

    pointer: int
    shape: tuple[int, ...]
    dtype: Any  # NumPy's, or the name of one that NumPy does not have
    is_contiguous: bool  # in C order
    is_masked: bool
    device: int | None  # number of the GPU; None: the library does not say
    owner: Any

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        # No stream is named: whoever borrows waits for all of them, see arrays.borrowed.
        return {
            "shape": self.shape, "typestr": np.dtype(self.dtype).str, "data": (self.pointer, False), "strides": None,
            "stream": None, "version": 3,
        }  # fmt: skip


def described(source: Any, what: str) -> Borrowed:
    """How an array lies on its GPU; `what` is what messages call it.

    Raises:
        InvalidInputError: its library does not give it away.
    """
    if getattr(source, "requires_grad", False):  # PyTorch lends no tensor that is part of a derivative
        source = source.detach()
    try:
        interface = getattr(source, "__cuda_array_interface__", None)
        device = int(source.__dlpack_device__()[1]) if hasattr(source, "__dlpack_device__") else None
        return _of_capsule(_capsule(source), device) if interface is None else _of_interface(interface, device, source)
    except Exception as error:  # each library has errors of its own
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InvalidInputError(f"{what} cannot be read where it lies on the GPU ({why}): copy it there.") from error


def _of_interface(interface: dict[str, Any], device: int | None, owner: Any) -> Borrowed:
    shape, dtype = tuple(map(int, interface["shape"])), np.dtype(interface["typestr"])
    strides = interface.get("strides")
    return Borrowed(
        int(interface["data"][0] or 0), shape, dtype, strides is None or _in_order(shape, strides, dtype.itemsize),
        interface.get("mask") is not None, device, owner,
    )  # fmt: skip


def _in_order(shape: tuple[int, ...], strides: Any, step: int) -> bool:
    """Whether each entry lies behind the one before; `step` is from one to the next, in the unit of the strides."""
    for size, stride in zip(reversed(shape), reversed(tuple(strides)), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


# DLPack, see dlpack.h: a capsule holds a pointer to one of two records, and whoever reads it calls the deleter once.


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class _Plain(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    )  # fmt: skip


class _Lease:
    """Memory of a capsule, given back when nobody has the lease any more."""


_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, (ctypes.py_object,)
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
_Deleter = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)  # it may need Python's lock


def _capsule(source: Any) -> Any:
    """A capsule whose memory is ready for the default stream, in the newest version that its library has."""
    try:
        return source.__dlpack__(stream=LEGACY_STREAM, max_version=VERSION)
    except TypeError:  # a library from before there were versions
        return source.__dlpack__(stream=LEGACY_STREAM)


def _of_capsule(capsule: Any, device: int | None) -> Borrowed:
    name = _name_of(capsule)
    record = {PLAIN: _Plain, VERSIONED: _Versioned}[name]
    address = _pointer_of(capsule, name)
    managed = record.from_address(address)
    if name == VERSIONED and managed.major > VERSION[0]:
        raise BufferError(f"DLPack {managed.major}.{managed.minor} is newer than {VERSION[0]}")
    lease = _Lease()
    _rename(capsule, USED[name])  # or the capsule would give the memory back itself
    if managed.deleter:
        weakref.finalize(lease, _Deleter(managed.deleter), address)
    tensor = managed.tensor
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    return Borrowed(
        (tensor.data or 0) + tensor.byte_offset, shape, _dtype(tensor), strides is None or _in_order(shape, strides, 1),
        False, device, lease,
    )  # fmt: skip


def _dtype(tensor: _Tensor) -> Any:
    kind, n_bytes = KINDS.get(tensor.code), tensor.bits // 8
    if kind is None or tensor.lanes != 1 or tensor.bits % 8:
        return {4: "bfloat16", 5: f"complex{tensor.bits}"}.get(tensor.code, f"DLPack's type {tensor.code}")
    return np.dtype(f"{kind}{n_bytes}")
