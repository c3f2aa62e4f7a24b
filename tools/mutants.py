"""Would the tests notice? Plants faults in the package, one at a time, and runs the tests that should see them.

    python tools/mutants.py              all faults of faults.txt
    python tools/mutants.py NAME ...     those with one of these words in their name
    python tools/mutants.py --list       their names, and no more
    python tools/mutants.py --record     keep which test notices each, for docs/ledger.md
    python tools/mutants.py --part 2/3   the second third of them

The faults are planted in a copy, in a temporary folder with a kernel cache of its own; the working tree stays as it is.
First the same tests run without a fault, and all must pass. A fault in a kernel is tried with the tests marked `tiny`
in plain Python first, which takes seconds, and compiled where these notice nothing.

Exit code 0: all are noticed; 1: one survives, or cannot be planted; 130: Ctrl-C.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("faults.txt")
RECORD = ROOT / "trials" / "results" / "faults.json"  # name of a fault: the test that notices it, or null
COPIED = ("fastgd", "tests", "tools", "trials", "benchmarks", "docs", "pyproject.toml", "README.md", "CONTRIBUTING.md")
KERNELS = "fastgd/kernels/"
LONGEST = 300  # seconds that tests may take with a fault: one that makes them wait for ever is noticed, too
NOTHING_RUN = 5  # pytest's exit code where no test is chosen
HEAD = re.compile(r"(?P<file>[\w/]+\.py)(?:, (?P<function>[\w.]+))?: (?P<tests>test_\w+(?: test_\w+)*)")
NOTICED = re.compile(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", re.M)


class Fault(NamedTuple):
    """Code that is replaced, and the tests that should notice."""

    name: str
    file: str
    function: str | None  # the function, or Class.method, that the code stands in; None: anywhere in the file
    old: str
    new: str
    tests: tuple[str, ...]  # files of tests/, without their ending

    @property
    def is_in_kernels(self) -> bool:
        """Whether plain Python may show it, and kernels have to be compiled again."""
        return self.file.startswith(KERNELS)


class CannotPlantError(Exception):
    """A fault that does not fit the sources, or an entry that is none."""


def read_faults(text: str) -> list[Fault]:
    """The faults of a table: entries are apart by blank lines; a line that begins with # is a heading."""
    entries = re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "\n", text, flags=re.M).strip())
    faults = [_fault(entry.strip("\n").splitlines()) for entry in entries]
    names = [fault.name for fault in faults]
    for name in names:
        if names.count(name) > 1:
            raise CannotPlantError(f"There are two faults with the name {name!r}: rename one.")
    return faults


def _fault(lines: list[str]) -> Fault:
    name, *rest = lines
    head = HEAD.fullmatch(rest[0]) if rest else None
    code = {sign: "\n".join(line[2:] for line in rest[1:] if line.startswith(f"{sign} ")) for sign in "-+"}
    if head is None or not all(code.values()) or not all(line[:2] in ("- ", "+ ") for line in rest[1:]):
        raise CannotPlantError(f"{name!r} is no entry such as: name; file.py, function: test_file; - old; + new.")
    return Fault(name, head["file"], head["function"], code["-"], code["+"], tuple(head["tests"].split()))


def planted(source: str, fault: Fault) -> str:
    """The source with the fault in it. The code must stand there once; its lines may be indented, all alike."""
    begin, end = _extent(source, fault)
    first, *others = map(re.escape, fault.old.split("\n"))
    pattern = (
        first if not others else r"^(?P<indent>[ ]*)" + first + "".join(rf"\n(?P=indent){line}" for line in others)
    )
    found = list(re.finditer(pattern, source[begin:end], re.M))
    place = f"{fault.file}{f', {fault.function}' if fault.function else ''}"
    if len(found) != 1:
        raise CannotPlantError(f"{place} has {fault.old!r} {len(found)} times instead of once.")
    indent = found[0]["indent"] if others else ""
    new = indent + fault.new.replace("\n", "\n" + indent)
    changed = source[: begin + found[0].start()] + new + source[begin + found[0].end() :]
    try:
        tree = ast.parse(changed)
    except SyntaxError as error:
        raise CannotPlantError(f"{place} with {fault.new!r} is no Python: {error}.") from error
    if ast.dump(tree) == _dumped(source):
        raise CannotPlantError(f"{place} with {fault.new!r} is what it was before.")
    return changed


@lru_cache(maxsize=2)
def _dumped(source: str) -> str:
    """What Python reads in a source; many faults are of one file."""
    return ast.dump(ast.parse(source))


def _extent(source: str, fault: Fault) -> tuple[int, int]:
    """Where the function of a fault begins and ends in the source; all of it where the fault names none."""
    if fault.function is None:
        return 0, len(source)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = [node for name, node in _functions(ast.parse(source)) if name == fault.function]
    if len(found) != 1:
        raise CannotPlantError(f"{fault.file} has {len(found)} functions {fault.function} instead of one.")
    return starts[found[0].lineno - 1], starts[found[0].end_lineno or found[0].lineno]


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions of a module by name; those of classes and functions as Outer.inner."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


class Copy:
    """A copy of the repository, in which tests run one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cache, self.fresh_cache = folder / "copy", folder / "cache", folder / "fresh_cache"
        self.root.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, self.root / name)

    def first_to_notice(
        self, tests: Sequence[str], fresh: bool = False, tiny: bool = False, longest: int = LONGEST
    ) -> str | None:
        """Run test files up to the first that fails; returns its name, or None where all pass.

        `fresh`: kernels are compiled anew and not kept; `tiny`: small tests, in plain Python; `longest`: seconds.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTEST_"))}
        environment |= {
            "NUMBA_CACHE_DIR": str(self.fresh_cache if fresh else self.cache),
            "PYTHONPATH": str(self.root),
            # A .pyc counts as old by the second and the size of its source: a changed sign may alter neither.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
        if tiny:
            environment["NUMBA_DISABLE_JIT"] = "1"
            command += ["-m", "tiny"]
        command += [f"tests/{name}.py" for name in tests]
        try:
            code, output = self._finished(command, environment, longest)
        finally:
            shutil.rmtree(self.fresh_cache, ignore_errors=True)
        if code is None:
            return f"after {longest} s it has not ended"
        found = NOTICED.search(output)
        if found:
            return found[1]
        if code in (0, NOTHING_RUN):
            return None
        return f"pytest ended with {code}: {(output.strip().splitlines() or ['nothing was said'])[-1]}"

    def _finished(self, command: list[str], environment: dict[str, str], longest: int) -> tuple[int | None, str]:
        """Exit code and output of a process, with no exit code where it had to be ended."""
        process = subprocess.Popen(
            command, cwd=self.root, env=environment, text=True, errors="replace", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=longest)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            if process.poll() is None:  # and what it has started
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def noticed_by(self, fault: Fault) -> str | None:
        """The test that notices a fault first, or None; afterwards the copy is as it was."""
        path = self.root / fault.file
        source = path.read_text(encoding="utf-8")
        path.write_text(planted(source, fault), encoding="utf-8")
        try:
            if not fault.is_in_kernels:
                return self.first_to_notice(fault.tests)
            in_plain_python = self.first_to_notice(fault.tests, tiny=True)
            return in_plain_python or self.first_to_notice(fault.tests, fresh=True)
        finally:
            path.write_text(source, encoding="utf-8")


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="fastgd-mutants-", ignore_cleanup_errors=True) as folder:
        yield Copy(Path(folder))


def control(copy: Copy, faults: Sequence[Fault]) -> str | None:
    """Run what all faults name, each file once, without a fault; returns what fails, or None."""
    of_kernels = sorted({name for fault in faults if fault.is_in_kernels for name in fault.tests})
    of_all = sorted({name for fault in faults for name in fault.tests})
    longest = LONGEST * len(of_all)
    in_plain_python = copy.first_to_notice(of_kernels, tiny=True, longest=longest) if of_kernels else None
    return in_plain_python or copy.first_to_notice(of_all, longest=longest)


def tried(copy: Copy, faults: Sequence[Fault]) -> Iterator[str | None]:
    """For each fault the test that notices it, or None; and a line about it."""
    width = max(len(fault.name) for fault in faults)
    for fault in faults:
        started = time.perf_counter()
        try:
            by = copy.noticed_by(fault)
            verdict = f"noticed   {by}" if by else f"SURVIVED  {' '.join(fault.tests)}"
        except CannotPlantError as error:
            by, verdict = None, f"NOT PLANTED  {error}"
        print(f"{fault.name:{width}}  {time.perf_counter() - started:5.1f} s  {verdict}", flush=True)
        yield by


def record(found: dict[str, str | None], known: Sequence[str]) -> None:
    """Keep what these faults have shown, beside what others have, as long as these are in the table."""
    before = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    kept = {name: (before | found)[name] for name in known if name in before | found}
    RECORD.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def part_of(faults: list[Fault], part: str) -> list[Fault]:
    """Every nth of them, from the one that the part, such as 2/3, begins with."""
    number, of = (int(figure) for figure in part.split("/"))
    if not 1 <= number <= of:
        raise ValueError(part)
    return faults[number - 1 :: of]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Plant faults, one at a time, and list those that no test notices.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only faults with this in their name")
    parser.add_argument("--list", action="store_true", help="say which faults there are, and end")
    parser.add_argument("--record", action="store_true", help="keep which test notices each")
    parser.add_argument("--part", default="1/1", help="a part of them, such as 2/3: so several machines share them")
    options = parser.parse_args(arguments)
    try:
        faults = read_faults(TABLE.read_text(encoding="utf-8"))
    except CannotPlantError as error:
        print(error, file=sys.stderr)
        return 1
    known = [fault.name for fault in faults]
    if options.names:
        faults = [fault for fault in faults if any(name in fault.name for name in options.names)]
    try:
        faults = part_of(faults, options.part)
    except ValueError:
        parser.error(f"--part must be such as 2/3, not {options.part!r}.")
    if options.list or not faults:
        print("\n".join(fault.name for fault in faults) or "No fault has such a name.")
        return 0 if faults else 1
    results: dict[str, str | None] = {}
    try:
        with copied() as copy:
            started = time.perf_counter()
            failing = control(copy, faults)
            print(f"without a fault: {failing or 'all pass'} ({time.perf_counter() - started:.0f} s)", flush=True)
            if failing:
                return 1
            for fault, by in zip(faults, tried(copy, faults), strict=True):
                results[fault.name] = by
    except KeyboardInterrupt:
        print(f"Interrupted: {noticed(results)} of {len(results)} faults noticed so far, {len(faults)} in all.")
        return 130
    finally:
        if options.record:
            record(results, known)
    print(f"{noticed(results)} of {len(faults)} faults noticed ({(time.perf_counter() - started) / 60:.0f} minutes)")
    return 0 if all(results.values()) else 1


def noticed(results: dict[str, str | None]) -> int:
    """How many faults a test has noticed."""
    return sum(by is not None for by in results.values())


if __name__ == "__main__":
    sys.exit(main())
