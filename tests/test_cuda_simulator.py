"""Kernels in the simulator, and phases that are compiled, have the bits of the double; without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cuda_compiled
import cuda_double
import numpy as np
import pytest
from cuda_simulated import POPULATIONS, TASKS, THREADS, TILES, outcomes
from cuda_tasks import results, same

HERE = Path(__file__).parent


def found_by(script, folder, *changes, **environment):
    """What a script finds in a process of its own, by the names of its tasks, without those that stopped at garbage."""
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, "-W", "ignore", HERE / script, folder, *changes]
    subprocess.run(command, env={**os.environ, **environment, "PYTHONPATH": paths}, check=True)
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}


@pytest.fixture(scope="module")
def expected():
    """What the double makes of what is simulated."""
    with cuda_double.engine(threads=THREADS, tiles=TILES) as engine:
        return dict(outcomes(engine))


def test_kernels_and_launches_have_the_bits_of_the_double(expected, tmp_path):
    found = found_by("cuda_simulated.py", tmp_path, NUMBA_ENABLE_CUDASIM="1")
    assert found.keys() == expected.keys() == {*TASKS, *POPULATIONS}
    for name, numbers in expected.items():
        assert same(numbers, found[name]), name


def test_without_barriers_they_go_wrong(expected, tmp_path):
    found = found_by("cuda_simulated.py", tmp_path, "without_barriers", NUMBA_ENABLE_CUDASIM="1")
    for name, numbers in expected.items():
        assert name not in found or not same(numbers, found[name]), name


@pytest.mark.slow
def test_compiled_phases_have_the_bits_of_the_double(tmp_path):
    found = found_by("cuda_compiled.py", tmp_path, NUMBA_OPT="0", NUMBA_DISABLE_JIT="0")
    with cuda_double.engine() as engine:
        for name, task in cuda_compiled.TASKS.items():
            assert same(results(engine, task), found[name]), name
