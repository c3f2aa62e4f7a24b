"""One table as each member of a whole reads it, by its own encoding; a model alone is its only member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.schema import Schema
from ..kernels.records import Reals, read_only
from ..model.core import Core
from ..model.mean import Mean
from ..model.unseen import refuse

ROWS_OF_A_CURVE = 1000  # a mean over more of them hardly changes


class Setting:
    """Some rows as one model reads them, in which one column is set to one value after another."""

    def __init__(self, schema: Schema, X: Any, column: int, values: NDArray[Any]) -> None:
        table = schema.inputs(X).values
        places = np.linspace(0, len(table) - 1, min(len(table), ROWS_OF_A_CURVE)).round().astype(np.int64)
        self.changed = table[places]  # a copy
        self.columns, self.settings = schema.columns_of(column), schema.settings(column, values)

    def at(self, place: int) -> Reals:
        """The rows with the value that has this place."""
        self.changed[:, self.columns] = self.settings[place]
        return self.changed


def outputs(model: Core | Mean, values: Sequence[Reals]) -> Reals:
    """What the model puts out for checked inputs, which each member has in its own form."""
    out, finite = model.outputs_of(*(read_only(of_member.view()) for of_member in values))
    if not finite:
        for member, of_member in zip(model.members, values, strict=True):
            own, is_finite = member.outputs_of(of_member)
            if not is_finite:
                refuse(member.net, of_member, own, member.schema)
    return out
