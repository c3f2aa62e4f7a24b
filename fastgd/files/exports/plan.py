"""What an export computes, as plain arrays that are the same for every language.

A column that the first layer looks up has a table here: what its bins and levels together add to z at each whole
position (see kernels/records.py). Between two of them it rises in a straight line, so that bins and levels, which may
be hundreds of inputs, are one or two rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...data.column_codes import LevelCode, NumberCode
from ...errors import InvalidInputError
from ...kernels.records import Reals
from ...model.answers import output_names
from ...model.core import Core
from ...model.mean import Mean
from .formulas import FORMULAS

KINDS = {"gaussian_nll": "gaussian", "poisson": "counts", "binary_cross_entropy": "labels", "cross_entropy": "classes"}


class Layer(NamedTuple):
    """a = f(x @ weights + biases)."""

    weights: Reals  # (n_in, n_out)
    biases: Reals  # (n_out,)
    activation: str


class Reading(NamedTuple):
    """How a member reads a column of the user's table."""

    code: NumberCode | LevelCode | None  # None: a number as it is
    table: Reals | None  # (n_positions + 1, units of the first layer); None: nothing is looked up


class Output(NamedTuple):
    """How what the last layer puts out becomes predictions: kind by kind, see files/exports/."""

    kind: str  # "numbers", "gaussian" (means, then standard deviations), "counts", "labels" or "classes"
    mean: Reals  # (n_out,), of the numbers and the means
    std: Reals  # (n_out,)
    log: bool  # whether numbers are logarithms
    range: NDArray[np.float64] | None  # (2, n_out): lowest and highest prediction


class Member(NamedTuple):
    """One network: readings and scaling of its columns, layers, output. All numbers have its dtype."""

    dtype: np.dtype[np.floating]
    readings: tuple[Reading, ...]  # of each column of the user's table
    mean: Reals  # (n_dense,), of the dense inputs
    std: Reals  # likewise; infinite for what is ignored
    layers: tuple[Layer, ...]  # the first without the weights of what is looked up
    output: Output

    @property
    def is_encoded(self) -> bool:
        """Whether columns are more than numbers as they are."""
        return any(reading.code is not None for reading in self.readings)


class Plan(NamedTuple):
    """One network, or several whose predictions are averaged."""

    members: tuple[Member, ...]
    shares: tuple[float, ...]  # how much each counts, with a sum of 1
    columns: tuple[str, ...]  # names of the inputs
    levels: tuple[tuple[str, ...] | None, ...]  # of each column of text what any member knows, sorted; None: numbers
    outputs: tuple[str, ...]  # names of the predictions; two probabilities where one output tells two classes apart
    classes: NDArray[np.generic] | None  # the labels that outputs stand for; None: there are none, or no names
    n_targets: int
    dtype: np.dtype[np.floating]  # of the predictions

    @property
    def is_encoded(self) -> bool:
        """Whether a column is more than a number as it is."""
        return any(member.is_encoded for member in self.members)

    @property
    def kind(self) -> str:
        """What is predicted; the same of all members but for logarithms."""
        return self.members[0].output.kind

    @property
    def is_binary(self) -> bool:
        """Whether one output tells two classes apart."""
        return self.kind == "labels" and self.n_out == 1

    @property
    def n_out(self) -> int:
        """How many outputs a network has."""
        return len(self.members[0].output.mean)

    def empty_is_a_level(self, column: int) -> bool:
        """Whether empty text is a label that the fit has seen, and thus no gap."""
        codes = (member.readings[column].code for member in self.members)
        return any(isinstance(code, LevelCode) and "" in {*code.levels, *(code.known or ())} for code in codes)


def plan_of(model: Core | Mean) -> Plan:
    """What a model computes.

    Raises:
        InvalidInputError: something that no language here can express.
    """
    if isinstance(model, Mean) and model.calibration is not None:
        raise InvalidInputError(
            "Intervals cannot be exported: export fastgd.Ensemble(ensemble.members, ensemble.weights), which predicts "
            "the same without them."
        )
    cores = list(model.members)
    for core in cores:
        if core.schema.encoding is not None and core.schema.encoder is None:
            raise InvalidInputError("A model with an encoding has none to export before its first fit: call fit first.")
        for name in {activation.name for activation in core.network.activations} - set(FORMULAS):
            raise InvalidInputError(f"The activation {name} has no formula to export, see files/exports/formulas.py.")
    members = tuple(map(_member, cores))
    shares = tuple(map(float, model.shares)) if isinstance(model, Mean) else (1.0,)
    network, names = cores[0].network, model.feature_names
    columns = names or tuple(f"x{column}" for column in range(network.n_in))
    dtype = np.result_type(*(member.dtype for member in members))
    has_classes = network.loss.task in ("classes", "labels")
    outputs = _class_names(model, network.n_out) if has_classes else tuple(output_names(network))
    levels = tuple(_levels(members, column, name) for column, name in enumerate(columns))
    return Plan(members, shares, columns, levels, outputs, model.classes, network.n_targets, dtype)


def _class_names(model: Core | Mean, n_out: int) -> tuple[str, ...]:
    known = [] if model.classes is None else list(map(str, model.classes))
    labels = [*known, *(f"label {i}" for i in range(len(known), max(n_out, 2)))]
    return tuple(f"probability of {label}" for label in labels)


def _levels(members: Sequence[Member], column: int, name: str) -> tuple[str, ...] | None:
    codes = [member.readings[column].code for member in members]
    if not any(isinstance(code, LevelCode) for code in codes):
        return None
    if not all(isinstance(code, LevelCode) for code in codes):
        raise InvalidInputError(f"Column {name} is text for some of these models and numbers for others: no export.")
    return tuple(sorted({level for code in codes if isinstance(code, LevelCode) for level in code.levels}))


def _member(model: Core) -> Member:
    net, network = model.net, model.network
    pairs, n_dense = network.split(net.parameters), network.inputs.n_dense
    layers = [
        Layer(weights.copy(), biases.copy(), activation.name)
        for (weights, biases), activation in zip(pairs, network.activations, strict=True)
    ]
    readings = tuple(_readings(model, pairs[0][0]))
    layers[0] = layers[0]._replace(weights=layers[0].weights[:n_dense])
    mean, std = net.input_mean[:n_dense].copy(), net.input_std[:n_dense].copy()
    return Member(model.dtype, readings, mean, std, tuple(layers), _output(model))


def _readings(model: Core, weights: Reals) -> Iterator[Reading]:
    encoder, net = model.schema.encoder, model.net
    if encoder is None:
        yield from [Reading(None, None)] * model.network.n_in
        return
    n_dense = first = model.network.inputs.n_dense
    for code in encoder.codes:
        rows = code.n_bins + code.n_levels
        if not rows:
            yield Reading(code, None)
            continue
        wide, bins = (
            weights[first : first + rows].astype(np.float64),
            slice(first - n_dense, first - n_dense + code.n_bins),
        )
        mean, scale = net.bin_mean[bins].astype(np.float64), net.bin_scale[bins].astype(np.float64)
        rises = scale[:, None] * wide[: code.n_bins]
        nothing = np.zeros((1, weights.shape[1]))
        knots = np.cumsum(np.concatenate([nothing - mean @ rises, rises]), axis=0)
        # Behind the last position, where nothing is known, stands a row for whoever reads the next one, too.
        table = np.concatenate([knots, wide[code.n_bins :], nothing, nothing])
        yield Reading(code, table.astype(model.dtype))
        first += rows


def _output(model: Core) -> Output:
    network, net, target = model.network, model.net, model.schema.target
    n_out, n_targets = network.n_out, network.n_targets
    kind = KINDS.get(network.loss.name, "numbers")
    mean, std = np.zeros(n_out, model.dtype), np.ones(n_out, model.dtype)
    if kind == "gaussian":
        mean[:n_targets], std[:] = net.target_mean, np.tile(net.target_std, 2)
    elif kind == "counts":
        std[:] = net.target_std
    elif kind == "numbers":
        levels = n_out // n_targets
        mean[:], std[:] = np.repeat(net.target_mean, levels), np.repeat(net.target_std, levels)
    limits = None
    if target.clip and target.range is not None:
        limits = target.limits(n_out, np.dtype(np.float64))
    return Output(kind, mean, std, target.log, limits)
