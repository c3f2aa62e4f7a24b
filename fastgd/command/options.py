"""Options that commands share: how they answer, whether they replace files, and how a table's file is read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import click

from .terminal import set_quiet

Command = Callable[..., None]

TABS = {"tab": "\t", "\\t": "\t"}  # as they can be typed
FORMAT = ("separator", "decimal", "encoding", "missing")  # of a table's file, as data.files.Format calls them


def _keep_quiet(context: click.Context, option: click.Parameter, value: bool) -> None:
    set_quiet(value)
    context.call_on_close(lambda: set_quiet(False))


quiet_option = click.option(
    "--quiet", "-q", is_flag=True, expose_value=False, callback=_keep_quiet, help="Tell nothing but errors."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")


def file_options(command: Command) -> Command:
    """Options that say how a table's file is written, as one parameter `fmt`; what is not said is found."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        from ..data.files import Format
        from ..errors import InvalidInputError

        given = {name: options.pop(name) for name in FORMAT}
        given["missing"] = given["missing"] or None
        given["separator"] = TABS.get(given["separator"], given["separator"])
        try:
            fmt = Format(**given)
        except InvalidInputError as error:
            raise InvalidInputError(re.sub("^(?=separator|decimal)", "--", str(error))) from error
        command(*args, fmt=fmt, **options)

    for option in (
        click.option("--missing", multiple=True, metavar="MARK", help="What stands for a missing value, beside an "
                     "empty cell, such as -999; may be repeated."),
        click.option("--encoding", metavar="NAME", help="Of the text, such as latin-1."),
        click.option("--decimal", metavar="MARK", help="Between whole and decimal digits, such as a comma."),
        click.option("--separator", metavar="MARK", help="Between cells, such as ';' or tab."),
    ):  # fmt: skip
        wrapper = option(wrapper)
    return wrapper
