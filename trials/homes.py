"""Homes that are closed, gone or not there, caches that nobody can write to, and packages that are installed so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd

from .trial import Outcome, Trial

SECONDS = 300  # that a process may take
ANSWER = float(np.tanh(0.5))

# What a user's first lines do: Numba is imported, and two kernels are compiled, kept or read.
LINES = """
import json, sys, warnings
from pathlib import Path
from trials.places import apart, close_folder
closed = json.loads(sys.argv[1])
if closed and apart():
    raise SystemExit("no mounts")
for folder in closed:
    close_folder(Path(folder))
sys.path.insert(0, sys.argv[2])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import numpy as np
    import fastgd
    from fastgd.kernels import cpu
    from fastgd.kernels.formulas import ACTIVATION_CODES
    a = np.full((1, 3), 0.5)
    cpu.activate(a, ACTIVATION_CODES["tanh"])
    fastgd.MLP([3, 1])
print(json.dumps([float(a[0, 0]), [f"{each.category.__name__}: {each.message}" for each in told], fastgd.__file__]))
"""


class Setting(NamedTuple):
    """Where a process finds itself; places are folders of the trial, or None for a variable that is not set."""

    package: str  # "open" or "closed"
    home: str | None
    cache: str | None  # NUMBA_CACHE_DIR
    xdg: str | None  # XDG_CACHE_HOME


PLACES: dict[str, tuple[str | None, ...]] = {
    "package": ("open", "closed", "closed"),
    "home": (None, "", "home", "closed home", "gone/home", "."),
    "cache": (None, None, "new", "closed cache", "file", "file/in"),
    "xdg": (None, None, "xdg", "closed xdg", "relative"),
}


def setting_of(seed: int, number: int) -> Setting:
    """The setting of a case."""
    draw = np.random.default_rng((seed, number))
    chosen = {name: options[draw.integers(len(options))] for name, options in PLACES.items()}
    return Setting(**chosen)  # type: ignore[arg-type]


def says_so(setting: Setting) -> bool:
    """Whether there is something to say: kernels are not kept, or not where they should be."""
    if setting.cache is not None:
        return setting.cache != "new"
    if setting.package == "open":
        return False
    if setting.xdg in ("xdg", "closed xdg"):
        return setting.xdg == "closed xdg"
    if setting.home is None:  # then the system knows where this user's home is
        return not os.access(Path.home(), os.W_OK)
    return setting.home != "home"


def failure(folder: Path, setting: Setting, number: int) -> str | None:
    """What goes wrong for a process in a setting, in a sentence; None where it works, and says what it should."""
    root, work = folder / str(number), folder / str(number) / "work"
    for name in ("work", "home", "closed home", "closed cache", "xdg", "closed xdg"):
        (root / name).mkdir(parents=True)
    (root / "file").write_text("")
    package = folder / ("closed package" if setting.package == "closed" else "open package")
    closed = [str(root / name) for name in (setting.home, setting.cache, setting.xdg) if name and "closed" in name]
    closed += [str(package)] if setting.package == "closed" else []
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    for variable, place in (
        ("HOME", setting.home),
        ("NUMBA_CACHE_DIR", setting.cache),
        ("XDG_CACHE_HOME", setting.xdg),
    ):
        if place is not None:
            is_path = place and place not in (".", "relative")
            environment[variable] = str(root / place) if is_path else place
    command = [sys.executable, "-c", LINES, json.dumps(closed), str(package)]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=SECONDS)
    found = complaint(done, setting, package, work)
    shutil.rmtree(root, ignore_errors=True)
    return found and f"case {number}, {setting}: {found}"


def complaint(done: Any, setting: Setting, package: Path, work: Path) -> str | None:
    """What a process that has ended did wrong, or None."""
    if done.returncode:
        return f"it ended with {done.returncode}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}"
    answer, told, imported = json.loads(done.stdout)
    if not Path(imported).is_relative_to(package):
        return f"another package was tried, {imported}"
    if answer != ANSWER:
        return f"it computes {answer} in place of {ANSWER}"
    if len(told) != says_so(setting) or not all(each.startswith("CacheWarning: ") for each in told):
        return f"it says {told or 'nothing'}"
    if list(work.iterdir()):
        return f"it leaves {sorted(path.name for path in work.iterdir())} in the working folder"
    return None


def homes(cases: int, seed: int) -> Outcome:
    """Run a process in each of so many settings."""
    if why := _cannot():
        return Outcome(0, [], f"not tried: {why}")
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for package in ("open package", "closed package"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(Path(fastgd.__file__).parent, folder / package / "fastgd", ignore=ignored)
        for number in range(cases):
            found = failure(folder, setting_of(seed, number), number)
            if found:
                failures.append(f"seed {seed}, {found}")
    return Outcome(cases, failures, "homes, caches and packages that are closed, gone, files or not named")


def _cannot() -> str:
    """Why no folder can be closed here, or nothing: tried in a process of its own."""
    code = "from trials.places import apart; print(apart())"
    folder = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


TRIALS = (
    Trial(
        "homes",
        "Where home, cache or package cannot be written to, or there is no home, all works, and says so once.",
        "tests/test_homes.py::test_homes_of_all_kinds",
        60,
        homes,
    ),
)
