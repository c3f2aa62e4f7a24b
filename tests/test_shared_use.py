"""Trials of threads and processes with few cases, and the faults that they must find."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastgd.training.turns import Turns
from trials import apart, crowded, endings, process_kinds, python_threads

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def test_threads_of_python():
    assert python_threads.run(5, 0).failures == []


@needs_fork
def test_processes():
    assert process_kinds.run(2, 0).failures == []


def test_crowds():
    assert crowded.run(len(crowded.KINDS), 0).failures == []


@pytest.mark.parametrize("number", [0, 5])
def test_endings(number):
    assert endings.case(0, number) == ""


def test_a_case_that_hangs_or_ends_its_process_is_found():
    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    assert apart.failures_apart("broken_cases", 7, [0, 1, 2, 3, 4, 0], 1.0, environment) == [
        "broken_cases 7 1: it was not over after 1 s",
        "broken_cases 7 2: the process ended with -6",
        "broken_cases 7 3: it broke",
        "broken_cases 7 4: it raised ValueError('such a case')",
    ]


def found(kind, tries=1000):
    """What a kind of cases says of the first that fails: some depend on when threads have their turns."""
    return next(filter(None, (kind(np.random.default_rng([0, number])) for number in range(tries))), "")


def test_half_a_step_is_found(monkeypatch):
    monkeypatch.setattr(Turns, "look", lambda self, model, see: see(model))
    assert found(python_threads.looks)  # such as "parameters that no step has led to", or a damaged file


@pytest.mark.filterwarnings("ignore::fastgd.errors.FastgdWarning")  # what weights of two fits lead to
def test_a_change_in_the_middle_of_a_fit_is_found(monkeypatch):
    monkeypatch.setattr(Turns, "_begin", lambda self, turn: None)
    assert found(python_threads.changes)  # such as "was not refused"


@needs_fork
def test_a_child_that_hangs_or_has_other_bits_is_found(monkeypatch):
    parent = os.getpid()
    monkeypatch.setattr(process_kinds, "trained", lambda seed: str(os.getpid()))
    assert "in the child" in found(process_kinds.fork_after)
    monkeypatch.setattr(process_kinds, "CHILD", 0.2)
    monkeypatch.setattr(process_kinds, "trained", lambda seed: "" if os.getpid() == parent else time.sleep(100))
    assert "a forked child was not over" in found(process_kinds.fork_after)


def test_bits_that_depend_on_threads_are_found(monkeypatch):
    monkeypatch.setattr(crowded.Job, "bits", lambda self, n_threads: str(n_threads))
    assert "differ from one" in found(crowded.more_threads_than_cores)


def test_a_program_that_ends_by_a_signal_or_not_at_all_is_found(monkeypatch):
    aborts = endings.Kind("aborts", "os.abort()")
    monkeypatch.setattr(endings, "BEGINNING", "import os, time\n")
    monkeypatch.setattr(endings, "KINDS", [aborts])
    assert "exit code -6" in endings.case(0, 0)
    monkeypatch.setattr(endings, "KINDS", [aborts._replace(program="time.sleep(100)")])
    monkeypatch.setattr(endings, "SECONDS", 0.2)
    assert "was not over" in endings.case(0, 0)
