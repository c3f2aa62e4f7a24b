"""Compile caches that are damaged, shared by processes at once, or left by other versions give the right numbers."""

from __future__ import annotations

import os
import re

import pytest

from fastgd.kernels.machinery import compile as compile_module
from trials.compile_caches import caches_at_once, damaged_caches, upgraded_caches

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")


def test_damaged_code_is_not_run_and_said_once():
    outcome = damaged_caches(140, seed=0)
    assert (outcome.cases, outcome.failures) == (140, [])


def test_a_cache_that_believes_its_files_is_found(monkeypatch):
    """A seal that covers the name alone notices no damage behind it."""
    seal = compile_module._seal
    monkeypatch.setattr(compile_module, "_seal", lambda name, content: seal(name, b""))
    found = damaged_caches(28, seed=0).failures
    assert any("damaged code is loaded" in sentence or "it says []" in sentence for sentence in found), found


def test_damage_that_nobody_is_told_of_is_found(monkeypatch):
    monkeypatch.setattr(compile_module, "_say_once", lambda what, message: None)
    assert all("it says []" in sentence for sentence in damaged_caches(7, seed=0).failures)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked for each process")
def test_processes_at_once_get_the_right_numbers():
    outcome = caches_at_once(1, seed=0)
    assert (outcome.cases, outcome.failures) == (1, [])


def test_an_upgrade_over_an_old_cache_runs_its_own_code():
    assert upgraded_caches(3, seed=0).failures == []


def test_a_version_that_runs_the_code_of_another_is_found():
    """The first version's formula reaches every copy, as stale code would."""
    outcome = upgraded_caches(1, seed=0, copied=lambda text: re.sub(r"share=[0-9.]+", "share=0.125", text))
    assert len(outcome.failures) == 1
