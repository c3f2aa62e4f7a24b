"""The kernels and their contract: which there are, in which order, what each writes.

Every engine has the same kernels with the same names and arguments: what is written comes first, then what is read,
then places and sizes; what describes the task (net, loss, rule) stands last. Three things stand apart: makers of arrays
take the network first, `train` and `update` write it and begin with it, and the learning rate of one step comes last.
A chunk of training is many steps, a step takes one batch, a batch has shards, and a shard is walked in blocks of rows.
`cpu` is explicit loops compiled by Numba; `plain` is the same in NumPy: the engine
to read, and the oracle of tests and benchmarks; `cuda` is for NVIDIA GPUs, and needs one. Arrays are checked before
they come here.

What the package needs of an engine:

    is_compiled()                                           returns whether the training loop was compiled before
    new_workspaces(net, loss, rule, batch_size, n_threads, block_rows)   one for each thread that such a batch can use
    new_gradients(net, batch_size)                          (n_shards, n_parameters): one for each shard of a batch
    row_order(order, place, n_rows, seed, epoch, shuffle)   order[i] = the row at place + i of the epoch
    gather(x, y, w, rows, order, net)                       x, y = the rows named by order in standard units (numbers
                                                            of classes stay), w = their weights
    encode(out, X, codes)                                   out = the inputs of a network for a table X, see
                                                            records.Codes
    forward(workspace, B, seed, epoch, net)                 every layer's outputs for B rows of workspace.x, and f′(z)
                                                            where it is asked for; dropout reads workspace.order
    train(net, state, gradients, workspaces, sums, rows, place, batch_size, learning_rates, loss, rule)
                                                            one step per learning rate, up to a loss that is not finite;
                                                            sums (2,) += loss · rows, and weights, of each step; returns
                                                            how many steps were taken
    batch_gradient(gradients, workspace, rows, place, n, net, loss)   gradients[0] = Σ weight · gradient of n rows,
                                                            over n; returns their loss, likewise
    mean_loss(workspace, rows, net, loss)                   returns Σ weight · loss / Σ weight over all rows; leaves the
                                                            last block's outputs in workspace.activations
    predict(out, workspace, X, net, loss)                   out = what the network puts out for X, both in the user's
                                                            units; returns whether all inputs in standard units and
                                                            all outputs are finite
    predicting(workspace, net, loss)                        returns the function predict(out, X) for these
    to_user_units(out, outputs, net, loss)                  out = predictions, rates or probabilities

An engine that gains by it also has

    train_many(requests)                                    the same for many networks, each a records.StepRequest, in
                                                            as few launches as it can; returns for each what `train`
                                                            returns, or the error that it raises

Its kernels are called from many threads, of which one at a time calls `train_many` for what trains together; a request
without learning rates only makes sure that all is compiled.

Whoever predicts or measures passes `resting(net)`, see records.py: a network without dropout.

`cuda` has all these names, and train_many; row_order, gather, encode and to_user_units, which the package asks for on
the host, it takes from `plain`.

The stages one by one, for tests and benchmarks: `plain` consists of them, `cpu` of forms that end in `_of_team`. `cuda`
has none of them: its stages are phases of the threads of a block. (Two helpers of the package call `plain`'s: health
activate_backward, and measures loss_and_delta.)

    drop(a, slopes, order, seed, epoch, layer, rate)        a, slopes *= 0 with probability rate, else 1 / (1 − rate)
    add_product(C, A, B)                                    C += A @ B
    add_column_sums(c, A)                                   c += A.sum(axis=0)
    transpose(T, A)                                         T = A.T
    dense(out, x, weights, biases)                          out = x @ weights + biases
    activate(a, code)                                       a = f(a), in place
    activate_backward(delta, a, code)                       delta *= f′, where a = f(z)
    activate_with_slopes(a, slopes, code)                   a holds z: slopes = f′(z), a = f(z)
    last_outputs(workspace, B, net)                         returns the last layer's outputs (B, O)
    loss_and_delta(delta, predicted, y, w, scale, loss)     delta = scale · w · d loss / d predicted, in standard units;
                                                            returns scale · Σ w · loss over the rows, each target in
                                                            its unit (loss.units)
    backward(gradient, workspace, B, fresh, net)            gradient += (or =, if fresh) d loss / d parameters; `cpu`'s
                                                            reads what its transpose_weights has written this step,
                                                            and the positions that forward has found in this block
    clip(gradient, rule)                                    bounds the gradient, entry by entry and as a whole
    update(net, state, gradient, rule, learning_rate)       one step of the optimizer
    batch_weight(workspace, rows, place, n)                 returns the sum of the weights of n rows
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import DeviceError, InvalidInputError

MODULES = {"cpu": ".cpu", "plain": ".plain", "cuda": ".cuda.engine"}
DEVICES = tuple(MODULES)
DEFAULT_DEVICE, GPU = "cpu", "cuda"
NUMBER = "NUMBA_NUM_THREADS"  # a variable that Numba reads when it is imported

REQUIRED = (
    "is_compiled", "new_workspaces", "new_gradients", "row_order", "gather", "encode", "forward", "train",
    "batch_gradient", "mean_loss", "predict", "predicting", "to_user_units",
)  # fmt: skip
STAGES = (
    "drop", "add_product", "add_column_sums", "transpose", "dense", "activate", "activate_backward",
    "activate_with_slopes", "last_outputs", "loss_and_delta", "backward", "clip", "update", "batch_weight",
)  # fmt: skip


def engine(device: str) -> ModuleType:
    """The module that holds the kernels for a device; loading "cpu" imports Numba.

    Raises:
        DeviceError: "cuda" cannot run here; the message says what is missing.
        InvalidInputError: a variable that Numba refuses, as it does in words that do not name it.
    """
    if "numba" not in sys.modules and device != "plain":
        n_threads = os.environ.get(NUMBER, "").strip()
        if n_threads.removeprefix("-").isdecimal() and int(n_threads) < 1:
            raise InvalidInputError(f"{NUMBER} is {n_threads}: set it to 1 or more, or take it away.")
        with _held_back():
            return import_module(MODULES[device], __package__)
    return import_module(MODULES[device], __package__)


@contextmanager
def _held_back() -> Iterator[None]:
    """Let Ctrl-C wait: Numba, whose import was broken off, fails for the rest of the process."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    waiting: list[Any] = []
    signal.signal(signal.SIGINT, lambda *told: waiting.append(told))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if waiting:
            before(*waiting[0])


def missing(device: str) -> str:
    """What a device lacks here, in a sentence; "" where it can run. Only a GPU can lack anything."""
    try:
        if device == GPU:
            engine(device)
    except DeviceError as error:
        return str(error)
    return ""


def device_arrays() -> ModuleType:
    """How arrays in the memory of a GPU are read; see cuda/arrays.py."""
    return import_module(".cuda.arrays", __package__)


def net_for_compiled_code(*record: Any) -> Any:
    """What a user's own compiled code may hold, whatever the device; see cpu/inside.py."""
    return import_module(".cpu.inside", __package__).net_for_compiled_code(*record)


def mean_for_compiled_code(*record: Any) -> Any:
    """The same of several networks, see cpu/mean_inside.py."""
    return import_module(".cpu.mean_inside", __package__).mean_for_compiled_code(*record)
