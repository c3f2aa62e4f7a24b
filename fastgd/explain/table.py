"""Columns that print as a table, and what the inputs and the weights of a layer are called in them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, replace
from functools import lru_cache
from textwrap import wrap
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..model.core import Core
from ..model.mean import Mean
from ..options import html_table, look_up, printable, shortened, side_by_side
from ..training.progress import columns_seen

SHOWN = 20  # rows that a table prints
WIDTH = 80  # columns, where the terminal is not narrower
LEAST_NAME = 12  # characters: names give way to numbers, down to this length


@dataclass(frozen=True)
class Table:
    """Columns of the same length, which print as a table.

    It is read like a data frame: `table["name"]` is a column, len(table) counts rows, and its names are what `in`,
    `keys` and loops see.
    """

    columns: Mapping[str, Any]
    largest_by: str | None = None  # a long table prints the rows where this column is largest, in their order
    unprinted: tuple[str, ...] = ()  # columns that are too much to print
    unsigned: tuple[str, ...] = ()  # columns that cannot be below 0
    most: int = SHOWN  # rows that are printed
    note: str = ""  # a sentence that is printed below it
    in_full: tuple[str, ...] = ()  # columns that are compared to the fourth figure, 31,234 rather than 3.12e+04

    def __getitem__(self, name: str) -> Any:
        return look_up(name, self.columns, "column")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def keys(self) -> KeysView[str]:
        """The names of the columns."""
        return self.columns.keys()

    def values(self) -> ValuesView[Any]:
        """The columns."""
        return self.columns.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and columns."""
        return self.columns.items()

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as lists of plain numbers and text, ready for JSON or a data frame."""
        return {name: np.asarray(column).tolist() for name, column in self.columns.items()}

    def sorted_by(self, name: str) -> Table:
        """The same table with its rows by the size of a column, largest first (text by the alphabet).

        Raises:
            InvalidInputError: there is no such column.
        """
        column = np.asarray(self[name])
        order = np.argsort(column if column.dtype.kind == "U" else -np.abs(column), kind="stable")
        moved = {
            key: [values[i] for i in order] if isinstance(values, list) else values[order]
            for key, values in self.columns.items()
        }
        return replace(self, columns=moved)

    def printed(self) -> tuple[list[list[str]], int]:
        """The header and the rows that are printed, as text, and how many rows are left out."""
        order = np.arange(len(self))
        if len(self) > self.most and self.largest_by:
            order = np.sort(np.argsort(-np.abs(self.columns[self.largest_by]), kind="stable")[: self.most])
        printed = ((name, column) for name, column in self.columns.items() if name not in self.unprinted)
        cells = [
            [
                printable(name),
                *(_cell(column[i], name in self.unsigned, name in self.in_full) for i in order[: self.most]),
            ]
            for name, column in printed
        ]
        return [list(row) for row in zip(*cells, strict=True)], max(len(self) - self.most, 0)

    def __repr__(self) -> str:
        rows, left_out = self.printed()
        width = min(columns_seen() or WIDTH, WIDTH)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        beyond = sum(widths) + 2 * (len(widths) - 1) - width
        if beyond > 0 and widths[0] > LEAST_NAME:
            widths[0] = max(widths[0] - beyond, LEAST_NAME)
            rows = [[shortened(row[0], widths[0]), *row[1:]] for row in rows]
        right = [not isinstance(self.columns[name][0], str) for name in self.columns if name not in self.unprinted]
        rows.insert(1, ["─" * w for w in widths])
        parts = []
        for places in side_by_side(widths, 2, width):
            aligned = [
                [row[k].rjust(widths[k]) if right[k] else row[k].ljust(widths[k]) for k in places] for row in rows
            ]
            parts.append("\n".join("  ".join(cells).rstrip() for cells in aligned))
        below = [f"… and {left_out:,} more"] * bool(left_out) + wrap(self.note, width)
        return "\n".join(["\n\n".join(parts), *below])

    def _repr_html_(self) -> str:
        (header, *rows), left_out = self.printed()
        return html_table(header, rows, below=[f"… and {left_out:,} more" * bool(left_out), self.note])


def _cell(value: Any, unsigned: bool, in_full: bool) -> str:
    if isinstance(value, float | np.floating):
        if in_full:
            return full(float(value))
        return f"{value:.3g}" if unsigned else f"{value:+.4g}"
    return printable(str(value))


def full(value: float) -> str:
    """A number to its fourth figure at least, such as 31,234."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e8 else f"{value:.4g}"


def check_is_model(model: Any) -> None:
    """Whether a single network was given to be explained."""
    if not isinstance(model, Core):
        inner = ": pass its model_" if isinstance(getattr(model, "model_", None), Core) else ""
        raise InvalidInputError(f"model must be a fastgd.MLP, not {type(model).__name__}{inner}.")


def input_names(model: Core | Mean, index: int) -> list[str]:
    """What a layer's inputs are called: features, or units of the layer before."""
    n_in = model.network.sizes[index]
    if index == 0:
        return list(model.feature_names or (f"input {i}" for i in range(n_in)))
    return [f"unit {i} of layer {index - 1}" for i in range(n_in)]


def weight_names(model: Core, index: int) -> list[str]:
    """What a layer's weights are called: by their input, and their unit where there are several."""
    names, encoder = input_names(model, index), model.schema.encoder
    if index == 0 and encoder is not None:
        names = encoder.weight_names(names)
    return list(_pairs(tuple(names), model.network.sizes[index + 1]))


@lru_cache(maxsize=8)  # a step that is told takes 5 % less for layers that have been named before
def _pairs(names: tuple[str, ...], n_out: int) -> tuple[str, ...]:
    return names if n_out == 1 else tuple(f"{name} → unit {j}" for name in names for j in range(n_out))
