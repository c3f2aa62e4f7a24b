"""The examples in the docstrings run and print what they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fastgd

PACKAGE = Path(fastgd.__file__).parent
MODULES = sorted(
    ".".join(["fastgd", *path.relative_to(PACKAGE).with_suffix("").parts])
    for path in PACKAGE.rglob("*.py")
    if ">>>" in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples():
    assert {
        "fastgd.mlp", "fastgd.data.houses", "fastgd.training.optimizers", "fastgd.network.losses",
        "fastgd.training.callbacks", "fastgd.explain.features", "fastgd.pages.plots",
    } <= set(MODULES)  # fmt: skip
