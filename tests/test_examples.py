"""The examples in the docstrings run and print what they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fastgd

MODULES = sorted(path.stem for path in Path(fastgd.__file__).parent.glob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    result = doctest.testmod(import_module(f"fastgd.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples():
    assert {"model", "datasets", "optimizers", "losses", "callbacks", "saving"} <= set(MODULES)
