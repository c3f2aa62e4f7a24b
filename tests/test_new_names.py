"""A new activation, loss or optimizer is a formula and a row of a table: nothing else knows them by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastgd

ROOT = Path(__file__).parents[1]

# What each needs: a formula with its place in the kernels' table, and a row in the users' table.
ADDED = {
    "kernels/formulas.py": """

def bent(z):
    return z * z + z


def bent_slope(z):
    return z + z + number(z, 1)


def fourth_power(p, y, constants):
    return (p - y) * (p - y) * (p - y) * (p - y)


def fourth_power_slope(p, y, constants):
    e = p - y
    return number(e, 4) * e * e * e


ACTIVATIONS = (*ACTIVATIONS, ActivationFormula("bent", bent, slope=bent_slope))
LOSSES = (*LOSSES, LossFormula("fourth_power", fourth_power, fourth_power_slope))
ACTIVATION_CODES["bent"], LOSS_CODES["fourth_power"] = len(ACTIVATIONS) - 1, len(LOSSES) - 1
""",
    "kernels/rules.py": """

def by_sign(g, c):
    return c[0] * where(g > number(g, 0), number(g, 1), number(g, -1))


UPDATE_RULES["BySign"] = (UpdateRule(by_sign, descent_constants),)
UPDATE_CODES["BySign"] = len(UPDATE_RULES) - 1
""",
    "network/activations.py": """
ACTIVATIONS["bent"] = Activation("bent", "z² + z", "", "he_normal")
""",
    "network/losses.py": """

class FourthPower(Loss):
    name, formula, power = "fourth_power", "e⁴", 4


LOSSES = {**LOSSES, "fourth_power": FourthPower}
""",
    "training/optimizers.py": """

@dataclass(frozen=True, repr=False)
class BySign(Optimizer):
    update_rule = "BySign"
    learning_rate: Rate = 0.01


OPTIMIZERS["BySign"] = BySign
""",
}

USED = """
import numpy as np
import fastgd
from fastgd.training.optimizers import OPTIMIZERS

assert '"bent"' in fastgd.MLP.__doc__ and '"fourth_power"' in fastgd.MLP.__doc__, fastgd.MLP.__doc__
X, y = np.random.default_rng(0).normal(size=(60, 3)), np.random.default_rng(1).normal(size=60)
made = lambda: fastgd.MLP([3, 5, 1], activation="bent", loss="fourth_power", dtype="float64", standardize=False)
ends = []
for device in ("cpu", "plain"):
    model = made()
    model.fit(X, y, epochs=0, device=device, verbose=0)
    assert abs(model.evaluate(X, y)["loss"] - np.mean((model.predict(X) - y) ** 4)) < 1e-9
    gradient, place, step = model.gradient(X, y), 4, 1e-6
    losses = []
    for sign in (1, -1):
        moved = made()
        moved.parameters[place] += sign * step
        losses.append(moved.evaluate(X, y)["loss"])
    assert abs((losses[0] - losses[1]) / (2 * step) - gradient[place]) < 1e-5 * abs(gradient).max()
    before = model.parameters.copy()
    model.fit(X, y, epochs=1, batch_size=60, optimizer=OPTIMIZERS["BySign"](), device=device, verbose=0)
    np.testing.assert_allclose(model.parameters, before - 0.01 * np.where(gradient > 0, 1, -1), atol=1e-12)
    ends.append(model.parameters)
np.testing.assert_allclose(*ends, atol=1e-12)
"""


@pytest.fixture
def enlarged(tmp_path):
    shutil.copytree(Path(fastgd.__file__).parent, tmp_path / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", tmp_path)
    for name, text in ADDED.items():
        path = tmp_path / "fastgd" / name
        path.write_text(path.read_text() + text)
    return tmp_path


def run(code, home):
    return subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True)


@pytest.mark.slow
def test_a_formula_and_a_row_are_all_that_a_new_one_needs(enlarged):
    result = run(USED, enlarged)
    assert result.returncode == 0, result.stderr


def test_the_readme_lists_the_names_of_the_tables(enlarged):
    code = "from tools import readme; print(readme.with_names(open('README.md', encoding='utf-8').read()))"
    rows = [line for line in run(code, enlarged).stdout.splitlines() if line.startswith("| ")]
    assert any(line.startswith("| activations") and "sigmoid, bent |" in line for line in rows)
    assert any(line.startswith("| losses") and "gaussian_nll, fourth_power; several" in line for line in rows)
    assert any(line.startswith("| optimizers") and "AdamW, BySign; weight decay" in line for line in rows)
    assert run(code, ROOT).stdout.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
