"""What every command shares: whatever a user can meet is one line on standard error, and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import BlowUpWarning, FastgdError
from .terminal import complain, mute

EXIT_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can meet into one line on standard error and exit code 2."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            with _room_for(options.get("save"), options.get("report")), warnings.catch_warnings():
                warnings.showwarning = _one_line_warning
                warnings.simplefilter("ignore", BlowUpWarning)  # the error that follows says more
                command(*args, **options)
        except MemoryError:
            complain("there is not enough memory for this: use fewer rows, or a smaller network.")
            sys.exit(2)
        except FastgdError as error:
            complain(error)
            sys.exit(2)
        except KeyboardInterrupt:
            complain("interrupted")
            sys.exit(EXIT_INTERRUPTED)

    return wrapper


def _room_for(*paths: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Where standard output takes a model or a page, what is told goes to standard error."""
    from ..files.atomic import STANDARD_OUTPUT, destination

    with contextlib.suppress(OSError, ValueError):  # a path that leads nowhere is refused later
        if STANDARD_OUTPUT in [destination(path) for path in paths if path is not None]:
            return contextlib.redirect_stdout(sys.stderr)
    return contextlib.nullcontext()


class OneLineUsage(click.Group):
    """A group whose usage errors, too, are one line on standard error and exit code 2, as is a full disk."""

    def main(self, args: Any = None, prog_name: Any = None, *others: Any, **options: Any) -> Any:
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        options.setdefault("terminal_width", min(shutil.get_terminal_size().columns, 80) - 2)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without m² and R² shows a question mark
        try:
            result: Any = super().main(args, prog_name, *others, **options)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "fastgd"
            complain(f"{' '.join(error.format_message().split())} See `{command} --help`.")
            sys.exit(2)
        except click.Abort:
            sys.exit(EXIT_INTERRUPTED)
        except OSError as error:
            mute(sys.stdout)
            what = f"{error.filename} cannot be used" if error.filename else "the output cannot be written"
            complain(f"{what}: {error.strerror or error}.")
            sys.exit(2)
        if standalone:
            sys.exit(result if isinstance(result, int) else 0)
        return result


def _one_line_warning(message: Warning | str, *others: Any, **options: Any) -> None:
    complain(message)
