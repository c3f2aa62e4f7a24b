"""Records as words: a record that many calls share is taken apart once, and handed over as one array of addresses.

Numba takes a record apart field by field at every call: 5 µs for a network and its scratch, ten times what a prediction
for one row takes. An array's words are those of Numba's own structure for it: no owner, its sizes, the address of its
data, its shape and strides. Compiled code reads the record as it lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

KINDS: dict[Any, Any] = {}  # (a record's class, precision) → Numba's type of such a record


def packed(record: Any, dtype: np.dtype[Any]) -> Any:
    """The words of a record of arrays and whole numbers, which must live as long as the words are used."""
    if config.DISABLE_JIT:
        return record
    key = type(record), dtype
    if key not in KINDS:  # to ask takes ten times as long as all the rest
        KINDS[key] = numba.typeof(record)
    return np.fromiter(_words(record), np.int64)


def _words(part: Any) -> Iterator[int]:
    if isinstance(part, tuple):
        for entry in part:
            yield from _words(entry)
    elif isinstance(part, np.ndarray):
        yield from (0, 0, part.size, part.itemsize, part.__array_interface__["data"][0], *part.shape, *part.strides)
    else:
        yield part


def unpacking(record: type) -> Any:
    """The function that makes a record of this class from words, for the precision of the array or pointer `like`."""

    def as_it_is(words: Any, like: Any) -> Any:
        """The record."""
        return words

    def unpacked(typing, words, like):  # type: ignore[no-untyped-def]
        """The record whose words these are: an array of them, or a pointer to them."""
        kind = KINDS[record, as_dtype(like.dtype)]

        def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            native = context.get_value_type(kind)
            size = context.get_abi_sizeof(native)
            if size != 8 * _count(kind):
                raise TypeError(f"{kind} takes {size} bytes, not {_count(kind)} words: it cannot be packed.")
            data = arguments[0]
            if isinstance(words, types.Array):
                data = context.make_array(words)(context, builder, data).data
            return builder.load(builder.bitcast(data, ir.PointerType(native)))

        return kind(words, like), code

    return as_it_is if config.DISABLE_JIT else intrinsic(unpacked)


def _count(kind: Any) -> int:
    """How many words a type has."""
    if isinstance(kind, types.BaseTuple):
        return sum(_count(part) for part in kind)
    return 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1
