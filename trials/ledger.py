"""Writes docs/ledger.md: each promise, the test that holds it, how many cases were tried, and the figure.

python -m trials.ledger            count the tests' cases, and write the page
python -m trials.ledger --check    exit code 1 where the page is not what is recorded, or a test is not there
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools import mutants

from .catalogue import RESULTS, result_of, trials
from .promises import PROMISES, Promise

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ledger.md"
COUNTS = RESULTS / "tests.json"
HEAD = """# The ledger

Each promise, what holds it, and how many cases were tried. `python -m trials.ledger` writes this page from what is
recorded; `python -m trials` lists the trials, and `python -m trials NAME` tries to break a promise again.

## Trials

A trial draws cases at random, from a seed. A test runs it with few cases; the figures are those of the last long run.

| promise | trial, and its test | cases | figure |
| --- | --- | ---: | --- |
"""


def places(nodes: Iterable[str]) -> list[str]:
    """What is wrong with the names of tests: files or functions that are not there."""
    wrong = []
    for node in sorted(set(nodes)):
        file, _, function = node.partition("::")
        path = ROOT / "tests" / file
        names = {each.name for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(each, ast.FunctionDef)} if path.exists() else set()  # fmt: skip
        if not path.exists() or (function and function not in names):
            wrong.append(f"There is no test tests/{node}.")
    return wrong


def counted(nodes: Iterable[str]) -> dict[str, int]:
    """How many cases pytest collects for each file, and for each function of it."""
    files = sorted({f"tests/{node.partition('::')[0]}" for node in nodes})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found: Counter[str] = Counter()
    for file, function in re.findall(r"^tests/(\S+?\.py)::(\w+)", done.stdout, re.M):
        found[file] += 1
        found[f"{file}::{function}"] += 1
    missing = [node for node in nodes if not found[node]]
    if missing:
        raise SystemExit(
            f"pytest collects nothing for {', '.join(missing)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return {node: found[node] for node in sorted(set(nodes))}


def link(path: str) -> str:
    """A page as docs/ledger.md points to it."""
    return f"[{path}]({path.removeprefix('docs/') if path.startswith('docs/') else f'../{path}'})"


def _shown(test: str) -> str:
    """A test as it is told: without its file's ending, and on lines of its own."""
    return f"`{test.removeprefix('tests/').replace('.py', '')}`"


def page(counts: dict[str, int]) -> str:
    """The whole page."""
    lines = [HEAD.rstrip("\n")]
    for name, trial in trials().items():
        found = result_of(name) or {"cases": 0, "figure": "not run yet", "failures": []}
        figure = found["figure"] + (f"; **{len(found['failures'])} failed**" if found["failures"] else "")
        lines.append(f"| {trial.promise} | `{name}`, {_shown(trial.test)} | {found['cases']:,} | {figure} |")
    lines += ["", *of_faults(), "", "## Promises of the pages", "", "Cases are those that pytest collects.", ""]
    lines += ["| page | promise | tests | cases |", "| --- | --- | --- | ---: |"]
    lines += [_row(promise, counts) for promise in PROMISES]
    return "\n".join(lines) + "\n"


def _row(promise: Promise, counts: dict[str, int]) -> str:
    tests = ", ".join(map(_shown, promise.tests))
    return f"| {link(promise.page)} | {promise.text} | {tests} | {sum(counts[test] for test in promise.tests):,} |"


def of_faults() -> list[str]:
    """What planted faults have shown of the tests themselves."""
    kept = json.loads(mutants.RECORD.read_text(encoding="utf-8"))
    known = mutants.read_faults(mutants.TABLE.read_text(encoding="utf-8"))
    tried = [fault.name for fault in known if fault.name in kept]
    survivors = [name for name in tried if kept[name] is None]
    lines = [
        "`tools/mutants.py` plants faults all over the package, one at a time, and runs the tests that should see",
        f"each: of {len(tried)} faults, {len(tried) - len(survivors)} were noticed.",
        f"These survive: {'; '.join(survivors)}." if survivors else "None survives.",
    ]
    untried = len(known) - len(tried)
    return ["## Would the tests notice?", "", *lines, *([f"Not tried yet: {untried}."] if untried else [])]


def nodes() -> list[str]:
    """All tests that the page names."""
    return [test for promise in PROMISES for test in promise.tests]


def faults() -> list[str]:
    """What makes the page untrue."""
    wrong = places([*nodes(), *(trial.test.removeprefix("tests/") for trial in trials().values())])
    wrong += [f"There is no page {p.page}." for p in PROMISES if not (ROOT / p.page).exists()]
    if wrong:
        return wrong
    counts = json.loads(COUNTS.read_text(encoding="utf-8"))
    missing = [node for node in nodes() if node not in counts]
    if missing or not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(counts):
        return ["docs/ledger.md is not what is recorded: run python -m trials.ledger."]
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.ledger", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something is untrue")
    options = parser.parse_args(arguments)
    if not options.check:
        counts = counted(nodes())
        COUNTS.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page(counts), encoding="utf-8")
    wrong = faults()
    print("\n".join(wrong) or "The ledger is what is recorded.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
