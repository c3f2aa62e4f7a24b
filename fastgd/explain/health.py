"""What keeps a network from learning: dead and saturated units, gradients and steps of the wrong size, raw inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.rows import labelled, unlabelled
from ..errors import DivergenceError, InvalidInputError, NonFiniteWarning, TrainingWarning
from ..kernels import codes
from ..kernels.plain import activate_backward
from ..kernels.records import Reals, resting
from ..model.core import Core
from ..training.optimizers import Optimizer
from ..training.state import checked_optimizer
from .blame import after_step, as_it_learns
from .table import Table, input_names

ONE_SIDED = ("relu", "elu", "gelu", "silu", "softplus")  # activations that are flat on the left


@dataclass(frozen=True)
class Limits:
    """From which numbers on a network is not well."""

    # slope: a unit whose activation is this flat for every row is dead
    flat: float = 1e-6
    # part of a bounded unit's range, and of the rows: a unit beyond it for these rows is saturated
    saturated: float = 0.99
    # rows: fewer of them prove little about a unit
    few_rows: int = 20
    # the first layer's gradient over the last's: below it gradients vanish, above it they explode
    vanishing: float = 1e-3
    exploding: float = 1e4
    # a nudge over the weights it moves: a step this long is bold, in the first steps of a network and later
    bold_at_first: float = 2.0
    bold: float = 0.1
    # steps: these are the first ones, in which the last layer of a good network may move by more than its size
    first_steps: int = 100
    # a nudge over the weights it moves: a shorter step is timid, if the network is not at its goal
    timid: float = 1e-5
    # a gradient over the weights: with a larger one a network is not at its goal
    adrift: float = 1e-2
    # the predictions' spread over the target's: below it all predictions are the same
    same: float = 1e-2
    # standard units: an input or target with a mean or spread above it is not scaled, or with a spread below it
    large: float = 10.0
    small: float = 1e-3


LIMITS = Limits()


@dataclass(frozen=True)
class Finding:
    """One thing that is not well."""

    kind: str
    layer: int
    message: str
    advice: str

    def __repr__(self) -> str:
        return f"{self.message} {self.advice}"


@dataclass(frozen=True)
class Health:
    """What `MLP.health` found: `layers`, a table with a row for each layer, and `findings`."""

    layers: Table
    findings: list[Finding]

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind, such as "dead units"."""
        return [finding for finding in self.findings if finding.kind == kind]

    def __repr__(self) -> str:
        found = [fill(repr(finding), 79, initial_indent="- ", subsequent_indent="  ") for finding in self.findings]
        return "\n".join([repr(self.layers), "", *(found or ["Nothing to worry about."])])


def health(model: Core, X: Any, y: Any = None, optimizer: Optimizer | None = None) -> Health:
    """See MLP.health."""
    rule = checked_optimizer(model.fit_state, optimizer)
    if y is not None:
        model = as_it_learns(model, X, y)
    elif model.schema.encoding is not None and model.schema.encoder is None:
        raise InvalidInputError("The model is new, and learns from rows with y how they are encoded: pass y, too.")
    values = model.schema.inputs(X).values
    with np.errstate(all="ignore"):  # numbers out of range are findings
        findings = list(_unscaled(model, values))
        units = _units(model, values)
        columns: dict[str, Any] = {
            "layer": [str(index) for index in range(len(units))],
            "units": np.array(model.network.sizes[1:]),
            "dead": np.array([int(layer.dead.sum()) for layer in units]),
            "saturated": np.array([int(layer.saturated.sum()) for layer in units]),
        }
        steps = model.fit_state.steps if model.fit_state else 0
        findings += _of_units(model, units, len(values), fresh=not steps)
        if y is not None:
            findings += _of_targets(model, X, y)
            lengths, gradients, nudges = _movement(model, X, y, rule)
            ratios = np.divide(nudges, lengths, out=np.zeros_like(nudges), where=lengths > 0)
            columns |= {"gradient": gradients, "nudge / weights": ratios}
            findings += _of_gradients(gradients)
            findings += _bold(ratios, LIMITS.bold_at_first if steps < LIMITS.first_steps else LIMITS.bold)
            if model.training_state(rule).next_rate() > 0:  # a schedule may be at its end
                findings += _timid(ratios, np.divide(gradients, lengths, out=np.zeros_like(ratios), where=lengths > 0))
    return Health(Table(columns, unsigned=tuple(columns), most=len(units)), findings)


# Units.


@dataclass
class _Units:
    """What the units of a layer do with all rows."""

    dead: NDArray[np.bool_]
    saturated: NDArray[np.bool_]
    finite: bool


def _units(model: Core, values: Reals) -> list[_Units]:
    """What each layer's units do, over all rows."""
    activations, widths = model.network.activations, model.network.sizes[1:]
    alive = [np.zeros(width, np.bool_) for width in widths]
    inside = [np.zeros(width, np.int64) for width in widths]
    finite = [True] * len(widths)
    for outputs in _outputs(model, values):
        for index, (a, slopes) in enumerate(outputs):
            name = activations[index].name
            finite[index] &= bool(np.isfinite(a).all())
            alive[index] |= ~(np.abs(slopes) <= LIMITS.flat).all(axis=0) if name in ONE_SIDED else True
            low, high = {
                "tanh": (-LIMITS.saturated, LIMITS.saturated),
                "sigmoid": (1 - LIMITS.saturated, LIMITS.saturated),
            }.get(name, (-np.inf, np.inf))
            inside[index] += ((a >= low) & (a <= high)).sum(axis=0) if np.isfinite(high) else len(a)
    few = (1 - LIMITS.saturated) * len(values)
    return [_Units(~a, i <= few, f) for a, i, f in zip(alive, inside, finite, strict=True)]


def _outputs(model: Core, values: Reals) -> Iterator[list[tuple[Reals, Reals]]]:
    """Every layer's outputs and the slopes of its activation there, block by block of rows."""
    engine, net = model.engine, resting(model.net)
    (workspace,) = engine.new_workspaces(net)
    rows = unlabelled(model.schema, values)
    block = len(workspace.order)
    for start in range(0, len(values), block):
        B = min(block, len(values) - start)
        workspace.order[:B] = np.arange(start, start + B)
        engine.gather(workspace.x[:B], workspace.y[:B], workspace.w[:B], rows, workspace.order[:B], net)
        engine.forward(workspace, B, np.uint64(0), 0, net)
        yield [_of_layer(model, workspace, index, B) for index in range(len(net.layers))]


def _of_layer(model: Core, workspace: Any, index: int, B: int) -> tuple[Reals, Reals]:
    row, activation = model.net.layers[index], model.network.activations[index]
    place = slice(B * row[codes.OUTPUTS], B * (row[codes.OUTPUTS] + row[codes.N_OUT]))
    a = workspace.activations[place].reshape(B, -1)
    if activation.needs_slopes:
        return a, workspace.slopes[place].reshape(B, -1)
    slopes = np.ones_like(a)
    activate_backward(slopes, a, activation.code)  # type: ignore[no-untyped-call]
    return a, slopes


def _remedy(dead: NDArray[np.bool_], fresh: bool) -> str:
    """What to do about units that are dead."""
    way = "leaky_relu or other starting weights" if fresh else "leaky_relu or a smaller learning rate"
    if dead.all():
        return f"Nothing gets through: start again from a new model, with {way}."
    return f"As long as the loss falls, no harm is done; a new model with {way} has more of them alive."


def _of_units(model: Core, layers: list[_Units], n_rows: int, fresh: bool) -> Iterator[Finding]:
    """What dead and saturated units and numbers out of range mean."""
    rows = "every row" if n_rows >= LIMITS.few_rows else f"all {n_rows} rows" if n_rows > 1 else "the one row"
    for index, layer in enumerate(layers):
        name = model.network.activations[index].name
        if not layer.finite:
            yield Finding(
                "numbers out of range",
                index,
                f"Layer {index}: its outputs are not all finite numbers.",
                "Start again from a new model, with scaled inputs and a smaller learning rate.",
            )
            return
        if layer.dead.any():
            state = f"0 for {rows}" if name == "relu" else f"flat (slope 0) for {rows}"
            yield Finding(
                "dead units",
                index,
                f"Layer {index}: {_share_of(layer.dead, name)} {state} and can no longer learn."
                if n_rows >= LIMITS.few_rows
                else f"Layer {index}: {_share_of(layer.dead, name)} {state}.",
                _remedy(layer.dead, fresh) if n_rows >= LIMITS.few_rows else "That proves little: show it more rows.",
            )
        if layer.saturated.any():
            plural = layer.saturated.sum() > 1
            yield Finding(
                "saturated units",
                index,
                f"Layer {index}: {_share_of(layer.saturated, name)} at the end of {'their' if plural else 'its'} range "
                f"for {'nearly ' if (1 - LIMITS.saturated) * n_rows >= 1 else ''}{rows}.",
                f"{'Their' if plural else 'Its'} slope is next to 0: try a smaller learning rate, scaled inputs, or "
                "other starting weights.",
            )


def _share_of(chosen: NDArray[np.bool_], name: str) -> str:
    return f"{chosen.sum()} of {chosen.size} {name} units {'is' if chosen.sum() == 1 else 'are'}"


# Inputs.


def _unscaled(model: Core, values: Reals) -> Iterator[Finding]:
    """Inputs that reach the first layer far from mean 0 and spread 1."""
    dense = slice(model.network.inputs.n_dense)  # positions have no scale
    x = (values.astype(np.float64) - model.net.input_mean)[:, dense] / model.net.input_std[dense]
    means, spreads = np.abs(x.mean(axis=0)), x.std(axis=0)
    far = np.flatnonzero((means > LIMITS.large) | (spreads > LIMITS.large) | ((spreads < LIMITS.small) & (spreads > 0)))
    if not far.size:
        return
    names = ", ".join(input_names(model, 0)[model.schema.origin(int(i))] for i in far[:5]) + (
        ", …" if far.size > 5 else ""
    )
    yield Finding(
        "unscaled inputs",
        0,
        f"{far.size} of {model.network.n_in} inputs {'reaches' if far.size == 1 else 'reach'} the network far from "
        f"mean 0 and spread 1: {names}.",
        "Let the model scale them: fit it, if only with epochs=0."
        if model.standardize and not model.schema.scaled
        else "These rows differ from those that the model learned its scaling from."
        if model.standardize
        else "Let the model scale them (standardize=True), or scale them yourself.",
    )


# Targets.


def _of_targets(model: Core, X: Any, y: Any) -> Iterator[Finding]:
    """Whether the network answers the same to everything, and what range it has to reach."""
    rows, loss = labelled(model.schema, X, y, None), model.network.loss
    if loss.task in ("classes", "labels") or len(rows.X) < LIMITS.few_rows:
        return
    actual = (rows.Y.astype(np.float64) - model.net.target_mean) / model.net.target_std
    answers = model.outputs_of(rows.X)[0][:, : model.network.n_targets]
    learned = model.schema.target.learned(answers.astype(np.float64))
    spread = (learned / model.net.target_std).std(axis=0)
    if (spread < LIMITS.same * actual.std(axis=0)).all():
        yield Finding(
            "constant predictions",
            len(model.network.activations) - 1,
            "It predicts nearly the same for every row.",
            "Where other findings do not say why, train longer or with a larger learning rate, or start again from a "
            "new model.",
        )
    if loss.scaling == "standard" and (max(np.abs(actual.mean(axis=0)).max(), actual.std(axis=0).max()) > LIMITS.large):
        yield Finding(
            "unscaled target",
            len(model.network.activations) - 1,
            "The target is far from mean 0 and spread 1, as the network has to reach it.",
            "These values differ from those that the model learned its scaling from."
            if model.standardize
            else "Let the model scale it (standardize=True), or scale it yourself.",
        )


# Gradients and steps.


def _movement(model: Core, X: Any, y: Any, rule: Optimizer) -> tuple[Reals, Reals, Reals]:
    """For each layer the lengths of its weights, of their gradient, and of their next nudge."""

    def lengths(vector: Reals) -> Reals:
        return np.array([np.linalg.norm(weights.astype(np.float64)) for weights, _ in model.network.split(vector)])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteWarning)  # it is a finding
        weights, gradients = lengths(model.parameters), lengths(model.gradient(X, y))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)
            after = after_step(model, X, y, optimizer=rule)
    except DivergenceError:
        return weights, gradients, np.full_like(weights, np.inf)
    return weights, gradients, lengths(after.parameters - model.parameters)


def _of_gradients(gradients: Reals) -> Iterator[Finding]:
    """Whether they vanish or explode on their way back to the first layer."""
    if not np.isfinite(gradients).all():
        yield Finding(
            "exploding gradients",
            int(np.flatnonzero(~np.isfinite(gradients))[0]),
            "The gradients are not all finite numbers.",
            "Start again with smaller starting weights, scaled inputs and a smaller learning rate.",
        )
        return
    share = gradients[0] / gradients[-1] if gradients[-1] else 1.0
    if share < LIMITS.vanishing:
        yield Finding(
            "vanishing gradients",
            0,
            f"The first layer's gradient is {share:.1g} of the last's: it hardly learns.",
            "Try relu, fewer layers, or other starting weights.",
        )
    if share > LIMITS.exploding:
        yield Finding(
            "exploding gradients",
            0,
            f"The first layer's gradient is {share:.1g} times the last's.",
            "Try smaller starting weights, or clip_norm=1.0 in the optimizer.",
        )


def _bold(ratios: Reals, limit: float) -> Iterator[Finding]:
    """Steps that are long for the weights they move."""
    if not np.isfinite(ratios).all():
        layer = int(np.flatnonzero(~np.isfinite(ratios))[0])
        message = "The next step leads to numbers that are not finite."
        yield Finding("bold steps", layer, message, "Try a smaller learning rate.")
        return
    for index in np.flatnonzero(ratios > limit):
        ratio = ratios[index]
        size = f"{ratio:.0%} of their size" if ratio < 10 else f"{ratio:.3g} times their size"
        message = f"Layer {index}: a step moves the weights by {size}."
        yield Finding("bold steps", int(index), message, "Try a smaller learning rate.")


def _timid(ratios: Reals, pulls: Reals) -> Iterator[Finding]:
    """Steps that are too short for weights that still have far to go."""
    for index in np.flatnonzero((ratios < LIMITS.timid) & (pulls > LIMITS.adrift)):
        message = f"Layer {index}: a step moves the weights by {ratios[index]:.1g} of their size."
        yield Finding("timid steps", int(index), message, "Try a larger learning rate.")
