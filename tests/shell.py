"""The command line as tests call it: inside this process, in a shell, and on a terminal."""

from __future__ import annotations

import gzip
import os
import pty
import select
import signal
import sys
import time

import numpy as np
from click.testing import CliRunner

from fastgd.command.cli import main

FASTGD = [sys.executable, "-m", "fastgd.command.cli"]
WAITS = b"press a key (q ends)"
ARGUMENTS = ["--target", "price", "--features", "size,rooms"]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write(path, n=200, **columns):
    generator = np.random.default_rng(0)
    size = generator.integers(30, 200, n)
    table = {"id": [f"h{i // 4}" for i in range(n)], "size": size, "rooms": size // 30, "price": size * 3000 + 1}
    table |= columns
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    text = "\n".join(lines) + "\n"
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write(text)
    return path


SCENES = [
    "Every network starts completely wrong",
    "One number for how wrong",
    "Who is to blame",
    "A nudge for every weight",
    "After one step",
    "Too high, too low, well chosen",
    "Small batches",
    "Past cliffs and plateaus",
    "The whole training",
    "On 10,000 houses that it has never seen",
]


def in_a_terminal(arguments, columns=80, answer=None, interrupt_when=None, **environment):
    """Run fastgd in a real pseudo-terminal of so many columns; what a person sees there, and the exit code.

    `answer` is typed where the program waits for a key, Ctrl-C is pressed when `interrupt_when` has been written.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(COLUMNS=str(columns), LINES="50", TERM="xterm-256color", **environment)
        os.execv(FASTGD[0], [*FASTGD, *map(str, arguments)])
    seen, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            # After a moment: what is typed before the program reads single keys is thrown away.
            if answer and seen.rstrip().endswith(WAITS):
                os.write(terminal, answer)
        else:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        if interrupt_when and interrupt_when in seen:
            os.kill(pid, signal.SIGINT)
            interrupt_when = None
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return seen.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
