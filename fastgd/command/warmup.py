"""`fastgd warmup`: no later command waits for a compilation."""

from __future__ import annotations

import click

from .guard import one_line_errors
from .options import json_option, quiet_option
from .terminal import answer, is_quiet, say


@click.command()
@json_option
@quiet_option
@one_line_errors
def warmup(as_json: bool) -> None:
    """Compile every loop for this machine in advance.

    The machine code is kept on disk, for every program of this user.

    Example: fastgd warmup
    """
    from .warming import warm_up

    done = []
    for warmed in warm_up():
        done.append(warmed)
        if not as_json and not is_quiet():
            say(f"{warmed.seconds:6.1f} s  {warmed.what}")
    total = sum(warmed.seconds for warmed in done)
    if as_json:
        answer({"seconds": total, "ready": [warmed._asdict() for warmed in done]})
    elif not is_quiet():
        say(f"{total:6.1f} s  in all; what was ready before takes no time")
