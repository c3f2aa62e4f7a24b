"""All trials there are: those of every module beside this one that has some."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

from .trial import Trial

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
FRAME = {"__main__", "catalogue", "ledger", "promises", "trial"}


def trials() -> dict[str, Trial]:
    """Every trial by its name, in the order of the modules' names."""
    found: dict[str, Trial] = {}
    for name in sorted({module.name for module in pkgutil.iter_modules([str(FOLDER)])} - FRAME):
        for trial in getattr(importlib.import_module(f".{name}", __package__), "TRIALS", ()):
            if trial.name in found:
                raise ValueError(f"Two trials have the name {trial.name!r}: rename one.")
            found[trial.name] = trial
    return found


def result_of(name: str) -> dict[str, Any] | None:
    """What was recorded of a trial, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
