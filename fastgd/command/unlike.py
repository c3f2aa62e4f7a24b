"""Cells of a file unlike all that a model has seen, counted over the whole file and told in one line per column.

Where a model cannot do without a value, the rows that lack it are counted likewise, and the file is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.column_codes import LevelCode, NumberCode, as_numbers
from ..data.columns import Column, Columns
from ..errors import InvalidInputError
from ..options import shortened

if TYPE_CHECKING:
    from polars import DataFrame

    from ..data.files import Places
    from ..many.ensemble import Ensemble
    from ..mlp import MLP

LONGEST = 40  # characters of a label
KINDS = "gaps", "unseen"  # of what an encoder warns by itself


class Cells:
    """How many cells are of one kind, and the first of them."""

    def __init__(self) -> None:
        self.count, self.place, self.first = 0, "", ""
        self.labels: Counter[str] = Counter()

    def add(self, wrong: Any, places: Places, values: Any = None) -> None:
        """Count the rows where `wrong` (n_rows,) says so; `values` are what the cells hold."""
        n_wrong = int(np.count_nonzero(wrong))
        if n_wrong and not self.count:
            row = int(np.argmax(wrong))
            self.place, self.first = places.of(row), "" if values is None else values[row]
        self.count += n_wrong


class Unlike:
    """What new rows have that no network of a model has seen in its training."""

    def __init__(self, model: MLP | Ensemble) -> None:
        encoders = [member.schema.encoder for member in model.members]
        self.codes = (
            [] if None in encoders else list(zip(*(encoder.codes for encoder in encoders if encoder), strict=True))
        )
        for encoder in encoders:  # it is told here, once for the whole file
            if encoder is not None:
                encoder.told.update((place, kind) for place in range(len(encoder.codes)) for kind in KINDS)
        self.found: dict[int, dict[str, Cells]] = {}

    def add(self, table: Columns, places: Places) -> None:
        """Look at some rows, which stand there."""
        for place, (codes, column) in enumerate(zip(self.codes, table.columns, strict=True)):
            kinds = self.found.setdefault(place, {"unseen": Cells(), "beyond": Cells(), "gaps": Cells()})
            if isinstance(codes[0], LevelCode):
                _count_labels(kinds, codes, column, places)
            else:
                _count_numbers(kinds, codes, column, places)

    def told(self, names: Any) -> Iterator[str]:
        """A line for each column that has something to be said of."""
        for place, kinds in self.found.items():
            parts = [part for kind, cells in kinds.items() if cells.count for part in [self._said(place, kind, cells)]]
            if parts:
                yield f"column {names[place]!r}: {'; '.join(parts)}."

    def _said(self, place: int, kind: str, cells: Cells) -> str:
        codes, at = self.codes[place], f"in {cells.place}"
        n = f"{cells.count:,} {'cell' if cells.count == 1 else 'cells'}"
        if kind == "gaps":
            rule = "the mean" if isinstance(codes[0], NumberCode) else "none"
            return f"{n} without a value, the first {at}, where the training had one in every row (taken as {rule})"
        if kind == "unseen":
            rule = "a rare one" if any(code.has_rare for code in codes) else "none"
            others = len(cells.labels) - 1
            more = f" and {others:,} {'other' if others == 1 else 'others'}" if others else ""
            label = repr(shortened(cells.first, LONGEST))
            return f"{n} with categories that the training did not have, {label} {at}{more} (taken as {rule})"
        low, high = _range(codes)
        return f"{n} beyond {low:.6g} to {high:.6g}, {cells.first:.6g} {at} (taken as the nearest of these)"


def _count_labels(kinds: dict[str, Cells], codes: Any, column: Column, places: Places) -> None:
    if not any(code.n_levels for code in codes):  # it is left out
        return
    labels = codes[0].labels_of(column)
    distinct = set(labels)
    if None in distinct and not any(code.has_gaps for code in codes):
        kinds["gaps"].add(np.array([label is None for label in labels]), places)
    if all(code.known is not None for code in codes):
        unseen = distinct.difference({None}, *(code.known for code in codes))
        if unseen:
            kinds["unseen"].add(np.array([label in unseen for label in labels]), places, labels)
            kinds["unseen"].labels.update(unseen)


def _count_numbers(kinds: dict[str, Cells], codes: Any, column: Column, places: Places) -> None:
    values = as_numbers(column)
    if not any(code.has_gaps for code in codes):
        kinds["gaps"].add(np.isnan(values), places)
    low, high = _range(codes)
    kinds["beyond"].add((values < low) | (values > high), places, values)


def _range(codes: Any) -> tuple[float, float]:
    """From where to where numbers count as they are, for at least one of the networks."""
    lows = [code.edges[0] if len(code.edges) else code.low for code in codes]
    highs = [code.edges[-1] if len(code.edges) else code.high for code in codes]
    return min(lows), max(highs)


class Gaps:
    """Rows without a number that the model needs: all are counted before they are told."""

    def __init__(self, name: str) -> None:
        self.name = name  # of the file
        self.n_rows, self.first = 0, ""

    def found(self, X: DataFrame, places: Places) -> bool:
        """Whether there are any so far."""
        import polars as pl

        if any(X.null_count().row(0)):
            empty = X.select(pl.all().is_null())
            rows = empty.select(pl.any_horizontal(pl.all())).to_series()
            if not self.n_rows:
                row = int(rows.arg_max() or 0)
                name = next(name for name in X.columns if empty[name][row])
                self.first = f"{places.of(row)}, column {name!r}"
            self.n_rows += int(rows.sum())
        return self.n_rows > 0

    def refuse(self) -> None:
        """Refuse the file if there are any."""
        if self.n_rows:
            rows = "1 row has" if self.n_rows == 1 else f"{self.n_rows:,} rows have"
            raise InvalidInputError(
                f"{self.name}: {rows} no value where the model needs one, the first in {self.first}. It was "
                "trained without gaps: fill them, or drop these rows."
            )
