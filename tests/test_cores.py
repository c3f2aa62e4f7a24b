"""How many threads a training may have: cores, quotas, variables, and workers that share the machine."""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import threading
import types

import numpy as np
import pytest

import fastgd
from fastgd import kernels
from fastgd.errors import InvalidInputError
from fastgd.training import cores


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Eight cores, no quota, no variables; nothing is remembered."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name, file in {"QUOTA_AND_PERIOD": "cpu.max", "QUOTA": "quota", "PERIOD": "period"}.items():
        monkeypatch.setattr(cores, name, tmp_path / file)
    for name in cores.LIMITING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cores, "_kept", (-math.inf, 1))
    return tmp_path


def test_all_cores_of_the_process_are_used(monkeypatch):
    assert cores.allowance("auto") == (8, "there are 8 cores")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    monkeypatch.setattr(cores, "_kept", (-math.inf, 1))  # a second later
    assert cores.allowance("auto") == (1, "there is one core")


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"quota": "300000\n", "period": "100000\n"}, 3),
        ({"quota": "-1\n", "period": "100000\n"}, 8),
        ({"cpu.max": "nonsense"}, 8),
    ],
    ids=str,
)
def test_the_quota_of_a_container_counts(machine, files, most):
    for name, text in files.items():
        (machine / name).write_text(text)
    assert cores.allowance("auto").most == most


@pytest.mark.parametrize("name", cores.LIMITING)
@pytest.mark.parametrize(
    ("text", "most"), [("1", 1), ("3", 3), ("99", 8), ("2,4", 2), ("", 8), ("0", 8), ("many", 8), ("²", 8)]
)
def test_variables_limit_it(monkeypatch, name, text, most):
    monkeypatch.setenv(name, text)
    found = cores.allowance("auto")
    assert found.most == most
    if most < 8:
        assert found.reason == f"{name} is {most}"


@pytest.mark.parametrize("text", ["0", "-1"])
def test_a_variable_that_numba_refuses_is_named(monkeypatch, text):
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.setenv(kernels.NUMBER, text)
    with pytest.raises(InvalidInputError, match=f"NUMBA_NUM_THREADS is {text}: set it to 1 or more, or take it away."):
        kernels.engine("cpu")


def test_what_runs_beside_others_has_one(monkeypatch):
    found = []
    thread = threading.Thread(target=lambda: found.append(cores.allowance("auto")))
    thread.start()
    thread.join()
    monkeypatch.setattr(multiprocessing, "current_process", lambda: types.SimpleNamespace(name="LokyProcess-3"))
    found.append(cores.allowance("auto"))
    assert [allowed.most for allowed in found] == [1, 1]
    assert "main thread" in found[0].reason
    assert "LokyProcess-3" in found[1].reason


def test_a_number_is_taken_as_it_is():
    assert cores.allowance(np.int64(3)) == (3, "n_threads=3")
    for wrong in (0, -1, 1.5, True, "all", None):
        with pytest.raises(InvalidInputError, match="n_threads must be"):
            cores.allowance(wrong)


def test_the_history_says_how_many_and_why(monkeypatch):
    X = np.random.default_rng(0).normal(size=(600, 4))

    def history(**options):
        return fastgd.MLP([4, 16, 1]).fit(X, X[:, 0], epochs=3, verbose=0, **options)

    small = history(batch_size=8)
    assert (small.n_threads, small.thread_reason) == (1, "such steps are too little work to be divided")
    asked = history(batch_size=600, n_threads=1)
    assert (asked.n_threads, asked.thread_reason) == (1, "n_threads=1")
    large = history(batch_size=600)
    assert large.thread_reason.startswith("a step took") or large.thread_reason == "there was no time to try"
    assert large.to_dict()["thread_reason"] == large.thread_reason
    assert history(device="plain").thread_reason == "n_threads is for device='cpu'"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert history(batch_size=600).thread_reason == "OMP_NUM_THREADS is 1"
