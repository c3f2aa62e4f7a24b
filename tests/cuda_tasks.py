"""All that the engine of the GPU does, on a small network: what tests of bits and barriers compare."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import cuda_double
import numpy as np
from networks import make_case

from fastgd.kernels.records import StepRequest
from fastgd.network.losses import LOSSES
from fastgd.training.optimizers import SGD, Adam

ADAM = Adam(clip_norm=0.05, weight_decay=0.1, ema_decay=0.8)


class Task(NamedTuple):
    """A network, its rows, and how the engine goes about them."""

    sizes: tuple[int, ...] = (3, 6, 5, 2)
    dtype: str = "float32"
    activation: Any = ("leaky_relu", "tanh")
    loss: Any = "mse"
    dropout: float = 0.3
    optimizer: Any = ADAM
    n_rows: int = 21
    batch_size: int = 20  # three tiles, the last one with four rows
    small_batch: int = 64  # up to here one block has the steps
    most_shards: int = 2  # of a batch of many blocks
    blocks: int = 1024  # of a launch over tiles
    only_trains: bool = False


def results(engine, task):
    """What comes out, by name: bits that must not depend on how threads and blocks are laid out."""
    engine.SMALL_BATCH, engine.TILE_BLOCKS = task.small_batch, task.blocks
    sys.modules[f"{cuda_double.ROOM}.memory"].MOST_SHARDS = task.most_shards
    n, activation = task.n_rows, list(task.activation)[: len(task.sizes) - 2]
    case = make_case(
        n, list(task.sizes), task.dtype, activation, loss=task.loss, dropout=task.dropout, weighted=True,
        optimizer=task.optimizer, block=12, batch_size=task.batch_size, kernels=engine,
    )  # fmt: skip
    net, rows, loss, (workspace,), state, sums = *case[:3], case.workspaces, case.state, np.zeros(2)
    rates = np.full(-(-n // task.batch_size), 0.01)
    engine.train(
        net, state, case.gradients, case.workspaces, sums, rows, 0, task.batch_size, rates, loss, task.optimizer.rule()
    )
    found = {"parameters": net.parameters, "sums": sums, **{k: v for k, v in state._asdict().items() if k != "step"}}
    if task.only_trains:
        return found
    out, gradient = np.zeros((n, task.sizes[-1]), task.dtype), np.zeros_like(case.gradients)
    found["is_fine"] = np.array([engine.predict(out, workspace, rows.X, net, loss)])
    found["mean_loss"] = np.array([engine.mean_loss(workspace, rows, net, loss)])
    found["loss"] = np.array([engine.batch_gradient(gradient, workspace, rows, 1, n - 1, net, loss)])
    engine.forward(workspace, 12, rows.seed, rows.epoch, net)
    return {
        **found, "predictions": out, "gradient": gradient, "activations": workspace.activations,
        "slopes": workspace.slopes,
    }  # fmt: skip


def requests_of(engine, seeds, **options):
    """A request of steps for each network; all learn from one table, each so many steps more than the one before."""
    all_cases = [make_case(30, [3, 4, 2], "float32", optimizer=Adam(), batch_size=5, **options) for _ in seeds]
    rows = all_cases[0].rows
    for k, case in zip(seeds, all_cases, strict=True):
        case.net.parameters[:] *= 1 + k / 10
        yield StepRequest(
            case.net, case.state, case.gradients, case.workspaces, np.zeros(2), rows._replace(seed=np.uint64(k)), 5, 5,
            np.full(2 + k, 0.01 * k), case.loss, Adam().rule(),
        )  # fmt: skip


def population(engine, seeds):
    """What networks learn that are trained together."""
    requests = list(requests_of(engine, seeds))
    taken = np.array(engine.train_many(requests))
    return {"taken": taken} | {f"network {k}": one.net.parameters for k, one in zip(seeds, requests, strict=True)}


def same(one, other):
    """Whether two results have the same bits."""
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


ONE_BLOCK, MANY_BLOCKS = 64, 0
TASKS = {
    "one block": Task(),
    "one block, float64": Task(dtype="float64", blocks=1),
    "many blocks": Task(small_batch=MANY_BLOCKS, blocks=1),
    "many blocks, float64": Task(small_batch=MANY_BLOCKS, dtype="float64", blocks=1),
    "many blocks without limits": Task(small_batch=MANY_BLOCKS, optimizer=SGD(0.1, momentum=0.5), blocks=1),
    "one layer": Task(sizes=(3, 2), dropout=0.0, loss="mae", blocks=1),
    "one layer, many blocks": Task(sizes=(3, 2), dropout=0.0, loss="mae", small_batch=MANY_BLOCKS, blocks=1),
    "classes": Task(sizes=(3, 7, 4), loss="cross_entropy", activation=("gelu",), blocks=1),
    "several spans": Task(sizes=(3, 6, 2), n_rows=290, batch_size=12, optimizer=SGD(0.01), only_trains=True),
    "a span of many shards": Task(
        sizes=(3, 6, 2), n_rows=290, batch_size=290, optimizer=SGD(0.01), small_batch=MANY_BLOCKS, most_shards=1,
        only_trains=True,
    ),
}  # fmt: skip
assert all(task.loss in LOSSES for task in TASKS.values())
