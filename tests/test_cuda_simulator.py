"""The kernels in the simulator have the bits of the double, and need their barriers; without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cuda_double
import numpy as np
import pytest
from cuda_simulated import POPULATIONS, TASKS, THREADS, TILES, outcomes
from cuda_tasks import same


def simulated(folder, *changes):
    """What comes out of each task in the simulator, in a process of its own; None where threads stopped at garbage."""
    script = [sys.executable, "-W", "ignore", Path(__file__).with_name("cuda_simulated.py"), folder, *changes]
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    subprocess.run(script, env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": paths}, check=True)
    found = {name: folder / f"{name}.npz" for name in (*TASKS, *POPULATIONS)}
    return {name: dict(np.load(path)) if path.exists() else None for name, path in found.items()}


@pytest.fixture(scope="module")
def expected():
    """What the double makes of them."""
    with cuda_double.engine(threads=THREADS, tiles=TILES) as engine:
        return dict(outcomes(engine))


def test_kernels_and_launches_have_the_bits_of_the_double(expected, tmp_path):
    found = simulated(tmp_path)
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        assert found[name] is not None, name
        assert same(numbers, found[name]), name


def test_without_barriers_they_go_wrong(expected, tmp_path):
    found = simulated(tmp_path, "without_barriers")
    for name, numbers in expected.items():
        assert found[name] is None or not same(numbers, found[name]), name
