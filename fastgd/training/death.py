"""A network that died: it answers the same to rows that differ, and whose targets do.

A few rows tell most networks that live. Where they do not, the rows of the probe are looked at, and of all rows at hand
those with the lowest and the highest of each column and each target: a table may have hardly any others that differ.
Of a stream these are some rows, and those of the last buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.on_device import is_on_device
from ..errors import DeadNetworkWarning, warn
from ..kernels.codes import N_OUT, OUTPUTS
from ..kernels.records import Reals, Rows, read_only, resting, taken
from .feed import probe
from .run import Run

FEW_ROWS = 8  # a network that lives tells these apart
SAME = 1e-5  # part of the targets' spread: a network whose outputs vary by less answers the same to everything

Ranges = list[tuple[Reals, Reals]]  # of each layer the lowest and the highest output of each unit


def look_at_few(run: Run, rows: Rows) -> tuple[float, bool]:
    """The loss of a few rows, and whether the network may be dead: it gives next to the same to all of them."""
    few = _few(probe(rows, run.most_probed) if rows.weights.size else rows)
    loss = run.loss_of(few, resting(run.net))
    ends = _ends(run, len(few.X), run.net.layers[-1:]) if len(few.X) > 1 else []
    with np.errstate(all="ignore"):
        return loss, any(_is_same(low, high, 1.0) for low, high in ends)


def tell_if_dead(run: Run, *tables: Rows) -> bool:
    """Warn if a network answers the same to rows that differ, whose targets differ, and say whether it does."""
    seen = probe(tables[0], run.most_probed)
    ranges = _ranges(run, seen)
    if not _is_same(*ranges[-1], 1.0):
        return False
    if not is_on_device(seen.X) and not is_on_device(tables[0].X):
        seen = together(seen, *map(extremes, tables))
        ranges = _ranges(run, seen)
    targets = seen.Y.astype(np.float64) / run.net.target_std
    spread = min(float(np.ptp(targets, axis=0).max()), 1.0)
    if spread == 0 or np.ptp(seen.X, axis=0).max() == 0 or not _is_same(*ranges[-1], spread):
        return False
    flat = (index for index, (low, high) in enumerate(ranges) if _is_same(low, high, float(np.abs(high).max())))
    layer = next(flat, len(ranges) - 1)
    low, high = ranges[layer]
    why = f"The units of layer {layer} give the same for every row"
    if not high.any() and not low.any():
        why = f"All units of layer {layer} give 0 for every row, and can no longer learn"
    warn(
        f"The network has died: it predicts the same for every row. {why}. Start again from a new model, with a "
        "smaller learning rate, activation='leaky_relu' or other starting weights.",
        DeadNetworkWarning,
    )
    return True


def extremes(rows: Rows) -> Rows:
    """The rows that count with the lowest and the highest of each column and of each target."""
    counting = np.flatnonzero(rows.weights) if rows.weights.size else None
    places = set[int]()
    for values in (rows.X, rows.Y):
        for column in values.T:
            kept = column if counting is None else column[counting]
            places.update((int(kept.argmin()), int(kept.argmax())))
    chosen = np.array(sorted(places))
    return taken(rows, chosen if counting is None else counting[chosen])


def together(rows: Rows, *others: Rows) -> Rows:
    """All of these rows, one after the other, each counting the same."""
    parts = (rows, *others)
    X, Y = (read_only(np.concatenate(columns)) for columns in zip(*((part.X, part.Y) for part in parts), strict=True))
    return rows._replace(X=X, Y=Y, weights=rows.weights[:0], shuffle=False)


def _few(rows: Rows) -> Rows:
    """A few rows from all over the table."""
    n, rows = len(rows.X), rows._replace(weights=rows.weights[:0])
    if n <= FEW_ROWS:
        return rows._replace(shuffle=False)
    return taken(rows, np.arange(FEW_ROWS) * (n - 1) // (FEW_ROWS - 1))


def _is_same(low: Reals, high: Reals, spread: float) -> bool:
    """Whether each unit gives next to the same finite number to all rows; what is not finite has blown up."""
    return bool((high - low <= SAME * spread).all() and np.isfinite(high).all())


def _ranges(run: Run, rows: Rows) -> Ranges:
    """For each layer the lowest and the highest output of its units, over all rows, however much they count."""
    rows, block, ends = rows._replace(weights=rows.weights[:0]), len(run.workspaces[0].order), None
    for start in range(0, len(rows.X), block):
        part = rows._replace(X=rows.X[start : start + block], Y=rows.Y[start : start + block])
        run.loss_of(part, resting(run.net))
        found = _ends(run, len(part.X), run.net.layers)
        pairs = zip(ends or found, found, strict=True)
        ends = [(np.minimum(low, least), np.maximum(high, most)) for (low, high), (least, most) in pairs]
    return ends or []


def _ends(run: Run, B: int, layers: Any) -> Ranges:
    """The lowest and the highest output of the units of layers, for the B rows whose loss has just been measured."""
    activations = run.workspaces[0].activations
    outputs = [activations[B * row[OUTPUTS] : B * (row[OUTPUTS] + row[N_OUT])].reshape(B, -1) for row in layers]
    return [(a.min(axis=0), a.max(axis=0)) for a in outputs]
