"""What stacked networks have in common: their starting weights, and the orders in which they see the rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def weights_of(job: Any) -> list[tuple[Any, Any]]:
    """Of each layer, weights (n_networks, n_in, n_out), drawn as by Glorot and Bengio 2010, and biases of 0."""
    generators = [np.random.default_rng(seed) for seed in job.seeds]
    layers = []
    for n_in, n_out in pairwise(job.sizes):
        most = (6 / (n_in + n_out)) ** 0.5
        drawn = [g.uniform(-most, most, (n_in, n_out)).astype(np.float32) for g in generators]
        layers.append((np.stack(drawn), np.zeros((len(drawn), n_out), np.float32)))
    return layers


def batches_of(job: Any, generator: Any, n_rows: int) -> tuple[Any, Any]:
    """Numbers of rows for an epoch: of whole batches, (steps, n_networks or 1, rows), and of the rest."""
    order = np.tile(np.arange(n_rows, dtype=np.int32), (1 if job.one_order else len(job.seeds), 1))
    order = generator.permuted(order, axis=1)
    B = min(job.batch_size, n_rows)
    whole = n_rows // B * B
    batches = order[:, :whole].reshape(len(order), -1, B).swapaxes(0, 1)
    return np.ascontiguousarray(batches), order[:, whole:]


def flat_weights(job: Any) -> Any:
    """Those of the first network as one vector, layer by layer, weights before biases."""
    return np.concatenate([part[0].reshape(-1) for layer in weights_of(job) for part in layer])
