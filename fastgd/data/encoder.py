"""From the columns of a table to rows that kernels read.

An encoded row has dense columns first, then one position for each column that the first layer looks up; what a
position stands for is in kernels/records.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputWarning, InvalidInputError, warn
from ..kernels.records import Reals, read_only
from ..network.network import Inputs
from .column_codes import LevelCode, NumberCode, as_numbers
from .columns import Column, Columns, Numbers, as_labels

SHOWN = 40  # columns that are printed


@dataclass(frozen=True, eq=False, repr=False)
class Encoder:
    """How the columns of one model's tables are encoded, as its first fit has learned it."""

    codes: tuple[NumberCode | LevelCode, ...]
    seen: tuple[frozenset[str] | None, ...]  # of each column the labels of the fit, rare ones, too; None: too many
    told: set[int] = field(default_factory=set, compare=False)  # columns of which something was said already

    def __repr__(self) -> str:
        lines = [f"{number:>5}  {code.described()}" for number, code in enumerate(self.codes)]
        return "\n".join(
            ["column  how it is encoded", *lines[:SHOWN], *[f"… and {len(lines) - SHOWN} more"][len(lines) <= SHOWN :]]
        )

    @property
    def inputs(self) -> Inputs:
        """What the first layer sees of a row."""
        n_dense = sum(code.is_dense for code in self.codes)
        looked_up = tuple((code.n_bins, code.n_levels) for code in self.codes if code.n_bins + code.n_levels)
        return Inputs(n_dense, looked_up)

    @property
    def has_bins(self) -> bool:
        """Whether numbers have become normally distributed, and have bins."""
        return any(code.n_bins for code in self.codes)

    def places(self) -> Iterator[tuple[int | None, int | None]]:
        """Of each column of the user's table where its dense value and its position stand in an encoded row."""
        dense, looked_up = 0, self.inputs.n_dense
        for code in self.codes:
            yield (dense if code.is_dense else None), (looked_up if code.n_bins + code.n_levels else None)
            dense, looked_up = dense + code.is_dense, looked_up + (code.n_bins + code.n_levels > 0)

    def columns_of(self, column: int) -> list[int]:
        """Which columns of an encoded row tell of a column of the user's table."""
        return [place for place in list(self.places())[column] if place is not None]

    def origins(self) -> list[int]:
        """Which column of the user's table each column of an encoded row tells of."""
        found = {place: column for column in range(len(self.codes)) for place in self.columns_of(column)}
        return [found[place] for place in range(len(found))]

    def weight_origins(self) -> list[int]:
        """Which column of the user's table each row of the first layer's weights belongs to."""
        dense = [column for column, code in enumerate(self.codes) if code.is_dense]
        return dense + [column for column, code in enumerate(self.codes) for _ in range(code.n_bins + code.n_levels)]

    def weight_names(self, names: list[str]) -> list[str]:
        """What each row of the first layer's weights is called."""
        named = [code.names(name) for code, name in zip(self.codes, names, strict=True)]
        dense = [own for (own, _), code in zip(named, self.codes, strict=True) if code.is_dense]
        return dense + [row for _, rows in named for row in rows]

    def encode(self, table: Columns, dtype: np.dtype[Any], is_new: bool = True) -> Reals:
        """A table as encoded rows, read-only; what is to be said of new rows is said once for each column."""
        n_dense, looked_up = self.inputs
        out = np.empty((table.n_rows, n_dense + len(looked_up)), dtype)
        for number, (code, places, column) in enumerate(zip(self.codes, self.places(), table.columns, strict=True)):
            dense, position, said = code.encoded(column)
            for values, place in zip((dense, position), places, strict=True):
                if place is not None:
                    with np.errstate(over="ignore"):
                        out[:, place] = values
            if is_new and number not in self.told:
                said = code.unseen(column, self.seen[number]) if isinstance(code, LevelCode) else said
                if said:
                    self.told.add(number)
                    warn(said, InputWarning)
            infinite = np.isinf(out[:, places[0]]) if places[0] is not None else np.zeros(1, bool)
            if infinite.any():
                row = int(np.argmax(infinite))
                raise InvalidInputError(f"{column.where}, row {row} is too large for {dtype}: use other units.")
        return read_only(out)

    def observed(self, table: Columns, column: int) -> NDArray[Any]:
        """The values, or labels, that a column has, without its gaps."""
        if isinstance(self.codes[column], NumberCode):
            values = as_numbers(table.columns[column])
            return values[~np.isnan(values)]
        return np.array([label for label in as_labels(table.columns[column]) if label is not None], np.str_)

    def settings(self, column: int, values: NDArray[Any]) -> Numbers:
        """What such values make of the columns of an encoded row that tell of this one, (n_values, n_columns)."""
        labels = values.dtype.kind == "U"
        given = Column("X", None if labels else values.astype(np.float64), values.tolist() if labels else None)
        dense, position, _ = self.codes[column].encoded(given)
        parts = [part for part in (dense, position) if part is not None]
        return np.column_stack([np.zeros((len(values), 0)), *parts])

    def bins(self, dtype: np.dtype[Any]) -> dict[str, Reals]:
        """The mean of each looked-up row of weights, and the inverse of its standard deviation, as kernels take it."""
        means, scales = [np.zeros(0)], [np.zeros(0)]
        for code in self.codes:
            if isinstance(code, NumberCode):
                means.append(code.bin_mean)
                scales.append(np.divide(1, code.bin_std, out=np.zeros(code.n_bins), where=code.bin_std > 0))
            means.append(np.zeros(code.n_levels))
            scales.append(np.ones(code.n_levels))
        return {"bin_mean": np.concatenate(means).astype(dtype), "bin_scale": np.concatenate(scales).astype(dtype)}
