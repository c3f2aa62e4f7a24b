"""Errors and warnings about a batch name the place of its row in the stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import InvalidInputError, kept_warnings, warn
from .source import Batch

# The number of a row, but none in the name of a column or in a value.
ROW = re.compile(r"""\([^()]*\)|'[^']*'|"[^"]*"|([,;]) row (\d+)\b""")


@contextmanager
def located(batch: Batch) -> Iterator[None]:
    """Whatever the block says of the tables of a batch is said of the stream."""
    try:
        with kept_warnings() as told:
            yield
    except InvalidInputError as error:
        raise InvalidInputError(in_stream(str(error), batch)) from error
    for message, category in told:
        warn(in_stream(message, batch), category)


def in_stream(message: str, batch: Batch) -> str:
    """A message on a batch, whose rows are counted from 0, as one on the stream."""
    rows = [int(match[2]) for match in ROW.finditer(message) if match[2]]

    def without_row(match: re.Match[str]) -> str:
        return match[0] if not match[2] else "; this row" if match[1] == ";" else ""

    where = batch.at(rows[0]) if rows else batch.where
    return f"{where}: {ROW.sub(without_row, message)}"
