"""What a network has learned, and how: views made by its own engine. Only `step` changes a model."""

from __future__ import annotations

from .blame import blame, nudge, step
from .rates import Regime, learning_rates
from .table import Table

__all__ = ["Regime", "Table", "blame", "learning_rates", "nudge", "step"]


def __dir__() -> list[str]:
    return sorted(__all__)
