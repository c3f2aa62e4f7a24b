"""From the columns of a table to the inputs of a network.

An encoded row has dense numbers first, then one position for each column that the first layer looks up; what a
position stands for is in kernels/records.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputWarning, InvalidInputError, warn
from ..kernels import engine
from ..kernels.records import Codes, Reals, read_only
from ..network.network import Inputs
from ..options import printable, shortened
from .column_codes import LevelCode, NumberCode, as_numbers
from .columns import Column, Columns, Numbers, as_labels

SHOWN, WIDEST_NAME = 40, 24  # columns that are printed, characters of their names


@dataclass(frozen=True, eq=False, repr=False)
class Encoder:
    """How the columns of one model's tables are encoded, as its first fit has learned it."""

    codes: tuple[NumberCode | LevelCode, ...]
    names: tuple[str, ...] | None = None  # of the columns, where a model that prints it has some
    told: set[tuple[int, str]] = field(default_factory=set)  # columns, and the kind of what was said of each already

    def __repr__(self) -> str:
        names = ["column", *map(str, self.names or range(len(self.codes)))][: SHOWN + 1]
        width = min(max(map(len, names)), WIDEST_NAME)
        told = ["how it is encoded", *(code.described() for code in self.codes)]
        lines = [f"{shortened(printable(name), width):<{width}}  {how}" for name, how in zip(names, told, strict=False)]
        more = [f"… and {len(self.codes) - SHOWN:,} more"] if len(self.codes) > SHOWN else []
        return "\n".join([*lines, *more])

    @cached_property
    def inputs(self) -> Inputs:
        """What the first layer reads of a row."""
        n_dense = sum(code.is_dense for code in self.codes)
        looked_up = tuple((code.n_bins, code.n_levels) for code in self.codes if code.n_bins + code.n_levels)
        columns = tuple(self._rising())
        return Inputs(n_dense, looked_up, () if columns == tuple(range(len(self.codes))) else columns)

    def _rising(self) -> Iterator[int]:
        """Of each row of the first layer's weights the column whose number it grows with, -1 for a level."""
        yield from (column for column, code in enumerate(self.codes) if code.is_dense)
        for column, code in enumerate(self.codes):
            yield from [column] * code.n_bins + [-1] * code.n_levels

    @property
    def has_bins(self) -> bool:
        """Whether numbers have bins, so that they are read by their rank."""
        return any(code.n_bins for code in self.codes)

    @cached_property
    def record(self) -> Codes:
        """How columns become inputs, as kernels take it."""
        columns, first = np.full((len(self.codes), 4), -1, np.int64), 0
        gaps, lowest, highest = np.zeros((3, len(self.codes)))
        for number, (code, places) in enumerate(zip(self.codes, self._places(), strict=True)):
            columns[number] = (*(-1 if place is None else place for place in places), first, code.n_bins)
            if isinstance(code, NumberCode):
                first += len(code.edges)
                gaps[number], lowest[number], highest[number] = 0 if code.n_bins else code.mean, code.low, code.high
        numbers = [code for code in self.codes if isinstance(code, NumberCode)]
        edges, normal = (np.concatenate([np.zeros(0), *arrays]) for arrays in
                         ([code.edges for code in numbers], [code.normal for code in numbers]))  # fmt: skip
        return Codes(columns, edges, normal, gaps, lowest, highest)

    def _places(self) -> Iterator[tuple[int | None, int | None]]:
        """Of each column of the user's table where its number and its position stand among the inputs."""
        dense, looked_up = 0, self.inputs.n_dense
        for code in self.codes:
            is_looked_up = code.n_bins + code.n_levels > 0
            yield (dense if code.is_dense else None), (looked_up if is_looked_up else None)
            dense, looked_up = dense + code.is_dense, looked_up + is_looked_up

    def columns_of(self, column: int) -> list[int]:
        """Which inputs tell of a column of the user's table."""
        return [place for place in list(self._places())[column] if place is not None]

    @cached_property
    def origins(self) -> list[int]:
        """Which column of the user's table each input tells of."""
        found = {place: column for column, places in enumerate(self._places()) for place in places if place is not None}
        return [found[place] for place in range(len(found))]

    def weight_origins(self) -> list[int]:
        """Which column of the user's table each row of the first layer's weights belongs to."""
        dense = [column for column, code in enumerate(self.codes) if code.is_dense]
        return dense + [column for column, code in enumerate(self.codes) for _ in range(code.n_bins + code.n_levels)]

    def weight_names(self, names: list[str]) -> list[str]:
        """What each row of the first layer's weights is called."""
        pairs = list(zip(self.codes, names, strict=True))
        return [name for code, name in pairs if code.is_dense] + [
            row for code, name in pairs for row in code.names(name)
        ]

    def encode(self, table: Columns, dtype: np.dtype[Any], device: str, is_new: bool = True) -> Reals:
        """The inputs for a table, read-only; what is to be said of new rows is said once for each column."""
        X = table.matrix if table.matrix is not None and not self.has_labels else self._read(table)
        if is_new:
            self._tell(table, X)
        out = np.empty((table.n_rows, self.inputs.n_columns), dtype)
        with np.errstate(over="ignore"):
            engine(device).encode(out, read_only(X.view()), self.record)
        if np.isinf(out).any():
            row, place = (int(number) for number in np.argwhere(np.isinf(out))[0])
            where = table.columns[self.origins[place]].where
            raise InvalidInputError(f"{where}, row {row} is too large for {dtype}: use other units.")
        return read_only(out)

    @cached_property
    def has_labels(self) -> bool:
        """Whether there are columns of labels."""
        return any(isinstance(code, LevelCode) for code in self.codes)

    def _read(self, table: Columns) -> Numbers:
        X = np.empty((table.n_rows, len(self.codes)))
        for number, (code, column) in enumerate(zip(self.codes, table.columns, strict=True)):
            X[:, number] = code.read(column)
        return X

    def _tell(self, table: Columns, X: Numbers) -> None:
        """Warn of rows unlike those of the fit, of each column and kind once."""
        missing: NDArray[np.bool_] = np.asarray(np.isnan(X).any(axis=0))
        for number, (code, column) in enumerate(zip(self.codes, table.columns, strict=True)):
            for kind, said in code.unlike_the_fit(column) if missing[number] or isinstance(code, LevelCode) else ():
                if (number, kind) not in self.told:
                    self.told.add((number, kind))
                    warn(said, InputWarning)

    def observed(self, table: Columns, column: int) -> NDArray[Any]:
        """The values, or labels, that a column has, without its gaps."""
        if isinstance(self.codes[column], NumberCode):
            values = as_numbers(table.columns[column])
            return values[~np.isnan(values)]
        return np.array([label for label in as_labels(table.columns[column]) if label is not None], np.str_)

    def settings(self, column: int, values: NDArray[Any], dtype: np.dtype[Any], device: str) -> Reals:
        """What such values make of the inputs that tell of a column, (n_values, n_inputs)."""
        labels = values.dtype.kind == "U"
        given = Column("X", None if labels else values.astype(np.float64), values.tolist() if labels else None)
        X = np.full((len(values), len(self.codes)), np.nan)
        X[:, column] = self.codes[column].read(given)
        out = np.empty((len(values), self.inputs.n_columns), dtype)
        engine(device).encode(out, read_only(X), self.record)
        return np.ascontiguousarray(out[:, self.columns_of(column)])

    def bins(self, dtype: np.dtype[Any]) -> dict[str, Reals]:
        """The mean of each looked-up row of weights, and the inverse of its standard deviation, as kernels take it."""
        means, scales = [np.zeros(0)], [np.zeros(0)]
        for code in self.codes:
            if isinstance(code, NumberCode):
                means.append(code.bin_mean)
                scales.append(1 / code.bin_std)
            means.append(np.zeros(code.n_levels))
            scales.append(np.ones(code.n_levels))
        return {"bin_mean": np.concatenate(means).astype(dtype), "bin_scale": np.concatenate(scales).astype(dtype)}
