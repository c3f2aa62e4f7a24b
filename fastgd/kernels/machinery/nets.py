"""Networks in a user's own compiled code: what Numba knows of a CompiledNet, and the functions that take one.

The machine code of a user's function holds no kernel: it finds the kernel's address in the net, which belongs to the
process that runs. What it does hold, a check of sizes and a call, is compiled anew whenever any source of the kernels
has changed, because the net's type carries their stamp: what Numba has cached for another stamp is for another type.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.config import DISABLE_JIT
from numba.core.errors import TypingError
from numba.core.typing.typeof import Purpose
from numba.extending import (
    NativeValue,
    box,
    intrinsic,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
    typeof_impl,
    unbox,
)
from numpy.typing import NDArray

from ...errors import InvalidInputError
from .calls import address, call, real_type
from .compile import source_stamp
from .memory import OBJECTS
from .packing import packed

PREDICT, TRAIN = 0, 1  # places of the kernels' addresses among the words, before those of the record
ADDRESSES = 2


class CompiledNet(NamedTuple):
    """A network that compiled code may hold: pass it to functions, keep it in tuples, call it from several threads.

    It shares the model's parameters. It belongs to this process: elsewhere the model makes another. Each is equal to
    itself alone.

    Attributes:
        words: where kernels and arrays lie, as the kernels read it.
        parameters: the model's own flat vector of weights and biases, (n_parameters,).
        n_in: how many numbers predict_row takes.
        n_out: how many it writes.
    """

    words: Any
    parameters: NDArray[Any]
    n_in: int
    n_out: int

    def __repr__(self) -> str:
        return f"<CompiledNet: {self.n_in} → {self.n_out}, {self.parameters.dtype}>"

    # A tuple would compare its arrays, whose comparison is neither true nor false, and hash them, which have no hash.

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        raise InvalidInputError(
            "A compiled net belongs to its process: send or save the model, and call compiled() there."
        )


def compiled_net(
    kernels: tuple[Any, ...],
    signatures: tuple[Any, ...],
    record: Any,
    parameters: NDArray[Any],
    sizes: tuple[int, int],
    keep: Any = None,
) -> CompiledNet:
    """A net whose words are the addresses of kernels, then those of a record; both, and `keep`, live as long as it."""
    if DISABLE_JIT:
        return CompiledNet((kernels, record, keep), parameters, *sizes)
    words, real = packed(record, parameters.dtype), real_type(parameters.dtype)
    found = [address(kernel, signature(real)) for kernel, signature in zip(kernels, signatures, strict=True)]
    inside = np.concatenate([np.array(found, np.int64), words])
    room = (ctypes.c_int64 * inside.size)(*inside)
    room.keeps = record, keep  # type: ignore[attr-defined]  # the words are addresses of its arrays
    return CompiledNet(np.frombuffer(memoryview(room), np.int64), parameters, *sizes)


def place_of_record(net: CompiledNet) -> int:
    """The address of a net's record."""
    if DISABLE_JIT:
        OBJECTS[id(net.words[1])] = net.words[1]
        return id(net.words[1])
    return int(net.words.ctypes.data) + 8 * ADDRESSES


def prediction(real: Any) -> Any:
    """f(out, n_out, X, n_in, n_rows, words): one of the answers below."""
    p, n = types.CPointer(real), types.int64
    return n(p, n, p, n, n, types.CPointer(n))


def training(real: Any) -> Any:
    """f(X, n_in, y, n_targets, n_rows, learning_rate, words): an answer and the loss."""
    p, n = types.CPointer(real), types.int64
    return types.Tuple((n, types.float64))(p, n, p, n, n, types.float64, types.CPointer(n))


class Wanted(NamedTuple):
    """What a function takes: an array of the net's precision, contiguous, of one of these numbers of dimensions."""

    name: str
    dimensions: tuple[int, ...]
    is_written: bool = False


def check_arrays(function: str, wanted: tuple[Wanted, ...], net: Any, *given: Any) -> None:
    """Whether a function got what it takes, from Python or as types; otherwise Numba would tell a long story."""
    if not isinstance(net, CompiledNet | NetType):
        raise InvalidInputError(f"fastgd.{function} takes what model.compiled() returns, not {_named(net)}.")
    dtype = str(net.dtype if isinstance(net, NetType) else net.parameters.dtype)
    for (name, dimensions, is_written), array in zip(wanted, given, strict=True):
        if isinstance(array, types.Array):
            fits, is_mutable = array.layout == "C" and array.aligned, array.mutable
        elif isinstance(array, np.ndarray):
            fits, is_mutable = array.flags.c_contiguous and array.flags.aligned, array.flags.writeable
        else:
            fits = is_mutable = False
        if not fits or array.ndim not in dimensions or str(array.dtype) != dtype or (is_written and not is_mutable):
            shape = " or ".join(str(n) for n in dimensions)
            raise InvalidInputError(
                f"fastgd.{function} takes {name} as a contiguous{' writable' * is_written} array of {dtype}, the dtype "
                f"of the model, with {shape} dimension{'s' * (shape != '1')}, not {_named(array)}."
            )


def _named(given: Any) -> str:
    if isinstance(given, np.ndarray):
        return f"{given.dtype} of shape {given.shape}"
    return str(given) if isinstance(given, types.Type) else type(given).__name__


def check_number(function: str, name: str, given: Any) -> None:
    """Likewise whether an argument is a number."""
    is_number = isinstance(given, types.Number | int | float | np.integer | np.floating)
    is_beyond = isinstance(given, int) and abs(given) >> 1023
    if not is_number or isinstance(given, types.Complex | bool) or is_beyond:
        raise InvalidInputError(f"fastgd.{function} takes {name} as a number, not {_named(given)}.")


def check_types(
    function: str, wanted: tuple[Wanted, ...], net: Any, *given: Any, numbers: dict[str, Any] | None = None
) -> None:
    """The same while a user's function is compiled, in the words that Numba passes on."""
    try:
        check_arrays(function, wanted, net, *given)
        for name, number in (numbers or {}).items():
            check_number(function, name, number)
    except InvalidInputError as error:
        raise TypingError(str(error)) from None


in_compiled_code = overload  # its compiled form is what the decorated function returns for these types


# How Numba sees a net.


class NetType(types.Type):  # type: ignore[misc]
    """Numba's name for a CompiledNet of one precision, made by these sources."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"CompiledNet({dtype}, {source_stamp()})")

    @property
    def members(self) -> list[tuple[str, Any]]:
        """Names and types of what a net consists of."""
        kinds = types.int64[::1], self.dtype[::1], types.int64, types.int64
        return list(zip(CompiledNet._fields, kinds, strict=True))


@typeof_impl.register(CompiledNet)
def _type_of(net: CompiledNet, context: Any) -> Any:
    if context.purpose is Purpose.constant:
        raise ValueError("a compiled net belongs to its process: pass it to compiled code as an argument, no global.")
    return NetType(real_type(net.parameters.dtype))


@register_model(NetType)
class _NetModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.members)


for _name in CompiledNet._fields[1:]:
    make_attribute_wrapper(NetType, _name, _name)


@unbox(NetType)
def _unbox(kind: Any, given: Any, c: Any) -> Any:
    net, wrong = cgutils.create_struct_proxy(kind)(c.context, c.builder), cgutils.false_bit
    for name, of_member in kind.members:
        entry = c.pyapi.object_getattr_string(given, name)
        native = c.unbox(of_member, entry)
        setattr(net, name, native.value)
        wrong = c.builder.or_(wrong, native.is_error)
        c.pyapi.decref(entry)
    return NativeValue(net._getvalue(), is_error=wrong)


@box(NetType)
def _box(kind: Any, value: Any, c: Any) -> Any:
    net = cgutils.create_struct_proxy(kind)(c.context, c.builder, value=value)
    entries = [c.box(of_member, getattr(net, name)) for name, of_member in kind.members]
    maker = c.pyapi.unserialize(c.pyapi.serialize_object(CompiledNet))
    boxed = c.pyapi.call_function_objargs(maker, entries)
    for entry in (maker, *entries):
        c.pyapi.decref(entry)
    return boxed


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _words(context: Any, builder: Any, kind: Any, net: Any, place: int) -> tuple[Any, Any]:
    """The address at this place of a net's words, and a pointer to those of its record."""
    words = cgutils.create_struct_proxy(kind)(context, builder, value=net).words
    data = _data(context, builder, types.int64[::1], words)
    found, record = (builder.gep(data, [cgutils.intp_t(p)]) for p in (place, ADDRESSES))
    return builder.load(found), record


if DISABLE_JIT:

    def call_prediction(net, out, n_out, X, n_in, n_rows):
        """The answer of the kernel that predicts."""
        kernels, record, _ = net.words
        return kernels[PREDICT](out.reshape(-1), n_out, X.reshape(-1), n_in, n_rows, record)

    def call_training(net, X, n_in, y, n_targets, n_rows, learning_rate):
        """The answer of the kernel that trains, and the loss."""
        kernels, record, _ = net.words
        return kernels[TRAIN](X.reshape(-1), n_in, y.reshape(-1), n_targets, n_rows, learning_rate, record)

else:

    @intrinsic
    def call_prediction(typing, net, out, n_out, X, n_in, n_rows):
        """The answer of the kernel that predicts."""

        def code(context, builder, signature, arguments):
            given, (net, out, n_out, X, n_in, n_rows) = signature.args, arguments
            place, record = _words(context, builder, given[0], net, PREDICT)
            out, X = _data(context, builder, given[1], out), _data(context, builder, given[3], X)
            return call(context, builder, place, prediction(given[0].dtype), [out, n_out, X, n_in, n_rows, record])

        return types.int64(net, out, types.int64, X, types.int64, types.int64), code

    @intrinsic
    def call_training(typing, net, X, n_in, y, n_targets, n_rows, learning_rate):
        """The answer of the kernel that trains, and the loss."""
        result = types.Tuple((types.int64, types.float64))

        def code(context, builder, signature, arguments):
            given, (net, X, n_in, y, n_targets, n_rows, rate) = signature.args, arguments
            place, record = _words(context, builder, given[0], net, TRAIN)
            X, y = _data(context, builder, given[1], X), _data(context, builder, given[3], y)
            values = [X, n_in, y, n_targets, n_rows, rate, record]
            return call(context, builder, place, training(given[0].dtype), values)

        return result(net, X, types.int64, y, types.int64, types.int64, types.float64), code
