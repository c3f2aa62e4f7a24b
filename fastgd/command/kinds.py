"""Kinds of option values: names with commas between them, and widths of layers."""

from __future__ import annotations

from typing import Any

import click


class Names(click.ParamType):  # type: ignore[type-arg]  # generic only in later releases of click
    """Different names, such as size_m2,bedrooms."""

    name = "NAMES"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        """The names as a list."""
        names = value if isinstance(value, list) else [name.strip() for name in _cells(value)]
        if not names or not all(names) or len(set(names)) < len(names):
            self.fail(f"{value!r} is not a list of different names such as size_m2,bedrooms.", param, ctx)
        return names


class Widths(click.ParamType):  # type: ignore[type-arg]
    """Units of each hidden layer, such as 64,64."""

    name = "WIDTHS"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        """The widths as a list."""
        if isinstance(value, list):
            return value
        words = [word.strip() for word in value.split(",")] if value.strip() else []
        if not all(word.isdecimal() and len(word) < 20 and int(word) > 0 for word in words):
            self.fail(
                f"{value!r} is not a list of layer widths such as 64,64 (empty for no hidden layer).",
                param,
                ctx,
            )
        return [int(word) for word in words]


class Share(click.FloatRange):
    """A part of a whole, between 0 and 1."""

    def __init__(self) -> None:
        super().__init__(0, 1, min_open=True, max_open=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number; NaN, which is on no side of any bound, is none."""
        share = float(super().convert(value, param, ctx))
        if share != share:
            self.fail(f"{value!r} is not a number between 0 and 1.", param, ctx)
        return share


def _cells(line: str) -> list[str]:
    """What stands between commas; a name with a comma in it is quoted, as in the file. Nothing if that is unclear."""
    import csv

    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        return []
    return cells
