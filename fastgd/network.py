"""A network's shape: layer sizes, activations and loss become offsets in one flat parameter vector.

What comes in are names and numbers that a user typed; what goes out is the table of layers that kernels read, and
starting values. There is no data here and no training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activations import ACTIVATIONS, Activation
from .errors import InvalidInputError
from .initializers import INITIALIZERS
from .kernels import codes
from .losses import LOSSES, LossFunction
from .names import look_up, positive_integer

Reals = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """The architecture: which layers there are, and where each one's parameters live in the flat vector."""

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: LossFunction

    @classmethod
    def from_names(cls, sizes: Iterable[int], activation: str, output_activation: str, loss: str) -> Network:
        """Check what a user typed and build the network."""
        if isinstance(sizes, str | bytes) or not isinstance(sizes, Iterable):
            raise InvalidInputError(f"layer_sizes must be a list such as [4, 64, 64, 1], not {sizes!r}.")
        checked = tuple(positive_integer(size, f"layer_sizes[{i}]") for i, size in enumerate(sizes))
        if len(checked) < 2:
            raise InvalidInputError(
                f"layer_sizes needs at least the number of inputs and of outputs, such as [4, 1], not {list(checked)}."
            )
        hidden = look_up(activation, ACTIVATIONS, "activation")
        last = look_up(output_activation, ACTIVATIONS, "activation")
        return cls(checked, (hidden,) * (len(checked) - 2) + (last,), look_up(loss, LOSSES, "loss"))

    @property
    def n_in(self) -> int:
        """How many inputs a row has."""
        return self.sizes[0]

    @property
    def n_out(self) -> int:
        """How many outputs a row has."""
        return self.sizes[-1]

    @property
    def n_parameters(self) -> int:
        """How many weights and biases there are."""
        return sum(n_in * n_out + n_out for n_in, n_out in pairwise(self.sizes))

    def layers(self) -> NDArray[np.int64]:
        """The table of layers that kernels read (n_layers, LAYER_COLUMNS), see kernels/codes.py."""
        table = np.zeros((len(self.activations), codes.LAYER_COLUMNS), np.int64)
        offset = outputs = 0
        for row, (n_in, n_out), activation in zip(table, pairwise(self.sizes), self.activations, strict=True):
            row[codes.N_IN], row[codes.N_OUT] = n_in, n_out
            row[codes.WEIGHTS], row[codes.BIASES] = offset, offset + n_in * n_out
            row[codes.OUTPUTS], row[codes.ACTIVATION] = outputs, activation.code
            offset += n_in * n_out + n_out
            outputs += n_out
        return table

    def starting_values(self, initializer: str, dtype: np.dtype[Any], seed: int) -> Reals:
        """Random weights, zero biases, as the flat vector (n_parameters,)."""
        generator = np.random.default_rng(seed)
        values = np.zeros(self.n_parameters, dtype)
        names = {"auto": None, **INITIALIZERS}
        look_up(initializer, names, "initializer")
        for (weights, _), activation in zip(self.split(values), self.activations, strict=True):
            name = activation.initializer if initializer == "auto" else initializer
            weights[:] = INITIALIZERS[name](generator, *weights.shape)
        return values

    def split(self, parameters: Reals) -> list[tuple[Reals, Reals]]:
        """Each layer's weights (n_in, n_out) and biases (n_out,), as views into a flat vector."""
        pairs = []
        for n_in, n_out, weights, biases, *_ in self.layers().tolist():
            pairs.append((parameters[weights:biases].reshape(n_in, n_out), parameters[biases : biases + n_out]))
        return pairs

    def join(self, pairs: Sequence[tuple[Any, Any]], into: Reals) -> None:
        """Write a list of (weights, biases) into a flat vector, after checking every shape."""
        views = self.split(into)
        if len(pairs) != len(views):
            raise InvalidInputError(f"This network has {len(views)} layers, but {len(pairs)} pairs were given.")
        arrays = []
        for number, (pair, view) in enumerate(zip(pairs, views, strict=True)):
            for what, value, target in zip(("weights", "biases"), pair, view, strict=True):
                array = np.asarray(value)
                if array.shape != target.shape:
                    raise InvalidInputError(
                        f"The {what} of layer {number} have shape {target.shape}, but {array.shape} was given."
                    )
                if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                    raise InvalidInputError(f"The {what} of layer {number} must be finite numbers.")
                arrays.append((target, array))
        for target, array in arrays:
            target[:] = array

    def __str__(self) -> str:
        shape = "-".join(map(str, self.sizes))
        inner = f"{self.activations[0].name}, " if len(self.activations) > 1 else ""
        return (
            f"{shape} ({inner}{self.activations[-1].name} output, {self.loss.name}, {self.n_parameters:,} parameters)"
        )
