"""The activations once more, in the language of each export; kernels/formulas.py says what they are.

z is what a unit sums up. In C, @ stands for the ending of functions and constants: f for float, none for double. In
ONNX, operators that some runtimes have for float32 alone (Elu, Sigmoid, Softplus) are put together from simpler ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...kernels.formulas import GELU_CUBE, GELU_FLAT, GELU_INNER, LEAK


class Formula(NamedTuple):
    """An activation as text of C and of NumPy, and as what adds its operators to a graph of ONNX."""

    c: str
    numpy: str
    onnx: Callable[[Any, str, Any], str]  # of the graph, the name of z, and its dtype


def _operator(name: str) -> Callable[[Any, str, Any], str]:
    return lambda graph, z, dtype: graph.add(name, z)


def _elu(graph: Any, z: str, dtype: Any) -> str:
    zero = graph.constant(0, dtype)
    below = graph.add("Sub", graph.add("Exp", graph.add("Min", z, zero)), graph.constant(1, dtype))
    return str(graph.add("Where", graph.add("Less", z, zero), below, z))


def _leaky_relu(graph: Any, z: str, dtype: Any) -> str:
    below = graph.add("Mul", z, graph.constant(LEAK, dtype))
    return str(graph.add("Where", graph.add("Less", z, graph.constant(0, dtype)), below, z))


def _softplus(graph: Any, z: str, dtype: Any) -> str:
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    rest = graph.add("Log", graph.add("Add", small, graph.constant(1, dtype)))
    return str(graph.add("Add", graph.add("Max", z, graph.constant(0, dtype)), rest))


def _gelu(graph: Any, z: str, dtype: Any) -> str:
    inner, cube, half, one = (graph.constant(number, dtype) for number in (GELU_INNER, GELU_CUBE, 0.5, 1))
    below, above = (graph.constant(number, dtype) for number in (GELU_FLAT, -GELU_FLAT))
    near = graph.add("Max", graph.add("Min", z, below), above)
    cubed = graph.add("Mul", graph.add("Mul", near, near), graph.add("Mul", near, cube))
    gate = graph.add("Tanh", graph.add("Mul", inner, graph.add("Add", near, cubed)))
    return str(graph.add("Mul", graph.add("Mul", z, half), graph.add("Add", gate, one)))


def sigmoid(graph: Any, z: str, dtype: Any) -> str:
    """1 / (1 + exp(−z)), where exp may be infinite."""
    one = graph.constant(1, dtype)
    return str(graph.add("Div", one, graph.add("Add", one, graph.add("Exp", graph.add("Neg", z)))))


def _silu(graph: Any, z: str, dtype: Any) -> str:
    return str(graph.add("Mul", z, sigmoid(graph, z, dtype)))


GELU_NEAR_IN_C = f"(z > {GELU_FLAT}@ ? {GELU_FLAT}@ : z < -{GELU_FLAT}@ ? -{GELU_FLAT}@ : z)"
GELU_NEAR_IN_NUMPY = f"np.clip(z, -{GELU_FLAT}, {GELU_FLAT})"
FORMULAS = {
    "identity": Formula("z", "z", lambda graph, z, dtype: z),
    "relu": Formula("z < 0 ? 0 : z", "np.maximum(z, 0)", _operator("Relu")),
    "tanh": Formula("tanh@(z)", "np.tanh(z)", _operator("Tanh")),
    "sigmoid": Formula("1 / (1 + exp@(-z))", "np.exp(-np.logaddexp(0, -z))", sigmoid),
    "leaky_relu": Formula(f"z < 0 ? {LEAK}@ * z : z", f"np.where(z < 0, {LEAK} * z, z)", _leaky_relu),
    "elu": Formula("z < 0 ? expm1@(z) : z", "np.where(z < 0, np.expm1(np.minimum(z, 0)), z)", _elu),
    "gelu": Formula(
        f"0.5@ * z * (1 + tanh@({GELU_INNER}@ * (near + {GELU_CUBE}@ * near * near * near)))",
        f"z / 2 * (1 + np.tanh({GELU_INNER} * (near + {GELU_CUBE} * near**3)))",
        _gelu,
    ),
    "silu": Formula("z / (1 + exp@(-z))", "z * np.exp(-np.logaddexp(0, -z))", _silu),
    "softplus": Formula("(z < 0 ? 0 : z) + log1p@(exp@(-fabs@(z)))", "np.logaddexp(0, z)", _softplus),
}
NEAR = {"c": GELU_NEAR_IN_C, "numpy": GELU_NEAR_IN_NUMPY}  # what `near` stands for
