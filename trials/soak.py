"""The soak: a process that learns, streams, saves, loads, predicts, explains, exports and is cancelled, for an hour.

    python -m trials.soak --minutes 60               an hour of it
    python -m trials.soak --operations 500 --seed 3  so many operations
    python -m trials.soak --first 417 --operations 1 --seed 3   the one that failed, once more

Each operation follows from the seed and its number alone (but for the network that lives through the whole soak). After
each one everything that was taken must have been given back: file descriptors, threads, temporary files; and memory
must stay where it was when every kind had been done a few times. It runs under a limit of memory, in a process of its
own, and tells every minute how it goes. It looks into /proc, so that it needs Linux.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .soak_place import Place
from .soak_work import KINDS
from .trial import Outcome, Trial

WARM_ROUNDS = 2  # times that every kind is done before anything is measured
STUCK = 300  # seconds after which an operation counts as a deadlock
LIMIT = 3 << 30  # bytes of data that the process may have
GROWTH = 24 << 20  # bytes by which the memory in use may grow after the warm-up: what the allocator keeps in pieces
Operation = Callable[[Place], None]


class Level(NamedTuple):
    """What the process holds between two operations."""

    memory: int  # bytes in use
    files: int  # file descriptors
    threads: int  # Python's own: other libraries start and end some of theirs as they like
    left: int  # temporary files


def status(name: str) -> int:
    """A number of /proc/self/status, in its own unit."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {name}")


def level(folder: Path) -> Level:
    """What is held now."""
    gc.collect()
    left = sum(1 for _ in folder.rglob("*"))
    return Level(status("VmRSS") * 1024, len(os.listdir("/proc/self/fd")), threading.active_count(), left)


def drawn(seed: int, number: int, kinds: dict[Operation, int]) -> Operation:
    """The operation of this number: at first each kind in turn, then in random order, as often as its weight says."""
    if number < WARM_ROUNDS * len(kinds):
        return list(kinds)[number % len(kinds)]
    shares = np.array(list(kinds.values()), float)
    return list(kinds)[int(np.random.default_rng((seed, number)).choice(len(kinds), p=shares / shares.sum()))]


def failure_of(seed: int, number: int, operation: Operation, folder: Path, old: list[Any]) -> str | None:
    """Do one operation; returns what broke, in a sentence that repeats it."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        place = Place(np.random.default_rng((seed, number, 1)), Path(own), old)
        try:
            operation(place)
        except Exception as error:
            return f"seed {seed}, operation {number} ({operation.__name__}): {type(error).__name__}: {error}"
    return None


def leaks(levels: list[tuple[int, Level]]) -> Iterator[str]:
    """What has grown since the warm-up; levels are (number of the operation, what was held after it)."""
    warm = [(number, held) for number, held in levels if number >= WARM_ROUNDS * len(KINDS)]
    if len(warm) < 4:
        return
    half = len(warm) // 2
    early, late = [held for _, held in warm[:half]], [held for _, held in warm[half:]]
    for name, what in (("files", "file descriptors"), ("threads", "threads"), ("left", "temporary files")):
        before, after = max(getattr(held, name) for held in early), min(getattr(held, name) for held in late[-3:])
        if after > before:
            yield f"{what} grew from {before} to {after}"
    growth = np.median([held.memory for held in late]) - np.median([held.memory for held in early])
    if growth > GROWTH:
        yield f"memory grew by {growth / 2**20:.0f} MiB between the two halves after the warm-up"


def slope(levels: list[tuple[int, Level]]) -> float:
    """Bytes by which the memory in use grows with each operation after the warm-up, by least squares."""
    warm = [(number, held.memory) for number, held in levels if number >= WARM_ROUNDS * len(KINDS)]
    if len(warm) < 4:
        return 0.0
    numbers, memory = np.array(warm, float).T
    apart = numbers - numbers.mean()
    return float((apart * memory).sum() / (apart**2).sum())


class Soak:
    """A soak under way: what was done, what broke, and what was held after each operation."""

    def __init__(self, seed: int, folder: Path, kinds: dict[Operation, int]) -> None:
        self.seed, self.folder, self.kinds = seed, folder, kinds
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.levels: list[tuple[int, Level]] = []
        self.old: list[Any] = []
        self.started = self.told = time.monotonic()

    def run(self, first: int, operations: int, minutes: float, every: float) -> None:
        """Operations one after the other, up to so many or until the time is over."""
        gc.collect()
        gc.freeze()  # what was there before is not looked through after each operation
        try:
            self._run(first, operations, minutes, every)
        finally:
            gc.unfreeze()

    def _run(self, first: int, operations: int, minutes: float, every: float) -> None:
        for number in range(first, first + operations):
            if time.monotonic() - self.started > 60 * minutes:
                return
            operation = drawn(self.seed, number, self.kinds)
            faulthandler.dump_traceback_later(STUCK, exit=True)
            broken = failure_of(self.seed, number, operation, self.folder, self.old)
            faulthandler.cancel_dump_traceback_later()
            self.done[operation.__name__] += 1
            self.failures += [broken] if broken else []
            self.levels.append((number, level(self.folder)))
            if broken or time.monotonic() - self.told > every:
                print(broken or self.told_now(), file=sys.stderr, flush=True)
                self.told = self.told if broken else time.monotonic()

    def told_now(self) -> str:
        """How it goes, in a line."""
        held, seconds = self.levels[-1][1], time.monotonic() - self.started
        memory = (
            f"{held.memory / 2**20:.0f} MiB (peak {status('VmHWM') / 1024:.0f}, {slope(self.levels):+,.0f} bytes each)"
        )
        return (
            f"{seconds / 60:.1f} min, {sum(self.done.values()):,} operations, {len(self.failures)} failures, {memory}, "
            f"{held.files} file descriptors, {held.threads} threads of Python, {status('Threads')} in all, "
            f"{held.left} temporary files"
        )

    def report(self) -> dict[str, Any]:
        """All that was found."""
        return {
            "done": dict(sorted(self.done.items())),
            "failures": self.failures + [f"seed {self.seed}: {leak}" for leak in leaks(self.levels)],
            "figure": self.told_now() if self.levels else "nothing was done",
        }


class Leaking:
    """A planted fault: an operation that keeps what it has taken, until it is told to free it."""

    __name__ = "leaking"

    def __init__(self, what: str) -> None:
        self.what = what
        self.held: list[Any] = []

    def __call__(self, place: Place) -> None:
        if self.what == "files":
            self.held.append(open(os.devnull, "rb"))  # noqa: SIM115
        elif self.what == "threads":
            self.held.append(threading.Event())
            threading.Thread(target=self.held[-1].wait, daemon=True).start()
        elif self.what == "left":
            self.held.append(place.folder.parent / f"left {len(self.held)}")
            self.held[-1].touch()
        else:
            self.held.append(np.ones(1 << 20))

    def free(self) -> None:
        """Give everything back."""
        for one in self.held:
            getattr(one, {"files": "close", "threads": "set", "left": "unlink", "memory": "sum"}[self.what])()
        self.held.clear()


LEAKS = ("memory", "files", "threads", "left")


def child(options: list[str]) -> dict[str, Any]:
    """The report of a soak in a process of its own, which may die of what it does."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "TMPDIR": folder, "MALLOC_ARENA_MAX": "2"}
        command = [sys.executable, "-m", "trials.soak", "--json", *options]
        ran = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1], check=False
        )
    if ran.returncode:
        why = f"the soak ended with code {ran.returncode} after: {ran.stdout[-300:]}"
        return {"done": {}, "failures": [f"{' '.join(options)}: {why}"], "figure": "no report"}
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report


def run(cases: int, seed: int) -> Outcome:
    """So many operations under a limit of memory, with nothing left behind."""
    if not Path("/proc/self/status").exists():
        return Outcome(0, [], "not run: this system has no /proc, by which memory and threads are counted")
    report = child(["--operations", str(cases), "--seed", str(seed)])
    return Outcome(sum(report["done"].values()), report["failures"], report["figure"])


TRIALS = (
    Trial(
        "soak",
        "A process that learns, streams, saves, loads, predicts, explains, exports and is cancelled, in any order and "
        "from several threads, gives back all memory, files and threads that it takes.",
        "tests/test_soak.py::test_a_short_soak",
        20_000,
        run,
    ),
)


def main() -> int:
    """The exit code: 0 nothing broke, 1 something did."""
    parser = argparse.ArgumentParser(prog="python -m trials.soak", description="Run for long, in random order.")
    parser.add_argument("--minutes", type=float, default=1e9, help="when to stop")
    parser.add_argument("--operations", type=int, default=10**9, help="after how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number to begin with, to repeat a failure")
    parser.add_argument("--every", type=float, default=60, help="seconds between two lines that tell how it goes")
    parser.add_argument("--leak", choices=LEAKS, help="plant a leak, which must be found")
    parser.add_argument("--only", nargs="+", choices=[kind.__name__ for kind in KINDS], help="these kinds alone")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell makes processes in the background ignore
    warnings.simplefilter("ignore")  # of trainings as short as these
    kinds = {kind: n for kind, n in KINDS.items() if not options.only or kind.__name__ in options.only}
    if options.leak:
        kinds[Leaking(options.leak)] = 5
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        soak = Soak(options.seed, Path(folder), kinds)
        soak.run(options.first, options.operations, options.minutes, options.every)
        report = soak.report()
    if options.json:
        print(json.dumps(report))
        return 0
    print(report["figure"])
    for name, count in report["done"].items():
        print(f"    {count:>7,} {name}")
    for failure in report["failures"]:
        print(f"    broke: {failure}")
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
