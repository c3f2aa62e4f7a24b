"""A user's function that Numba keeps on disk never runs what an earlier version of the package has left in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

PACKAGE = Path(fastgd.__file__).parent

SCRIPT = """
import numba, numpy as np, fastgd, library

@numba.njit(cache=True)
def predicted(net, x, out):
    fine = fastgd.predict_row(net, x, out)
    return 10 * out[0] + fine

@numba.njit(cache=True, parallel=True, nogil=True)
def of_many(net, X, out):
    for row in numba.prange(len(X)):
        fastgd.predict_row(net, X[row], out[row])
    return fastgd.train_batch(net, X, out, 0.1)

@numba.njit(cache=True)
def of_library():
    return library.answer()

model = fastgd.MLP([2, 1], initializer=[([[1], [1]], [0])], standardize=False)
net, X, out = model.compiled(), np.ones((3, 2), np.float32), np.empty((3, 1), np.float32)
told = predicted(net, X[0], out[0]), of_many(net, X, out), of_library()
print(*told, *(sum(f.stats.cache_hits.values()) for f in (predicted, of_many, of_library)))
"""
LIBRARY = """
import numba

@numba.njit
def answer():
    return 1
"""


@pytest.fixture
def home(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "library.py").write_text(LIBRARY)
    return tmp_path


def run(home):
    environment = {**os.environ, "PYTHONPATH": str(home), "NUMBA_CACHE_DIR": str(home / "cache")}
    result = subprocess.run(
        [sys.executable, "script.py"], cwd=home, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    *told, one, two, three = map(float, result.stdout.split())
    return told, [one, two, three]


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.slow
@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_an_upgrade_never_runs_old_machine_code(home):
    first = [10 * 2 + 1, 0, 1]
    assert run(home) == (first, [0, 0, 0])
    assert run(home) == (first, [1, 1, 1]), "what nobody has changed is taken from the cache"
    # A kernel that lies behind an address: predictions are now three times as large.
    units = home / "fastgd" / "kernels" / "cpu" / "user_units.py"
    right = "                out[i, j] = outputs[i, j] * std[j] + mean[j]\n\n"
    assert units.read_text().count(right) == 1
    edit(units, right, right.replace("std[j]", "std[j] * 3"))
    assert run(home) == ([10 * 6 + 1, 16, 1], [0, 0, 1])
    assert run(home) == ([10 * 6 + 1, 16, 1], [1, 1, 1])
    # The danger is real: a function of any other library is taken from the cache as it was.
    edit(home / "library.py", "return 1", "return 2")
    assert run(home)[0][2] == 1
