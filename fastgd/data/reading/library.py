"""polars, which reads the files, or one sentence that says how to install it."""

from __future__ import annotations

from typing import Any

from ...errors import not_installed


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
