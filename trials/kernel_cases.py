"""Random networks, rows and tables as kernels take them: every width from 1 to 70, both dtypes, every loss."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from fastgd.kernels import engine
from fastgd.kernels.records import Codes, LossRecord, Net, Rows, Rule, State, read_only
from fastgd.losses import Huber, Quantile
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES
from fastgd.network.network import Inputs, Network
from fastgd.training.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

MOST = 70  # columns, units, outputs, rows
SWEPT = ("inputs", "hidden", "outputs", "rows")
DTYPES = ("float32", "float64")
SEVERAL_LEVELS = "quantile, several levels"
KINDS = (*LOSSES, SEVERAL_LEVELS)
N_KINDS = len(SWEPT) * MOST * len(DTYPES) * len(KINDS)  # cases of one sweep
STRIDE = 3559  # has no factor in common with any of these: neighbouring cases have little in common
LARGE_SHARE, LOOKUP_SHARE, MONOTONE_SHARE = 0.1, 0.3, 0.15

OPTIMIZERS: tuple[Optimizer, ...] = (
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True, weight_decay=0.1, l1=0.02),
    SGD(ema_decay=0.5),
    Adagrad(weight_decay=0.1, decay_biases=True),
    RMSprop(clip_value=0.3),
    RMSprop(momentum=0.5, ema_decay=0.8),
    Adam(clip_norm=0.5, l1=0.1),
    AdamW(weight_decay=0.3, ema_decay=0.9, clip_value=1.0, clip_norm=2.0),
)


class KernelCase(NamedTuple):
    """All that kernels take, and its description."""

    words: str
    net: Net
    rows: Rows
    loss: LossRecord
    rule: Rule
    state: State
    batch_size: int
    block_rows: int | None
    n_threads: int
    task: str  # of the loss
    codes: Codes
    table: Any  # (n_rows, n_columns) float64, for these codes
    n_encoded: int  # inputs that the table becomes

    @property
    def dtype(self) -> Any:
        """The dtype of the network."""
        return self.net.parameters.dtype

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows.X)

    def new_workspaces(self) -> Any:
        """Scratch of the compiled loops."""
        return engine("cpu").new_workspaces(
            self.net, self.loss, self.rule, self.batch_size, self.n_threads, self.block_rows
        )


class Swept(NamedTuple):
    """What is not left to chance in a case."""

    axis: str
    width: int  # of this axis
    dtype: str
    kind: str  # of loss


def swept(number: int) -> Swept:
    """The part of the sweep that a case is: every axis at every width, in both dtypes, with every loss."""
    place = number * STRIDE % N_KINDS
    place, axis = divmod(place, len(SWEPT))
    place, dtype = divmod(place, len(DTYPES))
    kind, width = divmod(place, MOST)
    return Swept(SWEPT[axis], width + 1, DTYPES[dtype], KINDS[kind])


def kernel_case(number: int, seed: int) -> KernelCase:
    """The case of this number."""
    axis, width, dtype, kind = swept(number)
    generator = np.random.default_rng([seed, number])
    sizes = {name: int(generator.integers(1, MOST + 1)) for name in SWEPT}
    if generator.random() < LARGE_SHARE:  # several shards of a batch, or columns that two threads divide
        sizes["rows"] = int(generator.integers(129, 700))
    sizes[axis] = width
    loss, n_out = loss_of(kind, sizes["outputs"], generator)
    n_hidden = int(generator.integers(axis == "hidden", 4))
    return _made(sizes, n_hidden, loss, n_out, np.dtype(dtype), generator)


def loss_of(kind: str, n_out: int, generator: Any) -> tuple[Any, int]:
    """A loss, and so many outputs, or those next to it that it can have."""
    if kind == "cross_entropy":
        return kind, max(n_out, 2)
    if kind == "gaussian_nll":
        return kind, n_out + n_out % 2
    if kind == SEVERAL_LEVELS:
        divisors = [n for n in range(2, 8) if n_out % n == 0] or [n_out]
        n_levels = int(generator.choice(divisors))
        return Quantile(tuple((level + 1) / (n_levels + 1) for level in range(n_levels))), n_out
    return (Huber(0.3) if kind == "huber" else kind), n_out


def _made(
    sizes: dict[str, int], n_hidden: int, loss: Any, n_out: int, real: np.dtype[Any], generator: Any
) -> KernelCase:
    network = _network(sizes, n_hidden, loss, n_out, generator)
    rows = _rows(network, sizes["rows"], real, generator)
    net = _net(network, real, generator)
    optimizer = OPTIMIZERS[generator.integers(len(OPTIMIZERS))]
    batch_size = int(generator.choice([1, generator.integers(1, sizes["rows"] + 1), sizes["rows"]]))
    block_rows = None if generator.random() < 0.5 else int(generator.integers(1, MOST + 1))
    codes, table, n_encoded = _table(sizes["inputs"], sizes["rows"], generator)
    hidden = "-".join(map(str, network.sizes[1:-1])) or "no hidden layer"
    case = KernelCase(
        "", net, rows, network.loss.record(net.target_std), optimizer.rule(), optimizer.new_state(net.parameters),
        batch_size, block_rows, int(generator.integers(1, 3)), network.loss.task, codes, table, n_encoded,
    )  # fmt: skip
    words = (
        f"{real}, {network.loss.name}, {network.inputs.n_columns} inputs ({len(network.inputs.lookups)} looked up), "
        f"{hidden}, {n_out} outputs, {sizes['rows']} rows, batches of {batch_size}, blocks of {block_rows}, "
        f"{case.n_threads} threads, {optimizer}"
    )
    return case._replace(words=words)


def _network(sizes: dict[str, int], n_hidden: int, loss: Any, n_out: int, generator: Any) -> Network:
    hidden = [sizes["hidden"], *generator.integers(1, MOST + 1, 2).tolist()][:n_hidden]
    dropout = [float(rate) for rate in generator.choice([0.0, 0.0, 0.3], len(hidden))]
    activation = [str(name) for name in generator.choice(list(ACTIVATIONS), len(hidden))]
    network = Network.from_names([sizes["inputs"], *hidden, n_out], activation, "identity", loss, dropout)
    if generator.random() < LOOKUP_SHARE:
        lookups = [tuple(pair) for pair in generator.integers(0, 9, (generator.integers(1, 5), 2)).tolist()]
        n_dense = max(sizes["inputs"] - len(lookups), 0)
        return dataclasses.replace(network, encoded=Inputs(n_dense, tuple(pair for pair in lookups if sum(pair))))
    if generator.random() < MONOTONE_SHARE:
        return dataclasses.replace(network, monotone=tuple(generator.integers(-1, 2, sizes["inputs"]).tolist()))
    return network


def _net(network: Network, real: np.dtype[Any], generator: Any) -> Net:
    inputs, n_targets, scaling = network.inputs, network.n_targets, network.loss.scaling
    net = network.new_net("glorot_uniform", real, int(generator.integers(1 << 31)))
    n_dense, n_bins = inputs.n_dense, len(net.bin_mean)
    net.input_mean[:n_dense] = generator.normal(size=n_dense)
    net.input_std[:n_dense] = generator.uniform(0.5, 2, n_dense)
    net.bin_mean[:], net.bin_scale[:] = generator.uniform(0, 1, n_bins), generator.uniform(0.5, 3, n_bins)
    if scaling == "standard":
        net.target_mean[:] = generator.normal(size=n_targets)
    if scaling != "none":
        net.target_std[:] = generator.uniform(0.5, 2, n_targets)
    return net


def _rows(network: Network, n_rows: int, real: np.dtype[Any], generator: Any) -> Rows:
    inputs, task, shape = network.inputs, network.loss.task, (n_rows, network.n_targets)
    knots = [sum(pair) + 2 for pair in inputs.lookups]
    positions = generator.uniform(0, 1, (n_rows, len(knots))) * (np.array(knots) - 1)
    X = np.hstack([generator.normal(size=(n_rows, inputs.n_dense)), positions]).astype(real)
    Y = {
        "classes": lambda: generator.integers(0, network.n_out, shape),
        "labels": lambda: generator.integers(0, 2, shape),
        "counts": lambda: generator.integers(0, 9, shape),
    }.get(task, lambda: generator.normal(size=shape))()
    weights = generator.uniform(0.1, 2, n_rows if generator.random() < 0.5 else 0).astype(real)
    seed = np.uint64(generator.integers(1 << 62))
    return Rows(
        read_only(X), read_only(Y.astype(real)), read_only(weights), seed, int(generator.integers(9)),
        bool(generator.random() < 0.7),
    )  # fmt: skip


def _table(n_columns: int, n_rows: int, generator: Any) -> tuple[Codes, Any, int]:
    """A table with gaps: numbers as they are, with bins, with a position that tells gaps, positions, and nothing."""
    kinds = generator.integers(0, 5, n_columns)
    is_dense, has_position = kinds <= 2, (kinds >= 1) & (kinds <= 3)
    n_bins = np.where(kinds == 2, generator.integers(1, 12, n_columns), 0)
    n_dense, n_encoded = int(is_dense.sum()), int(is_dense.sum() + has_position.sum())
    n_edges = np.where(kinds == 2, n_bins + 1, 0)
    edges = [np.sort(generator.normal(size=n)) for n in n_edges]
    columns = np.column_stack([
        np.where(is_dense, np.cumsum(is_dense) - 1, -1),
        np.where(has_position, n_dense + np.cumsum(has_position) - 1, -1),
        np.cumsum(n_edges) - n_edges,
        n_bins,
    ]).astype(np.int64)  # fmt: skip
    gaps, lowest = generator.normal(size=(2, n_columns))
    codes = Codes(columns, np.concatenate([np.zeros(0), *edges]), generator.normal(size=int(n_edges.sum())),
                  gaps, lowest, lowest + 1)  # fmt: skip
    table = generator.normal(size=(n_rows, n_columns))
    table[generator.random(table.shape) < 0.1] = math.nan
    return codes, table, n_encoded
