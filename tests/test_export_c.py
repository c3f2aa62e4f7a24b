"""C headers compile without a warning, as C99 and as C++, and predict what the model does."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from exported import CASES, apart, case

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

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


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
