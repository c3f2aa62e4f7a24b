"""How each kernel is called: its arguments for a random case, and which of them it may write.

Every name of an engine's contract has a recipe here, and so have the functions that users' compiled code calls; what
`unreached` finds is a compiled loop that no recipe comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.kernels import engine, mean_for_compiled_code, net_for_compiled_code
from fastgd.kernels.codes import N_OUT
from fastgd.kernels.cpu import inside, mean_inside
from fastgd.kernels.cpu.backward import transpose_weights
from fastgd.kernels.records import resting
from fastgd.network.activations import ACTIVATIONS

from .kernel_cases import MOST, KernelCase

STEPS = 3
RATE = 1e-3
AT_A_TIME = 3  # activations of a case
LARGE_EVERY = 40  # of so many cases one multiplies matrices that are copied in panels
WIDE = (16, 300), (1, 150), (512, 2200)  # their sizes, from and to


class Call(NamedTuple):
    """A kernel, what it gets by the names of its arguments, and the paths of what it may write."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    written: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()  # likewise written, but not part of the answer


Recipe = Callable[[KernelCase, Any], Iterator[Call]]
RECIPES: dict[str, Recipe] = {}


def recipe(*names: str) -> Callable[[Recipe], Recipe]:
    """Keep a function as the recipe of kernels with these names."""

    def keep(function: Recipe) -> Recipe:
        RECIPES.update(dict.fromkeys(names, function))
        return function

    return keep


def entries() -> dict[str, Any]:
    """What must have recipes: an engine's names, what it asks of those who call stages, and what users' code calls."""
    loops = engine("cpu")
    names = [name for name in fastgd.__all__ if (fastgd._HOME.get(name) or "").startswith("kernels.")]
    users = {name: getattr(fastgd, name) for name in names}
    makers = {maker.__name__: maker for maker in (inside.net_for_compiled_code, mean_inside.mean_for_compiled_code)}
    stages = {name: getattr(loops, name) for name in loops.__all__}
    return {**stages, "transpose_weights": transpose_weights, **users, **makers}


def calls(case: KernelCase, generator: Any, names: frozenset[str] | None = None) -> Iterator[Call]:
    """All calls of a case, or those of kernels with these names."""
    for made in dict.fromkeys(RECIPES.values()):
        for call in made(case, generator):
            if names is None or call.name in names:
                yield call


def _kernel(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(engine("cpu"), name)
    return function


def _call(name: str, written: tuple[str, ...] = (), scratch: tuple[str, ...] = (), **arguments: Any) -> Call:
    return Call(name, _kernel(name), arguments, written, scratch)


def _normal(generator: Any, like: KernelCase, *shape: int) -> Any:
    return generator.normal(size=shape).astype(like.dtype)


# Products and loops over single arrays.


@recipe("add_product", "dense", "add_column_sums", "transpose")
def products(case: KernelCase, generator: Any) -> Iterator[Call]:
    """Matrices of the sizes of the case; now and then one that is copied in panels, or row by row."""
    n_in, n_out = max(case.net.input_mean.size, 1), int(case.net.layers[-1, N_OUT])
    sizes: list[Any] = [(min(case.n_rows, MOST), n_in, n_out)]
    if generator.integers(LARGE_EVERY) == 0:
        sizes.append([int(generator.integers(*bounds)) for bounds in WIDE])
    for m, k, n in sizes:
        A, B, C = (_normal(generator, case, *shape) for shape in ((m, k), (k, n), (m, n)))
        yield _call("add_product", ("C",), C=C, A=A, B=B)
        yield _call("add_product", ("C",), C=C, A=np.asfortranarray(A), B=B)
        yield _call("dense", ("out",), out=C, x=A, weights=B, biases=C[0].copy())
        yield _call("add_column_sums", ("c",), c=C[0].copy(), A=C)
        yield _call("transpose", ("T",), T=np.zeros((n, m), case.dtype), A=C)


@recipe("activate", "activate_backward", "activate_with_slopes", "drop")
def activations(case: KernelCase, generator: Any) -> Iterator[Call]:
    """Some activations that a network could have, on one of the sizes of the case."""
    shape = case.n_rows, int(case.net.layers[0, N_OUT])
    a, other = _normal(generator, case, *shape), _normal(generator, case, *shape)
    for name in generator.choice(list(ACTIVATIONS), AT_A_TIME, replace=False):
        activation = ACTIVATIONS[name]
        yield _call("activate", ("a",), a=a, code=activation.code)
        yield _call("activate_with_slopes", ("a", "slopes"), a=a, slopes=other, code=activation.code)
        if not activation.needs_slopes:
            yield _call("activate_backward", ("delta",), delta=other, a=a, code=activation.code)
    order = generator.integers(0, 1 << 40, len(a))
    yield _call("drop", ("a", "slopes"), a=a, slopes=other, order=order, seed=case.rows.seed, epoch=2, layer=1,
                rate=case.dtype.type(0.3))  # fmt: skip


@recipe("row_order")
def orders(case: KernelCase, generator: Any) -> Iterator[Call]:
    """A part of an epoch, shuffled and not."""
    n, total = int(generator.integers(1, 71)), int(generator.integers(71, 1 << int(generator.integers(8, 50))))
    for shuffle in (True, False):
        yield _call("row_order", ("order",), order=np.zeros(n, np.int64), place=int(generator.integers(total - n)),
                    n_rows=total, seed=case.rows.seed, epoch=case.rows.epoch, shuffle=shuffle)  # fmt: skip


@recipe("encode")
def encoding(case: KernelCase, generator: Any) -> Iterator[Call]:
    """A table with gaps."""
    out = np.zeros((case.n_rows, case.n_encoded), case.dtype)
    yield _call("encode", ("out",), out=out, X=case.table, codes=case.codes)


# The stages of a step.


def _block(case: KernelCase, generator: Any) -> tuple[Any, int]:
    """Scratch, and how many rows of a block there are."""
    workspace = case.new_workspaces()[0]
    return workspace, int(generator.integers(1, len(workspace.order) + 1))


@recipe("gather", "forward", "last_outputs", "to_user_units", "loss_and_delta", "backward", "transpose_weights")
def stages(case: KernelCase, generator: Any) -> Iterator[Call]:
    """A block of rows, stage by stage, each on what the one before has left."""
    net, rows, loss = case.net, case.rows, case.loss
    workspace, B = _block(case, generator)
    workspace.order[:B] = generator.integers(0, case.n_rows, B)
    x, y, w, order = workspace.x[:B].copy(), workspace.y[:B].copy(), workspace.w[:B].copy(), workspace.order[:B].copy()
    yield _call("gather", ("x", "y", "w"), x=x, y=y, w=w, rows=rows, order=order, net=net)
    _kernel("gather")(x, y, w, rows, order, net)
    workspace.x[:B] = x
    yield _call("forward", ("workspace",), workspace=workspace, B=B, seed=rows.seed, epoch=rows.epoch, net=net)
    _kernel("forward")(workspace, B, rows.seed, rows.epoch, net)
    yield _call("last_outputs", ("workspace",), workspace=workspace, B=B, net=net)
    predicted = _kernel("last_outputs")(workspace, B, net).copy()
    delta = np.zeros_like(predicted)
    yield _call("to_user_units", ("out",), out=delta, outputs=predicted, net=resting(net), loss=loss)
    yield _call("loss_and_delta", ("delta",), delta=delta, predicted=predicted, y=y, w=w, scale=0.3, loss=loss)
    last = (len(net.layers) - 1) % 2
    workspace.deltas[last, : delta.size] = _normal(generator, case, delta.size)
    transpose_weights(workspace, net)
    gradient = _normal(generator, case, net.parameters.size)
    for fresh in (True, False):
        yield _call("backward", ("gradient", "workspace"), gradient=gradient, workspace=workspace, B=B, fresh=fresh,
                    net=net)  # fmt: skip
    yield Call("transpose_weights", transpose_weights, {"workspace": workspace, "net": net}, ("workspace",))


@recipe("clip", "update")
def updates(case: KernelCase, generator: Any) -> Iterator[Call]:
    """A step of the optimizer of the case."""
    gradient = _normal(generator, case, case.net.parameters.size)
    yield _call("clip", ("gradient",), gradient=gradient, rule=case.rule)
    yield _call("update", ("net.parameters", "state", "gradient"), net=case.net, state=case.state, gradient=gradient,
                rule=case.rule, learning_rate=RATE)  # fmt: skip


# Whole chunks of work.


@recipe("train", "batch_gradient", "mean_loss", "batch_weight", "new_workspaces", "new_gradients", "is_compiled")
def training(case: KernelCase, generator: Any) -> Iterator[Call]:
    """Some steps with all that the case asks for; losses and gradients."""
    net, rows, loss, n = case.net, case.rows, case.loss, case.n_rows
    gradients, workspaces = _kernel("new_gradients")(net, case.batch_size), case.new_workspaces()
    steps = min(STEPS, -(-n // case.batch_size))
    batches = -(-n // case.batch_size)
    place = int(generator.integers(batches - steps + 1)) * case.batch_size
    yield _call(
        "train", ("net.parameters", "state", "gradients", "sums"), ("workspaces",), net=net, state=case.state,
        gradients=gradients, workspaces=workspaces, sums=np.zeros(2), rows=rows, place=place,
        batch_size=case.batch_size, learning_rates=np.full(steps, RATE), loss=loss, rule=case.rule,
    )  # fmt: skip
    workspace, resting_net = workspaces[0], resting(net)
    begin = int(generator.integers(n))
    part = int(generator.integers(1, n - begin + 1))
    yield _call("batch_gradient", ("gradients",), ("workspace",), gradients=gradients, workspace=workspace, rows=rows,
                place=begin, n=part, net=resting_net, loss=loss)  # fmt: skip
    yield _call("mean_loss", ("workspace",), workspace=workspace, rows=rows, net=resting_net, loss=loss)
    yield _call("batch_weight", ("workspace",), workspace=workspace, rows=rows, place=begin, n=part)
    yield _call("new_gradients", net=net, batch_size=case.batch_size)
    yield _call("new_workspaces", net=net, loss=loss, rule=case.rule, batch_size=case.batch_size)
    yield _call("is_compiled")


def _predicting(out: Any, workspace: Any, X: Any, net: Any, loss: Any) -> Any:
    predict = _kernel("predicting")(workspace, net, loss)
    return predict(out[:1], X[:1]) and predict(out, X)


@recipe("predict", "predicting")
def predictions(case: KernelCase, generator: Any) -> Iterator[Call]:
    """All rows, and one alone."""
    net = resting(case.net)
    (workspace,) = engine("cpu").new_workspaces(net, block_rows=case.block_rows)
    arguments = {"out": _out(case), "workspace": workspace, "X": case.rows.X, "net": net, "loss": case.loss}
    yield _call("predict", ("out", "workspace"), **arguments)
    yield Call("predicting", _predicting, arguments, ("out", "workspace"))


def _out(case: KernelCase) -> Any:
    return np.zeros((case.n_rows, int(case.net.layers[-1, N_OUT])), case.dtype)


# What users' own compiled code calls.


def _net_of(case: KernelCase, net: Any, loss: Any, bounds: Any) -> Any:
    is_whole = case.task == "classes"
    highest = float(net.layers[-1, N_OUT] - 1) if is_whole else 1.0 if case.task == "labels" else np.inf
    return net_for_compiled_code(net, loss, 2.0, (-np.inf, highest), bounds, False, is_whole, 7)


def _row_by_row(case: KernelCase, net: Any, loss: Any, bounds: Any, X: Any, out: Any, n: int) -> Any:
    held = _net_of(case, net, loss, bounds)
    return [fastgd.predict_row(held, X[i], out[i]) for i in range(n)]


def _rows(case: KernelCase, net: Any, loss: Any, bounds: Any, X: Any, out: Any) -> Any:
    return fastgd.predict_rows(_net_of(case, net, loss, bounds), X, out)


def _mean_of_rows(case: KernelCase, net: Any, loss: Any, bounds: Any, X: Any, out: Any) -> Any:
    members = [_net_of(case, net, loss, bounds) for _ in range(2)]
    n_means = out.shape[1] // 2 if out.shape[1] % 2 == 0 else 0
    return fastgd.predict_rows(mean_for_compiled_code(members, [0.25, 0.75], n_means), X, out)


def _batch(case: KernelCase, net: Any, loss: Any, bounds: Any, X: Any, y: Any) -> Any:
    return fastgd.train_batch(_net_of(case, net, loss, bounds), X, y, RATE)


@recipe("predict_row", "predict_rows", "train_batch", "net_for_compiled_code", "mean_for_compiled_code")
def compiled(case: KernelCase, generator: Any) -> Iterator[Call]:
    """One row, all rows, their mean of two networks, a step."""
    O = int(case.net.layers[-1, N_OUT])
    bounds = np.array([[-1] * O, [1] * O], case.dtype)[: int(generator.choice([0, 2]))].reshape(-1, O)
    arguments = {"net": case.net, "loss": case.loss, "bounds": bounds, "X": case.rows.X.copy()}
    written = {**arguments, "out": _out(case)}
    yield Call("predict_row", partial(_row_by_row, case), {**written, "n": min(3, case.n_rows)}, ("out",))
    yield Call("predict_rows", partial(_rows, case), written, ("out",))
    yield Call("predict_rows", partial(_mean_of_rows, case), written, ("out",))
    for n in {1, case.n_rows}:
        few = {**arguments, "X": case.rows.X[:n].copy(), "y": case.rows.Y[:n].copy()}
        yield Call("train_batch", partial(_batch, case), few, ("net.parameters",))
