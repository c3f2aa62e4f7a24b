"""How good a training has become, as tables: on the rows that it has seen, and on those held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .tally import Tally

if TYPE_CHECKING:
    from ..pages.page import Listing

PARTS = ("training", "held out")
RANKINGS = {"roc_auc": "AUC", "average_precision": "average precision"}  # which take all rows at once


def listings_of(measured: Sequence[dict[str, float]], tallies: Sequence[Tally]) -> list[Listing]:
    """Tables of what was measured on the rows of the training, and on those held out."""
    return (_of_classes if tallies[0].of_classes else _of_numbers)(measured, tallies)


def _of_numbers(measured: Sequence[dict[str, float]], tallies: Sequence[Tally]) -> list[Listing]:
    """How good a regression is on the rows that it has seen, and on the others."""
    from ..pages.page import Listing, number

    header = ["", "rows", "R²", "root mean squared error", "mean absolute error"]
    rows = [
        [name, f"{tally.n_rows:,}", _r2(m["r2"], tally), number(m["rmse"]), number(m["mae"])]
        for name, m, tally in zip(PARTS, measured, tallies, strict=True)
    ]
    return [Listing(header, rows)]


def _of_classes(measured: Sequence[dict[str, float]], tallies: Sequence[Tally]) -> list[Listing]:
    """How good a classifier is, and at which classes; of what no row says anything there is a dash."""
    from ..pages.page import Listing

    def share(m: dict[str, float], name: str) -> str:
        return f"{m[name]:.3f}" if name in m else "–"

    labels = sorted(set().union(*(tally.counts for tally in tallies)))
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced"}
    if any(name in m for name in RANKINGS for m in measured):
        of = f" of {labels[1]}" if len(labels) == 2 else ""
        names |= RANKINGS | {"average_precision": f"average precision{of}"}
    header = ["", "rows", *names.values()]
    rows = [
        [part, f"{tally.n_rows:,}", *(share(m, name) for name in names)]
        for part, m, tally in zip(PARTS, measured, tallies, strict=True)
    ]
    held_out, tally = measured[-1], tallies[-1]
    of_class = ("recall", "precision")
    each = [
        [str(label), f"{tally.counts[label]:,}", *(share(held_out, f"{name}_{label}") for name in of_class)]
        for label in labels
        if any(f"{name}_{label}" in held_out for name in of_class)
    ]
    return [Listing(header, rows)] + ([Listing(["held out", "rows", *of_class], each)] if each else [])


def _r2(value: float, tally: Tally) -> str:
    """R² as text; where actual values do not vary there is none."""
    from ..pages.page import number

    return f"{value:.3f}" if tally.varies and abs(value) < 1000 else number(value) if tally.varies else "–"
