"""The layout holds: imports go up the list only, Numba stays inside, and importing the package stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

PACKAGE = Path(fastgd.__file__).parent

# From the inside out: a module imports only from modules before it.
ORDER = [
    "errors", "atomic", "names", "kernels", "tables", "data", "scaling", "labels", "datasets", "activations", "losses",
    "initializers", "schedules", "optimizers", "network", "history", "callbacks", "interrupts", "progress",
    "divergence", "training", "metrics", "measures", "unseen", "finder", "model",
    "regimes", "explain", "health", "features", "tensorfile", "saving", "report", "story", "surface", "ticks",
    "drawing", "plots", "training_page", "warmup", "terminal", "cli", "__init__",
]  # fmt: skip
ENGINE = ["network", "training", "history"]
HEAVY = ["numba", "sklearn", "pandas", "polars", "matplotlib", "rich", "click", "narwhals", "safetensors"]


def imports(path):
    """(level, module) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)
        elif isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.name == "kernels"
    )


@pytest.mark.parametrize("name", [name for name in ORDER if name not in ("kernels", "__init__")])
def test_imports_go_up_only(name):
    for level, module in imports(PACKAGE / f"{name}.py"):
        if level == 0:
            assert module.split(".")[0] not in ("fastgd", "numba"), f"{name} imports {module}"
        elif level == 1 and module != "__version__":
            if name == "model" and module in ("saving", "explain", "health"):  # only when a method is called
                continue
            assert ORDER.index(module.split(".")[0]) < ORDER.index(name), f"{name} imports {module}"


def test_kernels_import_nothing_from_outside_but_errors():
    for path in (PACKAGE / "kernels").rglob("*.py"):
        for level, module in imports(path):
            depth = len(path.relative_to(PACKAGE).parts)
            if level == 0:
                assert module.split(".")[0] != "fastgd"
            elif level >= depth:
                assert module == "errors", f"{path} imports {module}"


MACHINERY = [PACKAGE / "kernels" / f"{name}.py" for name in ("compile", "lanes", "calls", "teams")]


def test_only_the_machinery_imports_numba():
    for path in (PACKAGE / "kernels").rglob("*.py"):
        if path not in MACHINERY:
            assert not any(module.startswith("numba") for level, module in imports(path) if level == 0), path


def lines_of_code(path):
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text()
    documented = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(map(str.strip, text.splitlines()), start=1)
    return sum(bool(line) and not line.startswith("#") and number not in documented for number, line in lines)


def test_the_engine_stays_small():
    files = [*(PACKAGE / "kernels").rglob("*.py"), *(PACKAGE / f"{name}.py" for name in ENGINE)]
    assert sum(lines_of_code(path) for path in files if path not in MACHINERY) < 2500
    assert sum(map(lines_of_code, MACHINERY)) < 600


def loaded_after(statement):
    code = f"import sys, json\n{statement}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import fastgd", []),
        ("import fastgd; fastgd.MLP([4, 1]); fastgd.SGD()", []),
        ("import fastgd; fastgd.MLP([4, 1]).predict([[1, 2, 3, 4]])", ["numba"]),
        ("from fastgd.command.cli import main", ["click"]),
    ],
)
def test_importing_is_light(statement, loaded):
    assert loaded_after(statement) == loaded


def test_two_copies_live_side_by_side(tmp_path):
    import shutil

    shutil.copytree(PACKAGE, tmp_path / "other_fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import fastgd, other_fastgd\n"
        "a = fastgd.MLP([2, 3, 1]).predict([[1.0, 2.0]]); b = other_fastgd.MLP([2, 3, 1]).predict([[1.0, 2.0]])\n"
        "assert (a == b).all() and fastgd.MLP is not other_fastgd.MLP\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
