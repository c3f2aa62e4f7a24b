"""`mpiexec -n 2 fastgd train`: one training by several processes, one voice, and one end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from shell import FASTGD, run
from test_mpi import ROOT, ended, is_open_mpi, launcher

import fastgd
from fastgd.command.launched import launched
from fastgd.command.machines import Alone, ending_alike

FAST = ["--target", "price_eur", "--epochs", 2]
PATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    path = tmp_path_factory.mktemp("ranks") / "houses.csv"
    assert run("example", path).exit_code == 0
    return path


def started(*arguments, size=2, command=FASTGD):
    return subprocess.Popen(
        [*launcher(), "-n", str(size), *command, "train", *map(str, arguments)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.mark.parametrize("rows", [None, 300])
def test_processes_train_one_network_on_all_rows(houses, tmp_path, rows):
    buffers = [] if rows is None else ["--buffer-rows", rows]
    code, out, err = ended(started(houses, *FAST, *buffers, "--save", tmp_path / "m"))
    assert code == 0, err
    alone = run("train", houses, *FAST, "--buffer-rows", rows or 600)
    n_held = re.search(r"3,000 rows, (\d+) of them held out", alone.stderr)[1]
    assert f"houses.csv: 3,000 rows, {n_held} of them held out." in err.splitlines()
    assert len(re.findall(rf"^ held out +{n_held} ", out, re.M)) == 1  # the first process speaks, of the rows of all
    assert len(re.findall("^epoch 2/2", err, re.M)) == 1
    assert err.endswith(f"Saved to {tmp_path / 'm'}.\n")
    assert fastgd.load(tmp_path / "m").target_names == ("price_eur",)


def test_the_answer_is_that_of_all(houses, tmp_path):
    code, out, err = ended(started(houses, *FAST, "--json", "--save", tmp_path / "m", size=3))
    assert code == 0, err
    found = json.loads(out)
    assert found["rows"] == 3000
    model = fastgd.load(tmp_path / "m")
    held_out = {}
    names = list(found["features"])
    stream = fastgd.Stream(houses, target="price_eur", columns=names)
    for side, part in zip(("training", "held_out"), stream.split(0.2, seed=0), strict=True):
        held_out[side] = model.evaluate(part)
        assert held_out[side] == pytest.approx(found[side], rel=1e-6)
    assert held_out["training"]["loss"] != held_out["held_out"]["loss"]


@pytest.mark.slow
def test_classes_and_early_stopping(houses):
    options = ["--target", "district", "--drop-missing-target", "--early-stopping", "--epochs", 3]
    code, out, err = ended(started(houses, *options, "--json"))
    assert code == 0, err
    found, alone = json.loads(out), json.loads(run("train", houses, *options, "--buffer-rows", 600, "--json").stdout)
    for name in ("rows", "rows_held_out", "classes", "features", "left_out", "recipe"):
        assert found[name] == alone[name]


def test_what_is_wrong_is_one_line_and_ends_all(houses, tmp_path):
    bad = tmp_path / "bad.csv"
    lines = houses.read_text().splitlines()
    lines[700] = lines[700].replace(",", ",abc", 2)
    bad.write_text("\n".join(lines))
    for sentence, *arguments in (
        ("bad.csv, line 701, column 'size_m2' holds 'abc", bad, *FAST),
        ("has no column 'nope'", houses, "--target", "nope"),
        ("--report takes all rows in memory", houses, *FAST, "--report", tmp_path / "r"),
        ("No such option '--bogus'", houses, *FAST, "--bogus"),
        ("--batch-size 1 is below the 2 ranks", houses, *FAST, "--batch-size", 1),
    ):
        code, out, err = ended(started(*arguments))
        assert (code, out) == (2, ""), err
        complaints = [line for line in err.splitlines() if line.startswith("fastgd:")]
        assert len(complaints) == 1, err
        assert sentence in complaints[0]


BROKEN = """
import sys
from fastgd.command import over_stream
from mpi4py import MPI
kind = sys.argv.pop(1)
def breaks(*given):
    if MPI.COMM_WORLD.rank == 1:
        raise ZeroDivisionError("only here")
    return before(*given)
if kind == "met":
    before, over_stream.sides_of = over_stream.sides_of, breaks
else:
    before, over_stream.Prepared = over_stream.Prepared, breaks
from fastgd.command.cli import main
main()
"""


@pytest.mark.parametrize(("kind", "sentence"), [("met", "rank 1: ZeroDivisionError: only here"), ("lone", "only here")])
def test_an_error_of_one_process_ends_all(houses, kind, sentence):
    code, out, err = ended(started(houses, *FAST, command=[sys.executable, "-c", BROKEN, kind]))
    assert code != 0
    assert out == "" or kind == "lone"
    assert [sentence in line for line in err.splitlines() if line.startswith("fastgd:")] == [True], err


def test_ctrl_c_keeps_the_model(houses, tmp_path):
    if is_open_mpi():
        pytest.skip("its launcher ends all processes by itself")
    process = started(houses, "--target", "price_eur", "--epochs", 9000, "--save", tmp_path / "m")
    for line in process.stderr:
        if re.match("epoch +1/", line):
            process.send_signal(signal.SIGINT)
            break
    code, out, err = ended(process)
    assert code == 130, err
    assert "held out" in out
    assert fastgd.load(tmp_path / "m").schema.scaled


# What a launcher says


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1, 0)),
        ({"PMI_SIZE": "4", "PMI_RANK": "3"}, (4, 3)),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, (2, 0)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, (1, 0)),  # of a batch script, which runs once
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, (8, 5)),
        ({"PMI_SIZE": "many", "PMI_RANK": "3"}, (1, 0)),
    ],
)
def test_launchers_are_known_by_what_they_tell(monkeypatch, given, expected):
    for name in list(os.environ):
        if name.startswith(("PMI", "OMPI", "MV2", "SLURM")):
            monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


def apart(rank, code, *arguments):
    """One of two processes that were started together, but know nothing of each other."""
    told = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": str(rank)}
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom fastgd.command.cli import main\nmain()", "train", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=ENVIRONMENT | told, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.modules['mpi4py'] = None", "2 processes were started together, which takes mpi4py: run `pip"),
        (
            "import sys, types; found = types.ModuleType('mpi4py'); sys.modules['mpi4py'] = found\n"
            "found.MPI = types.SimpleNamespace(COMM_WORLD=types.SimpleNamespace(rank=0, size=1))",
            "2 processes were started together, but mpi4py finds 1: start them with the mpiexec of the MPI",
        ),
    ],
)
def test_processes_that_cannot_reach_each_other_do_not_train(houses, tmp_path, code, sentence):
    first, second = (apart(rank, code, houses, *FAST, "--save", tmp_path / "m") for rank in (0, 1))
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout) == (2, "")
    assert len(first.stderr.splitlines()) == 1
    assert sentence in first.stderr
    assert second.stderr == ""
    assert not (tmp_path / "m").exists()


def test_one_process_raises_what_it_meets():
    with pytest.raises(KeyError), ending_alike(Alone()):
        raise KeyError
