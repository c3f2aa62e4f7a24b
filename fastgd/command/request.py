"""What a user asks of `fastgd train`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..data.files import Format
from .networks import Plan
from .rows import Columns


class Request(NamedTuple):
    """The options, checked as far as that goes without the table."""

    files: list[Path]
    fmt: Format
    columns: Columns
    as_classes: bool | None
    drops_missing: bool
    plan: Plan
    validation: float  # share of the rows that is held out
    save: Path | None
    report: Path | None
    as_json: bool
    buffer_rows: int | None
