"""Saves that are killed: at random moments, and before every line of the code that writes files.

A process that has imported what is needed forks a child for each case. The child saves two versions over each other, or
one over nothing, until SIGKILL comes; then what lies there is looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import fastgd
from fastgd.files import atomic, begun
from fastgd.pages.page import Scene, Text, write_page

from .trial import Outcome, Trial

WRITERS = {atomic.__file__, begun.__file__}
ENDINGS = ("small", "state", "large", "ensemble", "onnx.onnx", "header.h", "script.py", "page.html", "table.csv")
LINE, MOMENT = "before line", "after seconds"
Save = Callable[[Path], object]
Subject = tuple[Save, Save]  # writes one version, and the other


def prepare(folder: Path) -> None:
    """Train what the children will load: they run no kernel, and so no thread is started where forks are made."""
    X, y = fastgd.datasets.houses(200, random_state=0)
    for version in range(2):
        model = fastgd.MLP([4, 8, 1], random_state=version)
        model.fit(X, y, epochs=1, n_threads=1, verbose=0)
        model.save(folder / f"small-{version}")
        model.save(folder / f"state-{version}", training_state=True)
        fastgd.MLP([200, 500, 1], random_state=version).save(folder / f"large-{version}")
        fastgd.Ensemble([model, model]).save(folder / f"ensemble-{version}")


def subjects(folder: Path) -> dict[str, Subject]:
    """Everything that is written to files, in two versions each."""

    def saved(name: str, version: int) -> Save:
        model = fastgd.load(folder / f"{name}-{version}")
        return lambda path: model.save(path, **({"training_state": True} if name == "state" else {}))

    def exported(version: int) -> Save:
        model = fastgd.load(folder / f"small-{version}")
        return lambda path: model.export(path)

    def page(version: int) -> Save:
        return lambda path: write_page(path, f"Version {version}", [Scene("Losses", [Text("All went well.")])])

    def table(version: int) -> Save:
        lines = [f"{version},{row}\n".encode() * 200 for row in range(20)]

        def write(path: Path) -> None:
            with atomic.written_whole(path) as file:  # as tables of predictions, part by part
                file.writelines(lines)

        return write

    kinds: dict[str, Callable[[int], Save]] = {
        **{name: partial(saved, name) for name in ENDINGS[:4]},
        **dict.fromkeys(ENDINGS[4:7], exported),
        "page.html": page,
        "table.csv": table,
    }
    return {name: (make(0), make(1)) for name, make in kinds.items()}


def kill_before_line(number: int) -> None:
    """Have this process killed before a line of what writes files, counted as they are run."""
    passed = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal passed
        if event == "line":
            passed += 1
            if passed > number:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(lambda frame, event, argument: trace if frame.f_code.co_filename in WRITERS else None)


def lines_of(save: Save, path: Path) -> int:
    """How many lines of what writes files a save runs."""
    passed = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal passed
        passed += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: trace if frame.f_code.co_filename in WRITERS else None)
    try:
        save(path)
    finally:
        sys.settrace(before)
    return passed


def killed(subject: Subject, path: Path, how: str, when: float) -> None:
    """Save in a child that is killed; without a moment of its own, it ends by itself."""
    child = os.fork()
    if child == 0:
        try:
            if how == LINE:
                kill_before_line(int(when))
                subject[1](path)
            else:
                for version in range(10_000):
                    subject[(version + 1) % 2](path)
        finally:
            os._exit(0)
    if how == MOMENT:
        time.sleep(when)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def content_of(path: Path) -> object:
    """What a file says: its bytes, but for the order of a model's header, which its library leaves to chance."""
    content = path.read_bytes()
    if "." in path.name:
        return content
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


class Bench:
    """A folder, and what every file in it may hold."""

    def __init__(self, prepared: Path, folder: Path) -> None:
        self.folder, self.subjects = folder, subjects(prepared)
        self.whole: dict[str, tuple[object, object]] = {}
        self.windows: list[tuple[str, bool, int]] = []  # subject, whether a file is there, line
        self.seconds: dict[str, float] = {}
        for name, subject in self.subjects.items():
            path = folder / name
            for there in (False, True):
                n_lines = lines_of(subject[there], path)
                self.windows += [(name, there, line) for line in range(n_lines + 1)]
            new = content_of(path)
            started = time.perf_counter()
            subject[0](path)
            self.seconds[name] = time.perf_counter() - started
            self.whole[name] = content_of(path), new
            path.unlink()

    def case(self, number: int, seed: int) -> str | None:
        """Kill one save; a sentence where the promise is broken."""
        generator = random.Random(f"{seed} {number}")
        if number % 2:
            name, there, place = self.windows[(number // 2 * 7919 + seed) % len(self.windows)]  # a prime: all come
            how, when = LINE, float(place)
        else:
            name, there = generator.choice(ENDINGS), generator.random() < 0.8
            how, when = MOMENT, generator.uniform(0, 4 * self.seconds[name])
        path = self.folder / name
        if there:
            self.subjects[name][0](path)
        killed(self.subjects[name], path, how, when)
        wrong = self._wrong(path, there)
        path.unlink(missing_ok=True)
        over = "over a file" if there else "a new file"
        return f"case {number} of seed {seed}: {name}, {over}, killed {how} {when:.6g}: {wrong}" if wrong else None

    def _wrong(self, path: Path, there: bool) -> str:
        try:
            if path.exists() and content_of(path) not in self.whole[path.name]:
                return "the file is neither the old one nor the new one."
            if path.exists() and "." not in path.name:
                fastgd.load(path)
        except (OSError, ValueError, struct.error) as error:
            return f"the file is no whole one: {error}"
        if there and not path.exists():
            return "the old file is lost."
        left = len(os.listdir(self.folder)) - path.exists()
        return f"{left} files are left over." if left > 1 else ""  # that of the save that was just killed

    def leftovers_of_one_more_save(self) -> int:
        path = self.folder / "small"
        self.subjects["small"][0](path)
        return len(os.listdir(self.folder)) - 1


@contextlib.contextmanager
def _in_place(target: Path) -> Iterator[BinaryIO]:
    with open(target, "wb", buffering=0) as file:
        yield file


BROKEN: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "in place": lambda: setattr(atomic, "_replacing", _in_place),
    "never cleans up": lambda: setattr(atomic, "remove_leftovers", lambda folder: None),
}


def work(cases: int, seed: int, prepared: str, broken: str) -> None:
    """The process that forks: prints what it found as JSON."""
    BROKEN[broken]()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(prepared), Path(folder))
        failures = [sentence for number in range(cases) if (sentence := bench.case(number, seed))]
        left = bench.leftovers_of_one_more_save()
        if left and not broken:
            failures.append(f"{left} files are left after one more save.")
    print(json.dumps([failures, len(bench.windows)]))


def killed_saves(cases: int, seed: int, broken: str = "") -> Outcome:
    """Kill saves of every kind in a process of their own, which starts no thread."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        code = f"from trials.killed_saves import work; work({cases}, {seed}, {folder!r}, {broken!r})"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if found.returncode:
        return Outcome(cases, [found.stderr[-2000:]], "the process that forks has failed")
    failures, n_windows = json.loads(found.stdout)
    figure = f"{len(ENDINGS)} kinds of files, {n_windows} places in the writer"
    return Outcome(cases, failures, figure)


TRIALS = (
    Trial(
        "killed-saves",
        "A process that is killed at any moment of a save leaves the old file or the new one, whole.",
        "tests/test_killed_saves.py::test_a_killed_save_leaves_the_old_or_the_new_file",
        3000,
        killed_saves,
    ),
)
