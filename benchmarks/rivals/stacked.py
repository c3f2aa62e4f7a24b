"""What stacked networks have in common: their starting weights, and the orders in which they see the rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def weights_of(job: Any) -> list[tuple[Any, Any]]:
    """Of each layer, weights (n_networks, n_in, n_out) as drawn by He et al. 2015, and biases (n_networks, n_out)."""
    generators = [np.random.default_rng(seed) for seed in job.seeds]
    layers = []
    for n_in, n_out in pairwise(job.sizes):
        drawn = [g.normal(0.0, (2 / n_in) ** 0.5, (n_in, n_out)).astype(np.float32) for g in generators]
        layers.append((np.stack(drawn), np.zeros((len(drawn), n_out), np.float32)))
    return layers


def batches_of(job: Any, generator: Any, one_order: bool, n_rows: int) -> tuple[Any, Any]:
    """Numbers of rows for an epoch: of whole batches, (steps, n_networks or 1, rows), and of the rest."""
    order = np.tile(np.arange(n_rows, dtype=np.int32), (1 if one_order else len(job.seeds), 1))
    order = generator.permuted(order, axis=1)
    B = min(job.batch_size, n_rows)
    whole = n_rows // B * B
    batches = order[:, :whole].reshape(len(order), -1, B).swapaxes(0, 1)
    return np.ascontiguousarray(batches), order[:, whole:]
