"""Pictures of what one column does: curves over numbers, and over labels a dot for each, with its spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..explain.features import PartialDependence

SPREAD = "10 to 90 % of the rows"


def one_output(ax: Axes, curve: PartialDependence) -> Axes:
    """Mean predictions, and where they lie from the 10th to the 90th percentile of the rows."""
    values, output = np.asarray(curve.values), getattr(curve, "output", "prediction")
    ax.set(xlabel=drawing.literal(curve.feature), ylabel=_called(output))
    if values.dtype.kind == "U":
        places = np.arange(len(values))
        ax.vlines(places, curve.low, curve.high, color=drawing.BLUE, alpha=0.2, linewidth=6, label=SPREAD)
        ax.plot(places, curve.predictions, "o", color=drawing.BLUE, label="mean of the rows")
    else:
        ax.fill_between(values, curve.low, curve.high, color=drawing.BLUE, alpha=0.2, linewidth=0, label=SPREAD)
        marker = "." if len(values) <= drawing.FEW else None
        ax.plot(values, curve.predictions, color=drawing.BLUE, marker=marker, label="mean of the rows")
    ax.legend()
    return _write_values(ax, values)


def several_outputs(ax: Axes, curves: Sequence[PartialDependence]) -> Axes:
    """The mean probability of each class over the values of one feature; no more curves than colours."""
    values = np.asarray(curves[0].values)
    has_labels = values.dtype.kind == "U"
    places, line = (np.arange(len(values)), "none") if has_labels else (values, "-")
    every = 1 if has_labels else max(len(values) // 8, 1)
    for curve, colour, marker in zip(curves, drawing.COLOURS, drawing.MARKERS, strict=False):
        name = drawing.literal(curve.output.removeprefix("probability of "))
        ax.plot(places, curve.predictions, color=colour, marker=marker, markevery=every, linestyle=line, label=name)
    ax.set(xlabel=drawing.literal(curves[0].feature), ylabel="mean probability", ylim=(-0.02, 1.02))
    ax.legend(fontsize="small")
    return _write_values(ax, values)


def _called(output: str) -> str:
    return drawing.literal(output) + ("" if output.startswith("probability") else " (units of y)")


def _write_values(ax: Axes, values: Any) -> Axes:
    """Numbers or labels across that do not run into each other."""
    from .ticks import write_apart, write_labels

    if values.dtype.kind == "U":
        write_labels(ax, [drawing.literal(label) for label in values.tolist()])
    else:
        write_apart(ax)
    return ax
