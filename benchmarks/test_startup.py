"""What a user waits for before the first step: fresh processes, from a cold and from a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.startup
STEP = "import fastgd; X, y = fastgd.datasets.houses(64); fastgd.MLP([4, 64, 64, 1]).fit(X, y, epochs=1, verbose=0)"
STARTS = {
    "python": "pass",
    "import numpy": "import numpy",
    "import numba": "import numba",
    "import fastgd": "import fastgd",
    "first trained step, warm cache": STEP,
}
HEAVY = {"numba", "llvmlite", "numpy", "narwhals", "rich", "click", "safetensors", "sklearn", "pandas", "matplotlib"}


def process(code, **environment):
    """Run in a fresh process and return the top-level modules that it loaded."""
    code += "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return out.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("name", STARTS)
def test_start(benchmark, name):
    modules = process(STARTS[name])  # also fills the cache
    benchmark.group = "start-up"
    benchmark.pedantic(lambda: process(STARTS[name]), rounds=5, warmup_rounds=1)
    benchmark.extra_info.update(modules=modules, n_modules=len(modules))
    if name == "import fastgd":
        assert not HEAVY & set(modules)


def test_cold_compile(benchmark, tmp_path):
    folders = iter(range(100))
    benchmark.group = "start-up"

    def cold():
        return process(STEP, NUMBA_CACHE_DIR=str(tmp_path / str(next(folders))))

    modules = benchmark.pedantic(cold, rounds=1)
    benchmark.extra_info.update(modules=modules, n_modules=len(modules))
