"""Which of several networks make the best mean on held-out rows.

Source: Caruana, Niculescu-Mizil, Crew and Ksikes 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.rows import measured
from ..mlp import MLP
from ..model import measures
from ..model.blend import outputs_behind

STEPS, MOST_STEPS = 3, 48  # times the networks there are: the shares of those that are taken have so fine a grid


def greedy(
    models: Sequence[MLP], X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> NDArray[np.int64]:
    """How often each network is taken, (n_models,), where one after another is added that makes the loss smallest.

    A network may be taken again. Of all these means the best one counts.
    """
    first = models[0]
    rows = [measured(model.schema, X, y, sample_weight) for model in models]
    if class_weight is not None:
        of_classes = first.schema.weights_of_classes(class_weight, rows[0].Y)[rows[0].Y[:, 0].astype(np.int64)]
        weights = rows[0].weights if rows[0].weights.size else np.ones(len(of_classes))
        rows[0] = rows[0]._replace(in_loss=weights * of_classes)
    outs = [model.outputs_of(of.X)[0].astype(np.float64) for model, of in zip(models, rows, strict=True)]

    def loss(out: NDArray[np.float64]) -> float:
        behind = outputs_behind(first.schema, first.net, out)
        return measures.loss_of(first.schema, first.net, rows[0], behind)

    counts, total = np.zeros(len(models), np.int64), np.zeros_like(outs[0])
    best, lowest = counts, np.inf
    for step in range(1, min(STEPS * len(models), MOST_STEPS) + 1):
        losses = [loss((total + out) / step) for out in outs]
        chosen = int(np.argmin(losses))
        counts = counts + (np.arange(len(models)) == chosen)
        total = total + outs[chosen]
        if losses[chosen] < lowest:
            best, lowest = counts, losses[chosen]
    return best
