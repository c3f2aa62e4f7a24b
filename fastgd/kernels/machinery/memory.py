"""Memory that a compiled loop has no array for: scratch on the stack, arrays around pointers, a flag that one can take.

Scratch on the stack is the calling thread's own, and gone when its kernel returns: loops that many threads may enter
with one network need neither locks nor scratch for each thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.config import DISABLE_JIT
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .lanes import BYTES

OBJECTS: dict[int, Any] = {}  # without the compiler an "address" is a key of this table

if DISABLE_JIT:

    def on_stack(like, n):
        """Room for n numbers like those of a pointer."""
        return np.empty(n, like.dtype)

    def vector_at(p, n):
        """The array (n,) that a pointer points to."""
        return p[:n]

    def matrix_at(p, m, n):
        """The array (m, n) that a pointer points to."""
        return p[: m * n].reshape(m, n)

    def table_at(p, m, n):
        """The same, not to be written to."""
        return p[: m * n].reshape(m, n)

    def words_at(address, like):
        """The words at an address: here the record itself, by its number."""
        return OBJECTS[address]

    def claim(flag):
        """Take a flag (1,): whether it was free."""
        free, flag[0] = flag[0] == 0, 1
        return free

else:

    @intrinsic
    def on_stack(typing, like, n):
        """Room for n numbers like those of a pointer, until the kernel that asks for it returns."""

        def code(context, builder, signature, arguments):
            room = builder.alloca(context.get_data_type(like.dtype), arguments[1])
            room.align = BYTES
            return room

        return like(like, types.intp), code

    def _array_at(p, sizes, mutable):
        kind = types.Array(p.dtype, len(sizes), "C", readonly=not mutable)

        def code(context, builder, signature, arguments):
            data, *shape = arguments
            itemsize = context.get_constant(types.intp, p.dtype.bitwidth // 8)
            strides = [itemsize]
            for size in reversed(shape[1:]):
                strides.insert(0, builder.mul(strides[0], size))
            array = context.make_array(kind)(context, builder)
            populate_array(array, data, shape, strides, itemsize, None)
            return array._getvalue()

        return kind(p, *[types.intp] * len(sizes)), code

    @intrinsic
    def vector_at(typing, p, n):
        """The array (n,) that a pointer points to."""
        return _array_at(p, (n,), mutable=True)

    @intrinsic
    def matrix_at(typing, p, m, n):
        """The array (m, n) that a pointer points to."""
        return _array_at(p, (m, n), mutable=True)

    @intrinsic
    def table_at(typing, p, m, n):
        """The same, not to be written to."""
        return _array_at(p, (m, n), mutable=False)

    @intrinsic
    def words_at(typing, address, like):
        """A pointer to what lies at an address."""

        def code(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(like))

        return like(types.int64, like), code

    @intrinsic
    def claim(typing, flag):
        """Take a flag (1,), whose entry is 0 while it is free: whether it was."""

        def code(context, builder, signature, arguments):
            place = context.make_array(flag)(context, builder, arguments[0]).data
            before = builder.atomic_rmw("xchg", place, ir.Constant(place.type.pointee, 1), "acquire")
            return builder.icmp_signed("==", before, ir.Constant(before.type, 0))

        return types.boolean(flag), code
