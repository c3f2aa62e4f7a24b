"""The recipe in CONTRIBUTING.md holds: it is followed for a throw-away activation, loss and optimizer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from completeness import forgotten

from fastgd.kernels.cpu.losses import KERNELS
from fastgd.network.losses import LOSSES

ROOT = Path(__file__).parent.parent
FILES = ("CONTRIBUTING.md", "README.md", "tests/completeness.py", "tests/golden/golden.json")
GOLDEN = "tests/golden/make_golden.py"

FORMULA = '''
def softsign(z):
    """a = z / (1 + |z|)."""
    return z / (number(z, 1) + abs(z))


def softsign_backward(da, a):
    """f′ = (1 − |a|)²."""
    flat = number(a, 1) - abs(a)
    return da * flat * flat


def inverse_distance(p, y, constants):
    """e² / (1 + e²)."""
    square = (p - y) * (p - y)
    return square / (number(p, 1) + square)


def inverse_distance_slope(p, y, constants):
    """2 e / (1 + e²)²."""
    e = p - y
    below = number(p, 1) + e * e
    return (e + e) / (below * below)


'''
RULE = '''
def by_signs(g, c):
    """The move is learning_rate · sign(g)."""
    zero = number(g, 0)
    return where(g > zero, c[0], where(g < zero, -c[0], zero))


'''
LOSS = '''
class InverseDistance(Loss):
    """e² / (1 + e²)."""

    name, formula = "inverse_distance", "e² / (1 + e²)"


'''
OPTIMIZER = '''
@dataclass(frozen=True, repr=False)
class SignSGD(Optimizer):
    """The nudge is −learning_rate × sign(g)."""

    update_rule = "SignSGD"
    learning_rate: Rate = 0.01


'''
# For each kind and file what is put before which words, or behind them (?<=…).
ADDITIONS = {
    "activation": {
        "fastgd/kernels/formulas.py": [
            ("# Losses of one output", FORMULA.partition("def inverse")[0]),
            (r"\)\nLOSSES = \(", '    ActivationFormula("softsign", softsign, softsign_backward),\n'),
        ],
        "fastgd/network/activations.py": [
            (r"    \)\n\}", '        Activation("softsign", "z / (1 + |z|)", "", "glorot_uniform"),\n'),
        ],
        GOLDEN: [],
        "fastgd/files/exports/formulas.py": [
            (
                r"\}\nNEAR",
                '    "softsign": Formula("z / (1 + fabs@(z))", "z / (1 + np.abs(z))", _operator("Softsign")),\n',
            ),
        ],
        "README.md": [(r"(?<=^\| activations,)", " softsign,")],
    },
    "loss": {
        "fastgd/kernels/formulas.py": [
            ("# Losses whose outputs", "def inverse" + FORMULA.partition("def inverse")[2]),
            (
                r"\)\nACTIVATION_CODES",
                '    LossFormula("inverse_distance", inverse_distance, inverse_distance_slope),\n',
            ),
        ],
        "fastgd/network/losses.py": [
            ("class LogCosh", LOSS),
            (r"(?<=        LogCosh,\n)", "        InverseDistance,\n"),
            (r'(?<=    "Huber",\n)', '    "InverseDistance",\n'),
        ],
        GOLDEN: [],
        "README.md": [(r"(?<=^\| losses \|)", " inverse_distance,")],
    },
    "optimizer": {
        "fastgd/kernels/rules.py": [
            ("class UpdateRule", RULE),
            (r'(?<="AdamW": \(ADAM,\),\n)', '    "SignSGD": (UpdateRule(by_signs, descent_constants),),\n'),
        ],
        "fastgd/training/optimizers.py": [
            ("def at_rate", OPTIMIZER),
            (r"(?<=RMSprop, Adam, AdamW)", ", SignSGD"),
        ],
        "fastgd/__init__.py": [
            (r'(?<=    "AdamW": "training.optimizers",\n)', '    "SignSGD": "training.optimizers",\n'),
        ],
        GOLDEN: [],
        "README.md": [(r"(?<=^\| optimizers \|)", " SignSGD,")],
    },
}
TRAINED = """
import json, sys
from pathlib import Path
from completeness import forgotten
found = {"forgotten": forgotten(Path(sys.argv[1])), "differences": []}
if not found["forgotten"]:
    import fastgd
    import numpy as np
    X = np.random.default_rng(0).normal(size=(40, 3))
    weights = {}
    for chosen in ("tanh", "mse", "SGD"), ("softsign", "mse", "SGD"), ("tanh", "inverse_distance", "SGD"), (
        "tanh", "mse", "SignSGD"
    ):
        for device in ("cpu", "plain"):
            activation, loss, optimizer = chosen
            model = fastgd.MLP([3, 4, 1], activation=activation, loss=loss, dtype="float64")
            optimizer = getattr(fastgd, optimizer)(learning_rate=0.02)
            y, options = np.sin(X).sum(axis=1), {"optimizer": optimizer, "device": device}
            history = model.fit(X, y, epochs=5, batch_size=8, verbose=0, **options)
            weights[chosen, device] = model.parameters
            assert history.history["loss"][-1] < history.history["loss"][0], chosen
        found["differences"].append(float(np.abs(weights[chosen, "cpu"] - weights[chosen, "plain"]).max()))
    found["apart"] = [
        float(np.abs(weights[chosen, "cpu"] - weights[("tanh", "mse", "SGD"), "cpu"]).max())
        for chosen, device in weights if device == "cpu"
    ][1:]
print(json.dumps(found))
"""


def steps(kind):
    """The files that the recipe names for a kind, in its order."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### An? {kind}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\d\. `([^`]+)`", section, re.MULTILINE)


def with_golden_case(root, kind):
    """What make_golden.py would have written for its new line, as far as names go."""
    path = root / "tests" / "golden" / "golden.json"
    golden = json.loads(path.read_text(encoding="utf-8"))
    if kind == "activation":
        golden["activations"]["cases"]["softsign"] = {}
    elif kind == "loss":
        golden["losses"].append({"loss": "inverse_distance"})
    else:
        golden["training"]["cases"]["sign"] = {"torch": "SignSGD"}
    path.write_text(json.dumps(golden), encoding="utf-8")


def followed(root, left_out=None):
    """Follow the recipe in a copy, without the files that are left out, and try what came out."""
    shutil.copytree(ROOT / "fastgd", root / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests" / "golden").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for kind, additions in ADDITIONS.items():
        for name in steps(kind):
            if (kind, name) == left_out:
                continue
            if name == GOLDEN:
                with_golden_case(root, kind)
                continue
            text = (root / name).read_text(encoding="utf-8")
            for place, addition in additions[name]:
                where = place if place.startswith("(?<=") else f"^(?={place})"
                text, n = re.subn(where, lambda _, text=addition: text, text, flags=re.MULTILINE)
                assert n == 1, f"{name} has {place!r} {n} times"
            (root / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", TRAINED, str(root)]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_nothing_is_forgotten():
    assert forgotten(ROOT) == []


def test_the_recipe_is_all_that_it_takes(tmp_path):
    for kind, additions in ADDITIONS.items():
        assert steps(kind) == list(additions)
    found = followed(tmp_path / "copy")
    assert found["forgotten"] == []
    assert len(found["differences"]) == 4
    assert max(found["differences"]) < 1e-12, "the engines compute the same"
    assert min(found["apart"]) > 1e-3, "and something else than without the additions"


@pytest.mark.parametrize(
    ("kind", "file", "complaint"),
    [
        (
            "activation",
            "fastgd/kernels/formulas.py",
            "activation softsign: it has no formula in ACTIVATIONS of fastgd/",
        ),
        ("activation", "fastgd/network/activations.py", "activation softsign: it has no row in the users' table"),
        ("activation", GOLDEN, "activation softsign: it has no golden case"),
        ("activation", "fastgd/files/exports/formulas.py", "activation softsign: it has no formula in FORMULAS"),
        ("activation", "README.md", "activation softsign: the row `activations` of README.md's table does not name it"),
        ("loss", "fastgd/kernels/formulas.py", "loss inverse_distance: it has no formula in LOSSES of fastgd/kernels"),
        (
            "loss",
            "fastgd/network/losses.py",
            "loss inverse_distance: it has no row in the users' table, fastgd/network",
        ),
        ("loss", GOLDEN, "loss inverse_distance: it has no golden case: a line in tests/golden/make_golden.py"),
        ("optimizer", "fastgd/kernels/rules.py", "optimizer SignSGD: it has no formula in UPDATE_RULES of fastgd"),
        ("optimizer", "fastgd/training/optimizers.py", "optimizer SignSGD: it has no row in the users' table"),
        ("optimizer", "fastgd/__init__.py", "optimizer SignSGD: fastgd/__init__.py does not offer it."),
    ],
)
def test_a_step_that_is_left_out_is_named(tmp_path, kind, file, complaint):
    (found,) = followed(tmp_path / "copy", left_out=(kind, file))["forgotten"]
    assert found.startswith(complaint)


def test_a_loss_without_a_loop_is_named(monkeypatch):
    monkeypatch.delitem(KERNELS, LOSSES["poisson"]().code)
    (found,) = forgotten(ROOT)
    assert found.startswith("loss poisson: it has neither a formula for single outputs nor a loop in fastgd/kernels")
