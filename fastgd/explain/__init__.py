"""What the network has learned, and how: read-only views of a model, made by its own engine."""

from __future__ import annotations

from .blame import blame, nudge, step
from .rates import Regime, learning_rates
from .table import Table

__all__ = ["Regime", "Table", "blame", "learning_rates", "nudge", "step"]
