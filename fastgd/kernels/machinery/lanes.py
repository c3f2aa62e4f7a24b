"""Vectors as values: 64 bytes of neighbouring numbers (16 float32 or 8 float64) that a loop can hold in a register.

The compiler turns a plain loop into a vector loop, but stores every result before it loads the next: a product then
waits for memory. A loop that keeps 16 vectors of results in registers while it walks the sum ran at 92 to 100 % of the
core's multiply-add peak where the plain loop ran at 33 % (64 to 256 columns). On processors with shorter vectors the
compiler splits each into two or four; an element's arithmetic, and so its bits, are the same.

In plain Python a pointer is a slice of an array and a vector a short array, so that the loops run, slowly, as they
stand, with every index checked.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.imputils import lower_builtin
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import models, register_model

from ..formulas import number, where

BYTES = 64


def _has_many_registers() -> bool:
    """Whether the processor that is compiled for has 32 registers of 64 bytes; others spill a tile of 16 vectors."""
    return "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2]


MANY_REGISTERS = _has_many_registers()  # in both cases the bits are the same

# What the loops call. These bodies run in plain Python; compiled code gets the ones below.


def pointer(v, offset):
    """A pointer to entry `offset` of a contiguous array, or of what a pointer points to."""
    flat = (v if v.flags.c_contiguous else v.T).reshape(-1)  # as it lies in memory
    if not 0 <= offset <= flat.size:
        raise IndexError(f"offset {offset} of {flat.size}")
    return flat[offset:]


def lanes(p):
    """How many numbers a vector has: 16 float32 or 8 float64."""
    return BYTES // p.itemsize


def load(p, i):
    """The vector of entries from i on."""
    return _whole(p[i : i + lanes(p)].copy(), lanes(p))


def load_part(p, i, n, filler=0):
    """The vector whose first n entries are those from i on, and whose others are `filler`; n may be anything."""
    v = np.full(lanes(p), filler, p.dtype)
    n = min(max(n, 0), lanes(p))
    v[:n] = _whole(p[i : i + n], n)
    return v


def store(p, i, v):
    """Write a vector to the entries from i on."""
    _whole(p[i : i + lanes(p)], lanes(p))[:] = v


def store_part(p, i, v, n):
    """Write the first n entries of a vector; n may be anything."""
    n = min(max(n, 0), lanes(p))
    _whole(p[i : i + n], n)[:] = v[:n]


def sum_lanes(v):
    """The sum of a vector's entries: its halves are added, then the halves of that, down to one number."""
    while v.size > 1:
        v = v[: v.size // 2] + v[v.size // 2 :]
    return v[0]


def transpose_tile(t, t_stride, a, a_stride):
    """t = the transpose of a, both (lanes, lanes), rows t_stride and a_stride entries apart."""
    n = lanes(a)
    tile = np.array([load(a, i * a_stride) for i in range(n)])
    for j in range(n):
        store(t, j * t_stride, tile[:, j])


def _whole(part, n):
    if part.size != n:
        raise IndexError(f"{n} entries wanted, {part.size} left")
    return part


# How they are compiled.


class Lanes(types.Type):  # type: ignore[misc]
    """Numba's name for a vector."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.count = BYTES * 8 // dtype.bitwidth
        super().__init__(f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, kind):
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, kind, ir.VectorType(element, kind.count))


INT32 = ir.IntType(32)


def _indices(numbers):
    places = list(numbers)
    return ir.Constant(ir.VectorType(INT32, len(places)), places)


def _spread(builder, scalar, count):
    """A vector with `scalar` in every place."""
    undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
    first = builder.insert_element(undefined, scalar, INT32(0))
    return builder.shuffle_vector(first, undefined, _indices([0] * count))


def _address(context, builder, kind, base, i):
    """The address of entry i, as that of a vector."""
    return builder.bitcast(builder.gep(base, [i]), context.get_value_type(kind).as_pointer())


def _mask(builder, n, count):
    """1 in the first n places."""
    places = ir.Constant(ir.VectorType(n.type, count), list(range(count)))
    return builder.icmp_signed("<", places, _spread(builder, n, count))


def _masked(builder, name, kind, arguments):
    """LLVM's masked load or store: places outside the mask are not touched."""
    element = "f32" if kind.dtype == types.float32 else "f64"
    vector = f"v{kind.count}{element}"
    result = ir.VoidType() if name == "store" else arguments[-1].type
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(result, [a.type for a in arguments]),
        f"llvm.masked.{name}.{vector}.p0",
    )
    return builder.call(function, arguments)


def _compiled(function, kinds):
    """Register how a function above is compiled; `kinds` says from the arguments' types which it takes and returns.

    Numba's overloads did the same by way of functions that are inlined: two seconds of a compile time of seven.
    """

    def register(code):
        template = type(f"_{function.__name__}", (AbstractTemplate,), {"generic": lambda self, a, k: kinds(*a)})
        infer_global(function)(template)
        lower_builtin(function, types.VarArg(types.Any))(code)
        return code

    return register


@_compiled(pointer, lambda v, offset: (v if isinstance(v, types.CPointer) else types.CPointer(v.dtype))(v, types.intp))
def _pointer(context, builder, signature, arguments):
    base, offset = arguments
    kind = signature.args[0]
    if isinstance(kind, types.CPointer):
        return builder.gep(base, [offset])
    array = context.make_array(kind)(context, builder, base)
    if config.BOUNDSCHECK:
        with builder.if_then(builder.icmp_unsigned(">", offset, array.nitems), likely=False):
            context.call_conv.return_user_exc(builder, IndexError, ("a pointer outside of its array",))
    return builder.gep(array.data, [offset])


@_compiled(number, lambda like, value: (like if isinstance(like, types.Float) else like.dtype)(like, value))
def _number(context, builder, signature, arguments):
    return context.cast(builder, arguments[1], signature.args[1], signature.return_type)


@_compiled(where, lambda condition, yes, no: yes(condition, yes, no) if yes == no else None)
def _where(context, builder, signature, arguments):
    return builder.select(*arguments)


@_compiled(lanes, lambda p: types.intp(p))
def _lanes(context, builder, signature, arguments):
    return context.get_constant(types.intp, Lanes(signature.args[0].dtype).count)


@_compiled(load, lambda p, i: Lanes(p.dtype)(p, types.intp))
def _load(context, builder, signature, arguments):
    kind = signature.return_type
    return builder.load(_address(context, builder, kind, *arguments), align=kind.dtype.bitwidth // 8)


@_compiled(
    load_part, lambda p, i, n, *filler: Lanes(p.dtype)(p, types.intp, types.intp, *([p.dtype] if filler else []))
)
def _load_part(context, builder, signature, arguments):
    kind, (base, i, n, *filler) = signature.return_type, arguments
    place, alignment = _address(context, builder, kind, base, i), INT32(kind.dtype.bitwidth // 8)
    others = _spread(builder, filler[0], kind.count) if filler else ir.Constant(context.get_value_type(kind), None)
    return _masked(builder, "load", kind, [place, alignment, _mask(builder, n, kind.count), others])


@_compiled(store, lambda p, i, v: types.void(p, types.intp, v))
def _store(context, builder, signature, arguments):
    kind, (base, i, value) = signature.args[2], arguments
    builder.store(value, _address(context, builder, kind, base, i), align=kind.dtype.bitwidth // 8)
    return context.get_dummy_value()


@_compiled(store_part, lambda p, i, v, n: types.void(p, types.intp, v, types.intp))
def _store_part(context, builder, signature, arguments):
    kind, (base, i, value, n) = signature.args[2], arguments
    place, alignment = _address(context, builder, kind, base, i), INT32(kind.dtype.bitwidth // 8)
    _masked(builder, "store", kind, [value, place, alignment, _mask(builder, n, kind.count)])
    return context.get_dummy_value()


@_compiled(sum_lanes, lambda v: v.dtype(v))
def _sum_lanes(context, builder, signature, arguments):
    (value,), count = arguments, signature.args[0].count
    while count > 1:
        count //= 2
        low = builder.shuffle_vector(value, value, _indices(range(count)))
        high = builder.shuffle_vector(value, value, _indices(range(count, 2 * count)))
        value = builder.fadd(low, high)
    return builder.extract_element(value, INT32(0))


@_compiled(transpose_tile, lambda t, t_stride, a, a_stride: types.void(t, types.intp, a, types.intp))
def _transpose_tile(context, builder, signature, arguments):
    t, t_stride, a, a_stride = arguments
    kind = Lanes(signature.args[0].dtype)
    n, alignment = kind.count, kind.dtype.bitwidth // 8

    def place(base, stride, i):
        return _address(context, builder, kind, base, builder.mul(stride, stride.type(i)))

    rows = [builder.load(place(a, a_stride, i), align=alignment) for i in range(n)]
    # log₂ n rounds: each exchanges, between rows `step` apart, the places that differ in this bit.
    step = 1
    while step < n:
        low = _indices(n + j - step if j & step else j for j in range(n))
        high = _indices(n + j if j & step else j + step for j in range(n))
        for i in range(n):
            if not i & step:
                pair = rows[i], rows[i + step]
                rows[i] = builder.shuffle_vector(*pair, low)
                rows[i + step] = builder.shuffle_vector(*pair, high)
        step *= 2
    for j in range(n):
        builder.store(rows[j], place(t, t_stride, j), align=alignment)
    return context.get_dummy_value()


class _Arithmetic(AbstractTemplate):  # type: ignore[misc]
    """vector with vector, or number with vector."""

    def generic(self, arguments, keywords):
        left, right = arguments
        return right(left, right) if isinstance(right, Lanes) and left in (right, right.dtype) else None


def _define(operation, instruction):
    """How a vector is added, …: by one instruction, whose left side may be one number for all places."""
    infer_global(operation)(type(f"_{instruction}", (_Arithmetic,), {}))

    @lower_builtin(operation, Lanes, Lanes)
    @lower_builtin(operation, types.Float, Lanes)
    def code(context, builder, signature, arguments):
        left, right = arguments
        if signature.args[0] != signature.args[1]:
            left = _spread(builder, left, signature.args[1].count)
        return getattr(builder, instruction)(left, right, flags=("contract",))


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)
