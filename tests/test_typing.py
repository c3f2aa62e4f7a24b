"""The public face has types: mypy --strict finds nothing wrong with what users write, and finds what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

ROOT = Path(__file__).parents[1]
EXAMPLE = Path(__file__).with_name("typed_example.py")

WRONG = {
    'fastgd.MLP([4, 1]).fit([[1]], [1], epochs="ten")': "arg-type",
    'fastgd.MLP([4, 1], hidden="relu")': "call-arg",
    "number: int = fastgd.MLP([4, 1]).evaluate([[1]], [1])": "assignment",
    "fastgd.MLP([4, 1]).compiled().n_rows": "attr-defined",
    'fastgd.train_batch(fastgd.MLP([4, 1]), None, None, "fast")': "arg-type",
    "fastgd.losses.Hubert": "attr-defined",
    'loaded: fastgd.MLP = fastgd.load("house.safetensors")': "assignment",
    'fastgd.SGD(momentum="much")': "arg-type",
}


def complaints(path):
    """What mypy says of a file, a line each."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode in (0, 1), result.stderr
    return [line for line in result.stdout.splitlines() if ": error: " in line]


@pytest.mark.slow
def test_what_users_write_has_types():
    assert complaints(EXAMPLE) == []


@pytest.mark.slow
def test_what_is_wrong_is_found(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("import fastgd\n\n" + "\n".join(WRONG) + "\n")
    found = complaints(path)
    for line, code in enumerate(WRONG.values(), start=3):
        assert any(f":{line}: " in complaint and f"[{code}]" in complaint for complaint in found), (line, found)


def test_the_example_uses_every_public_name():
    used = set(re.findall(r"fastgd\.(\w+)", EXAMPLE.read_text(encoding="utf-8")))
    assert set(dir(fastgd)) - used == set()


def test_the_package_says_that_it_has_types():
    assert (Path(fastgd.__file__).parent / "py.typed").exists()
