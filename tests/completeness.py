"""What an activation, a loss or an optimizer still lacks, each in a sentence; the steps are in CONTRIBUTING.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fastgd
from fastgd.files.exports.formulas import FORMULAS
from fastgd.kernels import formulas, rules
from fastgd.kernels.cpu.losses import KERNELS
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES
from fastgd.training.optimizers import OPTIMIZERS


def forgotten(root: Path) -> list[str]:
    """What is missing of the package that is imported; golden cases and README lie below the root."""
    golden = json.loads((root / "tests" / "golden" / "golden.json").read_text(encoding="utf-8"))
    readme = (root / "README.md").read_text(encoding="utf-8")
    kinds = {  # what users name, what kernels know, the cases that PyTorch has computed
        "activation": (ACTIVATIONS, formulas.ACTIVATION_CODES, set(golden["activations"]["cases"])),
        "loss": (LOSSES, formulas.LOSS_CODES, {case["loss"] for case in golden["losses"]}),
        "optimizer": (OPTIMIZERS, rules.UPDATE_CODES, {case["torch"] for case in golden["training"]["cases"].values()}),
    }
    homes = {
        "activation": ("fastgd/network/activations.py", "ACTIVATIONS of fastgd/kernels/formulas.py", "activations"),
        "loss": ("fastgd/network/losses.py", "LOSSES of fastgd/kernels/formulas.py", "losses"),
        "optimizer": ("fastgd/training/optimizers.py", "UPDATE_RULES of fastgd/kernels/rules.py", "optimizers"),
    }
    found = []
    for kind, (users, codes, cases) in kinds.items():
        home, table, row = homes[kind]
        told = set(re.findall(r"\w+", " ".join(re.findall(rf"^\| {row}.*", readme, re.MULTILINE))))
        lacks = {
            f"it has no row in the users' table, {home}": set(codes) - set(users),
            f"it has no formula in {table}": set(users) - set(codes),
            "it has no golden case: a line in tests/golden/make_golden.py, and run that": set(users) - cases,
            f"the row `{row}` of README.md's table does not name it": set(users) - told,
        }
        if kind == "activation":
            lacks["it has no formula in FORMULAS of fastgd/files/exports/formulas.py"] = set(users) - set(FORMULAS)
        if kind == "loss":
            lacks["it has neither a formula for single outputs nor a loop in fastgd/kernels/cpu/losses.py"] = {
                name for name, code in codes.items() if code not in KERNELS
            }
        if kind == "optimizer":
            lacks["fastgd/__init__.py does not offer it"] = set(users) - set(fastgd.__all__)
        found += [f"{kind} {name}: {lack}." for lack, names in lacks.items() for name in sorted(names)]
    return found
