"""A network's shape: layer sizes, activations and loss become offsets in one flat parameter vector.

What comes in are names and numbers that a user typed; what goes out is the table of layers that kernels read, and
starting values. There is no data here and no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels import codes
from ..kernels.records import Net, Reals, aligned_zeros
from ..options import is_number, listed, look_up, positive_integer, says, shown
from .activations import ACTIVATIONS, Activation
from .initializers import INITIALIZERS
from .losses import Loss, as_loss

MOST_PARAMETERS = 1 << 31


class Inputs(NamedTuple):
    """What the first layer reads of a row: dense columns, then positions by which it looks up rows of its weights."""

    n_dense: int
    lookups: tuple[tuple[int, int], ...] = ()  # of each position how many bins and how many levels it may mean
    columns: tuple[int, ...] = ()  # of each row of weights the column whose number it is of, -1: a level; (): in order

    @property
    def n_columns(self) -> int:
        """How many numbers a row has."""
        return self.n_dense + len(self.lookups)

    @property
    def n_weights(self) -> int:
        """How many rows of weights there are: one for each dense column, each bin and each level."""
        return self.n_dense + sum(n_bins + n_levels for n_bins, n_levels in self.lookups)


@dataclass(frozen=True)
class Network:
    """The architecture: which layers there are, and where each one's parameters live in the flat vector."""

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]  # of each layer, the last included
    loss: Loss
    dropout: tuple[float, ...]  # of each layer, the last included
    encoded: Inputs | None = None  # what the first layer reads, where it is not the columns of the table as they are
    monotone: tuple[int, ...] = ()  # 1 for a column with which outputs rise, -1 where they fall, else 0; () for none

    @classmethod
    def from_names(
        cls,
        sizes: Any,
        activation: Any = "relu",
        output_activation: Any = "identity",
        loss: Any = "mse",
        dropout: Any = 0.0,
    ) -> Network:
        """Check what a user typed and build the network."""
        checked = _checked_sizes(sizes)
        n_hidden = len(checked) - 2
        hidden = [look_up(name, ACTIVATIONS, "activation") for name in _for_each(activation, n_hidden, "activation")]
        if not n_hidden and isinstance(activation, str):  # it has nothing to act on, but a wrong name is an error
            look_up(activation, ACTIVATIONS, "activation")
        last = look_up(output_activation, ACTIVATIONS, "activation")
        checked_loss = as_loss(loss)
        if last.name != "identity" and not checked_loss.any_output:
            raise InvalidInputError(
                f"{checked_loss.name} and output_activation={last.name!r} do not fit together: the loss takes the last "
                "layer's plain sums and turns them into probabilities, rates or variances itself; use 'identity'."
            )
        checked_loss.n_targets(checked[-1])
        rates = _for_each(dropout, n_hidden, "dropout")
        for rate in [*rates, 0.0 if isinstance(dropout, list | tuple) else dropout]:
            if not is_number(rate) or not 0 <= rate < 1:
                raise InvalidInputError(f"dropout must be a share of at least 0 and below 1, not {shown(rate)}.")
        return cls(checked, (*hidden, last), checked_loss, (*map(float, rates), 0.0))

    @property
    def n_in(self) -> int:
        """How many columns the user's table has."""
        return self.sizes[0]

    @property
    def inputs(self) -> Inputs:
        """What the first layer reads of a row."""
        return self.encoded or Inputs(self.n_in)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Of each layer's weights, (n_in, n_out)."""
        return list(pairwise((self.inputs.n_weights, *self.sizes[1:])))

    @property
    def n_out(self) -> int:
        """How many outputs a row has."""
        return self.sizes[-1]

    @property
    def n_targets(self) -> int:
        """How many columns y has."""
        return self.loss.n_targets(self.n_out)

    @property
    def n_classes(self) -> int | None:
        """How many classes the outputs stand for; None where they stand for no classes."""
        if self.loss.task == "classes":
            return self.n_out
        return 2 if self.loss.task == "labels" and self.n_out == 1 else None

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.shapes)

    @property
    def standardizes_target(self) -> bool:
        """Whether the target can be standardised: not if the last layer's activation has a range of its own."""
        return self.activations[-1].name == "identity"

    def layers(self) -> NDArray[np.int64]:
        """The table of layers that kernels read (n_layers, LAYER_COLUMNS), see kernels/codes.py."""
        table = np.zeros((len(self.activations), codes.LAYER_COLUMNS), np.int64)
        offset = outputs = 0
        for index, (n_in, n_out) in enumerate(self.shapes):
            row, activation = table[index], self.activations[index]
            row[codes.N_IN], row[codes.N_OUT] = n_in, n_out
            row[codes.WEIGHTS], row[codes.BIASES] = offset, offset + n_in * n_out
            row[codes.OUTPUTS], row[codes.ACTIVATION] = outputs, activation.code
            row[codes.SLOPES] = activation.needs_slopes or self.dropout[index] > 0
            offset += n_in * n_out + n_out
            outputs += n_out
        return table

    def starting_values(self, initializer: Any, dtype: np.dtype[Any], seed: int) -> Reals:
        """Random weights and zero biases, or the arrays that a user gave, as the flat vector (n_parameters,).

        Random weights of the wrong sign are 0: with their size instead, signals would grow from layer to layer.
        """
        values, wanted = aligned_zeros(self.n_parameters, dtype), self.signs(dtype)
        if not isinstance(initializer, str):
            self.join(initializer, values)
            self.check_signs(values)
            return values
        generator = np.random.default_rng(seed)
        look_up(initializer, {"auto": None, **INITIALIZERS}, "initializer")
        for (weights, _), activation in zip(self.split(values), self.activations, strict=True):
            name = activation.initializer if says(initializer, "auto") else initializer
            weights[:] = INITIALIZERS[name](generator, *weights.shape)
        if wanted.size:
            values[values * wanted < 0] = 0
        return values

    def new_net(self, initializer: Any, dtype: np.dtype[Any], seed: int) -> Net:
        """The network as kernels take it, with starting values, and with nothing scaled yet."""
        return Net(
            parameters=self.starting_values(initializer, dtype, seed),
            layers=self.layers(),
            input_mean=np.zeros(self.inputs.n_columns, dtype),
            input_std=np.ones(self.inputs.n_columns, dtype),
            target_mean=np.zeros(self.n_targets, dtype),
            target_std=np.ones(self.n_targets, dtype),
            dropout=np.array(self.dropout, dtype),
            lookups=self._lookups(),
            bin_mean=np.zeros(self.inputs.n_weights - self.inputs.n_dense, dtype),
            bin_scale=np.ones(self.inputs.n_weights - self.inputs.n_dense, dtype),
            signs=self.signs(dtype),
        )

    def _lookups(self) -> NDArray[np.int64]:
        """For each position the first row of its weights, its bins and its levels, as kernels take it."""
        table = np.zeros((len(self.inputs.lookups), 3), np.int64)
        first = self.inputs.n_dense
        for row, (n_bins, n_levels) in zip(table, self.inputs.lookups, strict=True):
            row[:] = first, n_bins, n_levels
            first += n_bins + n_levels
        return table

    def signs(self, dtype: np.dtype[Any]) -> Reals:
        """1 for each parameter that must not be negative, -1 for one that must not be positive, else 0; or (0,).

        Hidden units rise and fall in turns with the monotone columns: a weight has the sign of what it leads from times
        that of what it leads to, so that outputs rise on each path. Other columns have weights of any sign. Falling
        units bend the other way: with rising ones alone, outputs of relu would be convex (Runje and Shankaranarayana
        2023, arXiv 2205.11775).
        """
        found = np.zeros(self.n_parameters if self.monotone else 0, dtype)
        if not self.monotone:
            return found
        columns = self.inputs.columns or range(self.n_in)
        before = np.array([0 if column < 0 else self.monotone[column] for column in columns])
        for layer, (weights, _) in enumerate(self.split(found), start=2):
            places = np.arange(weights.shape[1])
            after = np.where(places % 2 & (layer < len(self.sizes)), -1, 1)
            weights[:], before = np.outer(before, after), after
        return found

    def split(self, parameters: Reals) -> list[tuple[Reals, Reals]]:
        """Each layer's weights (n_in, n_out) and biases (n_out,), as views into a flat vector."""
        pairs = []
        for n_in, n_out, weights, biases, *_ in self.layers().tolist():
            pairs.append((parameters[weights:biases].reshape(n_in, n_out), parameters[biases : biases + n_out]))
        return pairs

    def join(self, pairs: Any, into: Reals) -> None:
        """Write a list of (weights, biases) into a flat vector, after checking every shape."""
        views = self.split(into)
        try:
            given = [(weights, biases) for weights, biases in pairs]
        except (TypeError, ValueError):
            raise InvalidInputError(
                f"Parameters must be a list of {len(views)} pairs (weights, biases), one for each layer."
            ) from None
        if len(given) != len(views):
            raise InvalidInputError(f"This network has {len(views)} layers, but {len(given)} pairs were given.")
        checked = [
            [
                finite_array(value, target.shape, into.dtype, f"The {what} of layer {number}")
                for what, value, target in zip(("weights", "biases"), pair, view, strict=True)
            ]
            for number, (pair, view) in enumerate(zip(given, views, strict=True))
        ]
        for values, view in zip(checked, views, strict=True):
            for value, target in zip(values, view, strict=True):
                target[:] = value

    def check_signs(self, parameters: Reals) -> None:
        """Refuse parameters with which outputs need not be monotone."""
        if self.monotone and (parameters * self.signs(parameters.dtype) < 0).any():
            raise InvalidInputError("These weights are not those of monotone columns: some have the other sign.")

    def __str__(self) -> str:
        shape = "-".join(map(str, self.sizes))
        hidden = [activation.name for activation in self.activations[:-1]]
        inner = (hidden[0] if len(set(hidden)) == 1 else "-".join(hidden)) + ", " if hidden else ""
        dropped = f"dropout {'-'.join(f'{rate:g}' for rate in self.dropout[:-1])}, " if any(self.dropout) else ""
        count = f"{self.n_parameters:,} parameters"
        return f"{shape} ({inner}{dropped}{self.activations[-1].name} output, {self.loss.name}, {count})"


def finite_array(value: Any, shape: Sequence[int], dtype: np.dtype[Any], what: str) -> Reals:
    """An array of finite numbers of this shape and dtype, or an error that begins with `what`."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise InvalidInputError(f"{what} must be an array of shape {tuple(shape)}.") from None
    if array.shape != tuple(shape):
        raise InvalidInputError(f"{what} have shape {tuple(shape)}, but {array.shape} was given.")
    with np.errstate(over="ignore"):
        converted = array.astype(dtype) if array.dtype.kind in "fiu" else None
    if converted is None or not np.isfinite(converted).all() or np.ma.is_masked(value):
        raise InvalidInputError(f"{what} must be finite numbers that {dtype} can hold.")
    return converted


def _checked_sizes(sizes: Any) -> tuple[int, ...]:
    given = listed(sizes)
    if given is None:
        raise InvalidInputError(f"layer_sizes must be a list such as [4, 64, 64, 1], not {shown(sizes)}.")
    checked = tuple(positive_integer(size, f"layer_sizes[{i}]") for i, size in enumerate(given))
    if len(checked) < 2:
        raise InvalidInputError(
            f"layer_sizes needs at least the number of inputs and of outputs, such as [4, 1], not {list(checked)}."
        )
    count = sum(n_in * n_out + n_out for n_in, n_out in pairwise(checked))
    if count >= MOST_PARAMETERS:
        raise InvalidInputError(f"layer_sizes ask for {count:,} parameters; at most {MOST_PARAMETERS:,} are possible.")
    return checked


def _for_each(value: Any, n_hidden: int, what: str) -> list[Any]:
    """One value for each hidden layer, from one for all or a list of them."""
    if isinstance(value, list | tuple):
        if len(value) != n_hidden:
            raise InvalidInputError(f"{what} has {len(value)} entries, but there are {n_hidden} hidden layers.")
        return list(value)
    return [value] * n_hidden
