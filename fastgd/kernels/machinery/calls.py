"""Kernels that are called by their address: the activation of a layer, the loss, the update rule, the product.

The training loop is compiled once for each dtype, and serves every architecture, loss and rule. A loop that
chooses by code would compile all of them, each time. So the loop gets a table of
addresses, and only what a network uses is ever compiled.

Every kind of kernel has one signature, given here; a call with other types is refused when the caller is compiled.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.errors import TypingError
from numba.extending import intrinsic

# Places in the table of addresses.
PAUSE = 0  # lets other threads have the processor
LOSS = 1
RULE = 2
PRODUCT = 3
LAYERS = 4  # and from here on three for each layer:
ACTIVATE, ACTIVATE_BACKWARD, ACTIVATE_WITH_SLOPES = range(3)
PER_LAYER = 3


def real_type(dtype: Any) -> types.Type:
    """Numba's name for float32 or float64."""
    return numba.from_dtype(np.dtype(dtype))


def elementwise(real: types.Type) -> Any:
    """f(v, n): activations."""
    return types.void(types.CPointer(real), types.int64)


def elementwise_pair(real: types.Type) -> Any:
    """f(d, v, n) or f(v, s, n): their derivatives."""
    return types.void(types.CPointer(real), types.CPointer(real), types.int64)


def product(real: types.Type) -> Any:
    """f(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K, room)."""
    p, n = types.CPointer(real), types.int64
    return types.void(p, n, p, n, p, n, n, p, n, n, n, n, p)


def loss(real: types.Type) -> Any:
    """f(delta, predicted, y, w, B, O, T, scale, units, constants)."""
    p, n, v = types.CPointer(real), types.int64, types.Array(real, 1, "C")
    return real(p, p, p, p, n, n, n, types.float64, v, v)


def update_rule(real: types.Type, rule: Any) -> Any:
    """f(w, g, velocity, squares, rows, stride, n, learning_rate, rule, step); `rule` is the record or its type."""
    p, n, record = types.CPointer(real), types.int64, rule if isinstance(rule, types.Type) else numba.typeof(rule)
    return types.void(p, p, p, p, n, n, n, types.float64, record, n)


REGISTRY: list[Callable[..., Any]] = []  # without the compiler an "address" is a place in this list


def address(dispatcher: Any, signature: Any) -> int:
    """Where the machine code of a kernel for this signature lies; it is compiled, or read from disk, if need be."""
    if config.DISABLE_JIT:
        if dispatcher not in REGISTRY:
            REGISTRY.append(dispatcher)
        return REGISTRY.index(dispatcher)
    arguments = signature.args
    if arguments not in dispatcher.overloads:
        dispatcher.compile(arguments)
    result = dispatcher.overloads[arguments]
    if result.signature.return_type != signature.return_type:
        raise TypeError(f"{dispatcher.__name__} returns {result.signature.return_type}, not {signature.return_type}.")
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def pause_address() -> int:
    """The system's function that gives the rest of a time slice away."""
    if config.DISABLE_JIT:
        return 0
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _calling(signature_for: Callable[[types.Type], Any]) -> Callable[[Any, tuple[Any, ...], types.Type], Any]:
    """What an intrinsic does to call an address by Numba's own convention."""

    def typed(given: Any, arguments: tuple[Any, ...], real: types.Type) -> Any:
        signature = signature_for(real)
        if signature.args != arguments:
            raise TypingError(f"a kernel of signature {signature} is called with {arguments}")

        def code(context: Any, builder: Any, _: Any, values: Any) -> Any:
            return call(context, builder, values[0], signature, values[1:])

        return signature.return_type(given, *arguments), code

    return typed


def call(context: Any, builder: Any, address: Any, signature: Any, values: Any) -> Any:
    """The code that calls what lies at an address by Numba's own convention."""
    convention = context.call_conv
    kind = convention.get_function_type(signature.return_type, signature.args)
    function = builder.inttoptr(address, kind.as_pointer())
    status, result = convention.call_function(builder, function, signature.return_type, signature.args, values)
    with cgutils.if_unlikely(builder, status.is_error):
        convention.return_status_propagate(builder, status)
    return result


_elementwise, _elementwise_pair = _calling(elementwise), _calling(elementwise_pair)
_product, _loss = _calling(product), _calling(loss)

if config.DISABLE_JIT:

    def call_elementwise(function: int, *arguments: Any) -> None:
        """Call f(v, n)."""
        REGISTRY[function](*arguments)

    def call_elementwise_pair(function: int, *arguments: Any) -> None:
        """Call f(d, v, n)."""
        REGISTRY[function](*arguments)

    def call_product(function: int, *arguments: Any) -> None:
        """Call the product."""
        REGISTRY[function](*arguments)

    def call_loss(function: int, *arguments: Any) -> Any:
        """Call a loss."""
        return REGISTRY[function](*arguments)

    def call_rule(function: int, *arguments: Any) -> None:
        """Call an update rule."""
        REGISTRY[function](*arguments)

    def call_pause(function: int) -> None:
        """Nothing to do: Python switches threads by itself."""

else:

    @intrinsic
    def call_elementwise(typing, function, v, n):
        """Call f(v, n)."""
        return _elementwise(function, (v, n), v.dtype)

    @intrinsic
    def call_elementwise_pair(typing, function, d, v, n):
        """Call f(d, v, n)."""
        return _elementwise_pair(function, (d, v, n), v.dtype)

    @intrinsic
    def call_product(typing, function, c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K, room):
        """Call the product."""
        return _product(function, (c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K, room), c.dtype)

    @intrinsic
    def call_loss(typing, function, delta, predicted, y, w, B, O, T, scale, units, constants):
        """Call a loss."""
        return _loss(function, (delta, predicted, y, w, B, O, T, scale, units, constants), delta.dtype)

    @intrinsic
    def call_rule(typing, function, w, g, velocity, squares, rows, stride, n, learning_rate, rule, step):
        """Call an update rule."""
        arguments = (w, g, velocity, squares, rows, stride, n, learning_rate, rule, step)
        return _calling(lambda real: update_rule(real, rule))(function, arguments, w.dtype)

    @intrinsic
    def call_pause(typing, function):
        """Let other threads have the processor."""

        def code(context, builder, signature, arguments):
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [])
            return context.get_dummy_value()

        return types.void(function), code


def table(n_layers: int) -> Any:
    """An empty table of addresses."""
    return np.zeros(LAYERS + PER_LAYER * n_layers, np.int64)
