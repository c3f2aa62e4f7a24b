"""Disks that are full, or become so at any byte: whatever fastgd writes.

One process has a tiny disk of its own and leaves so much room on it as a case asks for; where no such disk can be had,
and besides, the system refuses to let a file grow beyond so many bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .places import apart, tiny_disk
from .trial import Outcome, Trial

PAGE = 4096  # what a disk in memory gives at a time
DISK, INODES = 1 << 23, 48
OLD = b"what was there before"
WAYS = "a full disk", "a limit of the file's size"
Write = Callable[[Path], object]


class RefusedError(Exception):
    """What a user is told."""


def subjects(folder: Path) -> dict[str, Write]:
    """Everything that is written, by the name of the file."""
    import polars as pl

    import fastgd
    from fastgd.command.writing import write_table
    from fastgd.pages.page import Scene, Text, write_page

    X, y = fastgd.datasets.houses(300, random_state=0)
    model = fastgd.MLP([4, 30, 1], random_state=0)
    model.fit(X, y, epochs=1, n_threads=1, verbose=0)
    page = [Scene("Losses", [Text(f"Line {number} of a page.") for number in range(500)])]
    frame = pl.DataFrame({"row": range(3000), "prediction": [0.1 * row for row in range(3000)]})
    halves = slice(1500), slice(1500, None)
    houses, trained = folder / "houses.csv", folder / "trained"
    train = "train", houses, "--target", "price_eur", "--epochs", "1", "--quiet", "--overwrite"

    def prepared(path: Path) -> Path:
        if not trained.exists():
            command("example", houses, "--rows", "300")
            command(*train, "--save", trained)
        return path

    return {
        "model": model.save,
        "state": lambda path: model.save(path, training_state=True),
        "ensemble": fastgd.Ensemble([model, model]).save,
        **{f"export{ending}": model.export for ending in (".onnx", ".h", ".py")},
        "page": lambda path: write_page(path, "A page", page),
        **{
            f"table{ending}": lambda path: write_table((frame[part] for part in halves), path)
            for ending in (".csv", ".csv.gz", ".parquet")
        },
        "example.csv": lambda path: command("example", path, "--overwrite"),
        "predict.csv": lambda path: command("predict", trained, houses, "--output", prepared(path), "--overwrite"),
        "command.h": lambda path: command("export", trained, prepared(path), "--overwrite"),
        "train": lambda path: command(*train, "--save", prepared(path)),
        "report": lambda path: command(*train, "--report", prepared(path)),
    }


def command(*arguments: Any) -> None:
    """Run the command line; what it complains of is raised."""
    from fastgd.command.cli import main

    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            if end.code == 2:
                raise RefusedError(told.getvalue().strip()) from None
            if end.code:
                raise


class Bench:
    """A folder for what is written, on a disk that can be filled."""

    def __init__(self, folder: Path, way: str, names: list[str]) -> None:
        self.way, self.disk, self.work = way, folder / "disk", folder / "disk" / "work"
        self.disk.mkdir()
        if way == WAYS[0]:
            tiny_disk(self.disk, DISK, INODES)
        self.work.mkdir()
        known = subjects(folder)
        self.subjects = {name: known[name] for name in names or known}
        self.needed = {}
        for name, write in self.subjects.items():
            write(self.work / name)
            self.needed[name] = (self.work / name).stat().st_size
            (self.work / name).unlink()

    def case(self, number: int, seed: int) -> str | None:
        """Write with too little room, or just enough; a sentence where the promise is broken."""
        generator = random.Random(f"{seed} {number} {self.way}")
        name = list(self.subjects)[number % len(self.subjects)]
        path, there, room = self.work / name, generator.random() < 0.7, self._some_room(name, generator)
        if there:
            path.write_bytes(OLD)
        said = ""
        with self._only(room):
            try:
                self.subjects[name](path)
            except (RefusedError, Exception) as error:
                said = str(error) or repr(error)
                wrong = "" if type(error) is RefusedError or "fastgd" in type(error).__module__ else f"{error!r}"
            else:
                wrong = ""
        wrong = wrong or self._wrong(path, said, there, fits=room is not None and room >= self._takes(name))
        for left in self.work.iterdir():
            left.unlink()
        over = "over a file" if there else "a new file"
        return f"case {number} of seed {seed}: {name}, {over}, {self.way}, {room} bytes: {wrong}" if wrong else None

    def _takes(self, name: str) -> int:
        return -(-self.needed[name] // PAGE) * PAGE if self.way == WAYS[0] else self.needed[name]

    def _some_room(self, name: str, generator: random.Random) -> int | None:
        """Bytes, or None for a disk that takes no file more."""
        takes = self._takes(name)
        if self.way == WAYS[0]:
            rooms: list[int | None] = [None, 0, takes - PAGE, takes, *range(PAGE, takes, PAGE)]
            return rooms[generator.randrange(len(rooms))]
        rooms = [0, 1, takes - 1, takes, generator.randrange(takes)]
        return rooms[generator.randrange(len(rooms))]

    @contextlib.contextmanager
    def _only(self, room: int | None) -> Iterator[None]:
        """So much room, and no more."""
        if self.way == WAYS[1]:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room or 0, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            return
        fillers = []
        try:
            free = os.statvfs(self.disk)
            if room is None:
                for number in range(free.f_favail):
                    fillers.append(self.disk / f"filler-{number}")
                    fillers[-1].touch()
            else:
                fillers.append(self.disk / "filler")
                fillers[-1].write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - room)))
            yield
        finally:
            for filler in fillers:
                filler.unlink()

    def _wrong(self, path: Path, said: str, there: bool, fits: bool) -> str:
        found = sorted(entry.name for entry in self.work.iterdir())
        if fits:
            whole = found == [path.name] and path.stat().st_size == self.needed[path.name]
            return "" if whole and not said else f"it fits, and it says {said!r} and leaves {found}."
        if not said:
            return f"it does not fit, and nothing is said; {found} are there."
        if (
            said.count("\n")
            or str(path) not in said
            or not any(word in said for word in ("No space left", "too large"))
        ):
            return f"it says {said!r}."
        if found != ([path.name] if there else []) or (there and path.read_bytes() != OLD):
            return f"it leaves {found}, and the old file is not what it was."
        return ""


def work(folder: str, cases: int, seed: int, way: str, names: list[str]) -> None:
    """The process with the disk: prints what it found as JSON."""
    why = apart() if way == WAYS[0] else ""
    failures: list[str] = []
    if not why:
        bench = Bench(Path(folder), way, names)
        failures = [sentence for number in range(cases) if (sentence := bench.case(number, seed))]
    print(json.dumps([failures, why]))
    sys.stdout.flush()
    os._exit(0)  # the disk goes with the process, whatever its threads do


def full_disks(cases: int, seed: int, names: tuple[str, ...] = (), ways: tuple[str, ...] = WAYS) -> Outcome:
    """Write what has these names, or everything, where there is no room for it: by each way a part of the cases."""
    failures, figures, tried = [], [], 0
    for way in ways:
        n = cases // len(ways)
        with tempfile.TemporaryDirectory() as folder:
            code = f"from trials.full_disks import work; work({folder!r}, {n}, {seed}, {way!r}, {list(names)})"
            found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if found.returncode or not found.stdout:
            failures.append(f"The process with {way} has failed: {found.stderr[-2000:]}")
            continue
        wrong, why = json.loads(found.stdout.splitlines()[-1])
        failures += wrong
        tried += 0 if why else n
        figures.append(why or f"{n:,} on {way}")
    return Outcome(tried, failures, "; ".join(figures))


TRIALS = (
    Trial(
        "full-disks",
        "A disk that is full, or becomes so, means one sentence with the file's name, and the old file stays.",
        "tests/test_full_disks.py::test_a_full_disk_is_one_sentence_and_the_old_file",
        1000,
        full_disks,
    ),
)
