"""The layout holds: imports go one way, Numba stays inside, files stay small, and importing the package stays light."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FIRST_LOOK

import fastgd
from tools import rooms

PACKAGE = Path(fastgd.__file__).parent
ROOT = Path(__file__).parents[1]
HEAVY = ["numba", "sklearn", "pandas", "polars", "matplotlib", "rich", "click", "narwhals", "safetensors"]
LONGEST = 350  # lines of a module


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "fastgd"


def test_imports_go_one_way():
    assert rooms.breaches(PACKAGE) == []


@pytest.mark.parametrize(
    ("module", "statement", "found"),
    [
        ("network/losses.py", "from ..data import rows", "network.losses, line 1 imports data.rows"),
        ("network/losses.py", "from ..data.rows import Measured", "network.losses, line 1 imports data.rows"),
        ("options.py", "from . import network", "options, line 1 imports network.__init__"),
        ("explain/table.py", "from ..files.atomic import write_whole", "explain.table, line 1 imports files.atomic"),
        ("files/atomic.py", "from .. import explain", "files.atomic, line 1 imports explain.__init__"),
        ("model/core.py", "def f():\n    from ..mlp import MLP", "model.core, line 2 imports mlp"),
        ("kernels/records.py", "from ..network import network", "kernels.records, line 1 imports network.network"),
        ("kernels/plain/losses.py", "from ..cpu import losses", "kernels.plain.losses, line 1 imports kernels.cpu"),
        ("kernels/cpu/losses.py", "from ...options import look_up", "kernels.cpu.losses, line 1 imports options"),
        ("kernels/codes.py", "from .records import Net", "kernels.codes, line 1 imports kernels.records"),
        ("kernels/cpu/losses.py", "import numba", "kernels.cpu.losses, line 1 imports numba"),
        ("kernels/cpu/losses.py", "from ..cuda import shim", "kernels.cpu.losses, line 1 imports kernels.cuda.shim"),
        ("kernels/cuda/complaints.py", "import numba", "kernels.cuda.complaints, line 1 imports numba"),
        ("kernels/cuda/complaints.py", "from numba_cuda_mlir import cuda", "kernels.cuda.complaints, line 1 imports n"),
        ("kernels/plain/losses.py", "from numba.core import types", "kernels.plain.losses, line 1 imports numba"),
        ("training/loop.py", "from llvmlite import ir", "training.loop, line 1 imports llvmlite"),
        ("training/loop.py", "from fastgd.options import look_up", "training.loop, line 1 imports fastgd"),
        ("training/loop.py", "from ... import benchmarks", "training.loop, line 1 imports ..."),
        ("training/history.py", "from . import loop", "There is a circle: "),
        ("network/activations.py", "from .network import Network", "There is a circle: "),
        ("lost.py", "", "lost stands on no floor"),
    ],
)
def test_a_planted_breach_is_found(copy, module, statement, found):
    path = copy / module
    path.write_text(f"{statement}\n{path.read_text() if path.exists() else ''}".replace("from __future__", "#"))
    assert [sentence for sentence in rooms.breaches(copy) if sentence.startswith(found)]


def test_errors_are_all_that_kernels_ask_of_the_package():
    known = rooms.modules(PACKAGE)
    outside = {
        found.name
        for name, path in known.items()
        if name.startswith("kernels.")
        for found in rooms.imports(name, path, known)
        if found.inside and not found.name.startswith("kernels.")
    }
    assert outside == {"errors"}


def test_the_docs_list_the_rooms_in_this_order():
    built = (ROOT / "docs" / "how_it_works.md").read_text().partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)(?:/|\.py)`", built, re.M)
    assert listed == [room for floor in rooms.FLOORS[:12] for room in floor]


@pytest.mark.parametrize("folder", ["fastgd", "benchmarks", "tools"])
def test_no_module_is_long(folder):
    lines = {path: len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert lines
    assert [path for path, n in lines.items() if n > LONGEST] == []


def lines_of_code(path):
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text()
    documented = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(map(str.strip, text.splitlines()), start=1)
    return sum(bool(line) and not line.startswith("#") and number not in documented for number, line in lines)


@pytest.mark.parametrize(
    ("part", "most"),
    [
        (["kernels/plain/*.py"], 500),
        (["kernels/cpu/*.py"], 2100),
        (["kernels/machinery/*.py"], 1000),
        (["kernels/*.py"], 620),  # with logarithms and exponentials of our own, and what a fork needs
        # A training goes on inside an epoch, and rests for those who look.
        (["network/*.py", "training/loop.py", "training/run.py", "training/history.py"], 830),
    ],
)
def test_the_engine_stays_small(part, most):
    files = [path for pattern in part for path in PACKAGE.glob(pattern)]
    assert most / 4 < sum(map(lines_of_code, files)) < most


def loaded_after(statement):
    code = f"import sys, json\n{statement}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import fastgd", []),
        ("import fastgd; fastgd.MLP([4, 1]); fastgd.SGD()", []),
        ("import fastgd.callbacks, fastgd.schedules, fastgd.losses, fastgd.datasets, fastgd.features", []),
        ("import fastgd; fastgd.MLP([4, 1]).predict([[1, 2, 3, 4]])", ["numba"]),
        ("from fastgd.command.cli import main", ["click"]),
    ],
)
def test_importing_is_light(statement, loaded):
    assert loaded_after(statement) == loaded


def test_public_names_lead_to_their_rooms():
    for name in fastgd.__all__:
        assert getattr(fastgd, name) is not None
    code = "from fastgd.callbacks import Recorder; import fastgd; assert fastgd.callbacks.Recorder is Recorder"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_copies_live_side_by_side(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "other_fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import fastgd, other_fastgd\n"
        "a = fastgd.MLP([2, 3, 1]).predict([[1.0, 2.0]]); b = other_fastgd.MLP([2, 3, 1]).predict([[1.0, 2.0]])\n"
        "assert (a == b).all() and fastgd.MLP is not other_fastgd.MLP\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_files_of_a_first_look_are_there():
    assert {path.stem for path in Path(__file__).parent.glob("test_*.py")} >= FIRST_LOOK
