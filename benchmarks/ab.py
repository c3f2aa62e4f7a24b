"""Did my change make it slower? Compares the working tree with a revision, case by case.

    python benchmarks/ab.py --base main
    fastgd bench --against main

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
from typing import Any

from .cases import COMPARED
from .judging import Verdict, exit_code, verdict_on
from .machine_code import unchanged_cases
from .processes import child
from .tool import Parser, ToolError, guarded
from .worktrees import BaseTree, temporary_folder

ROOT = Path(__file__).parents[1]


def chosen(text: str) -> list[str]:
    """The names of the cases that were asked for."""
    names = [case.name for case in COMPARED if text in case.name]
    if not names:
        raise ToolError(f"No case has {text!r} in its name; there are: {', '.join(c.name for c in COMPARED)}.")
    return names


def compare(base: Path, head: Path, options: argparse.Namespace, folder: Path) -> dict[str, Verdict]:
    """The verdict on every case that was asked for; what is written meanwhile goes to the folder."""
    names = chosen(options.cases)
    if not (base / "fastgd" / "__init__.py").exists():
        raise ToolError("The base revision has no package fastgd to compare with.")
    if not (base / "benchmarks" / "stages.py").exists():
        raise ToolError("The base revision has no benchmarks/stages.py, which would run its cases.")
    verdicts: dict[str, Verdict] = {}
    if not options.time_all:
        for name in unchanged_cases(base, head, names, folder):
            verdicts[name] = Verdict("unchanged", 1.0, 1.0, 1.0, "the machine code is the same")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names if name not in verdicts}
    open_names = list(results)
    for process in range(options.most):
        if not open_names:
            break
        arguments = ["times", str(base), str(head), "--names", json.dumps(open_names), "--seed", str(process)]
        for name, result in child(arguments, folder / "code").items():
            results[name].append(result)
        if process + 1 >= options.processes:
            verdicts |= {name: verdict_on(results[name], options.limit / 100) for name in open_names}
            open_names = [name for name in open_names if verdicts[name].word == "cannot tell"]
    return {name: verdicts[name] for name in names}


def table(verdicts: dict[str, Verdict], markdown: bool) -> str:
    """One line a case."""
    rows = [("case", "verdict", "head / base", "95 % interval", "")]
    for name, v in verdicts.items():
        measured = v.ratio == v.ratio and v.word != "unchanged"
        figures = (f"{v.ratio:.3f}", f"{v.low:.3f} to {v.high:.3f}") if measured else ("", "")
        rows.append((name, v.word, *figures, v.note))
    if markdown:
        rows.insert(1, ("---",) * 5)
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        "  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=False)) + f"  {row[4]}" for row in rows
    )


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("ab", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", metavar="REV", help="the revision to compare with")
    parser.add_argument("--limit", type=float, default=3.0, help="differences up to so many per cent are none (3)")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes, at least (3)")
    parser.add_argument("--most", type=int, default=8, help="and at most, for cases that cannot be told yet (8)")
    parser.add_argument("--cases", default="", help="only cases with this in their name")
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
        verdicts = compare(base, ROOT, options, Path(name))
    print(table(verdicts, options.markdown))
    return exit_code(verdicts)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    return guarded("ab", lambda: run(options))
