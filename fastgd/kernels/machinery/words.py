"""Vectors of 32 whole numbers of 32 bits, for the order of rows; of numbers of 64 bits they take the lower half.

A loop over 64-bit numbers took eight times as long: it fills half of the places, and multiplies slowly. In plain Python
such a vector is a short array of 64-bit numbers, and formulas keep to the lower half themselves.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import models, register_model

from .lanes import _compiled, _spread, _whole

COUNT = 32  # two or four registers full, whose rounds need not wait for each other: 16 took a seventh longer
HALF = np.uint64(32)
LOWER = np.uint64(0xFFFFFFFF)


def upper_halves(p, i):
    """The upper 32 bits of 32 numbers of 64 bits, from entry i on."""
    return _whole(p[i : i + COUNT], COUNT).astype(np.uint64) >> HALF


def lower_halves(p, i):
    """Their lower 32 bits."""
    return _whole(p[i : i + COUNT], COUNT).astype(np.uint64) & LOWER


def share(word, n):
    """word · n / 2³², rounded down: a number below n."""
    return (word * n) >> HALF


def wrapped(word, n):
    """A number below 2 n on a circle of n: less n, unless it is below n already."""
    return np.where(word >= n, word, word + n) - n


def store_numbers(p, i, left, n_right, right):
    """Write left · n_right + right, in 64 bits, to the 32 entries from i on."""
    _whole(p[i : i + COUNT], COUNT)[:] = left * n_right + right


# How they are compiled. share and wrapped take single numbers of 64 bits, too.


class Words(types.Type):  # type: ignore[misc]
    """Numba's name for such a vector."""

    def __init__(self) -> None:
        super().__init__("Words")


WORDS = Words()
NARROW, WIDE = (ir.VectorType(ir.IntType(bits), COUNT) for bits in (32, 64))
PAIRS = ir.VectorType(ir.IntType(64), COUNT // 2)


@register_model(Words)
class _WordsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, kind):
        super().__init__(manager, kind, NARROW)


def _word(builder, kind, value):
    """An operand as a vector: a single number stands in every place."""
    return value if kind == WORDS else _spread(builder, builder.trunc(value, NARROW.element), COUNT)


def _numbers(builder, base, i):
    return builder.bitcast(builder.gep(base, [i]), WIDE.as_pointer())


@_compiled(upper_halves, lambda p, i: WORDS(p, types.intp))
def _upper_halves(context, builder, signature, arguments):
    wide = builder.load(_numbers(builder, *arguments), align=8)
    return builder.trunc(builder.lshr(wide, _spread(builder, ir.Constant(WIDE.element, 32), COUNT)), NARROW)


@_compiled(lower_halves, lambda p, i: WORDS(p, types.intp))
def _lower_halves(context, builder, signature, arguments):
    return builder.trunc(builder.load(_numbers(builder, *arguments), align=8), NARROW)


@_compiled(share, lambda word, n: word(word, types.uint64))
def _share(context, builder, signature, arguments):
    word, n = arguments
    if signature.args[0] != WORDS:
        return builder.lshr(builder.mul(word, n), n.type(32))
    # The numbers in even places and those in odd ones, each with 64 bits of room for its product.
    pairs, n = builder.bitcast(word, PAIRS), _spread(builder, builder.and_(n, n.type(int(LOWER))), COUNT // 2)
    half, lower = (_spread(builder, n.type.element(int(number)), COUNT // 2) for number in (HALF, LOWER))
    even = builder.lshr(builder.mul(builder.and_(pairs, lower), n), half)
    odd = builder.mul(builder.lshr(pairs, half), n)
    return builder.bitcast(builder.or_(even, builder.and_(odd, builder.not_(lower))), NARROW)


@_compiled(wrapped, lambda word, n: word(word, types.uint64))
def _wrapped(context, builder, signature, arguments):
    word, n = arguments[0], arguments[1]
    n = _word(builder, types.uint64, n) if signature.args[0] == WORDS else n
    return builder.select(builder.icmp_unsigned(">=", word, n), builder.sub(word, n), word)


@_compiled(store_numbers, lambda p, i, left, n_right, right: types.void(p, types.intp, left, types.uint64, right))
def _store_numbers(context, builder, signature, arguments):
    base, i, left, n_right, right = arguments
    wide = builder.mul(builder.zext(left, WIDE), _spread(builder, n_right, COUNT))
    builder.store(builder.add(wide, builder.zext(right, WIDE)), _numbers(builder, base, i), align=8)
    return context.get_dummy_value()


class _WordArithmetic(AbstractTemplate):  # type: ignore[misc]
    """vector with vector, or vector with number."""

    def generic(self, arguments, keywords):
        left, right = arguments
        return left(left, right) if left == WORDS and right in (WORDS, types.uint64) else None


def _define(operation, instruction):
    infer_global(operation)(type(f"_{instruction}_words", (_WordArithmetic,), {}))

    @lower_builtin(operation, Words, Words)
    @lower_builtin(operation, Words, types.uint64)
    def code(context, builder, signature, arguments):
        return getattr(builder, instruction)(arguments[0], _word(builder, signature.args[1], arguments[1]))


for _operation, _instruction in (
    (operator.add, "add"),
    (operator.mul, "mul"),
    (operator.xor, "xor"),
    (operator.and_, "and_"),
    (operator.rshift, "lshr"),
):
    _define(_operation, _instruction)
