"""polars, which reads the files, or one sentence that says how to install it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import not_installed
from ...options import shortened


def library() -> Any:
    """The module polars.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise not_installed("Tables in files", "polars") from error
    return polars


def named(columns: Sequence[str]) -> Any:
    """The columns of these names; as plain texts "*" and "^x$" would be patterns."""
    from polars import selectors

    return selectors.by_name(*columns)


def failures() -> tuple[type[BaseException], ...]:
    """What its readers raise where a file is broken; some of it as panics of Rust, which are no `Exception`."""
    errors = library().exceptions
    return OSError, errors.PolarsError, errors.PanicException


def told(error: BaseException) -> str:
    """What it says, as a part of a line."""
    return shortened(" ".join(str(error).split()).rstrip("."), 300)
