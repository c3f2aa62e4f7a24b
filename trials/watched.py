"""Cases in another process, which a fault may end: then the case is named, and the next one begins a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAST = 300  # characters of what a process said at its end
GIVEN_UP = 50  # processes that ended early


def watched(command: Callable[[int], Sequence[str]]) -> tuple[int, list[str]]:
    """How many cases there were, and what was wrong with them; command(first) runs those from the first one on.

    Each line that it prints is a JSON object: `number` and `case` of one that begins, what is `wrong` with it, and at
    the end how many `cases` there were.
    """
    failures: list[str] = []
    first = 0
    for _ in range(GIVEN_UP):
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *command(first)], stdout=subprocess.PIPE, stderr=said, cwd=ROOT,
                encoding="utf-8",
            )  # fmt: skip
            assert process.stdout is not None
            begun = "before its first case"
            with process:
                for line in process.stdout:
                    told = json.loads(line)
                    if "wrong" in told:
                        failures.append(told["wrong"])
                    elif "case" in told:
                        first, begun = told["number"] + 1, told["case"]
                    else:
                        return told["cases"], failures
            said.seek(0)
            last = " ".join(said.read().split())[:LAST]
            failures.append(f"{begun}: ends the process with code {process.returncode}: {last}")
            if begun == "before its first case":
                return first, failures
    return first, [*failures, f"Given up after {GIVEN_UP} processes that ended early."]
