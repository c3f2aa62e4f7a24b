"""Real processes that train one network together, started by mpiexec: their bits, their errors, and that none hangs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import mpi_program
import pytest
from ranks_double import returned

LONGEST = 60.0  # seconds until a test says that processes hang
PROGRAM = Path(mpi_program.__file__)
ROOT = PROGRAM.parents[1]


@cache
def launcher():
    """mpiexec beside this Python, or else on the path, with what Open MPI needs as root and on few cores."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    beside = Path(sys.executable).with_name("mpiexec")
    command = str(beside) if beside.exists() else shutil.which("mpiexec")
    if command is None:
        pytest.skip("there is no mpiexec")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=LONGEST).stdout
    options = ["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in said or "prte" in said.lower() else []
    return [command, *options]


def is_open_mpi():
    return len(launcher()) > 1


def started(task, size):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [*launcher(), "-n", str(size), sys.executable, str(PROGRAM), task]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def ended(process):
    """Exit code, output and errors; processes that hang fail the test."""
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"The ranks hang after {LONGEST} s: {process.communicate()}")
    return process.returncode, out, err


def lines(out, size):
    """What each rank has said, in their order."""
    said = dict(re.findall(r"^rank (\d+): (.*)$", out, re.M))
    return [said.get(str(rank)) for rank in range(size)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_processes_have_the_bits_that_threads_have(size):
    process = started("together", size)
    code, out, err = ended(process)
    assert code == 0, err
    said = lines(out, size)
    assert set(said) == set(returned(size, mpi_program.together))
    first, *_ = said
    assert first.count("completed") == 5
    assert first.count("callback") == 1
    weights = [task.split()[0] for task in first.split("; ")]
    assert weights[0] == weights[4]  # three epochs and one more are four
    assert len(set(weights)) == 5


@pytest.mark.parametrize(
    ("task", "size", "sentence"),
    [
        ("broken_row", 3, "InvalidInputError: rank 2, row 3: X, column 1 is"),
        ("columns", 2, "InvalidInputError: rank 1: X has "),
        (
            "options",
            4,
            "InvalidInputError: rank 3 has batch_size 21, but rank 0 has 20: all ranks must be given the same.",
        ),
        ("callback", 2, "RankError: rank 0: OSError: disk full"),
    ],
)
def test_every_rank_ends_with_the_sentence(task, size, sentence):
    code, out, err = ended(started(task, size))
    assert code != 0
    assert lines(out, size) == [None] * size
    assert err.count(sentence) == (size if task != "callback" else size - 1)


def test_a_rank_that_is_killed_ends_the_others():
    code, out, err = ended(started("killed", 3))
    assert code != 0
    assert "illed" in out + err  # MPICH: "Killed (signal 9)", Open MPI: "exited on signal 9 (Killed)"


def test_an_error_on_one_rank_outside_of_fit_ends_the_others():
    code, out, err = ended(started("own_error", 2))
    assert code != 0
    assert "KeyError: 'a column of this rank'" in err
    assert lines(out, 2) == [None, None]


def test_ctrl_c_leaves_all_ranks_a_model():
    process = started("ctrl_c", 2)
    first = process.stdout.readline()
    assert first.startswith("training"), process.communicate()
    time.sleep(0.3)
    # Open MPI's launcher ends all ranks by itself; MPICH's passes Ctrl-C on.
    target = int(first.split()[-1]) if is_open_mpi() else process.pid
    os.kill(target, signal.SIGINT)
    code, out, err = ended(process)
    assert code == 0, err
    said = lines(out, 2)
    assert said[0] == said[1]
    assert "interrupted" in said[0]
    assert said[0].endswith("True")
