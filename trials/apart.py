"""Cases in processes of their own, with a time limit: one that hangs or ends by a signal is a failure with a sentence.

    python -m trials.apart trials.MODULE SEED NUMBER ...      run cases here, and say what came of each

A module has a function `case(seed, number)`, which returns "" or a sentence about what broke.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
START = 60.0  # seconds that a process may take to import what it needs, beside those of its first case
BEGUN, ENDED = "begun", "ended"


def failures_apart(
    module: str, seed: int, numbers: Sequence[int], seconds: float, environment: Mapping[str, str] | None = None
) -> list[str]:
    """The failures of these cases of a module, each of which may take so many seconds."""
    failures, left = [], list(numbers)
    while left:
        command = [sys.executable, "-m", "trials.apart", module, str(seed), *map(str, left)]
        done, failed, why = _run(command, seconds, {**os.environ, **(environment or {})})
        failures += [f"{module} {seed} {number}: {sentence}" for number, sentence in failed]
        if why and done < len(left):
            failures.append(f"{module} {seed} {left[done]}: {why}")
        elif why:
            failures.append(f"{module} {seed}, after case {left[-1]}: {why}")
        left = left[done + 1 :] if why else []
    return failures


def _run(command: list[str], seconds: float, environment: dict[str, str]) -> tuple[int, list[tuple[int, str]], str]:
    """How many cases are over, the sentences of those that failed, and why the process ended before its time."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    done, failed, is_late = 0, list[tuple[int, str]](), threading.Event()

    def late() -> None:
        is_late.set()
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that the case has started

    clock = threading.Timer(seconds + START, late)
    clock.start()
    for line in process.stdout:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word in (BEGUN, ENDED):
            clock.cancel()
            clock = threading.Timer(seconds, late)
            clock.start()
        if word == ENDED:
            done += 1
            number, _, sentence = rest.partition(" ")
            if sentence:
                failed.append((int(number), sentence))
    process.stdout.close()
    code = process.wait()
    clock.cancel()
    if is_late.is_set():
        return done, failed, f"it was not over after {seconds:.0f} s"
    return done, failed, f"the process ended with {code}" if code else ""


def exit_of(
    program: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    act: Callable[[IO[str], int], None] | None = None,
) -> tuple[int | None, str]:
    """The exit code of a program, None if it was not over in time, and what it has printed.

    `act` may do something to it, once its first line is there: it takes its output and its process's number.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**os.environ, **(environment or {})}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    clock = threading.Timer(seconds, lambda: os.killpg(process.pid, signal.SIGKILL))
    clock.start()
    if act is not None:
        act(process.stdout, process.pid)
    text = process.stdout.read()
    process.stdout.close()
    code = process.wait()
    is_late = not clock.is_alive()
    clock.cancel()
    return (None if is_late else code), text


def main(arguments: Sequence[str]) -> None:
    """Run cases in this process."""
    module, seed, *numbers = arguments
    faulthandler.enable()
    case = importlib.import_module(module).case
    for number in numbers:
        print(BEGUN, number, flush=True)
        try:
            sentence = case(int(seed), int(number))
        except Exception as error:
            traceback.print_exc()
            sentence = f"it raised {error!r}"
        print(ENDED, number, " ".join(sentence.split()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
