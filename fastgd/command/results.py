"""How good a training has become, as tables: on the rows that it has seen, and on those held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..pages.page import Listing

PARTS = ("training", "held out")


def listings_of(measured: list[dict[str, float]], targets: list[Any], is_of_classes: bool) -> list[Listing]:
    """Tables of what was measured on the rows of the training, and on those held out."""
    return (_of_classes if is_of_classes else _of_numbers)(measured, *targets)


def _of_numbers(measured: list[dict[str, float]], *targets: Any) -> list[Listing]:
    """How good a regression is on the rows that it has seen, and on the others."""
    from ..pages.page import Listing, number

    header = ["", "rows", "R²", "root mean squared error", "mean absolute error"]
    rows = [
        [name, f"{len(y):,}", _r2(m["r2"], y), number(m["rmse"]), number(m["mae"])]
        for name, m, y in zip(PARTS, measured, targets, strict=True)
    ]
    return [Listing(header, rows)]


def _of_classes(measured: list[dict[str, float]], *targets: Any) -> list[Listing]:
    """How good a classifier is, and at which classes; of what no row says anything there is a dash."""
    from ..pages.page import Listing

    def share(m: dict[str, float], name: str) -> str:
        return f"{m[name]:.3f}" if name in m else "–"

    labels = np.unique(np.concatenate(targets))
    of = f" of {labels[1]}" if len(labels) == 2 else ""
    header = ["", "rows", "accuracy", "balanced", "AUC", f"average precision{of}"]
    names = ("accuracy", "balanced_accuracy", "roc_auc", "average_precision")
    rows = [
        [part, f"{len(y):,}", *(share(m, name) for name in names)]
        for part, m, y in zip(PARTS, measured, targets, strict=True)
    ]
    held_out = measured[-1]
    each = [
        [
            str(label),
            f"{np.sum(targets[-1] == label):,}",
            share(held_out, f"recall_{label}"),
            share(held_out, f"precision_{label}"),
        ]
        for label in labels
        if f"recall_{label}" in held_out or f"precision_{label}" in held_out
    ]
    return [Listing(header, rows)] + ([Listing(["held out", "rows", "recall", "precision"], each)] if each else [])


def _r2(value: float, y: Any) -> str:
    """R² as text; where y does not vary there is none."""
    from ..pages.page import number

    return "–" if y.min() == y.max() else f"{value:.3f}" if abs(value) < 1000 else number(value)
