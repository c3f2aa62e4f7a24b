"""The kernels and their contract: which there are, in which order, what each writes.

Every engine has the same kernels with the same names and arguments: what is written comes first, then what is read,
then places and sizes; what describes the task (net, loss, rule) stands last. (A whole step writes the network itself:
`train` and `update` begin with it.) `cpu` is explicit loops compiled by Numba; `plain` is the same in NumPy: the engine
to read, and the oracle of tests and benchmarks. Arrays are checked before they come here.

What the package needs of an engine:

    is_compiled()                                           returns whether training can start at once
    new_workspaces(net, loss, rule, batch_size, n_threads, block_rows)   scratch for each thread that a batch is worth
    new_gradients(net, batch_size)                          (n_shards, n_parameters): one for each shard of a batch
    row_order(order, place, n_rows, seed, epoch, shuffle)   order[i] = the row at place + i of the epoch
    gather(x, y, w, rows, order, net)                       x, y, w = the rows named by order, standardised; weights
    forward(workspace, B, seed, epoch, net)                 every layer's outputs for B rows of workspace.x
    train(net, state, gradients, workspaces, sums, rows, place, batch_size, learning_rates, loss, rule)
                                                            one step per learning rate; returns how many were taken
    batch_gradient(gradients, workspace, rows, place, n, net, loss)   gradients[0] = Σ weight · gradient of n rows,
                                                            over n; returns their loss, likewise
    mean_loss(workspace, rows, net, loss)                   returns the mean loss over all rows
    predict(out, workspace, X, net, loss)                   out = what the network puts out for X, both in the user's
                                                            units; returns whether all of both is finite

The stages that these consist of, which only tests and benchmarks call:

    drop(a, slopes, order, seed, epoch, layer, rate)        a, slopes = a share of them 0, the others scaled up
    add_product(C, A, B)                                    C += A @ B
    add_column_sums(c, A)                                   c += A.sum(axis=0)
    transpose(T, A)                                         T = A.T
    dense(out, x, weights, biases)                          out = x @ weights + biases
    activate(a, code)                                       a = f(a), in place
    activate_backward(delta, a, code)                       delta *= f′, where a = f(z)
    activate_with_slopes(a, slopes, code)                   slopes = f′(a), a = f(a)
    last_outputs(workspace, B, net)                         returns those of the last layer
    loss_and_delta(delta, predicted, y, w, scale, loss)     delta = scale · d loss / d predicted; returns scale · loss
    backward(gradient, workspace, B, fresh, net)            gradient += (or =, if fresh) d loss / d parameters
    clip(gradient, rule)                                    bounds the gradient, entry by entry and as a whole
    update(net, state, gradient, rule, learning_rate)       one step of the optimizer
    batch_weight(workspace, rows, place, n)                 returns the sum of the weights of n rows
    to_user_units(out, outputs, net, loss)                  out = predictions, rates or probabilities
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

DEVICES = ("cpu", "plain")
DEFAULT_DEVICE = DEVICES[0]

REQUIRED = (
    "is_compiled", "new_workspaces", "new_gradients", "row_order", "gather", "forward", "train", "batch_gradient",
    "mean_loss", "predict",
)  # fmt: skip
STAGES = (
    "drop", "add_product", "add_column_sums", "transpose", "dense", "activate", "activate_backward",
    "activate_with_slopes", "last_outputs", "loss_and_delta", "backward", "clip", "update", "batch_weight",
    "to_user_units",
)  # fmt: skip


def engine(device: str) -> ModuleType:
    """The module that holds the kernels for a device; loading "cpu" imports Numba."""
    return import_module(f".{device}", __package__)
