"""Closed homes, caches and packages, a few of each; what the trial would see."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trials import homes
from trials.homes import Setting


def test_homes_of_all_kinds():
    outcome = homes.homes(2, 4)
    assert outcome.failures == []
    if not outcome.cases:
        pytest.skip(outcome.figure)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('[0.5, [], "/package/fastgd/__init__.py"]', "it computes 0.5"),
        ('[{tanh}, ["CacheWarning: a", "CacheWarning: b"], "/package/fastgd/__init__.py"]', "it says"),
        ('[{tanh}, [], "/package/fastgd/__init__.py"]', "it says nothing"),
        ('[{tanh}, ["UserWarning: a"], "/package/fastgd/__init__.py"]', "it says"),
        ('[{tanh}, ["CacheWarning: a"], "/elsewhere/fastgd/__init__.py"]', "another package"),
        ('[{tanh}, ["CacheWarning: a"], "/package/fastgd/__init__.py"]', "it leaves ['~']"),
    ],
)
def test_what_is_wrong_is_seen(tmp_path, answer, found):
    (tmp_path / "~").mkdir()
    done = subprocess.CompletedProcess([], 0, answer.replace("{tanh}", repr(homes.ANSWER)), "")
    setting = Setting("closed", "gone/home", None, None)
    assert found in homes.complaint(done, setting, Path("/package"), tmp_path)
    failed = subprocess.CompletedProcess([], 1, "", "KeyError: HOME")
    assert homes.complaint(failed, setting, Path("/package"), tmp_path) == "it ended with 1: KeyError: HOME"
