"""dir() and tab completion show what is for users; and what errors tell them to type works in a clone."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest

import fastgd
from fastgd import mlp
from fastgd.errors import InvalidInputError, not_installed

ROOT = Path(__file__).parents[1]
ESTIMATORS = ["MLPClassifier", "MLPRegressor"]  # they need scikit-learn, and stay out of `from fastgd import *`
PARTS = [name for name in fastgd.__all__ if isinstance(getattr(fastgd, name), types.ModuleType)]


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_dir_of_the_package():
    known = {"losses", "callbacks", "schedules", "datasets", "features", "plots", "explain", "errors", "space"}
    assert known == set(PARTS)
    assert dir(fastgd) == sorted([*fastgd.__all__, *ESTIMATORS])
    assert {"mlp", "model", "options", "annotations", "import_module", "TYPE_CHECKING"} & set(vars(fastgd))
    code = "import fastgd; before = dir(fastgd); fastgd.MLP([2, 1]).predict([[1, 2]]); assert dir(fastgd) == before"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", PARTS)
def test_dir_of_its_parts(name):
    part = getattr(fastgd, name)
    assert public(dir(part)) == set(part.__all__)
    assert all(getattr(part, known).__doc__ for known in part.__all__)


def test_errors_lists_all_of_its_classes():
    classes = {name for name, value in vars(fastgd.errors).items() if isinstance(value, type) and value is not Path}
    assert classes == set(fastgd.errors.__all__)


@pytest.mark.parametrize("module", ["fastgd", *(f"fastgd.{name}" for name in PARTS)])
def test_a_star_brings_the_public_names(module):
    code = f"before = set(dir())\nfrom {module} import *\nprint(*sorted(set(dir()) - before - {{'before'}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == sorted(import_module(module).__all__)


def test_dir_of_a_model():
    model = fastgd.MLP([2, 1])
    assert public(dir(model)) == {
        "blame", "classes", "compiled", "device", "dtype", "encoder", "encoding", "evaluate", "export", "feature_names",
        "find_learning_rate", "fit",
        "get_parameters", "gradient", "health", "network", "nudge", "parameters", "partial_fit", "predict",
        "predict_proba",
        "random_state", "save", "scaling", "set_parameters", "standardize", "step", "stop_training", "target_names",
    }  # fmt: skip
    assert public(object.__dir__(model)) == public(dir(model)) | mlp.INNER
    model.colour = "red"
    assert "colour" in dir(model)


# A command that asks an index for fastgd.
WRONG = re.compile(r"pip install (?:-\S+ )*['\"]?fastgd")


def test_no_text_names_a_package_that_no_index_has():
    paths = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "fastgd").rglob("*.py")]
    assert [path for path in paths if WRONG.search(path.read_text(encoding="utf-8"))] == []
    assert WRONG.search("Plots need matplotlib: pip install 'fastgd[plot]'.")
    assert not WRONG.search("`.venv/bin/pip install .` and `fastgd demo`")


def test_what_is_not_installed_is_told_with_a_command():
    error = not_installed("Plots", "matplotlib")
    assert isinstance(error, InvalidInputError)
    assert str(error) == "Plots need matplotlib: run `pip install matplotlib`."


def test_every_optional_library_is_told_by_this_one_function():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "fastgd").rglob("*.py")}
    assert [path.name for path, text in texts.items() if "pip install" in text] == ["errors.py"]
