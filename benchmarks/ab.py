"""Did my change make it slower? Compares the working tree with a revision, case by case.

    python benchmarks/ab.py --base main
    fastgd bench --against main

On a shared machine the same code timed twice, in two processes, differs by up to 10 %, so both versions are loaded
side by side into one process, on the same arrays, and timed in rounds of random order; several fresh processes; a
bootstrap over processes and rounds gives an interval for the median ratio. Each version is there twice, so that it can
be timed against itself in the same way, as a control. Kernels whose machine code is the same are not timed: they are
`unchanged`.

Exit code: 0 nothing is slower, 1 something is slower, 2 no answer (an error, answers that differ, or cannot tell).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np
from cases import COMPARED, STAGES, Case
from tool import Parser, ToolError, guarded

ROUNDS = 15  # in each process
SLICE = 4e-3  # seconds of one timing
PREFIX = "fastgd-ab-"
RESAMPLES = 1000


class Verdict(NamedTuple):
    """What can be said about one case."""

    word: str  # slower, faster, same, cannot tell, unchanged, answers differ, not comparable
    ratio: float = float("nan")  # head / base
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


# Judging.


def interval(processes: list[list[float]], generator: np.random.Generator) -> tuple[float, float, float]:
    """The median of all ratios, and the middle 95 % of medians over resampled processes and ratios."""
    medians = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(len(processes), size=len(processes))
        drawn = [generator.choice(processes[i], size=len(processes[i])) for i in chosen]
        medians.append(np.median(np.concatenate(drawn)))
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(np.concatenate(processes))), float(low), float(high)


def judged(ratios: list[list[float]], control: list[list[float]], limit: float) -> Verdict:
    """The verdict for ratios head / base, beside those of each version to itself."""
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
    from problems import LEARNING_RATE, model, optimizer
    from stages import answer_of, last_delta, prepared

    if case.stage in STAGES:
        kernels = importlib.import_module(f"{package.__name__}.kernels.cpu")
        p, orders = prepared(package, case, data, kernels, case.batch_size)
        w, B, outputs = p.workspace, case.batch_size, kernels.last_outputs(p.workspace, case.batch_size, p.net)
        delta = last_delta(case, p, B).reshape(outputs.shape)
        kept = delta.copy()

        def backward() -> None:
            delta[:] = kept  # the layers below have written over it; from zeros only zeros would follow
            kernels.backward(p.gradient, w, B, True, p.net)

        calls = {
            "gather": lambda: kernels.gather(w.x, w.y, w.w, p.rows, orders, p.net),
            "forward": lambda: kernels.forward(w, B, np.uint64(0), 0, p.net),
            "loss": lambda: kernels.loss_and_delta(delta, outputs, w.y, w.w, 1 / B, p.loss),
            "backward": backward,
            "update": lambda: kernels.update(p.net, p.state, p.gradient, p.rule, LEARNING_RATE),
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
    """Ratios head / base, and of each version to itself.

    Both are there twice and run equally often: code that runs less often than the other is found in colder caches, and
    appears 2 % slower.
    """
    from problems import tables

    data = tables(case)
    try:
        sides = [runner(package, case, data) for package in (base, base, head, head)]
        for run, _ in sides:
            run()
            run()  # a first step does not show what a rule remembers
    except (AttributeError, TypeError, ValueError, KeyError, IndexError, ImportError) as error:
        return {"error": f"the two versions take different arguments ({type(error).__name__})"}
    answers = [answer() for _, answer in sides]
    if any(a.shape != answers[0].shape for a in answers):
        return {"differs": "shapes"}
    size = max(float(np.abs(answers[0]).max()), 1e-12)
    worst = max(float(np.abs(a - answers[0]).max()) for a in answers) / size
    if not worst <= 1e-3:
        return {"differs": f"by {worst:.2g} of the largest number"}
    repeats = max(1, round(SLICE / max(min(seconds(sides[0][0], 1) for _ in range(5)), 1e-7)))
    ratios, control = [], []
    gc.disable()
    for _ in range(ROUNDS):
        taken = {i: seconds(sides[i][0], repeats) for i in generator.permutation(len(sides))}
        ratios += [taken[2] / taken[0], taken[3] / taken[1]]
        control += [taken[1] / taken[0], taken[3] / taken[2]]
    gc.enable()
    return {"ratios": ratios, "control": control, "same_bits": worst == 0}


def work(base: Path, head: Path, names: list[str], seed: int) -> dict[str, Any]:
    """One process: both packages, all cases."""
    from threadpoolctl import threadpool_limits

    end_with_parent()
    generator = np.random.default_rng(seed)
    packages = {"base": base, "head": head}
    order = generator.permutation(list(packages))  # which is loaded first decides where its code lies
    modules = {name: loaded(f"fastgd_{name}", packages[name]) for name in order}
    cases = [case for case in COMPARED if case.name in names]
    results = {}
    with threadpool_limits(1):
        for i in generator.permutation(len(cases)):
            print(cases[i].name, flush=True)
            results[cases[i].name] = compared(modules["base"], modules["head"], cases[i], generator)
    return results


def end_with_parent() -> None:
    """A run that is killed leaves no process behind that would disturb the next one: standard input ends with it."""
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()


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

    end_with_parent()
    package = loaded("fastgd_compiled", tree)
    texts: dict[str, str] = {}
    for case in COMPARED:
        if case.stage in STAGES and case.name in names:
            print(case.name, flush=True)
            try:
                run, _ = runner(package, case, tables(case))
                run()
                parts = [kernel.inspect_asm().values() for kernel in kernels_of(package, case)]
                assert all(parts)
                texts[case.name] = "\n".join(normalised(text) for part in parts for text in part)
            except Exception:  # whatever is wrong, the machine code is not known
                texts[case.name] = ""
    return texts


def unchanged_cases(base: Path, head: Path, names: list[str], folder: Path) -> list[str]:
    """The kernel cases whose machine code is the same in both trees."""
    kernels = [case.name for case in COMPARED if case.stage in STAGES and case.name in names]
    if kernel_sources(base) == kernel_sources(head):
        return kernels
    texts = [
        child(["--assembly", str(tree), "--names", json.dumps(kernels)], folder / f"assembly-{i}")
        for i, tree in enumerate((base, head))
    ]
    return [name for name in kernels if texts[0].get(name) and texts[0][name] == texts[1].get(name)]


# Processes and trees.


def child(arguments: list[str], folder: Path) -> Any:
    """Run this file in a fresh process, with its cache in the folder, and return what it wrote as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    out, cases, errors = (folder / name for name in ("out.json", "cases", "errors"))
    out.unlink(missing_ok=True)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--out", str(out)]
    with (
        cases.open("w") as to_cases,
        errors.open("w") as to_errors,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=to_cases, stderr=to_errors, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait()
        except BaseException:
            end(process)
            raise
    if code or not out.exists():
        last = (errors.read_text(errors="replace").strip().splitlines() or ["no message"])[-1]
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with an error ({last})"
        at = (cases.read_text(errors="replace").splitlines() or ["its start"])[-1]
        raise ToolError(f"A measuring process {how} at {at}.")
    return json.loads(out.read_text())


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.wait()


def git(*arguments: str, cwd: Path) -> str:
    """What git answers; its complaint is the user's."""
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=cwd, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise ToolError("There is no program git on the PATH, which fetches the base revision.") from None
    if result.returncode:
        raise ToolError(f"git {arguments[0]}: {(result.stderr.strip().splitlines() or ['failed'])[-1]}")
    return result.stdout.strip()


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """For everything that a run writes; its name says which process it belongs to."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


class BaseTree:
    """A revision, checked out as a worktree in a folder, and gone afterwards, whatever happens."""

    def __init__(self, revision: str, repository: Path, folder: Path) -> None:
        self.revision, self.repository, self.tree = revision, repository, folder / "base"

    def __enter__(self) -> Path:
        try:
            git("rev-parse", "--git-dir", cwd=self.repository)
        except ToolError as failure:
            if "not a git repository" not in str(failure):
                raise
            raise ToolError(f"{self.repository} is in no git repository, so there is nothing to compare.") from None
        try:
            commit = git("rev-parse", "--verify", "--quiet", f"{self.revision}^{{commit}}", cwd=self.repository)
        except ToolError:
            raise ToolError(f"There is no revision {self.revision!r} in {self.repository}.") from None
        remove_leftovers(self.repository)
        try:
            git("worktree", "add", "--detach", "--force", str(self.tree), commit, cwd=self.repository)
        except BaseException:
            self.__exit__()
            raise
        return self.tree

    def __exit__(self, *error: object) -> None:
        remove_worktree(self.tree, self.repository)


def remove_worktree(tree: Path, repository: Path) -> None:
    """Whatever is in it, and whether or not it is still there. A second --force is for one that is half made."""
    with contextlib.suppress(ToolError):
        git("worktree", "remove", "--force", "--force", str(tree), cwd=repository)
    shutil.rmtree(tree, ignore_errors=True)


def remove_leftovers(repository: Path) -> None:
    """Remove what killed runs have left: worktrees of this repository, and temporary folders."""
    for line in git("worktree", "list", "--porcelain", cwd=repository).splitlines():
        tree = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and left_over(tree.parent):
            remove_worktree(tree, repository)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def left_over(folder: Path) -> bool:
    """Whether a run's folder belongs to a process that is no longer alive."""
    owner = re.match(rf"{PREFIX}(\d+)-", folder.name)
    if owner is None or os.name != "posix":  # elsewhere there is no harmless way to ask
        return False
    try:
        os.kill(int(owner[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it is another user's
        return False
    return False


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
    verdicts: dict[str, Verdict] = {}
    if not options.time_all:
        for name in unchanged_cases(base, head, names, folder):
            verdicts[name] = Verdict("unchanged", 1.0, 1.0, 1.0, "the machine code is the same")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names if name not in verdicts}
    open_names = list(results)
    for process in range(options.most):
        if not open_names:
            break
        arguments = ["--worker", str(base), str(head), "--names", json.dumps(open_names), "--seed", str(process)]
        for name, result in child(arguments, folder / "code").items():
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
    parser = Parser("ab", description=(__doc__ or "").splitlines()[0])
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


def run(options: argparse.Namespace) -> int:
    """Compare, and print the table."""
    if not options.base:
        raise ToolError("Which revision? Give --base, such as --base main.")
    if not 1 <= options.processes <= options.most or not 0 < options.limit < 100:
        raise ToolError("--processes must be from 1 to --most, and --limit between 0 and 100.")
    chosen(options.cases)
    head = HERE.parent
    with temporary_folder() as name, BaseTree(options.base, head, Path(name)) as base:
        verdicts = compare(base, head, options, Path(name))
    print(table(verdicts, options.markdown))
    return exit_code(verdicts)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    if options.worker:
        result: Any = work(Path(options.worker[0]), Path(options.worker[1]), json.loads(options.names), options.seed)
        Path(options.out).write_text(json.dumps(result))
        return 0
    if options.assembly:
        Path(options.out).write_text(json.dumps(assembly(Path(options.assembly), json.loads(options.names))))
        return 0
    return guarded("ab", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
