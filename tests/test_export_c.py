"""C headers compile without a warning, as C99 and as C++, and predict what the model does."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exported import CASES, CONTROLS, apart, case, empty_labels
from samples import refused

import fastgd

LARGEST = 1e-6
STRICT = ["-Wall", "-Wextra", "-Werror", "-std=c99", "-pedantic"]
PROGRAM = """
#include "m.h"
void run(const double *x, double *out, int n) {
    for (int i = 0; i < n; i++) m_predict(x + i * m_n_in, out + i * m_n_out);
}
int n_out(void) { return m_n_out; }
"""
LEVEL = "double level(int column, const char *text) { return m_level(column, text); }\n"

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or sys.platform == "win32", reason="there is no gcc that makes shared libraries"
)


def compiled(folder, program=PROGRAM, compiler="gcc", options=STRICT):
    source = folder / ("t.c" if compiler == "gcc" else "t.cpp")
    header = (folder / "m.h").read_text(encoding="ascii")
    source.write_text(program + LEVEL * ("m_level" in header))
    command = [compiler, *options, "-O1", "-shared", "-fPIC", source.name, "-o", "t.so", "-lm"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[:3000]
    return ctypes.CDLL(str(folder / "t.so")) if compiler == "gcc" else None


def run(library, X):
    """What a header predicts of a table."""
    if isinstance(X, pd.DataFrame):
        library.level.restype = ctypes.c_double
        columns = []
        for place, name in enumerate(X.columns):
            column = X[name]
            if column.dtype.kind == "f":
                columns.append(column.to_numpy())
            else:
                texts = [None if text is None or text != text else str(text).encode() for text in column]
                columns.append([library.level(place, text) for text in texts])
        X = np.array(columns, np.float64).T
    X = np.ascontiguousarray(X, np.float64)
    out = np.empty((len(X), library.n_out()))
    library.run(ctypes.c_void_p(X.ctypes.data), ctypes.c_void_p(out.ctypes.data), len(X))
    return out


@pytest.mark.parametrize("name", CASES)
def test_it_predicts_the_same(tmp_path, name):
    model, X, want = case(name)
    model.export(tmp_path / "m.h")
    assert apart(run(compiled(tmp_path), X), want) < LARGEST


@pytest.mark.parametrize(("name", "spoil"), CONTROLS)
def test_what_is_wrong_is_seen(tmp_path, monkeypatch, name, spoil):
    model, X, want = case(name)
    spoil(monkeypatch)
    model.export(tmp_path / "m.h")
    assert apart(run(compiled(tmp_path), X), want) > LARGEST


@pytest.mark.parametrize("name", ["wide", "mixture", "classes of a table", "several labels"])
def test_it_compiles_as_cpp_too(tmp_path, name):
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    case(name)[0].export(tmp_path / "m.h")
    for standard in ("c++11", "c++20"):
        compiled(tmp_path, compiler="g++", options=["-Wall", "-Wextra", "-Werror", f"-std={standard}", "-pedantic"])


@pytest.mark.skipif(sys.platform != "linux", reason="other linkers have other names for what they add")
@pytest.mark.parametrize("name", ["wide", "ensemble of tables"])
def test_it_asks_for_mathematics_alone(tmp_path, name):
    """No memory from the heap, no files, no other library; a compiler may turn a loop into memset."""
    case(name)[0].export(tmp_path / "m.h")
    (tmp_path / "t.c").write_text(PROGRAM)
    subprocess.run(["gcc", *STRICT, "-c", "t.c", "-o", "t.o"], cwd=tmp_path, check=True)
    listed = subprocess.run(["nm", "--undefined-only", "t.o"], cwd=tmp_path, capture_output=True, text=True, check=True)
    asked = {line.split()[-1] for line in listed.stdout.splitlines()} - {"_GLOBAL_OFFSET_TABLE_"}
    assert asked <= {"memset", "memcpy", "strcmp"}


def test_levels_by_name(tmp_path):
    model, _, _ = case("table float64")
    model.export(tmp_path / "m.h")
    level = compiled(tmp_path).level
    level.restype = ctypes.c_double
    known = sorted(model.encoder.codes[2].levels)
    assert [level(2, name.encode()) for name in known] == list(range(len(known)))
    assert level(2, b"Nowhere") == level(2, b"once") == level(0, b"Sants") == level(99, b"Sants") == -1
    assert np.isnan(level(2, None))
    assert np.isnan(level(2, b""))
    assert [level(3, b"False"), level(3, b"True")] == [0, 1]


@pytest.mark.parametrize("name", ["my-model", "2nd", "_m", "é", "a b"])
def test_the_name_of_the_file_is_that_of_the_function(tmp_path, name):
    refused("cannot begin a name in C", fastgd.MLP([2, 1]).export, tmp_path / f"{name}.h")
    fastgd.MLP([2, 1]).export(tmp_path / "house_2.h")
    assert "void house_2_predict(const double *x, double *out)" in (tmp_path / "house_2.h").read_text()


@pytest.mark.parametrize(("label", "why"), [("a\0b", "has a zero byte"), ("é" * 2048, "is longer than 4,095 bytes")])
def test_text_that_is_none_in_c(tmp_path, label, why):
    model = fastgd.MLP([1, 1], feature_names=["word"], encoding="auto")
    model.fit([[label], ["y"]] * 30, [1, 2] * 30, epochs=1, verbose=0)
    refused(f"A level of column word {why}", model.export, tmp_path / "m.h")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_hard_to_write(tmp_path):
    """The smallest and the largest numbers, −0 and those that only their last digit tells apart."""
    for dtype in (np.float32, np.float64):
        limits = np.finfo(dtype)
        values = np.array([limits.smallest_subnormal, limits.tiny, limits.max / 4, -0.0, 0.1, 1 + limits.eps], dtype)
        model = fastgd.MLP([6, 1], dtype=np.dtype(dtype).name, standardize=False)
        model.set_parameters([(values[:, None], [0])])
        model.export(tmp_path / "m.h")
        text = (tmp_path / "m.h").read_text()
        held = text.partition("weights_0[6] = {")[2].partition("}")[0].replace("f", "").split(",")
        assert np.array_equal(np.array(held, float).astype(dtype), values)
        compiled(tmp_path)


def test_the_program_of_the_page(tmp_path):
    """docs/exports.md: its program compiles beside the header of its model, and prints what the model predicts."""
    page = (Path(__file__).parents[1] / "docs" / "exports.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    (made,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "house.h" in code)
    space = {}
    exec(made.partition("model.export")[0], space)
    space["model"].export(tmp_path / "house.h")
    (tmp_path / "price.c").write_text(program)
    subprocess.run(["gcc", *STRICT, "price.c", "-o", "price", "-lm"], cwd=tmp_path, check=True)
    printed = subprocess.run(["./price"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed == f"{space['model'].predict([[80, 3, 2.5, 40]])[0]:.0f} euros\n"


def test_empty_text_that_is_a_label_is_no_gap(tmp_path):
    model, X, want = empty_labels()
    model.export(tmp_path / "m.h")
    got = run(compiled(tmp_path), X)
    assert apart(got, want) < LARGEST
