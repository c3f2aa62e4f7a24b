"""A plan as an ONNX model: operators of opset 17, and LabelEncoder of ai.onnx.ml for columns of text.

What operators mean: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...data.column_codes import LevelCode, NumberCode
from ...errors import InvalidInputError, not_installed
from ...options import shortened
from .formulas import FORMULAS, sigmoid
from .plan import Member, Plan, Reading

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
INSIDE = "fastgd/"  # begins the names of values that are neither inputs nor outputs
NOT_FOR_COLUMNS = ("", "prediction", "label", "probabilities")
LARGEST = 2_000_000_000  # bytes; a file of Protocol Buffers has less than 2 GiB


class Graph:
    """Nodes and constants as they are added; values are known by their names."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.initializers: list[Any] = []

    def add(self, operator: str, *inputs: str, name: str | None = None, domain: str = "", **attributes: Any) -> str:
        """The value that an operator makes of others."""
        name = name or f"{INSIDE}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = None) -> str:
        """An array; the same one is kept once."""
        array = np.ascontiguousarray(np.asarray(values, dtype))
        array = array.reshape(np.shape(values))
        key = (
            array.dtype.str,
            array.shape,
            array.tobytes() if array.dtype.kind != "U" else repr(array.tolist()).encode(),
        )
        if key not in self.constants:
            self.constants[key] = f"{INSIDE}constant_{len(self.constants)}"
            tensor = array.astype(object) if array.dtype.kind == "U" else array
            self.initializers.append(self.onnx.numpy_helper.from_array(tensor, self.constants[key]))
        return self.constants[key]

    def cast(self, value: str, dtype: Any) -> str:
        """The same numbers in another dtype."""
        return self.add("Cast", value, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def onnx_file(plan: Plan, name: str) -> bytes:
    """The bytes of a file. `name` is that of the graph."""
    try:
        import onnx
    except ImportError as error:
        raise not_installed("ONNX files", "onnx") from error
    size = sum(layer.weights.nbytes for member in plan.members for layer in member.layers)
    size += sum(reading.table.nbytes for one in plan.members for reading in one.readings if reading.table is not None)
    if size > LARGEST:
        raise InvalidInputError(f"An ONNX file has less than 2 GB, and this model has {size / 1e9:.1f} GB of weights.")
    try:
        return _written(Graph(onnx), plan, name)
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"An ONNX file holds text in UTF-8, and {shortened(error.object, 60)!r} has half a character: rename that "
            "column or class."
        ) from error


def _written(graph: Graph, plan: Plan, name: str) -> bytes:
    onnx = graph.onnx
    inputs = _inputs(graph, plan)
    outputs = _outputs(graph, plan, _blended(graph, plan, [_member(graph, plan, member) for member in plan.members]))
    made = onnx.helper.make_graph(graph.nodes, name, inputs, outputs, graph.initializers)
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = onnx.helper.make_model(
        made, producer_name="fastgd", producer_version=__version__, ir_version=IR_VERSION, opset_imports=opsets
    )
    told = {"feature_names": list(plan.columns), "output_names": list(plan.outputs)}
    onnx.helper.set_model_props(model, {key: json.dumps(value, ensure_ascii=False) for key, value in told.items()})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _inputs(graph: Graph, plan: Plan) -> list[Any]:
    """One matrix of numbers, or a column for each name."""
    value, types = graph.onnx.helper.make_tensor_value_info, graph.onnx.TensorProto
    if not plan.is_encoded:
        kind = graph.onnx.helper.np_dtype_to_tensor_dtype(plan.dtype)
        return [value("X", kind, ["n_rows", len(plan.columns)])]
    for name in plan.columns:
        if name in NOT_FOR_COLUMNS or name.startswith(INSIDE):
            raise InvalidInputError(
                f"A column cannot be called {name!r} in an ONNX file, where that is the name of something else: set "
                "model.feature_names to others."
            )
    # Numbers are double, because a column that is encoded is read in float64, whatever the dtype of the network.
    return [
        value(name, types.DOUBLE if levels is None else types.STRING, ["n_rows", 1])
        for name, levels in zip(plan.columns, plan.levels, strict=True)
    ]


def _member(graph: Graph, plan: Plan, member: Member) -> str:
    """What a network predicts, (n_rows, n_out), in its dtype."""
    first, *rest = member.layers
    dense, looked_up = [], []
    if member.is_encoded or plan.is_encoded:
        for column, reading in enumerate(member.readings):
            number, row = _read(graph, plan, member, column, reading)
            dense += [number] if number else []
            looked_up += [row] if row else []
        x = graph.add("Concat", *dense, axis=1) if dense else ""
    else:
        x = graph.cast("X", member.dtype) if member.dtype != plan.dtype else "X"
    z = graph.constant(first.biases)
    if x:
        x = graph.add("Div", graph.add("Sub", x, graph.constant(member.mean)), graph.constant(member.std))
        z = graph.add("Add", graph.add("MatMul", x, graph.constant(first.weights)), z)
    for row in looked_up:
        z = graph.add("Add", z, row)
    a = FORMULAS[first.activation].onnx(graph, z, member.dtype)
    for layer in rest:
        z = graph.add("Add", graph.add("MatMul", a, graph.constant(layer.weights)), graph.constant(layer.biases))
        a = FORMULAS[layer.activation].onnx(graph, z, member.dtype)
    return _predictions(graph, member, a, plan.n_targets)


def _read(graph: Graph, plan: Plan, member: Member, column: int, reading: Reading) -> tuple[str, str]:
    """A column's dense number (n_rows, 1), and what its table adds to z; "" for none."""
    code, table, name = reading.code, reading.table, plan.columns[column]
    if code is None:
        return graph.cast(name, member.dtype), ""
    if isinstance(code, LevelCode):
        if table is None:
            return "", ""
        position = _level(graph, code, name, plan.empty_is_a_level(column))
        return "", _row(graph, table, position)
    gap = graph.add("IsNaN", name)
    if not code.n_bins:
        within = graph.add("Min", graph.add("Max", name, graph.constant(code.low)), graph.constant(code.high))
        number = graph.add("Where", gap, graph.constant(code.mean), within)
        row = "" if table is None else _row(graph, table, graph.cast(gap, np.int64))
        return graph.cast(number, member.dtype), row
    assert table is not None
    return _ranked(graph, member, code, table, name, gap)


def _ranked(graph: Graph, member: Member, code: NumberCode, table: Any, name: str, gap: str) -> tuple[str, str]:
    """The same of a column with bins: which bin a number is in, and how far of the way through it."""
    one, zero = graph.constant(1.0), graph.constant(0.0)
    known = graph.add("Where", gap, graph.constant(code.edges[0]), name)
    passed = graph.add("GreaterOrEqual", known, graph.constant(code.edges[1:-1]))  # (n_rows, n_bins - 1)
    axis = graph.constant([1], np.int64)
    k = graph.add("ReduceSum", graph.cast(passed, np.int64), axis, keepdims=1) if code.n_bins > 1 else ""
    k = k or graph.cast(graph.add("Mul", known, zero), np.int64)
    ends = []
    for values in (code.edges, code.normal):
        array = graph.constant(values)
        ends += [graph.add("Gather", array, k), graph.add("Gather", array, graph.add("Add", k, graph.constant(1)))]
    low, high, left, right = ends
    way = graph.add("Div", graph.add("Sub", known, low), graph.add("Sub", high, low))
    f = graph.add("Min", graph.add("Max", way, zero), one)
    normal = graph.add("Add", left, graph.add("Mul", f, graph.add("Sub", right, left)))
    number = graph.cast(graph.add("Where", gap, zero, normal), member.dtype)
    place = graph.add("Add", graph.cast(k, np.float64), f)
    missing = graph.constant(float(code.n_bins + 1))
    # The network's own dtype rounds the position, too.
    place = graph.cast(graph.add("Where", gap, missing, place), member.dtype)
    floor = graph.add("Floor", place)
    k = graph.cast(floor, np.int64)
    here, there = _row(graph, table, k), _row(graph, table, graph.add("Add", k, graph.constant(1)))
    rise = graph.add("Mul", graph.add("Sub", place, floor), graph.add("Sub", there, here))
    return number, graph.add("Add", here, rise)


def _row(graph: Graph, table: NDArray[Any], positions: str) -> str:
    """Rows of a table (n_rows, n_units) at positions (n_rows, 1)."""
    flat = graph.add("Squeeze", positions, graph.constant([1], np.int64))
    return graph.add("Gather", graph.constant(table), flat, axis=0)


def _level(graph: Graph, code: LevelCode, name: str, empty_is_a_level: bool) -> str:
    """The position of each label; empty text is a gap."""
    places = code.places()
    keys = {label: place for label, place in places.items() if label is not None}
    if not empty_is_a_level:
        keys[""] = places[None]
    return graph.add(
        "LabelEncoder", name, domain="ai.onnx.ml", keys_strings=list(keys), values_int64s=list(keys.values()),
        default_int64=code.unseen,
    )  # fmt: skip


def _predictions(graph: Graph, member: Member, outputs: str, n_targets: int) -> str:
    """From the outputs of the last layer to the user's units."""
    output, out = member.output, outputs
    if output.kind == "classes":
        return graph.add("Softmax", outputs, axis=1)
    if output.kind == "labels":
        return sigmoid(graph, outputs, member.dtype)
    if output.kind == "counts":
        out = graph.add("Exp", outputs)
    if output.kind == "gaussian":
        of_mean = graph.constant(np.arange(len(output.mean)) < n_targets)
        spread = graph.add("Exp", graph.add("Mul", outputs, graph.constant(0.5, member.dtype)))
        out = graph.add("Where", of_mean, outputs, spread)
    out = graph.add("Add", graph.add("Mul", out, graph.constant(output.std)), graph.constant(output.mean))
    if output.log:
        out = graph.add("Exp", out)
    if output.range is not None:
        low, high = (graph.constant(limit, member.dtype) for limit in output.range)
        out = graph.add("Min", graph.add("Max", out, low), high)
    return out


def _blended(graph: Graph, plan: Plan, predictions: list[str]) -> str:
    """The mean of the members', or what mixes their distributions, see model/blend.py."""
    if len(predictions) == 1:
        return predictions[0]
    wide = [graph.cast(out, np.float64) for out in predictions]
    mean = _mean(graph, plan, wide)
    if plan.kind == "gaussian":
        of_mean = graph.constant(np.arange(plan.n_out) < plan.n_targets)
        places = graph.constant(np.tile(np.arange(plan.n_targets), 2))
        means = graph.add("Gather", mean, places, axis=1)  # each mean beside its standard deviation, too
        squares = []
        for out in wide:
            away = graph.add("Sub", graph.add("Gather", out, places, axis=1), means)
            squares.append(graph.add("Add", graph.add("Mul", out, out), graph.add("Mul", away, away)))
        mean = graph.add("Where", of_mean, mean, graph.add("Sqrt", _mean(graph, plan, squares)))
    return graph.cast(mean, plan.dtype)


def _mean(graph: Graph, plan: Plan, values: list[str]) -> str:
    parts = [graph.add("Mul", value, graph.constant(share)) for value, share in zip(values, plan.shares, strict=True)]
    return graph.add("Sum", *parts)


def _outputs(graph: Graph, plan: Plan, out: str) -> list[Any]:
    """The graph's outputs: `prediction`, or `label` and `probabilities`, as sklearn-onnx calls them."""
    value, types = graph.onnx.helper.make_tensor_value_info, graph.onnx.TensorProto
    real, n_out = graph.onnx.helper.np_dtype_to_tensor_dtype(plan.dtype), len(plan.outputs)
    if plan.kind not in ("labels", "classes"):
        graph.add("Identity", out, name="prediction")
        return [value("prediction", real, ["n_rows", n_out])]
    classes = plan.classes
    if plan.is_binary:
        graph.add("Concat", graph.add("Sub", graph.constant(1, plan.dtype), out), out, axis=1, name="probabilities")
    else:
        graph.add("Identity", out, name="probabilities")
    if plan.kind == "labels":
        chosen = graph.cast(graph.add("GreaterOrEqual", out, graph.constant(0.5, plan.dtype)), np.int64)
        if classes is None:
            graph.add("Identity", chosen, name="label")
            return [value("label", types.INT64, ["n_rows", n_out]), value("probabilities", real, ["n_rows", n_out])]
        chosen = graph.add("Squeeze", chosen, graph.constant([1], np.int64))
        chosen = graph.add("Min", chosen, graph.constant(len(classes) - 1))
    else:
        assert classes is not None
        known = graph.add("Gather", out, graph.constant(np.arange(len(classes))), axis=1)
        chosen = graph.add("ArgMax", known, axis=1, keepdims=0)
    labels = classes if classes.dtype.kind in "Ub" else classes.astype(np.int64)
    graph.add("Gather", graph.constant(labels), chosen, name="label")
    kind = {"U": types.STRING, "b": types.BOOL}.get(labels.dtype.kind, types.INT64)
    return [value("label", kind, ["n_rows"]), value("probabilities", real, ["n_rows", n_out])]
