"""Where the rows of a table stand in its file, as messages name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Places(NamedTuple):
    """The first line of each row of a text file, or the numbers of a Parquet file's rows, counted from 1."""

    word: str  # "line" or "row"
    numbers: Sequence[int] | NDArray[np.int64]

    def of(self, row: int) -> str:
        """What messages call the place of a row, which is counted from 0."""
        return f"{self.word} {int(self.numbers[row])}"

    def at(self, rows: Any) -> Places:
        """Those of some rows: by their numbers, or a mask."""
        return self._replace(numbers=np.asarray(self.numbers)[rows])
