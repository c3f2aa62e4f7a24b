"""Run in a process of its own, which a fault may end: python -m trials.bad_worker CASES SEED FIRST.

Each line of its output is a JSON object: the case that begins, or what is wrong with it, or how many there were.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

LATE = 60  # seconds after which a case has failed
MEMORY = 6 << 30  # bytes that may be had beyond what a process begins with: a copy of 2**31 float64 takes 16 GB


def limit_memory() -> None:
    """Make a copy of what is huge fail, where the system can do that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


@contextlib.contextmanager
def silent() -> Iterator[TextIO]:
    """What the package prints goes nowhere; the former standard output is for the lines."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    yield lines
    lines.close()


def main(n: int, seed: int, first: int) -> None:
    """Judge the cases from the first one on."""
    os.environ["MPLBACKEND"] = "agg"
    from matplotlib import pyplot

    from .bad_cases import all_cases, failure, some_of

    folder = tempfile.mkdtemp(prefix="fastgd-trial-")  # some names of files are taken relative to it
    tempfile.tempdir = folder
    os.chdir(folder)
    with silent() as lines:

        def tell(**told: Any) -> None:
            lines.write(json.dumps(told) + "\n")
            lines.flush()

        cases = some_of(all_cases(), n, seed)
        limit_memory()
        for number, case in enumerate(cases[first:], first):
            tell(number=number, case=str(case))
            faulthandler.dump_traceback_later(LATE, exit=True)
            wrong = failure(case)
            faulthandler.cancel_dump_traceback_later()
            pyplot.close("all")
            if wrong:
                tell(wrong=wrong)
        tell(cases=len(cases))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
