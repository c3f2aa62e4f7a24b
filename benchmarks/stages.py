"""The stages of a training step as compiled loops that repeat them, so that calling from Python is not measured.

A batch is walked in blocks of rows, as in the training loop; all blocks are the first one again, except when rows are
gathered. `run(repeats)` repeats a stage; `answer()` is what it computed last, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np

from .cases import STAGES, Case
from .problems import BLOCK, LEARNING_RATE, Problem, Tables, engine_of, model, optimizer, problem

COMPILED = (*STAGES, "predict_row_compiled")  # what compiled loops repeat
RULE = 2  # the place of the update rule in the table of addresses


class Stage(NamedTuple):
    """Something to be timed, its answer, and what it works on."""

    run: Callable[[int], Any]
    answer: Callable[[], Any]
    problem: Problem


@lru_cache(maxsize=8)
def loops(package: ModuleType) -> dict[str, Any]:
    """For each stage a compiled function (repeats, batch, …) around the package's own kernel."""
    cpu = engine_of(package)
    compile_module = import_module(f"{package.__name__}.kernels.machinery.compile")
    training = import_module(f"{package.__name__}.kernels.cpu.training")
    backpropagation = import_module(f"{package.__name__}.kernels.cpu.backward")
    launch = import_module(f"{package.__name__}.kernels.cpu.launch")
    jit = numba.njit(**compile_module.OPTIONS)
    cpu_gather, cpu_forward, cpu_loss, cpu_backward = cpu.gather, cpu.forward, training.loss_of_outputs, cpu.backward
    cpu_transpose, cpu_update = backpropagation.transpose_weights, launch.apply_update
    cpu_predict = training.predict_packed
    nothing, alone = np.uint64(0), launch.new_team_of_one()

    @jit
    def gather(repeats, batch, p, team, function, orders, delta):
        w = p.workspaces[0]
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                B = min(BLOCK, batch - start)
                cpu_gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[start : start + B], p.net)

    @jit
    def forward(repeats, batch, p, team, function, orders, delta):
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                cpu_forward(p.workspaces[0], min(BLOCK, batch - start), nothing, 0, p.net)

    @jit
    def loss(repeats, batch, p, team, function, orders, delta):
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                cpu_loss(p.workspaces[0], min(BLOCK, batch - start), 1.0 / batch, p.net, p.loss)

    @jit
    def backward(repeats, batch, p, team, function, orders, delta):
        w, side = p.workspaces[0], (p.net.layers.shape[0] - 1) % 2
        for _ in range(repeats):
            cpu_transpose(w, p.net)
            for start in range(0, batch, BLOCK):
                for i in range(delta.size):  # the layers below have written over it; from zeros only zeros would follow
                    w.deltas[side, i] = delta[i]
                cpu_backward(p.gradients[0], w, min(BLOCK, batch - start), start == 0, p.net)

    @jit
    def update(repeats, batch, p, team, function, orders, delta):
        for step in range(repeats):
            cpu_update(team, p.net, p.state, p.gradients, p.rule, LEARNING_RATE, step + 1, function)

    @jit
    def predict_row_compiled(repeats, out, X, words):
        for _ in range(repeats):
            cpu_predict(out, X, words)

    return {
        "gather": gather, "forward": forward, "loss": loss, "backward": backward, "update": update,
        "predict_row_compiled": predict_row_compiled, "team": alone,
    }  # fmt: skip


def prepared(package: ModuleType, case: Case, data: Tables, kernels: ModuleType, block: int) -> tuple[Problem, Any]:
    """A problem on which the stages before the case's own have run, and the order of its rows."""
    p = problem(package, case, data, block, kernels.__name__.rpartition(".")[2])
    orders = np.zeros(case.batch_size, np.int64)
    kernels.row_order(orders, 0, len(data.X), p.rows.seed, 0, True)
    B, w = min(block, case.batch_size), p.workspace
    if case.stage in ("forward", "loss", "backward"):
        kernels.gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[:B], p.net)
    if case.stage in ("loss", "backward"):
        kernels.forward(w, B, np.uint64(0), 0, p.net)
    if case.stage == "backward":
        predicted = kernels.last_outputs(w, B, p.net)
        delta = last_delta(case, p, B).reshape(predicted.shape)
        kernels.loss_and_delta(delta, predicted, w.y[:B], w.w[:B], 1 / case.batch_size, p.loss)
        if hasattr(w, "transposed"):
            import_module(f"{package.__name__}.kernels.cpu.backward").transpose_weights(w, p.net)
    if case.stage == "update":  # from zero on, the parameters are the change that is to be compared
        p.net.parameters[:] = 0
        p.gradient[:] = np.random.default_rng(0).normal(size=p.gradient.size)
    return p, orders


def last_delta(case: Case, p: Problem, B: int) -> Any:
    """d loss / d outputs of the last layer, for B rows."""
    return p.workspace.deltas[(len(case.sizes) - 2) % 2, : B * case.sizes[-1]]


def answer_of(case: Case, p: Problem) -> Any:
    """What a stage leaves behind."""
    return {
        "gather": p.workspace.x,
        "forward": p.workspace.activations,
        "loss": last_delta(case, p, min(BLOCK, case.batch_size)),
        "backward": p.gradient,
        "update": p.net.parameters,
    }[case.stage]


def stage(package: ModuleType, case: Case, data: Tables) -> Stage:
    """A stage of the compiled engine, or single predictions by it."""
    if case.stage == "predict_row_compiled":
        return single_predictions(package, case, data)
    assert case.stage in STAGES
    p, orders = prepared(package, case, data, engine_of(package), BLOCK)
    compiled = loops(package)
    function = int(p.workspace.addresses[RULE])
    p = p._replace(workspaces=tuple(p.workspaces))  # compiled code takes no lists of records
    delta = last_delta(case, p, min(BLOCK, case.batch_size)).copy()

    def run(repeats: int) -> None:
        compiled[case.stage](repeats, case.batch_size, p, compiled["team"], function, orders, delta)

    return Stage(run, lambda: answer_of(case, p), p)


def single_predictions(package: ModuleType, case: Case, data: Tables) -> Stage:
    """One row after another, asked for by compiled code; the scratch is what predictions have."""
    training = import_module(f"{package.__name__}.kernels.cpu.training")
    packing = import_module(f"{package.__name__}.kernels.machinery.packing")
    p = problem(package, case, data)
    p = p._replace(workspaces=tuple(engine_of(package).new_workspaces(p.net)), gradients=np.zeros(0))
    record = training.Prediction(p.workspace, p.net, p.loss)
    words, predict = packing.packed(record, p.net.parameters.dtype), loops(package)["predict_row_compiled"]
    out = np.zeros((1, case.sizes[-1]), case.dtype)

    def run(repeats: int, keep: Any = record) -> None:
        predict(repeats, out, p.rows.X[:1], words)

    return Stage(run, lambda: out, p)


def training_loop(package: ModuleType) -> Any:
    """The compiled loop over the steps of an epoch."""
    return import_module(f"{package.__name__}.kernels.cpu.training").train


# What the A/B tool asks of every version, so that their names and arguments stay.


def repeated(package: ModuleType, case: Case, data: Tables) -> tuple[Callable[[int], Any], Callable[[], Any]]:
    """(run, answer) of a case: run(repeats) does it so often; answer() is what came out, as an array."""
    if case.stage in COMPILED:
        made = stage(package, case, data)
        return made.run, lambda: np.array(made.answer())
    if case.stage not in ("epoch", "predict", "predict_row"):
        raise ValueError(f"it has no stage {case.stage}")
    made_model, rule = model(package, case), optimizer(package, case)
    X, y = data.X[: case.work_rows], data.Y if data.Y.shape[1] > 1 else data.Y[:, 0]

    def epochs(repeats: int) -> None:
        for _ in range(repeats):
            made_model.fit(data.X, y, epochs=1, batch_size=case.batch_size, optimizer=rule, verbose=0)

    def predictions(repeats: int) -> None:
        for _ in range(repeats):
            made_model.predict(X)

    if case.stage == "epoch":
        return epochs, lambda: made_model.parameters.copy()
    return predictions, lambda: made_model.predict(X)


def kernels_of(package: ModuleType, case: Case) -> list[Any]:
    """The compiled kernels in which a stage spends its time, those that are called by address included."""
    cpu = engine_of(package)
    names = ("products", "activations", "losses", "updates", "launch")
    products, activations, losses, updates, launch = (
        import_module(f"{package.__name__}.kernels.cpu.{name}") for name in names
    )
    made = model(package, case)
    hidden = made.network.activations[0].code
    return {
        "gather": [cpu.gather],
        "forward": [cpu.forward, products.product, activations.FORWARD[hidden]],
        "loss": [losses.KERNELS[made.network.loss.code]],
        "backward": [cpu.backward, products.product, activations.BACKWARD[hidden]],
        "update": [launch.apply_update, updates.kernel_of(optimizer(package, case).rule())],
    }[case.stage]
