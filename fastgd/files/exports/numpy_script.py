"""A plan as a script that predicts with NumPy alone: the code first, to read, and behind it the numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import __version__
from ...data.column_codes import BOOLEANS, LevelCode, NumberCode
from ...options import printable
from .formulas import FORMULAS, NEAR
from .plan import Member, Plan, Reading

WIDTH = 110
RANKED = '''
def ranked(x, edges, normal):
    """What a number is in a normal distribution by its rank, and its position among the edges."""
    k = np.searchsorted(edges[1:-1], x, side="right")
    f = np.clip((x - edges[k]) / (edges[k + 1] - edges[k]), 0, 1)
    number = np.where(np.isnan(x), 0, normal[k] + f * (normal[k + 1] - normal[k]))
    return number, np.where(np.isnan(x), len(edges), k + f)


def between(table, position):
    """The rows of a table at positions, and between two of them what is in between."""
    position = position.astype(table.dtype)
    f, k = position % 1, position.astype(int)
    return table[k] + f[:, None] * (table[k + 1] - table[k])

'''
PLACES = '''
def places(column, levels, gap, unseen):
    """The position of each label; None, NaN and "" are gaps."""
    column = np.asarray(column, object)
    return [gap if _is_gap(v, levels) else levels.get(v, levels.get(_text(v), unseen)) for v in column]


def _is_gap(v, levels):
    return v is None or v != v or (isinstance(v, str) and v == "" and v not in levels)


def _text(v):
    return str(int(v) if isinstance(v, float) and v.is_integer() else v)

'''
CHECK = """
def check(X):
    missing = [name for name in COLUMNS if not has(X, name)]
    if missing:
        raise ValueError(f"X is a data frame, or a dict with a list for each column; it lacks {missing}.")


def has(X, name):
    try:
        X[name]
    except Exception:  # of each kind of table another
        return False
    return True

"""
NUMBERS = """
def _numbers(dtype, shape, text):
    return np.frombuffer(base64.b85decode(text), dtype).reshape(shape)

"""


def numpy_script(plan: Plan, name: str) -> bytes:
    """The bytes of a file."""
    lines, held = _top(plan, name), _Held()
    body = [line for number, member in enumerate(plan.members) for line in _network(plan, member, number, held)]
    used = {layer.activation for member in plan.members for layer in member.layers}
    used |= {"sigmoid"} if plan.kind == "labels" else set()
    functions = [_function(activation) for activation in sorted(used - {"identity"})]
    text = "\n".join([*lines, *_predict(plan, held), *body, *functions]) + "\n"
    codes = [reading.code for member in plan.members for reading in member.readings]
    text += RANKED if any(isinstance(code, NumberCode) and code.n_bins for code in codes) else ""
    text += PLACES if any(isinstance(code, LevelCode) for code in codes) else ""
    if plan.is_encoded:
        text += CHECK
        held.value("COLUMNS", [name for name in plan.columns if name in held.columns])
    return (text + NUMBERS + "\n" + "\n".join(held.lines) + "\n").encode("utf-8", "backslashreplace")


class _Held:
    """The arrays of a script, as lines that define them, and the columns that it reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.columns: set[str] = set()

    def column(self, name: str) -> str:
        """What reads a column of X."""
        self.columns.add(name)
        return f"X[{name!r}]"

    def array(self, name: str, values: Any) -> str:
        """The name of an array; it stands at the end of the script."""
        array = np.ascontiguousarray(values)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.size <= 4 and array.ndim == 1:
            self.lines.append(f"{name} = np.array({array.tolist()}, {array.dtype.name!r})".replace("inf", "np.inf"))
            return name
        text = base64.b85encode(array.tobytes()).decode()
        parts = [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]
        self.lines += [f"{name} = _numbers({array.dtype.str!r}, {array.shape}, (", *(f'    "{p}"' for p in parts), "))"]
        return name

    def value(self, name: str, value: Any) -> str:
        """The name of another constant."""
        self.lines.append(f"{name} = {value!r}")
        return name


def _top(plan: Plan, name: str) -> Iterator[str]:
    of_classes = plan.kind in ("labels", "classes")
    yield f'"""{_quoted(name)}: a neural network, exported by fastgd {__version__}, that predicts with NumPy alone.'
    yield ""
    if plan.is_encoded:
        yield "predict(X) takes a data frame, or a dict with a list or an array for each column:"
    else:
        yield f"predict(X) takes an array (n_rows, {len(plan.columns)}) with the columns:"
    yield ""
    for column, levels in zip(plan.columns, plan.levels, strict=True):
        yield f"    {_quoted(column)}{': text' * (levels is not None)}"
    yield ""
    if of_classes:
        yield "It returns labels, and predict_proba(X) the probability of each class."
    else:
        names = ", ".join(plan.outputs)
        yield f"It returns an array (n_rows,{f' {plan.n_out}' if plan.n_out > 1 else ''}): {names}."
    yield '"""'
    yield ""
    yield "import base64"
    yield ""
    yield "import numpy as np"
    yield ""


def _quoted(text: str) -> str:
    """A name that does not end the text that it is in."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _predict(plan: Plan, held: _Held) -> Iterator[str]:
    """The functions that a user calls."""
    n_members, several = len(plan.members), len(plan.members) > 1
    out = "network(X)"
    if several:
        held.array("SHARES", plan.shares)
        out = "mean(X)"
    column = "[:, 0]" * (plan.n_out == 1 and plan.kind not in ("labels", "classes"))
    check = ["    check(X)"] * plan.is_encoded
    yield ""
    yield "def predict(X):"
    if plan.kind in ("labels", "classes"):
        yield from _labels(plan, held)
        yield ""
        yield ""
        yield "def predict_proba(X):"
        yield from check
        yield f"    p = {out}"
        yield "    return np.column_stack([1 - p, p])" if plan.is_binary else "    return p"
    else:
        yield from check
        yield f"    return {out}{column}"
    yield ""
    if several:
        calls = ", ".join(f"network_{number}(X)" for number in range(n_members))
        yield ""
        yield "def mean(X):"
        yield f"    each = np.array([{calls}], float)"
        yield "    m = np.tensordot(SHARES, each, 1)"
        if plan.kind == "gaussian":
            n = plan.n_targets
            yield f"    apart = each[:, :, {n}:] ** 2 + (each[:, :, :{n}] - m[:, :{n}]) ** 2"
            yield f"    m[:, {n}:] = np.sqrt(np.tensordot(SHARES, apart, 1))"
        yield f"    return m.astype({plan.dtype.name!r})"
        yield ""


def _labels(plan: Plan, held: _Held) -> Iterator[str]:
    classes = plan.classes
    if classes is None:
        yield "    return (predict_proba(X) >= 0.5).astype(int)"
        return
    held.lines.append(f"CLASSES = np.array({classes.tolist()!r}, {classes.dtype.str!r})")
    if plan.is_binary:
        yield "    chosen = (predict_proba(X)[:, 1] >= 0.5).astype(int)"
        yield "    return CLASSES[np.minimum(chosen, len(CLASSES) - 1)]"
    else:
        yield "    return CLASSES[predict_proba(X)[:, :len(CLASSES)].argmax(axis=1)]"


def _network(plan: Plan, member: Member, number: int, held: _Held) -> Iterator[str]:
    """One network, row by row of layers."""
    end = f"_{number}" if len(plan.members) > 1 else ""
    first, *rest = member.layers
    yield ""
    yield f"def network{end}(X):"
    parts: list[str] = []
    dense: list[str] = []
    if plan.is_encoded:
        for column, reading in enumerate(member.readings):
            yield from _read(plan, reading, column, end, held, parts, dense)
        if dense:
            yield f"    x = np.column_stack([{', '.join(dense)}]).astype({member.dtype.name!r})"
    else:
        dense = ["X"]
        # By its own number of columns, else NumPy would broadcast a single one.
        yield f"    x = np.asarray(X, {member.dtype.name!r}).reshape(len(X), {len(plan.columns)})"
    sums = [f"a @ {held.array(f'W0{end}', first.weights)}"] if dense else []
    if dense:
        yield f"    a = (x - {held.array(f'MEAN{end}', member.mean)}) / {held.array(f'STD{end}', member.std)}"
    z = " + ".join([*sums, held.array(f"B0{end}", first.biases)])
    if parts:
        yield f"    z = {z}"
        yield from (f"    z = z + {part}" for part in parts)
        z = "z"
    yield f"    a = {_activated(first.activation, z)}"
    for k, layer in enumerate(rest, start=1):
        z = f"a @ {held.array(f'W{k}{end}', layer.weights)} + {held.array(f'B{k}{end}', layer.biases)}"
        yield f"    a = {_activated(layer.activation, z)}"
    yield from _in_user_units(member, plan.n_targets, end, held)
    yield ""


def _activated(activation: str, z: str) -> str:
    return z if activation == "identity" else f"{activation}({z})"


def _function(activation: str) -> str:
    formula = FORMULAS[activation].numpy
    near = f"    near = {NEAR['numpy']}\n" * ("near" in formula)
    return f"\ndef {activation}(z):\n{near}    return {formula}\n"


def _read(
    plan: Plan, reading: Reading, column: int, end: str, held: _Held, parts: list[str], dense: list[str]
) -> Iterator[str]:
    """The lines that read a column; what it brings is added to `parts` of the first sum and to `dense` numbers."""
    code, table, name, x = reading.code, reading.table, plan.columns[column], f"x{column}"
    table_name = "" if table is None else held.array(f"TABLE{column}{end}", table)
    if isinstance(code, LevelCode):
        if table is None:
            return
        levels: dict[Any, int] = {label: place for label, place in code.places().items() if label is not None}
        if code.known and code.known <= set(BOOLEANS):  # 1 and 0 are True and False here
            levels |= {value: levels.get(label, code.unseen) for value, label in enumerate(BOOLEANS)}
        if plan.empty_is_a_level(column):
            levels.setdefault("", code.unseen)
        held.value(f"LEVELS{column}{end}", levels)
        places = f"places({held.column(name)}, LEVELS{column}{end}, {code.places()[None]}, {code.unseen})"
        parts.append(f"{table_name}[{places}]")
        return
    dense.append(x)
    yield f"    {x} = np.asarray({held.column(name)}, float)"
    if code is None:
        return
    if code.n_bins:
        edges, normal = held.array(f"EDGES{column}{end}", code.edges), held.array(f"NORMAL{column}{end}", code.normal)
        yield f"    {x}, p{column} = ranked({x}, {edges}, {normal})"
        parts.append(f"between({table_name}, p{column})")
        return
    if table is not None:
        yield f"    p{column} = np.isnan({x}).astype(int)"
        parts.append(f"{table_name}[p{column}]")
    low, high = (f"float('{limit}')" if np.isinf(limit) else repr(float(limit)) for limit in (code.low, code.high))
    yield f"    {x} = np.where(np.isnan({x}), {float(code.mean)!r}, np.clip({x}, {low}, {high}))"


def _in_user_units(member: Member, n_targets: int, end: str, held: _Held) -> Iterator[str]:
    output = member.output
    if output.kind == "classes":
        yield "    a = np.exp(a - a.max(axis=1, keepdims=True))"
        yield "    return a / a.sum(axis=1, keepdims=True)"
        return
    if output.kind == "labels":
        yield "    return sigmoid(a)"
        return
    if output.kind == "counts":
        yield "    a = np.exp(a)"
    if output.kind == "gaussian":
        yield f"    a[:, {n_targets}:] = np.exp(a[:, {n_targets}:] / 2)"
    mean, std = held.array(f"TARGET_MEAN{end}", output.mean), held.array(f"TARGET_STD{end}", output.std)
    y = f"a * {std} + {mean}"
    y = f"np.exp({y})" if output.log else y
    if output.range is not None:
        low, high = (held.array(f"{word}{end}", limit.astype(member.dtype)) for word, limit in
                     zip(("LOWEST", "HIGHEST"), output.range, strict=True))  # fmt: skip
        y = f"np.clip({y}, {low}, {high})"
    yield f"    return {y}"
