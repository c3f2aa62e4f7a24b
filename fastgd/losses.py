"""Losses by name: formula and code of each; the loops are in kernels/."""

from __future__ import annotations

from dataclasses import dataclass

from .kernels import codes


@dataclass(frozen=True)
class LossFunction:
    """One number for how wrong predictions are; a batch's loss is the mean over its rows."""

    name: str
    formula: str  # of one row; p predicted, y actual, mean over the outputs
    code: int
    unit_power: int  # predictions in units k times as large have a loss k ** unit_power times as large


LOSSES = {loss.name: loss for loss in (LossFunction("mse", "mean of (p − y)²", codes.MSE, unit_power=2),)}
