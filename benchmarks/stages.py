"""The stages of a training step as compiled loops that repeat them, so that calling from Python is not measured.

A batch is walked in blocks of rows, as in the training loop. `run(repeats)` repeats a stage; `answer()` is what it
computed last, for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np
from cases import STAGES, Case
from problems import BLOCK, LEARNING_RATE, Problem, Tables, problem


class Stage(NamedTuple):
    """Something to be timed, and its answer."""

    run: Callable[[int], Any]
    answer: Callable[[], Any]


@lru_cache(maxsize=8)
def loops(package: ModuleType) -> dict[str, Any]:
    """For each stage a compiled function (repeats, batch, …) around the package's own kernel."""
    cpu = import_module(f"{package.__name__}.kernels.cpu")
    compile_module = import_module(f"{package.__name__}.kernels.compile")
    jit = numba.njit(**compile_module.OPTIONS)
    cpu_gather, cpu_forward, cpu_loss = cpu.gather, cpu.forward, cpu.loss_and_delta
    cpu_backward, cpu_transpose, cpu_update, cpu_predict = cpu.backward, cpu.transpose_weights, cpu.update, cpu.predict
    nothing = np.uint64(0)

    @jit
    def gather(repeats, batch, p, orders):
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                B = min(BLOCK, batch - start)
                w = p.workspace
                cpu_gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[start : start + B], p.net)

    @jit
    def forward(repeats, batch, p, orders):
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                B = min(BLOCK, batch - start)
                w = p.workspace
                cpu_forward(w.activations, w.slopes, w.x[:B], orders[:B], nothing, 0, p.net)

    @jit
    def loss(repeats, batch, p, orders):
        last = p.net.layers.shape[0] - 1
        O = p.net.layers[last, 1]
        outputs = p.net.layers[last, 4]
        for _ in range(repeats):
            for start in range(0, batch, BLOCK):
                B = min(BLOCK, batch - start)
                w = p.workspace
                predicted = w.activations[B * outputs : B * outputs + B * O].reshape(B, O)
                delta = w.deltas[last % 2, : B * O].reshape(B, O)
                cpu_loss(delta, predicted, w.y[:B], w.w[:B], 1.0 / batch, p.loss)

    @jit
    def backward(repeats, batch, p, orders):
        for _ in range(repeats):
            p.gradient[:] = 0
            cpu_transpose(p.workspace.transposed, p.net)
            for start in range(0, batch, BLOCK):
                B = min(BLOCK, batch - start)
                w = p.workspace
                cpu_backward(p.gradient, w.deltas, w.activations, w.slopes, w.x[:B], w.transposed, p.net)

    @jit
    def update(repeats, batch, p, orders):
        for _ in range(repeats):
            cpu_update(p.net, p.state, p.gradient, p.rule, LEARNING_RATE)

    @jit
    def predict_row_compiled(repeats, out, p):
        for _ in range(repeats):
            cpu_predict(out, p.workspace, p.rows.X[:1], p.net, p.loss)

    compiled = (gather, forward, loss, backward, update, predict_row_compiled)
    return {function.__name__: function for function in compiled}


def prepared(package: ModuleType, case: Case, data: Tables, kernels: ModuleType, block: int) -> tuple[Problem, Any]:
    """A problem on which the stages before the case's own have run, and the order of its rows."""
    p = problem(package, case, data, block)
    orders = np.zeros(case.batch_size, np.int64)
    kernels.row_order(orders, 0, len(data.X), p.rows.seed, 0, True)
    B = min(block, case.batch_size)
    w = p.workspace
    kernels.gather(w.x[:B], w.y[:B], w.w[:B], p.rows, orders[:B], p.net)
    if case.stage in ("loss", "backward", "update"):
        predicted = kernels.forward(w.activations, w.slopes, w.x[:B], orders[:B], np.uint64(0), 0, p.net)
        delta = w.deltas[(len(case.sizes) - 2) % 2, : predicted.size].reshape(predicted.shape)
        kernels.loss_and_delta(delta, predicted, w.y[:B], w.w[:B], 1 / case.batch_size, p.loss)
    return p, orders


def answer_of(case: Case, p: Problem) -> Any:
    """What a stage leaves behind."""
    last = case.sizes[-1] * min(BLOCK, case.batch_size)
    return {
        "gather": p.workspace.x,
        "forward": p.workspace.activations,
        "loss": p.workspace.deltas[(len(case.sizes) - 2) % 2, :last],
        "backward": p.gradient,
        "update": p.net.parameters,
    }[case.stage]


def stage(package: ModuleType, case: Case, data: Tables) -> Stage:
    """A stage of the compiled engine."""
    kernels = import_module(f"{package.__name__}.kernels.cpu")
    assert case.stage in STAGES
    p, orders = prepared(package, case, data, kernels, BLOCK)
    function = loops(package)[case.stage]
    return Stage(lambda repeats: function(repeats, case.batch_size, p, orders), lambda: answer_of(case, p))
