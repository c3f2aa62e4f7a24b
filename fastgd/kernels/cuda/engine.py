"""The engine of device="cuda": what the package asks for, as launches; see ../__init__.py for the contract.

Small batches: one block trains one network for many steps, in one launch (`train_many`: many networks, a block each).
Large batches: shards of rows, each with a gradient of its own; a second launch adds these in their order and moves the
parameters. What a network learns depends neither on the number of blocks nor of threads, nor on which of the two did
it. Between two chunks of steps the network lies in the memory of the host, where the package looks at it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..plain import encode, gather, row_order, to_user_units
from ..records import LossRecord, Net, Reals, Rows, Rule, State, StepRequest, Workspace, new_workspace
from . import kernels, layout
from .launches import NO_RULE, Shards, Update, place_network, run_tiles, scratch
from .memory import name_of, on_device, shards_of, work_of
from .packing import (
    features_of,
    held_of,
    hyper_record,
    job_of,
    pack_parameters,
    pack_state,
    places_of,
    scales_record,
    unpack_state,
)
from .shim import cuda, errors, require, room_for

__all__ = [
    "batch_gradient",
    "encode",
    "forward",
    "gather",
    "is_compiled",
    "mean_loss",
    "new_gradients",
    "new_workspaces",
    "predict",
    "predicting",
    "row_order",
    "to_user_units",
    "train",
    "train_many",
]

require()

BLOCK_ROWS = 1024  # of a workspace, and for what a kernel that trains nothing is compiled, whatever the table's length
SMALL_BATCH = 64  # rows: up to here one block is as fast as many
CHUNK_BYTES = 1 << 28  # of rows that are predicted at once
STATE_BYTES = 1 << 30  # of networks that train at once


def is_compiled() -> bool:
    """Whether some training has been compiled in this process; machine code for other shapes is not kept."""
    return kernels.training_kernel.cache_info().currsize + kernels.updating_kernel.cache_info().currsize > 0


def new_workspaces(
    net: Net,
    loss: LossRecord | None = None,
    rule: Rule | None = None,
    batch_size: int = 1,
    n_threads: int = 1,
    block_rows: int | None = None,
) -> list[Workspace]:
    """Scratch on the host, for what the package looks at; on the device it is made for each launch."""
    return [new_workspace(net, block_rows or BLOCK_ROWS)]


def new_gradients(net: Net, batch_size: int) -> Reals:
    """One gradient (1, n_parameters): that of the batch."""
    return np.zeros((1, net.parameters.size), net.parameters.dtype)


def train(*arguments: Any) -> int:
    """Take one step for each learning rate; returns how many were taken. The arguments are those of StepRequest."""
    request = StepRequest(*arguments)
    with errors():
        if request.batch_size > SMALL_BATCH:
            return _train_by_shards(request)
        return _train_by_networks([request])[0]


def train_many(requests: list[StepRequest]) -> list[int]:
    """The same for many networks: those of one shape, rule and table in one launch. Returns each one's steps."""
    groups: dict[Any, list[int]] = {}
    taken = [0] * len(requests)
    with errors():
        for number, request in enumerate(requests):
            groups.setdefault(_kind(request), []).append(number)
        for kind, numbers in groups.items():
            together = [requests[number] for number in numbers]
            if kind is None:
                found = [_train_by_shards(request) for request in together]
            else:
                found = _train_by_networks(together)
            for number, steps in zip(numbers, found, strict=True):
                taken[number] = steps
    return taken


def _kind(request: StepRequest) -> Any:
    """What networks of one launch have in common; None for a batch so large that its shards have several tiles.

    For then the order of the sums is another one, and a network would not learn what it does alone.
    """
    work = work_of(request.net, request.loss, request.batch_size, trains=True)
    _, per = shards_of(work.plan, min(request.batch_size, len(request.rows.X)))
    if per > work.plan.tile.T:
        return None
    step = layout.step_of(request.net, request.rule, bool(request.state.average.size))
    features = features_of(request.net, work.plan.shape).tobytes()
    table = tuple(name_of(part) for part in (request.rows.X, request.rows.Y, request.rows.weights))
    return work, step, held_of(step, request.state), features, table


def _train_by_networks(requests: list[StepRequest]) -> list[int]:
    """A block for each network; all are of one kind."""
    first = requests[0]
    work = work_of(first.net, first.loss, first.batch_size, trains=True)
    step = layout.step_of(first.net, first.rule, bool(first.state.average.size))
    held, plan, dtype = held_of(step, first.state), work.plan, first.net.parameters.dtype
    most = max(STATE_BYTES // ((held.n_rows + 1) * plan.parameters.size * dtype.itemsize), 1)
    if len(requests) > most:
        return _train_by_networks(requests[:most]) + _train_by_networks(requests[most:])
    n, size = len(requests), plan.parameters.size
    state = np.empty((n, held.n_rows, size), dtype)
    rates = np.zeros((n, max(max(len(request.learning_rates) for request in requests), 1)))
    for number, request in enumerate(requests):
        pack_state(state[number], request.net, request.state, request.rule, plan)
        rates[number, : len(request.learning_rates)] = request.learning_rates
    jobs = np.concatenate([
        job_of(request.rows, request.place, request.batch_size, int(request.state.step[0]), len(request.learning_rates))
        for request in requests
    ])  # fmt: skip
    scales = np.stack([scales_record(request.net, request.loss) for request in requests])
    hyper = np.stack([hyper_record(request.net, request.rule) for request in requests])
    results = np.zeros((n, 3))
    tiles = 0 if work.room.tile else n * plan.tile.size * dtype.itemsize
    room_for(2 * state.nbytes + tiles, "Training")
    there, told = cuda.to_device(state), cuda.to_device(results)
    kernels.training_kernel(plan, step, held, work.room)[n, plan.NT, 0, work.room.bytes](
        there, cuda.device_array((n, size), dtype), scratch(work, n), cuda.to_device(scales), cuda.to_device(hyper),
        cuda.to_device(features_of(first.net, plan.shape)), cuda.to_device(jobs), cuda.to_device(rates),
        on_device(first.rows.X), on_device(first.rows.Y), on_device(first.rows.weights), told,
    )  # fmt: skip
    there.copy_to_host(state)
    told.copy_to_host(results)
    for request, rows, (steps, loss, weight) in zip(requests, state, results, strict=True):
        unpack_state(rows, request.net, request.state, plan)
        request.state.step[0] += int(steps)
        request.sums[:] += loss, weight
    return [int(steps) for steps in results[:, 0]]


NO_STATE = State(np.zeros(1, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def _train_by_shards(request: StepRequest) -> int:
    """Many blocks for each batch. Without learning rates all is compiled, and nothing learned."""
    net, state, rows, loss, rule = request.net, request.state, request.rows, request.loss, request.rule
    work = work_of(net, loss, request.batch_size, trains=True)
    step = layout.step_of(net, rule, bool(state.average.size))
    held, plan, dtype, n_rows = held_of(step, state), work.plan, net.parameters.dtype, len(rows.X)
    rates = request.learning_rates if len(request.learning_rates) else np.zeros(1)
    host = np.empty((1, held.n_rows, plan.parameters.size), dtype)
    pack_state(host[0], net, state, rule, plan)
    placed = place_network(work, host, net, loss, rule, job_of(rows))
    sum_shards = Shards(work, rows, placed, min(request.batch_size, n_rows - request.place), backward=True)
    update = Update(work, step, held, placed, sum_shards, len(rates))
    lengths = []
    for index, rate in enumerate(rates.tolist()):
        place = request.place + index * request.batch_size
        lengths.append(min(request.batch_size, n_rows - place))
        n_shards = sum_shards(place, lengths[-1])
        update(n_shards, rate, int(state.step[0]) + index + 1, index)
    results = update.results.copy_to_host()
    if not len(request.learning_rates):
        return 0
    placed.state.copy_to_host(host)
    unpack_state(host[0], net, state, plan)
    taken = int(results[:, 0].sum())
    state.step[0] += taken
    for n, (_, value, weight) in zip(lengths[:taken], results.tolist(), strict=False):
        request.sums[0] += value * n
        request.sums[1] += weight
    return taken


def batch_gradient(
    gradients: Reals, workspace: Workspace, rows: Rows, place: int, n: int, net: Net, loss: LossRecord
) -> float:
    """gradients[0] = Σ weight · gradient of n rows, over n; returns their loss, likewise."""
    with errors():
        work = work_of(net, loss, n, trains=True)
        step = layout.step_of(net, NO_RULE, has_average=False)
        held = held_of(step, NO_STATE)
        host = np.empty((1, held.n_rows, work.plan.parameters.size), net.parameters.dtype)
        pack_state(host[0], net, NO_STATE, NO_RULE, work.plan)
        placed = place_network(work, host, net, loss, None, job_of(rows))
        shards = Shards(work, rows, placed, n, backward=True)
        add = Update(work, step, held, placed, shards, 1, moves=False)
        add(shards(place, n), 0.0, 1, 0)
        places = places_of(net.layers, work.plan.parameters)
        gradients[0] = add.gradient.copy_to_host()[0][places]
        return float(add.results.copy_to_host()[0, 1])


def mean_loss(workspace: Workspace, rows: Rows, net: Net, loss: LossRecord) -> float:
    """Σ weight · loss / Σ weight over all rows; leaves the last block's outputs in workspace.activations."""
    n = len(rows.X)
    with errors():
        work = work_of(net, loss, BLOCK_ROWS, trains=False)
        host = pack_parameters(net, work.plan)
        placed = place_network(work, host, net, loss, None, job_of(rows))
        shards = Shards(work, rows, placed, n, backward=False)
        shards(0, n, 1.0)
        results = shards.results.copy_to_host()
    B = (n - 1) % len(workspace.order) + 1
    order = workspace.order[:B]
    row_order(order, n - B, n, rows.seed, rows.epoch, rows.shuffle)  # type: ignore[no-untyped-call]
    gather(workspace.x[:B], workspace.y[:B], workspace.w[:B], rows, order, net)  # type: ignore[no-untyped-call]
    forward(workspace, B, rows.seed, rows.epoch, net)
    return float(results[:, 1].sum() / results[:, 2].sum())


def forward(workspace: Workspace, B: int, seed: Any, epoch: int, net: Net) -> None:
    """Every layer's outputs for B rows of workspace.x, and f′(z) where it is asked for; dropout reads the order."""
    with errors():
        work = work_of(net, NO_LOSS, BLOCK_ROWS, trains=True)
        host = pack_parameters(net, work.plan)
        rows = Rows(workspace.x[:B], workspace.y[:B], workspace.w[:0], seed, epoch, False)
        n_outputs = B * sum(n_out for _, n_out, *_ in work.plan.shape.layers)
        out = np.zeros((2, n_outputs), net.parameters.dtype)
        run_tiles(
            work, place_network(work, host, net, NO_LOSS, None, job_of(rows)), rows.X, workspace.order[:B], out, True
        )
    workspace.activations[:n_outputs] = out[0]
    if workspace.slopes.size:
        workspace.slopes[:n_outputs] = out[1]


NO_LOSS = LossRecord(0, np.zeros(0), np.zeros(0))


def predict(out: Reals, workspace: Workspace, X: Any, net: Net, loss: LossRecord) -> bool:
    """out (n, O) = predictions for X; returns whether all inputs in standard units and all predictions are finite."""
    n = max(CHUNK_BYTES // (X.shape[1] * X.dtype.itemsize), 1)
    if len(X) > n and not hasattr(X, "device_array"):
        parts = [predict(out[at : at + n], workspace, X[at : at + n], net, loss) for at in range(0, len(X), n)]
        return all(parts)
    with errors():
        work = work_of(net, loss, BLOCK_ROWS, trains=False)
        host = pack_parameters(net, work.plan)
        answers = np.empty((len(X), out.shape[1] + 1), out.dtype)
        job = job_of(Rows(X, X, np.zeros(0), np.uint64(0), 0, False))
        run_tiles(work, place_network(work, host, net, loss, None, job), X, np.zeros(1, np.int64), answers, False)
    out[:] = answers[:, :-1]
    return bool(answers[:, -1].all())


def predicting(workspace: Workspace, net: Net, loss: LossRecord) -> Any:
    """The function predict(out, X) for these."""
    return lambda out, X: predict(out, workspace, X, net, loss)
