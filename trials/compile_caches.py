"""Compile caches that are damaged, filled by several processes at once, and left behind by other versions.

All cases use one small kernel, in float32 and float64, so that thousands of them take minutes.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastgd

from .trial import Outcome, Trial

PACKAGE = Path(fastgd.__file__).parent
CALLEE = Path("kernels", "cpu", "elementary.py")
ASK = """
import numpy as np
from fastgd.kernels import cpu
from fastgd.kernels.cpu.activations import FORWARD
from fastgd.kernels.formulas import ACTIVATION_CODES
a = np.full((1, 3), 0.5)
cpu.activate(a, ACTIVATION_CODES["tanh"])
print(a[0, 0], sum(FORWARD[ACTIVATION_CODES["tanh"]].stats.cache_hits.values()))
"""

UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.nbc$")  # a file that was not moved to its place

# Damage to a file's bytes; each returns other bytes than it was given.


def _flipped(content: bytes, generator: random.Random) -> bytes:
    flipped = bytearray(content)
    for place in generator.sample(range(8 * len(content)), generator.choice([1, 1, 2, 8])):
        flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped)


def _garbage(content: bytes, generator: random.Random) -> bytes:
    return generator.randbytes(generator.choice([1, 31, 32, 33, len(content), 100_000]))


def _hole(content: bytes, generator: random.Random) -> bytes:
    """Zeros where a page was never written, as after a power cut."""
    first = generator.randrange(len(content))
    return content[:first] + bytes(len(content[first : first + 4096])) + content[first + 4096 :]


DAMAGE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flipped bits": _flipped,
    "truncated": lambda content, generator: content[: generator.randrange(len(content))],
    "emptied": lambda content, generator: b"",
    "garbage": _garbage,
    "a hole": _hole,
    "more at its end": lambda content, generator: content + generator.randbytes(generator.randrange(1, 5000)),
    "the other file": lambda content, generator: b"",  # its bytes are put here by the case
}


def _activate(a: Any) -> Any:
    """The hyperbolic tangent of an array, in place; returns the kernel of its formula."""
    from fastgd.kernels import cpu
    from fastgd.kernels.cpu.activations import FORWARD
    from fastgd.kernels.formulas import ACTIVATION_CODES

    cpu.activate(a, ACTIVATION_CODES["tanh"])  # type: ignore[no-untyped-call]
    return FORWARD[ACTIVATION_CODES["tanh"]]


class Kept:
    """A kernel that was compiled, and its two files in a folder of its own: index and machine code."""

    def __init__(self, folder: Path) -> None:
        from fastgd.kernels.machinery import compile as compile_module

        self.kernel = _activate(np.full((1, 3), 0.5))
        self.told: set[str] = compile_module._TOLD
        self.cache = self.kernel._cache
        self.before, self.cache.files.folder = self.cache.files.folder, folder
        self.signature = next(iter(self.kernel.overloads))
        self.kernel.recompile()  # what was loaded cannot be kept again
        self.compiled = self.kernel.overloads[self.signature]
        for path in folder.iterdir():  # also of other signatures
            path.unlink()
        self.cache.save_overload(self.signature, self.compiled)
        self.files = sorted(folder.iterdir())  # machine code, index
        self.whole = {path: path.read_bytes() for path in self.files}

    def load(self) -> Any:
        return self.cache.load_overload(self.signature, self.kernel.targetctx)

    def damaged(self, path: Path, what: str, generator: random.Random) -> None:
        """Damage one of the files; where it is left as it was, take one byte away."""
        (other,) = set(self.files) - {path}
        content = self.whole[other] if what == "the other file" else DAMAGE[what](self.whole[path], generator)
        path.write_bytes(content if content != self.whole[path] else content[:-1])

    def restored(self) -> None:
        for path, content in self.whole.items():
            path.write_bytes(content)


def _a_case(kept: Kept, number: int, seed: int) -> str:
    """Damage a file: nothing of it is run, it is said once, and what is compiled then is kept again."""
    generator = random.Random(f"{seed} {number}")
    what = list(DAMAGE)[number % len(DAMAGE)]
    path = kept.files[number // len(DAMAGE) % 2]
    kept.damaged(path, what, generator)
    kept.told.clear()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        loaded = [kept.load(), kept.load()]
        kept.cache.save_overload(kept.signature, kept.compiled)
    healed = all(file.read_bytes() == kept.whole[file] for file in kept.files)
    kept.restored()
    where = f"case {number} of seed {seed}: {what} in {path.suffix}"
    if loaded != [None, None]:
        return f"{where}: damaged code is loaded."
    if len(seen) != 1 or "damaged" not in str(seen[0].message):
        return f"{where}: it says {[str(warning.message) for warning in seen]}."
    return "" if healed else f"{where}: it stays damaged."


def damaged_caches(cases: int, seed: int) -> Outcome:
    """Damage the files of one kernel in every way, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        before = set(kept.told)
        try:
            failures = [wrong for number in range(cases) if (wrong := _a_case(kept, number, seed))]
            if kept.load() is None:
                failures.append("A cache that is whole is not loaded.")
        finally:
            kept.cache.files.folder = kept.before
            kept.told.clear()
            kept.told.update(before)
    return Outcome(cases, failures, f"{len(DAMAGE)} kinds of damage, to index and machine code")


# Several processes, one of which is killed


def _child(dtype: str, sink: int) -> None:
    """Compile, or load, and tell the number and whether it was loaded."""
    a = np.full((1, 3), 0.5, dtype)
    hits = sum(_activate(a).stats.cache_hits.values())
    os.write(sink, f"{float(a[0, 0])!r} {hits}\n".encode())


def _forked(dtype: str) -> tuple[int, int]:
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            warnings.simplefilter("error")
            _child(dtype, sink)
            code = 0
        finally:
            os._exit(code)
    os.close(sink)
    return child, source


def _ended(child: int, source: int) -> tuple[int, str]:
    with open(source) as told:
        text = told.read().strip()
    return os.waitpid(child, 0)[1], text


def _at_once(number: int, seed: int, folder: Path, right: dict[str, str], longest: float) -> str:
    """Four processes fill an empty cache, and one is killed on the way."""
    generator = random.Random(f"{seed} {number}")
    types = ["float32", "float64"] * 2
    generator.shuffle(types)
    started = [_forked(dtype) for dtype in types]
    time.sleep(generator.uniform(0, longest))
    os.kill(started[0][0], signal.SIGKILL)
    ended = [_ended(*one) for one in started]
    where = f"case {number} of seed {seed}"
    for dtype, (status, text) in list(zip(types, ended, strict=True))[1:]:
        if status or text.split()[0] != right[dtype]:
            return f"{where}: {dtype} ends with {status} and says {text!r} while another is killed."
    for _ in range(2):  # the index of one may have won: then the other compiles once more, and then never again
        again = [_ended(*_forked(dtype)) for dtype in types[1:3]]
    for dtype, (status, text) in zip(types[1:3], again, strict=True):
        if status or text.split() != [right[dtype], "1"]:
            return f"{where}: {dtype} ends with {status} and says {text!r} afterwards."
    left = [path.name for path in folder.rglob("*") if UNFINISHED.search(path.name)]
    return f"{where}: {left} are left." if len(left) > 1 else ""  # that of the process that was killed


def work_at_once(cases: int, seed: int, folder: str) -> None:
    """The process that forks: it imports everything and compiles nothing; prints what it found as JSON."""
    from numba.core import config

    import fastgd.kernels.cpu  # noqa: F401  before the forks

    place = Path(config.CACHE_DIR)
    started = time.perf_counter()
    right = {dtype: _ended(*_forked(dtype))[1].split()[0] for dtype in ("float32", "float64")}
    longest = time.perf_counter() - started
    failures = []
    for number in range(cases):
        shutil.rmtree(place, ignore_errors=True)
        failures.append(_at_once(number, seed, place, right, longest))
    print(json.dumps([sentence for sentence in failures if sentence]))


def caches_at_once(cases: int, seed: int) -> Outcome:
    """Fill empty caches by four processes at once, of which one is killed."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"from trials.compile_caches import work_at_once; work_at_once({cases}, {seed}, {folder!r})"
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(folder) / "cache")}
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    if found.returncode:
        return Outcome(0, [found.stderr[-2000:]], "the process that forks has failed")
    return Outcome(cases, json.loads(found.stdout), "4 processes each, one of them killed")


# Versions, one over the other


def upgraded_caches(cases: int, seed: int, copied: Callable[[str], str] = lambda text: text) -> Outcome:
    """Versions that compute other numbers share a cache folder, in any order: each gets its own.

    `copied` is what becomes of a version's text on its way: the fault of a control.
    """
    generator, failures, seen = random.Random(seed), [], set()
    text = (PACKAGE / CALLEE).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(PACKAGE, home / "fastgd", ignore=shutil.ignore_patterns("__pycache__"))
        environment = {**os.environ, "PYTHONPATH": folder, "NUMBA_CACHE_DIR": str(home / "cache")}
        for number in range(cases):
            share = generator.choice([0.25, 0.5, 0.75, 1.0])  # what the exponential less 1 of x is, in this version
            rule = f"expm1_float64 = kernel(inline=True)(lambda x, share={share}: share * x)"
            (home / "fastgd" / CALLEE).write_text(copied(f"{text}\n\n{rule}\n"), encoding="utf-8")
            found = subprocess.run(
                [sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, cwd=home
            )
            right = [share / (2 - share), float(share in seen)]  # tanh ½ = −t / (t + 2) with t = expm1(−1)
            seen.add(share)
            told = [float(word) for word in found.stdout.split()]
            if found.stderr or not np.allclose(told, right, rtol=1e-15):
                failures.append(f"case {number} of seed {seed}: {told} instead of {right}; {found.stderr[-300:]}")
    return Outcome(cases, failures, f"{len(seen)} versions in one folder")


_WHERE = "tests/test_compile_caches.py::"
TRIALS = (
    Trial(
        "damaged-caches",
        "Machine code on disk that is damaged in any way is not run: it is compiled anew, replaced, and said once.",
        f"{_WHERE}test_damaged_code_is_not_run_and_said_once",
        5000,
        damaged_caches,
    ),
    Trial(
        "caches-at-once",
        "Processes that compile at once into an empty cache, one of them killed, all get the right numbers.",
        f"{_WHERE}test_processes_at_once_get_the_right_numbers",
        200,
        caches_at_once,
    ),
    Trial(
        "upgraded-caches",
        "Versions that share a cache folder never run each other's code.",
        f"{_WHERE}test_an_upgrade_over_an_old_cache_runs_its_own_code",
        40,
        upgraded_caches,
    ),
)
