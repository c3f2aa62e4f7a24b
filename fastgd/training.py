"""The conductor: hands the compiled training loop chunks of steps, and looks up between them.

A chunk takes 50 to 100 ms, because nobody can be heard inside a compiled loop: progress, Ctrl-C and the check for
divergence happen between chunks. What the network learns does not depend on where the chunks end.
"""

from __future__ import annotations

import math
import time
from types import ModuleType

import numpy as np

from .errors import DivergenceError
from .history import History
from .kernels.records import Loss, Net, Rows, new_workspace
from .optimizers import Optimizer
from .progress import Display

CHUNK_SECONDS = 0.07
FIRST_CHUNK_STEPS = 64
MOST_CHUNK_STEPS = 1 << 16  # learning rates come as an array, one value per step of the chunk


def fit(
    net: Net,
    rows: Rows,
    loss: Loss,
    optimizer: Optimizer,
    kernels: ModuleType,
    *,
    epochs: int,
    batch_size: int,
    shown: Display,
) -> History:
    """Train `net` in place for `epochs` passes over `rows`, the first with number rows.epoch."""
    n_rows = len(rows.X)
    batch_size = min(batch_size, n_rows)
    workspace = new_workspace(net, kernels.BLOCK_ROWS or batch_size)
    gradient = np.zeros_like(net.parameters)
    history = History({"loss": []}, engine=kernels.__name__.rpartition(".")[2])
    rule = optimizer.rule()
    steps_per_epoch = math.ceil(n_rows / batch_size)
    chunk = FIRST_CHUNK_STEPS

    if not kernels.is_compiled():
        shown.compiling()
    # No learning rates, no steps: this only compiles, so that the clock below measures training.
    kernels.train(net, gradient, workspace, np.zeros(1), rows, 0, batch_size, np.zeros(0), loss, rule)

    shown.begin(epochs, n_rows)
    started = time.perf_counter()
    finished = False
    try:
        for epoch in range(epochs):
            this_epoch = rows._replace(epoch=rows.epoch + epoch)
            progress = np.zeros(1)  # loss of each step times its rows, added up over the epoch
            done = 0
            while done < steps_per_epoch:
                n_steps = min(chunk, steps_per_epoch - done)
                rates = np.full(n_steps, float(optimizer.learning_rate))
                kept = net.parameters.copy()
                chunk_started = time.perf_counter()
                taken = kernels.train(
                    net,
                    gradient,
                    workspace,
                    progress,
                    this_epoch,
                    done * batch_size,
                    batch_size,
                    rates,
                    loss,
                    rule,
                )
                elapsed = time.perf_counter() - chunk_started
                history.steps += taken
                if taken < n_steps or not np.isfinite(net.parameters).all():
                    net.parameters[:] = kept
                    raise _diverged(history.steps, epoch, optimizer)
                done += n_steps
                rows_done = min(done * batch_size, n_rows)
                history.rows_seen = epoch * n_rows + rows_done
                history.seconds = time.perf_counter() - started
                shown.advance(epoch, rows_done, progress[0] / rows_done)
                wanted = n_steps * CHUNK_SECONDS / max(elapsed, 1e-9)
                chunk = int(min(max(wanted, n_steps / 8, 1), n_steps * 8, MOST_CHUNK_STEPS))
            logs = {"loss": float(progress[0] / n_rows)}
            history.append(logs)
            shown.epoch_end(epoch, logs)
        finished = True
    except KeyboardInterrupt:
        history.stop_reason = f"interrupted in epoch {history.epochs + 1}"
        finished = True
    finally:
        shown.end(history if finished else None)
    return history


def _diverged(step: int, epoch: int, optimizer: Optimizer) -> DivergenceError:
    rate = optimizer.learning_rate
    return DivergenceError(
        f"Training diverged at step {step} (epoch {epoch + 1}): the loss is no longer a finite number. The model keeps "
        f"its last good weights; try a smaller learning rate, such as {rate / 10:.2g} instead of {rate:.2g}."
    )
