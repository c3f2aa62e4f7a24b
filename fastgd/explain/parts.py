"""Parts of a network that tables speak of: the weights of one layer or of all, each or by input, with biases or not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.records import Reals
from ..model.core import Core
from .table import input_names, weight_names


class Part:
    """Chooses from flat vectors (n_parameters,) what stands in the lines of a table."""

    def __init__(self, model: Core, layers: list[int], by_input: bool, biases: bool) -> None:
        self.model, self.layers, self.by_input, self.biases = model, layers, by_input, biases

    def names(self, title: str) -> dict[str, list[str]]:
        """The columns that say what a line is about; "layer" where there are several."""
        names = [self._names(index) for index in self.layers]
        columns = {title: [name for of_layer in names for name in of_layer]}
        if len(self.layers) > 1:
            numbers = [str(index) for index, of_layer in zip(self.layers, names, strict=True) for _ in of_layer]
            columns = {"layer": numbers, **columns}
        return columns

    def of(self, flat: Reals) -> Reals:
        """What a flat vector has for each line; for an input the length of its row of weights."""
        if not self.by_input:
            return self._lines(flat, np.ravel)
        return np.sqrt(self.sums(np.square(flat, dtype=np.float64))).astype(flat.dtype)

    def sums(self, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        """What it has for each line; for an input the sum over its rows of weights."""
        return self._lines(flat, self._summed if self.by_input else np.ravel)

    def shares(self, values: Reals) -> Reals:
        """How large the value of each line is beside the largest of its layer's weights; NaN counts as infinite."""
        shares = np.abs(values)
        shares[np.isnan(shares)] = np.inf
        for index, lines in zip(self.layers, self.slices, strict=True):
            of_layer = shares[lines]
            top = of_layer[: self._n_weights(index)].max()
            if np.isinf(top):
                of_layer[:] = np.isinf(of_layer)
            elif top:
                of_layer /= top
        return shares

    @property
    def slices(self) -> list[slice]:
        """The lines of each layer."""
        ends = np.cumsum([0, *map(self._n_lines, self.layers)]).tolist()
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def size(self) -> int:
        """How many lines there are."""
        return sum(map(self._n_lines, self.layers))

    def _n_weights(self, index: int) -> int:
        n_in, n_out = self.model.network.shapes[index]
        return self.model.network.sizes[index] if self.by_input else n_in * n_out

    def _n_lines(self, index: int) -> int:
        of_biases = 1 if self.by_input else self.model.network.sizes[index + 1]
        return self._n_weights(index) + (of_biases if self.biases else 0)

    def _names(self, index: int) -> list[str]:
        names = input_names(self.model, index) if self.by_input else weight_names(self.model, index)
        return names + (self._names_of_biases(index) if self.biases else [])

    def _names_of_biases(self, index: int) -> list[str]:
        n_out = self.model.network.sizes[index + 1]
        return ["bias"] if self.by_input or n_out == 1 else [f"bias → unit {unit}" for unit in range(n_out)]

    def _summed(self, weights: NDArray[np.float64], index: int | None = None) -> NDArray[np.float64]:
        """The sum of each row of weights; in the first layer of a model that encodes tables, of each column's rows."""
        sums, encoder = weights.sum(axis=1), self.model.schema.encoder
        if index != 0 or encoder is None:
            return np.asarray(sums)
        return np.bincount(encoder.weight_origins(), sums, self.model.network.n_in).astype(np.float64)

    def _lines(self, flat: NDArray[Any], gathered: Callable[..., NDArray[Any]]) -> NDArray[Any]:
        pairs = self.model.network.split(flat)
        lines = []
        for index in self.layers:
            weights, biases = pairs[index]
            lines.append(gathered(weights) if gathered is np.ravel else gathered(weights, index))
            if self.biases:
                lines.append(gathered(biases[None, :]))
        return lines[0] if len(lines) == 1 else np.concatenate(lines)
