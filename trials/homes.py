"""Homes and package folders that nobody may write to, or that are not there.

Each case is a process with a copy of the package, a home and a working folder of its own; it imports, compiles,
predicts and saves, tells what it was warned of, and then it is looked at what lies where.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import fastgd

from .trial import Outcome, Trial

PACKAGE = Path(fastgd.__file__).parent
BESIDE, NOWHERE, NOT_KEPT = "site/fastgd/kernels/__pycache__", "", "cannot be kept on disk"
ELSEWHERE = "which is no folder that can be written to"


class Home(NamedTuple):
    """Where a process lives, and what is expected of it."""

    name: str
    environment: dict[str, str | None]  # {} stands for the case's own folder; None: the variable is not there
    closed: tuple[str, ...]  # folders that nobody may write to
    kept: str  # where compiled kernels are found afterwards
    warned: str = ""  # what is said once


SITE, HOME, OWN = "site", "home", "~"  # the last one: what the system calls this user's home
HOMES = (
    Home("all is open", {}, (), BESIDE),
    Home("the package is read-only", {}, (SITE,), "home/.cache/fastgd"),
    Home("package and home are read-only", {}, (SITE, HOME), NOWHERE, NOT_KEPT),
    Home("all is read-only but the working folder", {}, (SITE, HOME, OWN, "file"), NOWHERE, NOT_KEPT),
    Home("no HOME", {"HOME": None}, (SITE, OWN), NOWHERE, NOT_KEPT),
    Home("no HOME, but the package is open", {"HOME": None}, (OWN,), BESIDE),
    Home("a HOME that is empty", {"HOME": ""}, (SITE, OWN), NOWHERE, NOT_KEPT),
    Home("a HOME that is not there", {"HOME": "{}/gone"}, (SITE,), NOWHERE, NOT_KEPT),
    Home("a HOME that is a file", {"HOME": "{}/file"}, (SITE,), NOWHERE, NOT_KEPT),
    Home("a HOME that is relative", {"HOME": "home"}, (SITE,), NOWHERE, NOT_KEPT),
    Home("a HOME that is the root", {"HOME": "/"}, (SITE,), NOWHERE, NOT_KEPT),
    Home("XDG_CACHE_HOME is relative", {"XDG_CACHE_HOME": "cache"}, (SITE,), "home/.cache/fastgd"),
    Home("XDG_CACHE_HOME is ~", {"XDG_CACHE_HOME": "~/cache"}, (SITE,), "home/.cache/fastgd"),
    Home("XDG_CACHE_HOME is new", {"XDG_CACHE_HOME": "{}/new/er"}, (SITE,), "new/er/fastgd"),
    Home("XDG_CACHE_HOME is read-only", {"XDG_CACHE_HOME": "{}/home"}, (SITE, HOME), NOWHERE, NOT_KEPT),
    Home("NUMBA_CACHE_DIR is new", {"NUMBA_CACHE_DIR": "{}/new/er"}, (SITE, HOME), "new/er/fastgd"),
    Home("NUMBA_CACHE_DIR is read-only", {"NUMBA_CACHE_DIR": "{}/home"}, (HOME,), BESIDE, ELSEWHERE),
    Home("NUMBA_CACHE_DIR is a file", {"NUMBA_CACHE_DIR": "{}/file"}, (), BESIDE, ELSEWHERE),
    Home("NUMBA_CACHE_DIR lies in a file", {"NUMBA_CACHE_DIR": "{}/file/x"}, (SITE,), "home/.cache/fastgd", ELSEWHERE),
    Home("NUMBA_CACHE_DIR and all else are read-only", {"NUMBA_CACHE_DIR": "{}/home"}, (SITE, HOME), NOWHERE, NOT_KEPT),
    Home("NUMBA_CACHE_DIR is ~ of an empty HOME", {"NUMBA_CACHE_DIR": "~/x", "HOME": ""}, (), BESIDE, ELSEWHERE),
    Home(
        "NUMBA_CACHE_DIR is ~ of a HOME that is relative",
        {"NUMBA_CACHE_DIR": "~/x", "HOME": "gone"},
        (),
        BESIDE,
        ELSEWHERE,
    ),
    Home("NUMBA_CACHE_DIR is ~ of nobody", {"NUMBA_CACHE_DIR": "~nobody-of-this-name/x"}, (), BESIDE, ELSEWHERE),
    Home("NUMBA_CACHE_DIR is ~", {"NUMBA_CACHE_DIR": "~/x"}, (SITE,), "home/x/fastgd"),
    Home("NUMBA_CACHE_DIR is full", {"NUMBA_CACHE_DIR": "{}/full"}, (), NOWHERE, NOT_KEPT),
)

KERNEL = """
from fastgd.kernels import cpu
from fastgd.kernels.formulas import ACTIVATION_CODES
for dtype in ("float32", "float64"):
    a = np.full((1, 3), 0.5, dtype)
    cpu.activate(a, ACTIVATION_CODES["tanh"])
    told.append(float(a[0, 0]))
"""
PREDICTION = """
model = fastgd.MLP([2, 3, 1], random_state=0)
told.append(float(model.predict([[1.0, 2.0]])[0]))
model.save(place)
told.append(float(fastgd.load(place).predict([[1.0, 2.0]])[0]))
"""
TRAINING = """
X, y = fastgd.datasets.houses(200, random_state=0)
model = fastgd.MLP([4, 3, 1], random_state=0)
model.fit(X, y, epochs=1, n_threads=1, verbose=0)
told.append(float(model.predict(X)[0]))
model.save(place)
told.append(float(fastgd.load(place).predict(X)[0]))
"""
WORK = (KERNEL, PREDICTION, TRAINING)
INSIDE = """
import sys
from pathlib import Path
from trials.places import apart, close_folder, tiny_disk
closed, full, place = {closed!r}, {full!r}, {place!r}
why = apart() if closed or full else ""
if why:
    print("[]", why, sep="\\n")
    sys.exit()
for folder in closed:
    close_folder(Path(folder))
if full:
    tiny_disk(Path(full), 4096, 100)
    Path(full, "all").write_bytes(bytes(4096))
import json, warnings
told = []
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import numpy as np
    import fastgd
    {work}
print(json.dumps([told, [str(warning.message) for warning in seen]]))
"""


def lived(home: Home, work: str, folder: Path) -> tuple[list[float], str]:
    """Run some work in a home; returns what it computed, and what is wrong with the rest. `None` for what cannot be."""
    for name in (HOME, "work", "out", "full"):
        (folder / name).mkdir()
    (folder / "file").touch()
    shutil.copytree(PACKAGE, folder / SITE / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
    given = {"HOME": "{}/home", "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None, **home.environment}
    own = os.path.expanduser(f"~{_user()}")
    environment = {name: value for name, value in os.environ.items() if name not in given}
    environment |= {name: value.format(folder) for name, value in given.items() if value is not None}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder / SITE), str(Path(__file__).parents[1])])
    closed = [own if name == OWN else str(folder / name) for name in home.closed]
    full = str(folder / "full") if "full" in str(home.environment) else ""
    code = INSIDE.format(
        closed=closed, full=full, place=str(folder / "out" / "model"), work=work.replace("\n", "\n    ")
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=folder / "work", env=environment, capture_output=True, text=True
    )
    if found.returncode:
        return [], f"it fails: {found.stderr[-1000:]}"
    lines = found.stdout.splitlines()
    if lines[0] == "[]":
        raise NotImplementedError(lines[1])
    told, warned = json.loads(lines[0])
    return told, "; ".join(_wrong(home, warned, folder))


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _wrong(home: Home, warned: list[str], folder: Path) -> Iterator[str]:
    if len(warned) != bool(home.warned) or home.warned not in "".join(warned):
        yield f"it says {warned}"
    if any(message.count("\n") for message in warned):
        yield "it says more than a line"
    kept = {str(path.parent.relative_to(folder)) for path in folder.rglob("*.nb[ic]")}
    if kept != ({home.kept} - {NOWHERE}):
        yield f"kernels are kept in {sorted(kept)} instead of {home.kept!r}"
    left = [str(path.relative_to(folder)) for path in (folder / "work").rglob("*")]
    left += [str(path.relative_to(folder)) for path in folder.rglob("~*")]
    if left:
        yield f"{left[:3]} appear where nobody asked for them"


def homes(cases: int, seed: int, known: tuple[Home, ...] = HOMES, work: tuple[str, ...] = WORK) -> Outcome:
    """Every home with one kernel, then with a prediction, then with a training, as far as the cases go."""
    failures, tried, why = [], 0, ""
    right: dict[str, list[float]] = {}
    for number in range(seed, seed + min(cases, len(known) * len(work))):
        home = known[number % len(known)]
        what = work[number // len(known) % len(work)]
        with tempfile.TemporaryDirectory() as folder:
            try:
                told, wrong = lived(home, what, Path(folder).resolve())
            except NotImplementedError as error:
                why = f", without read-only folders: {error}"
                continue
        tried += 1
        if not wrong and told != right.setdefault(what, told):
            wrong = f"it computes {told} instead of {right[what]}"
        if wrong:
            failures.append(f"case {number}: {home.name}: {wrong}.")
    return Outcome(tried, failures, f"{len(known)} homes, {len(work)} kinds of work{why}")


TRIALS = (
    Trial(
        "homes",
        "Where the home or the package is read-only, or there is no home, all works, and one sentence says so.",
        "tests/test_homes.py::test_every_home_works_and_says_once_what_is_unusual",
        len(HOMES) * len(WORK),
        homes,
    ),
)
