"""Arrays as other libraries lend them from a GPU. In the simulator the memory of the device is that of the host."""

from __future__ import annotations

import numpy as np

CUDA = 2  # DLPack's number for it


class Lent:
    """An array with `__cuda_array_interface__`, as CuPy and PyTorch have it; what it is asked for more is noted."""

    def __init__(self, array, device=0, **other):
        self.array, self.device, self.other = np.asarray(array), device, other

    @property
    def __cuda_array_interface__(self):
        array = self.array
        return {
            "shape": array.shape, "typestr": array.dtype.str, "data": (array.ctypes.data, False), "version": 3,
            "strides": None if array.flags.c_contiguous else array.strides, **self.other,
        }  # fmt: skip

    def __dlpack_device__(self):
        return CUDA, self.device

    def __array__(self, *_, **__):
        raise AssertionError("an array on a GPU was copied by itself")


class Capsules:
    """An array that has DLPack alone."""

    def __init__(self, array, device=0, versioned=True):
        self.array, self.device, self.versioned = array, device, versioned

    def __dlpack_device__(self):
        return CUDA, self.device

    def __dlpack__(self, *, stream, **options):
        assert stream == 1, "the default stream has to wait"
        if options and not self.versioned:
            raise TypeError("max_version is not known")
        return self.array.__dlpack__(**options)
