"""Tables that live on the device: another library's array taken as it is, asked about, and read row by row.

Kernels take `device_array`, which has the same pointer. Whoever works on the host gets copies of the rows it names.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from . import reductions
from .borrowed import Borrowed, described
from .shim import IS_SIMULATOR, cuda, errors, room_for

Places = NDArray[np.int64]


class DeviceTable:
    """A table (n_rows, n_columns) on the device, C-contiguous; what NumPy would ask of an array, it answers.

    Attributes:
        device_array: the table as kernels take it.
    """

    def __init__(self, device_array: Any, owner: Any = None) -> None:
        self.device_array, self.owner = device_array, owner
        self.shape: tuple[int, int] = tuple(device_array.shape)
        self.dtype: np.dtype[Any] = np.dtype(device_array.dtype)
        self.ndim, self.size = 2, math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        pointer = (
            self.device_array.ctypes.data if IS_SIMULATOR else self.device_array.__cuda_array_interface__["data"][0]
        )
        return Borrowed(pointer, self.shape, self.dtype, True, False, None, self).__cuda_array_interface__

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Copies on the host of the rows that are named, or of cells table[rows, columns], each a number or several."""
        keys = (*key, slice(None))[:2] if isinstance(key, tuple) else (key, slice(None))
        rows, columns = (_numbers(one, n) for one, n in zip(keys, self.shape, strict=True))
        shape = (*rows.shape, *columns.shape)
        found = self._copied(rows, columns).reshape(shape)
        return found if shape else found[()]

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be copied to the host as a whole by who does not know where the table lies."""
        raise InvalidInputError(
            "The table lies on a GPU, and this needs it on the host: copy it first, as X.cpu() does in PyTorch, "
            "X.get() in CuPy."
        )

    def take(self, rows: Any, axis: int = 0) -> DeviceTable:
        """A table of copies of these rows, on the device."""
        assert axis == 0
        numbers = _numbers(rows, len(self))
        room_for(numbers.size * self.shape[1] * self.dtype.itemsize, "A copy of the rows that are chosen")
        return DeviceTable(self._gathered(numbers, np.arange(self.shape[1])))

    @errors()
    def _copied(self, rows: Places, columns: Places) -> NDArray[Any]:
        copy: NDArray[Any] = self._gathered(rows, columns).copy_to_host()
        return copy

    @errors()
    def _gathered(self, rows: Places, columns: Places) -> Any:
        return reductions.gathered(self.device_array, rows.reshape(-1), columns.reshape(-1))

    @errors()
    def column_sums(
        self, weights: NDArray[Any], around: NDArray[np.float64], is_squared: bool = False
    ) -> NDArray[np.float64]:
        """Σ weight · (value − around) of each column, or of its square, (n_columns,); weights (0,) are all 1."""
        return reductions.column_sums(self.device_array, weights, around, is_squared)  # type: ignore[no-any-return]

    @errors()
    def first_outside(self, low: float, high: float) -> tuple[int, int] | None:
        """The first cell (row, column), row by row, that is not from low to high, which NaN never is."""
        return reductions.first_outside(self.device_array, float(low), float(high))


def _numbers(key: Any, n: int) -> Places:
    """The numbers that a key of n rows or columns names; a scalar for a scalar."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n))
    numbers = np.asarray(key)
    if numbers.dtype.kind == "b":
        numbers = np.flatnonzero(numbers)
    if numbers.size and (numbers.min() < -n or numbers.max() >= n):
        raise IndexError(f"a number is outside of {n}")
    return np.asarray(numbers % n if n else numbers, np.int64)


def borrowed(source: Any, what: str) -> Borrowed:
    """An array of another library on this process's device, once all that is still written there is done.

    Raises:
        InvalidInputError: it cannot be read, or lies on another device.
    """
    found = described(source, what)
    with errors():
        context = cuda.current_context()
        here = (context if IS_SIMULATOR else context.device).id
        if found.device not in (None, here):
            raise InvalidInputError(
                f"{what} lies on GPU {found.device}, but kernels run on GPU {here}: copy it there, or choose one GPU "
                "for all by CUDA_VISIBLE_DEVICES."
            )
        cuda.synchronize()  # PyTorch does not say which stream it writes on
    return found


def table(found: Borrowed) -> DeviceTable:
    """A contiguous array of one or two dimensions as a table; (n_rows,) is one column."""
    shape = found.shape if len(found.shape) == 2 else (*found.shape, 1)
    return DeviceTable(_as_device_array(found).reshape(shape), found)


@errors()
def on_host(found: Borrowed) -> NDArray[Any]:
    """A copy of a contiguous array on the host."""
    copy: NDArray[Any] = _as_device_array(found).copy_to_host()
    return copy


def _as_device_array(found: Borrowed) -> Any:
    """The array as kernels take it: the same memory."""
    if not IS_SIMULATOR:
        return cuda.as_cuda_array(found)
    n_bytes = math.prod(found.shape) * found.dtype.itemsize
    memory = (ctypes.c_byte * n_bytes).from_address(found.pointer)
    array_of_simulator = type(cuda.device_array(1))  # to_device would copy
    return array_of_simulator(np.frombuffer(memory, found.dtype).reshape(found.shape))
