"""Did my change make it slower? Compares the working tree with a revision, case by case.

    python benchmarks/ab.py --base main
    python benchmarks/ab.py --base main --cases tanh         only cases with these words in their names
    fastgd bench --against main

All cases of the suite are measured, which takes six minutes on two cores, and more where many kernels have changed; at
the end stands which changed functions none of them ran.

On a shared machine the same code timed twice, in two processes, differs by up to 10 %, so both versions are loaded
side by side into one process, on the same arrays, and timed in rounds of random order; several fresh processes; a
bootstrap over processes and rounds gives an interval for the median ratio. Each version is there twice, so that it can
be timed against itself in the same way, as a control. Kernels whose machine code is the same are not timed: they are
`unchanged`. Which cases there are is the working tree's to say; each version runs them by its own benchmarks.

Exit code: 0 nothing is slower, 1 something is slower, 2 no answer (an error, answers that differ, or cannot tell).
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.ab import main

    sys.exit(main())

import argparse
import json
from textwrap import fill, wrap
from typing import Any, NamedTuple

from .cases import CASES
from .judging import Verdict, exit_code, verdict_on
from .machine_code import unchanged_cases
from .processes import child
from .tool import Parser, ToolError, guarded
from .unmeasured import Place, told, unmeasured
from .worktrees import BaseTree, temporary_folder

ROOT = Path(__file__).parents[1]


class Comparison(NamedTuple):
    """What a run finds out."""

    verdicts: dict[str, Verdict]
    unmeasured: dict[str, list[str]]  # for each file: functions that have changed, and that no case ran


def chosen(text: str) -> list[str]:
    """The names of the cases that were asked for: those that have all the words in their names."""
    names = [case.name for case in CASES if all(word in case.name for word in text.split())]
    if not names:
        words = dict.fromkeys(word for case in CASES for word in case.name.split())
        raise ToolError(f"No case has {text!r} in its name; the words of names are: {', '.join(words)}.")
    return names


def compare(base: Path, head: Path, options: argparse.Namespace, folder: Path) -> Comparison:
    """The verdict on every case that was asked for; what is written meanwhile goes to the folder."""
    names = chosen(options.cases)
    if not (base / "fastgd" / "__init__.py").exists():
        raise ToolError("The base revision has no package fastgd to compare with.")
    if not (base / "benchmarks" / "stages.py").exists():
        raise ToolError("The base revision has no benchmarks/stages.py, which would run its cases.")
    verdicts: dict[str, Verdict] = {}
    ran: list[Place] = []
    if not options.time_all:
        unchanged, ran = unchanged_cases(base, head, names, folder)
        for name in unchanged:
            verdicts[name] = Verdict("unchanged", 1.0, 1.0, 1.0)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names if name not in verdicts}
    open_names = list(results)
    for process in range(options.most):
        if not open_names:
            break
        progress(f"process {process + 1} of {options.processes} to {options.most}, {len(open_names)} cases")
        arguments = ["times", str(base), str(head), "--names", json.dumps(open_names), "--seed", str(process)]
        answer = child(arguments, folder / "code")
        ran += answer["ran"]
        for name, result in answer["cases"].items():
            results[name].append(result)
        if process + 1 >= options.processes:
            verdicts |= {name: verdict_on(results[name], options.limit / 100) for name in open_names}
            open_names = [name for name in open_names if verdicts[name].word == "cannot tell"]
    return Comparison({name: verdicts[name] for name in names}, unmeasured(base, head, ran))


def progress(text: str) -> None:
    """Say on a terminal what is at work, on a line that the next one takes."""
    if sys.stderr.isatty():
        print(f"\r{text:79}", end="\r", file=sys.stderr, flush=True)


def table(verdicts: dict[str, Verdict], markdown: bool) -> str:
    """One line a case, of at most 80 characters; notes stand below it. In Markdown they have a column."""
    rows = [("case", "verdict", "now / base", "95 % interval")]
    for name, v in verdicts.items():
        measured = v.ratio == v.ratio and v.word != "unchanged"
        figures = (f"{v.ratio:.3f}", f"{v.low:.3f} to {v.high:.3f}") if measured else ("", "")
        rows.append((name, v.word, *figures))
    notes = ["", *(verdict.note for verdict in verdicts.values())]
    if markdown:
        lines = ["| " + " | ".join((*row, note)) + " |" for row, note in zip(rows, notes, strict=True)]
        return "\n".join([lines[0], "| --- | --- | --- | --- | --- |", *lines[1:]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, note in zip(rows, notes, strict=True):
        lines.append("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        lines += wrap(note, 80, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def report(found: Comparison, options: argparse.Namespace) -> str:
    """What was compared, the table, and what it says nothing about."""
    n, most = len(found.verdicts), len(CASES)
    which = f"all {most} cases" if n == most else f"{n} of {most} cases"
    words = f"now: the working tree; base: {options.base}; {which}. Unchanged: the same machine code, not timed."
    parts = [fill(words, 80), table(found.verdicts, options.markdown), told(found.unmeasured)]
    return "\n\n".join(filter(None, parts))


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("ab", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", metavar="REV", help="the revision to compare with")
    parser.add_argument("--limit", type=float, default=3.0, help="differences up to so many per cent are none (3)")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes, at least (3)")
    parser.add_argument("--most", type=int, default=8, help="and at most, for cases that cannot be told yet (8)")
    parser.add_argument("--cases", default="", help="only cases with all these words in their name")
    parser.add_argument("--time-all", action="store_true", help="time kernels even if their machine code is the same")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Compare, and print the table."""
    if not options.base:
        raise ToolError("Which revision? Give --base, such as --base main.")
    if not 1 <= options.processes <= options.most or not 0 < options.limit < 100:
        raise ToolError("--processes must be from 1 to --most, and --limit between 0 and 100.")
    chosen(options.cases)
    with temporary_folder() as name, BaseTree(options.base, ROOT, Path(name)) as base:
        found = compare(base, ROOT, options, Path(name))
    progress("")
    print(report(found, options))
    return exit_code(found.verdicts)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    return guarded("ab", lambda: run(options))
