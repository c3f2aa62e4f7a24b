"""A network with random parameters and rows, ready for any engine: what several test files share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgd.kernels import cpu
from fastgd.kernels.records import LossRecord, Net, Rows, State, Workspace
from fastgd.losses import Huber, Quantile
from fastgd.network.losses import LOSSES
from fastgd.network.network import Network
from fastgd.training.optimizers import SGD, Optimizer

TINY_SHAPES = [(1, [1, 1]), (3, [2, 3, 1]), (5, [3, 5, 4, 2])]
ODD_SHAPES = [
    *TINY_SHAPES,
    (1, [4, 64, 64, 1]),
    (7, [1, 63, 65, 1]),
    (65, [5, 130, 3, 4]),
    (130, [64, 1, 63, 5]),
]
DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def losses_to_test() -> Any:
    """Every loss, with a number of outputs that suits it."""
    yield from ((name, 2) for name in LOSSES if name not in ("quantile", "cross_entropy"))
    yield from ((Quantile([0.1, 0.5, 0.9]), 6), ("quantile", 1), ("cross_entropy", 4), (Huber(0.3), 3))


class Case(NamedTuple):
    """Everything that kernels take, made anew for each engine so that neither sees what the other wrote."""

    net: Net
    rows: Rows
    loss: LossRecord
    optimizer: Optimizer
    workspaces: list[Workspace]
    gradients: Any

    @property
    def state(self) -> State:
        return self.optimizer.new_state(self.net.parameters)

    @property
    def workspace(self) -> Workspace:
        return self.workspaces[0]


def make_case(
    n_rows: int,
    sizes: list[int],
    dtype: str,
    activation: Any = "tanh",
    output: str = "identity",
    loss: Any = "mse",
    dropout: Any = 0.0,
    weighted: bool = False,
    optimizer: Optimizer | None = None,
    block: int | None = 64,
    batch_size: int = 1,
    n_threads: int = 1,
    kernels: Any = cpu,
) -> Case:
    """A network of `sizes` with random parameters and scaling, `n_rows` random rows, and the scratch of an engine."""
    network = Network.from_names(sizes, activation, output, loss, dropout)
    generator = np.random.default_rng(sum(sizes) + n_rows)
    real = np.dtype(dtype)

    def normal(*shape: int) -> Any:
        return generator.normal(size=shape).astype(real)

    X, Y = normal(n_rows, sizes[0]), normal(n_rows, network.n_targets)
    scaling = network.loss.scaling
    if network.loss.task == "classes":
        Y = generator.integers(0, sizes[-1], (n_rows, 1)).astype(real)
    elif network.loss.task in ("labels", "counts"):
        Y = generator.integers(0, 2 if network.loss.task == "labels" else 9, Y.shape).astype(real)
    weights = np.abs(normal(n_rows)) if weighted else np.zeros(0, real)
    if weighted:
        weights /= weights.mean()  # as they come to kernels
    for array in (X, Y, weights):
        array.flags.writeable = False
    n_targets = network.n_targets
    net = Net(
        parameters=network.starting_values("glorot_uniform", real, 1) + real.type(0.1) * normal(network.n_parameters),
        layers=network.layers(),
        input_mean=normal(sizes[0]),
        input_std=np.abs(normal(sizes[0])) + real.type(0.5),
        target_mean=normal(n_targets) if scaling == "standard" else np.zeros(n_targets, real),
        target_std=np.abs(normal(n_targets)) + real.type(0.5) if scaling != "none" else np.ones(n_targets, real),
        dropout=np.array(network.dropout, real),
        lookups=np.zeros((0, 3), np.int64),
        bin_mean=np.zeros(0, real),
        bin_scale=np.zeros(0, real),
        signs=network.signs(real),
    )
    record, optimizer = network.loss.record(net.target_std), optimizer or SGD()
    return Case(
        net,
        Rows(X, Y, weights, np.uint64(3), 0, True),
        record,
        optimizer,
        kernels.new_workspaces(net, record, optimizer.rule(), batch_size, n_threads, block),
        kernels.new_gradients(net, batch_size),
    )


def assert_close(actual: Any, expected: Any, dtype: str, factor: float = 1.0) -> None:
    """Equal to rounding errors, which are held against the largest of all entries."""
    scale = float(np.max(np.abs(expected), initial=1.0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale * factor)
