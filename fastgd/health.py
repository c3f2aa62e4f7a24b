"""What keeps a network from learning: dead and saturated units, gradients and steps of the wrong size, raw inputs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .explain import Table, input_names
from .kernels import codes, engine

if TYPE_CHECKING:
    from .model import MLP

Reals = NDArray[Any]

SATURATED = 0.99  # share of a bounded unit's range, and of the rows
VANISHING, EXPLODING = 1e-4, 1e4  # the first layer's gradient over the last's
TOO_BOLD, TOO_TIMID = 0.1, 1e-7  # the nudge over the weights
UNSCALED = 10.0  # mean or spread of an input, in units of the network


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


def health(model: MLP, X: Any, y: Any = None) -> Health:
    """See MLP.health."""
    values = model._inputs(X)
    findings = list(_unscaled(model, values))
    dead, saturated = [], []
    for index, (alive, inside) in enumerate(_living(model, values)):
        name, units = model.network.activations[index].name, alive.size
        dead.append(int(units - alive.sum()))
        saturated.append(int(units - inside.sum()))
        if dead[-1]:
            findings.append(
                Finding(
                    "dead units",
                    index,
                    f"Layer {index}: {dead[-1]} of {units} {name} units are 0 for every row and can no longer learn.",
                    "Try a smaller learning rate, leaky_relu, or other starting weights.",
                )
            )
        if saturated[-1]:
            findings.append(
                Finding(
                    "saturated units",
                    index,
                    f"Layer {index}: {saturated[-1]} of {units} {name} units sit at the end of their range.",
                    "Their slope is next to 0: try a smaller learning rate, scaled inputs, or other starting weights.",
                )
            )
    columns: dict[str, Any] = {
        "layer": [str(index) for index in range(len(dead))],
        "units": np.array(model.network.sizes[1:]),
        "dead": np.array(dead),
        "saturated": np.array(saturated),
    }
    if y is not None:
        norms, ratios = _movement(model, X, y)
        columns |= {"gradient": norms, "nudge / weights": ratios}
        findings += _moving(norms, ratios)
    return Health(Table(columns), findings)


def _living(model: MLP, values: Reals) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """For each layer which units are not dead, and which are not saturated, over all rows."""
    n_rows = len(values)
    zero, inner = None, None
    for outputs in _outputs(model, values):
        if zero is None:
            zero = [np.zeros(a.shape[1], np.int64) for a in outputs]
            inner = [np.zeros(a.shape[1], np.int64) for a in outputs]
        for index, a in enumerate(outputs):
            name = model.network.activations[index].name
            zero[index] += (a == 0).sum(axis=0) if name == "relu" else 0
            low = -SATURATED if name == "tanh" else 1 - SATURATED if name == "sigmoid" else -np.inf
            high = SATURATED if name in ("tanh", "sigmoid") else np.inf
            assert inner is not None
            inner[index] += ((a > low) & (a < high)).sum(axis=0)
    assert zero is not None
    assert inner is not None
    for zeros, inside in zip(zero, inner, strict=True):
        yield zeros < n_rows, inside > (1 - SATURATED) * n_rows


def _outputs(model: MLP, values: Reals) -> Iterator[list[Reals]]:
    """Every layer's outputs, block by block of rows."""
    kernels, net = engine("cpu"), model._resting()
    (workspace,) = kernels.new_workspaces(net)
    rows = model._rows_of_inputs(values)
    block = len(workspace.order)
    for start in range(0, len(values), block):
        B = min(block, len(values) - start)
        workspace.order[:B] = np.arange(start, start + B)
        kernels.gather(workspace.x[:B], workspace.y[:B], workspace.w[:B], rows, workspace.order[:B], net)
        kernels.forward(workspace, B, np.uint64(0), 0, net)
        yield [
            workspace.activations[B * row[codes.OUTPUTS] : B * (row[codes.OUTPUTS] + row[codes.N_OUT])].reshape(B, -1)
            for row in net.layers
        ]


def _unscaled(model: MLP, values: Reals) -> Iterator[Finding]:
    """Inputs that reach the first layer far from mean 0 and spread 1."""
    x = (values - model._net.input_mean) / model._net.input_std
    means, spreads = np.abs(x.mean(axis=0, dtype=np.float64)), x.std(axis=0, dtype=np.float64)
    far = np.flatnonzero((means > UNSCALED) | (spreads > UNSCALED))
    if far.size:
        names = ", ".join(input_names(model, 0)[i] for i in far[:5])
        yield Finding(
            "unscaled inputs",
            0,
            f"{far.size} of {len(means)} inputs reach the network far from mean 0 and spread 1: {names}.",
            "Let the model scale them (standardize=True, then fit), or scale them yourself.",
        )


def _movement(model: MLP, X: Any, y: Any) -> tuple[Reals, Reals]:
    """For each layer the length of its gradient, and the length of its nudge over that of its weights."""
    moved = copy.deepcopy(model)
    moved.fit(X, y, epochs=1, batch_size=1 << 62, shuffle=False, verbose=0)

    def lengths(vector: Reals) -> Reals:
        return np.array([np.linalg.norm(weights) for weights, _ in model.network.split(vector)])

    return lengths(model.gradient(X, y)), lengths(moved.parameters - model.parameters) / lengths(model.parameters)


def _moving(norms: Reals, ratios: Reals) -> Iterator[Finding]:
    """What gradients and nudges say."""
    share = norms[0] / norms[-1] if norms[-1] else 1.0
    if share < VANISHING:
        yield Finding(
            "vanishing gradients",
            0,
            f"The first layer's gradient is {share:.1g} of the last's: it hardly learns.",
            "Try relu, fewer layers, or other starting weights.",
        )
    if share > EXPLODING:
        yield Finding(
            "exploding gradients",
            0,
            f"The first layer's gradient is {share:.1g} times the last's.",
            "Try smaller starting weights, or clip_norm=1.0 in the optimizer.",
        )
    for index, ratio in enumerate(ratios):
        if ratio > TOO_BOLD:
            yield Finding(
                "bold steps",
                index,
                f"Layer {index}: a step moves the weights by {ratio:.0%} of their size.",
                "Try a smaller learning rate.",
            )
        elif ratio < TOO_TIMID:
            yield Finding(
                "timid steps",
                index,
                f"Layer {index}: a step moves the weights by {ratio:.1g} of their size.",
                "Try a larger learning rate.",
            )
