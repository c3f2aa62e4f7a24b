"""What a survey of a stream has taught: all that a training needs beside the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidInputError
from ...kernels.records import Net, Reals, Rows
from ..arrays import CheckedTable
from ..rows import Measured, weights_of_some
from ..schema import Schema
from . import checked
from .groups import Weighing
from .located import located
from .source import Batch


@dataclass(frozen=True)
class Taught:
    """What all rows of a stream teach; nothing of it has reached a model yet.

    Attributes:
        schema, net: the model's with the names, classes, encoder and scaling of these rows.
        n_rows: of the stream.
        probe: some rows, from all over the stream, as kernels take them.
        held_out: the rows to validate with, where some were given.
    """

    schema: Schema
    net: Net
    n_rows: int
    weighing: Weighing
    has_weights: bool
    are_shares: bool  # whether the targets of a classifier are probabilities
    probe: Rows
    held_out: Measured | None

    def rows_of(self, batch: Batch, is_new: bool = False) -> tuple[Reals, Reals, Reals]:
        """X (n_rows, n_in), Y (n_rows, n_targets) and weights (n_rows,) or (0,) of a batch, as kernels take them.

        They are read-only and C-contiguous; a table that is so already, and has the dtype, is not copied.

        Args:
            batch: of the stream that was surveyed.
            is_new: whether its rows may be others than those surveyed, so that what is unlike these is told.

        Raises:
            InvalidInputError: rows that cannot be used; the message names their place in the stream.
        """
        with located(batch):
            table = checked.inputs(self.schema, batch, is_new)
            assert isinstance(table, CheckedTable)
            y = checked.targets_of(batch)
            target = (self.schema.values if self.are_shares else self.schema.targets)(y, table.n_rows)
            if (batch.weights is not None) != self.has_weights:
                is_there, was = ("are no", "were some") if self.has_weights else ("are", "were none")
                raise InvalidInputError(
                    f"there {is_there} weights of rows, but there {was} when the stream was first read."
                )
            weights = weights_of_some(batch.weights, table.n_rows)
            return table.values, target.values, self.weighing.of(weights, target.values, self.schema.dtype)
