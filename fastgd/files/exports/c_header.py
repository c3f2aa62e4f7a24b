"""A plan as a C99 header without dependencies: one function, constant arrays, no memory from the heap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ... import __version__
from ...data.column_codes import LevelCode, NumberCode
from ...errors import InvalidInputError
from ...options import printable, shortened
from .formulas import FORMULAS, NEAR
from .plan import Member, Output, Plan, Reading

WIDTH = 110
REALS = {"float": np.float32, "double": np.float64}
LONGEST_TEXT = 4095  # bytes of a string that every C99 compiler takes


def c_header(plan: Plan, name: str) -> bytes:
    """The bytes of a file. `name` begins the names of its functions."""
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise InvalidInputError(
            f"{name!r} cannot begin a name in C: name the file with letters, digits and _, such as model.h."
        )
    lines = [*_top(plan, name), *_levels(plan, name), *_predict(plan, name), "", "#endif"]
    return ("\n".join(lines) + "\n").encode("ascii")


def _top(plan: Plan, name: str) -> Iterator[str]:
    yield f"/* A neural network, exported by fastgd {__version__}."
    yield ""
    yield f"   {name}_predict(x, out) predicts one row. It allocates nothing, keeps no state,"
    yield "   and needs the standard headers alone."
    yield ""
    for number, (column, levels) in enumerate(zip(plan.columns, plan.levels, strict=True)):
        said = "" if levels is None else f": {name}_level({number}, text)"
        yield f"   x[{number}]  {_in_comment(column)}{said}"
    if plan.is_encoded:
        yield "   NAN where nothing is known."
    yield ""
    yield from (f"   out[{number}]  {_in_comment(output)}" for number, output in enumerate(plan.outputs))
    yield "*/"
    guard = f"FASTGD_{name.upper()}_H"
    yield from (f"#ifndef {guard}", f"#define {guard}", "", "#include <math.h>")
    if any(levels is not None for levels in plan.levels):
        yield "#include <string.h>"
    yield ""
    yield f"enum {{ {name}_n_in = {len(plan.columns)}, {name}_n_out = {len(plan.outputs)} }};"
    yield ""


def _in_comment(text: str) -> str:
    """A name that neither ends a comment nor begins one, nor a trigraph."""
    plain = shortened(printable(text), 60).encode("ascii", "backslashreplace").decode()
    return re.sub(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)", " ", plain)


def _levels(plan: Plan, name: str) -> Iterator[str]:
    """The function that knows the numbers of levels."""
    if all(levels is None for levels in plan.levels):
        return
    yield "/* What x holds for a text: its level's number, NAN for NULL or empty text, -1 for what is not known. */"
    yield f"static inline double {name}_level(int column, const char *text) {{"
    yield "    const char *const *levels = 0;"
    yield "    int n_levels = 0;"
    for number, levels in enumerate(plan.levels):
        if levels:
            texts = [_text(level, plan.columns[number]) for level in levels]
            yield f"    static const char *const levels_{number}[{len(levels)}] = {{"
            yield from _wrapped(texts, 8)
            yield "    };"
            yield f"    if (column == {number}) levels = levels_{number}, n_levels = {len(levels)};"
    known = [
        number for number, levels in enumerate(plan.levels) if levels is not None and plan.empty_is_a_level(number)
    ]
    besides = "".join(f" && column != {number}" for number in known)
    yield f"    if (!text || {f'(!*text{besides})' if known else '!*text'}) return NAN;"
    yield "    for (int i = 0; i < n_levels; i++)"
    yield "        if (!strcmp(text, levels[i])) return i;"
    yield "    return -1;"
    yield "}"
    yield ""


def _text(level: str, column: str) -> str:
    """A string of C in ASCII; its bytes are UTF-8."""
    content = level.encode("utf-8", "surrogatepass")
    if b"\0" in content or len(content) > LONGEST_TEXT:
        what = "has a zero byte" if b"\0" in content else f"is longer than {LONGEST_TEXT:,} bytes"
        raise InvalidInputError(f"A level of column {column} {what}, which no string of C99 may be: no export.")
    plain = "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in content)
    return f'"{plain}"'


def _predict(plan: Plan, name: str) -> Iterator[str]:
    n, n_members = plan.n_out, len(plan.members)
    yield f"static inline void {name}_predict(const double *x, double *out) {{"
    if n_members > 1:
        yield f"    static const double shares[{n_members}] = {{{', '.join(map(repr, plan.shares))}}};"
        yield f"    double each[{n_members}][{n}];"
        for number, member in enumerate(plan.members):
            yield "    {"
            yield from (f"        {line}" for line in _member(plan, member))
            yield f"        for (int j = 0; j < {n}; j++) each[{number}][j] = a[j];"
            yield "    }"
        yield f"    for (int j = 0; j < {n}; j++) out[j] = 0;"
        yield from _loops(
            n_members, n if plan.kind != "gaussian" else plan.n_targets, "out[j] += shares[k] * each[k][j];"
        )
    if n_members > 1 and plan.kind == "gaussian":
        i = f"j + {plan.n_targets}"
        away = "(each[k][j] - out[j]) * (each[k][j] - out[j])"
        yield from _loops(n_members, plan.n_targets, f"out[{i}] += shares[k] * (each[k][{i}] * each[k][{i}] + {away});")
        yield f"    for (int j = {plan.n_targets}; j < {n}; j++) out[j] = sqrt(out[j]);"
    if n_members == 1:
        yield from (f"    {line}" for line in _member(plan, plan.members[0]))
        yield f"    for (int j = 0; j < {n}; j++) out[j] = a[j];"
    if plan.is_binary:
        yield "    out[1] = out[0];"
        yield "    out[0] = 1 - out[1];"
    yield "}"


def _loops(n_members: int, n: int, statement: str) -> Iterator[str]:
    yield f"    for (int k = 0; k < {n_members}; k++)"
    yield f"        for (int j = 0; j < {n}; j++)"
    yield f"            {statement}"


def _member(plan: Plan, member: Member) -> Iterator[str]:
    """A network's predictions in the array a."""
    real, end = ("float", "f") if member.dtype == np.float32 else ("double", "")
    widest = max(len(member.mean), *(len(layer.biases) for layer in member.layers))
    yield f"{real} a[{widest}]{f', b[{widest}]' if len(member.mean) or len(member.layers) > 1 else ''};"
    first, *rest = member.layers
    yield from _array(real, "biases_0", first.biases)
    yield f"for (int j = 0; j < {len(first.biases)}; j++) a[j] = biases_0[j];"
    dense = 0
    if not member.is_encoded:
        dense = len(member.readings)
        yield f"for (int i = 0; i < {dense}; i++) b[i] = ({real})x[i];"
    for column, reading in enumerate(member.readings if member.is_encoded else ()):
        is_dense = not isinstance(reading.code, LevelCode)
        if not is_dense and reading.table is None:  # a text that tells nothing
            continue
        yield f"{{ /* {_in_comment(plan.columns[column])} */"
        yield from ("    " + line for line in _read(plan, reading, column, dense, real, len(first.biases)))
        yield "}"
        dense += is_dense
    if dense:
        yield from _array(real, "input_mean", member.mean)
        yield from _array(real, "input_std", member.std)
        yield f"for (int i = 0; i < {dense}; i++) b[i] = (b[i] - input_mean[i]) / input_std[i];"
        yield from _product(real, 0, first.weights, "a", "b")
    yield from _activated(first.activation, len(first.biases), real, end, "a")
    z, a = "b", "a"
    for number, layer in enumerate(rest, start=1):
        yield from _array(real, f"biases_{number}", layer.biases)
        yield f"for (int j = 0; j < {len(layer.biases)}; j++) {z}[j] = biases_{number}[j];"
        yield from _product(real, number, layer.weights, z, a)
        yield from _activated(layer.activation, len(layer.biases), real, end, z)
        z, a = a, z
    if a == "b":
        yield f"for (int j = 0; j < {plan.n_out}; j++) a[j] = b[j];"
    yield from _in_user_units(member.output, plan.n_targets, real, end)


def _product(real: str, number: int, weights: Any, z: str, a: str) -> Iterator[str]:
    n_in, n_out = weights.shape
    yield from _array(real, f"weights_{number}", weights)
    yield f"for (int i = 0; i < {n_in}; i++)"
    yield f"    for (int j = 0; j < {n_out}; j++) {z}[j] += {a}[i] * weights_{number}[{n_out} * i + j];"


def _activated(activation: str, n: int, real: str, end: str, z: str) -> Iterator[str]:
    formula = FORMULAS[activation].c.replace("@", end)
    if formula != "z":
        near = f" const {real} near = {NEAR['c'].replace('@', end)};" * ("near" in formula)
        yield f"for (int j = 0; j < {n}; j++) {{ const {real} z = {z}[j];{near} {z}[j] = {formula}; }}"


def _read(plan: Plan, reading: Reading, column: int, dense: int, real: str, n: int) -> Iterator[str]:
    """A column becomes the dense number b[dense], and what its table adds to a."""
    code, table = reading.code, reading.table
    assert code is not None
    if isinstance(code, LevelCode):
        yield from _level(plan, code, table, column, real, n)
        return
    yield f"const double v = x[{column}];"
    if not code.n_bins:
        yield f"const double above = v < {_number(code.low)} ? {_number(code.low)} : v;"
        yield f"const double within = above > {_number(code.high)} ? {_number(code.high)} : above;"
        yield f"b[{dense}] = ({real})(v != v ? {_number(code.mean)} : within);"
        if table is not None:
            yield from _array(real, "row", table[1])
            yield f"if (v != v) for (int j = 0; j < {n}; j++) a[j] += row[j];"
        return
    assert table is not None
    yield from _ranked(code, table, dense, real, n)


def _ranked(code: NumberCode, table: Any, dense: int, real: str, n: int) -> Iterator[str]:
    yield from _array("double", "edges", code.edges)
    yield from _array("double", "normal", code.normal)
    yield from _array(real, "table", table)
    yield f"{real} place = {code.n_bins + 1}, f;"
    yield f"int k = 0, n = {code.n_bins};"
    yield f"b[{dense}] = 0;"
    yield "if (v == v) {"
    yield "    double part;"
    yield "    while (n > 1) { /* the last edge that is not above v, by halving */"
    yield "        const int half = n / 2;"
    yield "        if (edges[k + half] <= v) k += half, n -= half;"
    yield "        else n = half;"
    yield "    }"
    yield "    part = (v - edges[k]) / (edges[k + 1] - edges[k]);"
    yield "    part = part < 0 ? 0 : part > 1 ? 1 : part;"
    yield f"    b[{dense}] = ({real})(normal[k] + part * (normal[k + 1] - normal[k]));"
    yield f"    place = ({real})(k + part);"
    yield "}"
    yield "k = (int)place;"
    yield f"f = place - ({real})k;"
    yield f"for (int j = 0; j < {n}; j++)"
    yield f"    a[j] += table[{n} * k + j] + f * (table[{n} * (k + 1) + j] - table[{n} * k + j]);"


def _level(plan: Plan, code: LevelCode, table: Any, column: int, real: str, n: int) -> Iterator[str]:
    places, levels = code.places(), plan.levels[column] or ()
    yield from _array(real, "table", table)
    yield f"int k = {code.unseen};"
    yield f"if (x[{column}] != x[{column}]) k = {places[None]};"
    if levels:
        yield f"static const int places[{len(levels)}] = {{"
        yield from _wrapped([str(places.get(level, code.unseen)) for level in levels], 4)
        yield "};"
        yield f"if (x[{column}] >= 0 && x[{column}] < {len(levels)}) k = places[(int)x[{column}]];"
    yield f"for (int j = 0; j < {n}; j++) a[j] += table[{n} * k + j];"


def _in_user_units(output: Output, n_targets: int, real: str, end: str) -> Iterator[str]:
    n = len(output.mean)
    if output.kind == "classes":
        yield f"{real} largest = a[0], sum = 0;"
        yield f"for (int j = 1; j < {n}; j++) if (a[j] > largest) largest = a[j];"
        yield f"for (int j = 0; j < {n}; j++) sum += a[j] = exp{end}(a[j] - largest);"
        yield f"for (int j = 0; j < {n}; j++) a[j] /= sum;"
        return
    if output.kind == "labels":
        yield f"for (int j = 0; j < {n}; j++) a[j] = 1 / (1 + exp{end}(-a[j]));"
        return
    if output.kind == "counts":
        yield f"for (int j = 0; j < {n}; j++) a[j] = exp{end}(a[j]);"
    if output.kind == "gaussian":
        yield f"for (int j = {n_targets}; j < {n}; j++) a[j] = exp{end}(0.5{end} * a[j]);"
    yield from _array(real, "target_std", output.std)
    yield from _array(real, "target_mean", output.mean)
    yield f"for (int j = 0; j < {n}; j++) a[j] = a[j] * target_std[j] + target_mean[j];"
    if output.log:
        yield f"for (int j = 0; j < {n}; j++) a[j] = exp{end}(a[j]);"
    if output.range is not None:
        low, high = output.range.astype(output.mean.dtype)
        yield from _array(real, "lowest", low)
        yield from _array(real, "highest", high)
        yield f"for (int j = 0; j < {n}; j++)"
        yield "    a[j] = a[j] < lowest[j] ? lowest[j] : a[j] > highest[j] ? highest[j] : a[j];"


def _array(real: str, name: str, values: Any) -> Iterator[str]:
    yield f"static const {real} {name}[{values.size}] = {{"
    yield from _wrapped([_number(value) for value in np.asarray(values, REALS[real]).ravel()], 4)
    yield "};"


def _number(value: Any) -> str:
    """A constant with as few digits as tell it apart, the same in every locale."""
    if np.isinf(value):
        return "-INFINITY" if value < 0 else "INFINITY"
    return f"{value!s}f" if isinstance(value, np.float32) else str(float(value))


def _wrapped(words: Iterable[str], indent: int) -> Iterator[str]:
    line = " " * indent
    for word in words:
        if len(line) + len(word) > WIDTH and line.strip():
            yield line.rstrip()
            line = " " * indent
        line += f"{word}, "
    yield line.rstrip().rstrip(",")
