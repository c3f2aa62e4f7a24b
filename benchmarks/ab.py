"""Did my change make it slower? Compares the working tree with a revision, case by case.

    python benchmarks/ab.py --base main
    fastgd bench --against main

On a shared machine the same code timed twice, in two processes, differs by up to 10 %, so both versions are loaded
side by side into one process, on the same arrays, and timed in pairs of random order; several fresh processes; a
bootstrap over processes and pairs gives an interval for the median ratio. The base is timed against itself in the same
way, as a control. Kernels whose machine code is the same are not timed: they are `unchanged`.

Exit code: 0 nothing is slower, 1 something is slower, 2 no answer (an error, answers that differ, or cannot tell).
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np
from cases import COMPARED, STAGES, Case

PAIRS = 15  # in each process
SLICE = 4e-3  # seconds of one timing
PREFIX = "fastgd-ab-"
RESAMPLES = 1000


class ComparisonError(Exception):
    """What the user is told in one sentence."""


class Verdict(NamedTuple):
    """What can be said about one case."""

    word: str  # slower, faster, same, cannot tell, unchanged, answers differ, not comparable
    ratio: float = float("nan")  # head / base
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


# Judging.


def interval(processes: list[list[float]], generator: np.random.Generator) -> tuple[float, float, float]:
    """The median of all ratios, and the middle 95 % of medians over resampled processes and pairs."""
    medians = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(len(processes), size=len(processes))
        drawn = [generator.choice(processes[i], size=len(processes[i])) for i in chosen]
        medians.append(np.median(np.concatenate(drawn)))
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(np.concatenate(processes))), float(low), float(high)


def judged(ratios: list[list[float]], control: list[list[float]], limit: float) -> Verdict:
    """The verdict for ratios head / base, beside the same for base / base."""
    generator = np.random.default_rng(0)
    ratio, low, high = interval(ratios, generator)
    _, control_low, control_high = interval(control, generator)
    wide = max(limit, control_high - 1, 1 - control_low)  # what the machine does to identical code is no difference
    if ratio > 1 + wide and low > 1:
        return Verdict("slower", ratio, low, high)
    if ratio < 1 - wide and high < 1:
        return Verdict("faster", ratio, low, high)
    if low > 1 - limit and high < 1 + limit:
        return Verdict("same", ratio, low, high)
    return Verdict("cannot tell", ratio, low, high, f"identical code: {control_low:.3f} to {control_high:.3f}")


# Timing, in a process of its own.


def loaded(name: str, tree: Path) -> ModuleType:
    """The package of a tree, under a name of its own."""
    home = tree / "fastgd"
    spec = importlib.util.spec_from_file_location(name, home / "__init__.py", submodule_search_locations=[str(home)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    # Numba tells types of named tuples apart by the name of the class alone: with equal names, whichever package is
    # called second takes Numba's slow way into every kernel (180 µs a call).
    for record in vars(importlib.import_module(f"{name}.kernels.records")).values():
        if isinstance(record, type) and issubclass(record, tuple):
            record.__name__ = f"{record.__name__}_{name}"
    return module


def runner(package: ModuleType, case: Case, data: Any) -> tuple[Any, Any]:
    """(run, answer) of a case: run() does it once; answer() is what came out, as an array."""
    from problems import model, optimizer
    from stages import answer_of, prepared

    if case.stage in STAGES:
        kernels = importlib.import_module(f"{package.__name__}.kernels.cpu")
        p, orders = prepared(package, case, data, kernels, case.batch_size)
        w, B = p.workspace, case.batch_size
        shape = (B, case.sizes[-1])
        delta = w.deltas[(len(case.sizes) - 2) % 2, : B * shape[1]].reshape(shape)
        outputs = kernels.last_outputs(w, B, p.net)
        calls = {
            "gather": lambda: kernels.gather(w.x, w.y, w.w, p.rows, orders, p.net),
            "forward": lambda: kernels.forward(w, B, np.uint64(0), 0, p.net),
            "loss": lambda: kernels.loss_and_delta(delta, outputs, w.y, w.w, 1 / B, p.loss),
            "backward": lambda: kernels.backward(p.gradient, w, B, True, p.net),
            "update": lambda: kernels.update(p.net, p.state, p.gradient, p.rule, 1e-9),
        }
        return calls[case.stage], lambda: np.array(answer_of(case, p))
    made = model(package, case)
    if case.stage == "epoch":
        y = data.Y if data.Y.shape[1] > 1 else data.Y[:, 0]
        rule = optimizer(package, case)

        def fit() -> None:
            made.fit(data.X, y, epochs=1, batch_size=case.batch_size, optimizer=rule, verbose=0)

        return fit, lambda: made.parameters.copy()
    X = data.X[: case.work_rows]
    return lambda: made.predict(X), lambda: made.predict(X)


def seconds(run: Any, repeats: int) -> float:
    """Seconds of `repeats` runs."""
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return time.perf_counter() - started


def compared(base: ModuleType, head: ModuleType, case: Case, generator: np.random.Generator) -> dict[str, Any]:
    """Ratios head / base and base / base, in pairs of random order."""
    from problems import tables

    data = tables(case)
    try:
        sides = {name: runner(package, case, data) for name, package in (("b", base), ("c", base), ("h", head))}
        for run, _ in sides.values():
            run()
    except (AttributeError, TypeError, ValueError, KeyError, IndexError, ImportError) as error:
        return {"error": f"the two versions take different arguments ({type(error).__name__})"}
    answers = [answer() for _, answer in sides.values()]
    if any(a.shape != answers[0].shape for a in answers):
        return {"differs": "shapes"}
    size = max(float(np.abs(answers[0]).max()), 1e-12)
    worst = max(float(np.abs(a - answers[0]).max()) for a in answers) / size
    if not worst <= 1e-3:
        return {"differs": f"by {worst:.2g} of the largest number"}
    repeats = max(1, round(SLICE / max(min(seconds(sides["b"][0], 1) for _ in range(5)), 1e-7)))
    ratios: dict[str, list[float]] = {"h": [], "c": []}
    gc.disable()
    for _ in range(PAIRS):
        for other in generator.permutation(["h", "c"]):
            pair = generator.permutation(["b", other])
            taken = {name: seconds(sides[name][0], repeats) for name in pair}
            ratios[other].append(taken[other] / taken["b"])
    gc.enable()
    return {"ratios": ratios["h"], "control": ratios["c"], "same_bits": worst == 0}


def work(base: Path, head: Path, names: list[str], seed: int) -> dict[str, Any]:
    """One process: both packages, all cases."""
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(seed)
    packages = {"base": base, "head": head}
    order = generator.permutation(list(packages))  # which is loaded first decides where its code lies
    modules = {name: loaded(f"fastgd_{name}", packages[name]) for name in order}
    cases = [case for case in COMPARED if case.name in names]
    with threadpool_limits(1):
        return {
            cases[i].name: compared(modules["base"], modules["head"], cases[i], generator)
            for i in generator.permutation(len(cases))
        }


# Machine code.


def kernel_sources(tree: Path) -> dict[str, bytes]:
    """The text of every kernel source of a tree."""
    folder = tree / "fastgd" / "kernels"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def normalised(assembly: str) -> str:
    """Assembly without what differs from package to package: names of symbols in order of appearance, no comments."""
    seen: dict[str, str] = {}
    text = re.sub(r"[#;].*", "", assembly)
    text = re.sub(
        r"\b_?_Z\w+|\bcfunc\.\w+|\.L__\w+|\bnumba\.\w+", lambda m: seen.setdefault(m[0], f"s{len(seen)}"), text
    )
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(
        line for line in lines if line and not re.match(r"\.(file|ident|section|size|type|globl|p2align)", line)
    )


def assembly(tree: Path, names: list[str]) -> dict[str, str]:
    """The normalised machine code of the kernel of each case; empty where there is none."""
    from problems import tables
    from stages import kernels_of

    package = loaded("fastgd_compiled", tree)
    texts: dict[str, str] = {}
    for case in COMPARED:
        if case.stage in STAGES and case.name in names:
            try:
                run, _ = runner(package, case, tables(case))
                run()
                parts = [kernel.inspect_asm().values() for kernel in kernels_of(package, case)]
                assert all(parts)
                texts[case.name] = "\n".join(normalised(text) for part in parts for text in part)
            except Exception:  # whatever is wrong, the machine code is not known
                texts[case.name] = ""
    return texts


def unchanged_cases(base: Path, head: Path, names: list[str], cache: Path) -> list[str]:
    """The kernel cases whose machine code is the same in both trees."""
    kernels = [case.name for case in COMPARED if case.stage in STAGES and case.name in names]
    if kernel_sources(base) == kernel_sources(head):
        return kernels
    texts = [
        child(["--assembly", str(tree), "--names", json.dumps(kernels)], cache / f"assembly-{i}")
        for i, tree in enumerate((base, head))
    ]
    return [name for name in kernels if texts[0].get(name) and texts[0][name] == texts[1].get(name)]


# Processes and trees.


def child(arguments: list[str], cache: Path) -> Any:
    """Run this file in a fresh process, and return what it wrote as JSON."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--out", str(out)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        if result.returncode or not out.exists():
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise ComparisonError(f"A measuring process ended with an error: {last}")
        return json.loads(out.read_text())


def git(*arguments: str, cwd: Path) -> str:
    """What git answers; its complaint is the user's."""
    result = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True)
    if result.returncode:
        raise ComparisonError(f"git {arguments[0]}: {(result.stderr.strip().splitlines() or ['failed'])[-1]}")
    return result.stdout.strip()


class BaseTree:
    """A revision, checked out into a temporary worktree that is gone afterwards, whatever happens."""

    def __init__(self, revision: str, repository: Path) -> None:
        self.revision, self.repository = revision, repository

    def __enter__(self) -> Path:
        try:
            commit = git("rev-parse", "--verify", "--quiet", f"{self.revision}^{{commit}}", cwd=self.repository)
        except ComparisonError:
            raise ComparisonError(f"There is no revision {self.revision!r} in {self.repository}.") from None
        self._remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            git("worktree", "add", "--detach", "--force", str(self.folder / "base"), commit, cwd=self.repository)
        except BaseException:
            self.__exit__()
            raise
        return self.folder / "base"

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        git("worktree", "prune", cwd=self.repository)

    def _remove_leftovers(self) -> None:
        """Worktrees of runs that were killed, except of those still running."""
        for line in git("worktree", "list", "--porcelain", cwd=self.repository).splitlines():
            path = Path(line.removeprefix("worktree ")) if line.startswith("worktree ") else None
            if path and path.parent.name.startswith(PREFIX) and not _in_use(path.parent):
                shutil.rmtree(path.parent, ignore_errors=True)
        git("worktree", "prune", cwd=self.repository)


def _in_use(folder: Path) -> bool:
    """A run writes a fresh mark into its folder; one older than an hour is dead."""
    return folder.exists() and time.time() - folder.stat().st_mtime < 3600


def compare(base: Path, head: Path, options: argparse.Namespace) -> dict[str, Verdict]:
    """The verdict on every case that was asked for."""
    names = [case.name for case in COMPARED if options.cases in case.name]
    if not names:
        raise ComparisonError(
            f"No case has {options.cases!r} in its name; there are: {', '.join(c.name for c in COMPARED)}."
        )
    if not (base / "fastgd" / "__init__.py").exists():
        raise ComparisonError("The base revision has no package fastgd to compare with.")
    verdicts: dict[str, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix=PREFIX) as cache:
        if not options.time_all:
            for name in unchanged_cases(base, head, names, Path(cache)):
                verdicts[name] = Verdict("unchanged", 1.0, 1.0, 1.0, "the machine code is the same")
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in names if name not in verdicts}
        open_names = list(results)
        for process in range(options.most):
            if not open_names or (process >= options.processes and process >= options.most):
                break
            arguments = ["--worker", str(base), str(head), "--names", json.dumps(open_names), "--seed", str(process)]
            for name, result in child(arguments, Path(cache) / "code").items():
                results[name].append(result)
            if process + 1 >= options.processes:
                verdicts |= {name: verdict_on(results[name], options.limit / 100) for name in open_names}
                open_names = [name for name in open_names if verdicts[name].word == "cannot tell"]
    return {name: verdicts[name] for name in names}


def verdict_on(results: list[dict[str, Any]], limit: float) -> Verdict:
    """The verdict on one case from what the processes measured."""
    for result in results:
        if "error" in result:
            return Verdict("not comparable", note=result["error"])
        if "differs" in result:
            return Verdict("answers differ", note=result["differs"])
    verdict = judged([r["ratios"] for r in results], [r["control"] for r in results], limit)
    note = "" if all(r["same_bits"] for r in results) else "answers equal but for rounding"
    return verdict._replace(note="; ".join(filter(None, [verdict.note, note])))


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


def exit_code(verdicts: dict[str, Verdict]) -> int:
    """1 if anything is slower, 2 if anything has no answer, else 0."""
    words = {verdict.word for verdict in verdicts.values()}
    if "slower" in words:
        return 1
    return 2 if words & {"cannot tell", "answers differ", "not comparable"} else 0


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", metavar="REV", help="the revision to compare with")
    parser.add_argument("--limit", type=float, default=3.0, help="differences up to so many per cent are none (3)")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes, at least (3)")
    parser.add_argument("--most", type=int, default=8, help="and at most, for cases that cannot be told yet (8)")
    parser.add_argument("--cases", default="", help="only cases with this in their name")
    parser.add_argument("--time-all", action="store_true", help="time kernels even if their machine code is the same")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    for hidden in ("--out", "--names", "--assembly"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    if options.worker:
        result: Any = work(Path(options.worker[0]), Path(options.worker[1]), json.loads(options.names), options.seed)
        Path(options.out).write_text(json.dumps(result))
        return 0
    if options.assembly:
        Path(options.out).write_text(json.dumps(assembly(Path(options.assembly), json.loads(options.names))))
        return 0
    try:
        if not options.base:
            raise ComparisonError("Which revision? Give --base, such as --base main.")
        if not 1 <= options.processes <= options.most or not 0 < options.limit < 100:
            raise ComparisonError("--processes must be from 1 to --most, and --limit between 0 and 100.")
        head = HERE.parent
        with BaseTree(options.base, head) as base:
            verdicts = compare(base, head, options)
        print(table(verdicts, options.markdown))
        return exit_code(verdicts)
    except ComparisonError as failure:
        print(f"ab: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ab: interrupted", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
