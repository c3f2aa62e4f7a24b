"""Arrays that lie on a GPU: told from all others, checked as others are, and left where they are.

Numbers stay on the device: inputs, and targets that are no labels. Labels of classes and weights of rows, one number
each, are copied to the host, where their names and their mean are found. Nothing is imported before there is such an
array, and none is read but for the device whose kernels take it.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..kernels import GPU, device_arrays

CUDA_MEMORY = (2, 13)  # DLPack's numbers for it: plain, and managed
COPY = "copy it to the host first, as {0}.cpu() does in PyTorch, {0}.get() in CuPy"


def is_on_device(source: Any) -> bool:
    """Whether an array lies in the memory of an NVIDIA GPU."""
    if type(source) in (np.ndarray, list, tuple):
        return False
    # DLPack first: PyTorch's other interface raises errors for a tensor that is part of a derivative.
    with contextlib.suppress(Exception):  # most things have neither; an array may lie on several devices
        return int(source.__dlpack_device__()[0]) in CUDA_MEMORY
    with contextlib.suppress(Exception):
        return hasattr(source, "__cuda_array_interface__")
    return False


def refused(what: str) -> InvalidInputError:
    """The error where an array lies where nobody reads it."""
    return InvalidInputError(f"{what} lies on a GPU: use device={GPU!r}, or {COPY.format(what)}.")


def only_on_host(why: str, **given: Any) -> None:
    """Refuse arrays on a GPU by their names, where `why` says what is done on the host alone."""
    for what, source in given.items():
        if is_on_device(source):
            raise InvalidInputError(f"{what} lies on a GPU, but {why} on the host: {COPY.format(what)}.")


def on_host(source: Any, what: str, device: str) -> Any:
    """A copy on the host of an array that lies on the GPU; anything else as it is."""
    if not is_on_device(source):
        return source
    found = borrowed(source, what, device)
    if not isinstance(found.dtype, np.dtype) or found.dtype.kind not in "biuf":
        raise InvalidInputError(f"{what} has dtype {found.dtype}, which cannot be read: convert it to float32.")
    return device_arrays().on_host(found) if 0 not in found.shape else np.zeros(found.shape, found.dtype)


def table_of(found: Any, what: str, dtype: np.dtype[Any]) -> Any:
    """What is borrowed, (n_rows,) or (n_rows, n_columns), as kernels take it; its values are not looked at."""
    if found.dtype != dtype:
        raise InvalidInputError(
            f"{what} lies on the GPU in {found.dtype}, but the model computes in {dtype}: convert it there, as "
            f"{what}.to(torch.{dtype}) does in PyTorch, {what}.astype('{dtype}') elsewhere"
            + (", or make the model with dtype='float64'." if found.dtype == np.float64 else ".")
        )
    if found.pointer % dtype.itemsize:
        raise InvalidInputError(f"{what} does not begin at a whole {dtype} of the GPU's memory: copy it there.")
    return device_arrays().table(found)


def borrowed(source: Any, what: str, device: str) -> Any:
    """An array that lies on the GPU, where it lies, in one piece."""
    if device != GPU:
        raise refused(what)
    found = device_arrays().borrowed(source, what)
    if found.is_masked:
        raise InvalidInputError(f"{what} has masked entries: fill them, or drop these rows.")
    if not found.is_contiguous:
        raise InvalidInputError(
            f"{what} is not C-contiguous on the GPU: pass {what}.contiguous() in PyTorch, ascontiguousarray({what}) of "
            "the library that it is from elsewhere."
        )
    return found
