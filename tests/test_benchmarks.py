"""The measuring instruments measure: verdicts, worktrees, reports, and a planted slow-down."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path

import numpy as np
import pytest

import fastgd
from benchmarks import (
    ab,
    judging,
    machine_code,
    peers,
    problems,
    processes,
    report,
    results,
    stages,
    versions,
    worktrees,
)
from benchmarks.baselines import BASELINES
from benchmarks.cases import CASES, COMPARED, EPOCHS, KERNELS, PEER_CASES, PREDICTIONS, STAGES, Case
from benchmarks.tool import ToolError

ROOT = Path(__file__).parent.parent


def simulated(generator, factor, noise=0.05, bias=0.01, processes=3, pairs=15):
    """Ratios as a noisy machine gives them: scatter from pair to pair, and a bias of each process."""
    return [
        (factor * (1 + bias * generator.normal()) * (1 + noise * generator.standard_t(3, pairs) / 1.7)).tolist()
        for _ in range(processes)
    ]


@pytest.mark.parametrize(("factor", "word"), [(1.0, "same"), (1.1, "slower"), (0.9, "faster")])
def test_verdicts(factor, word):
    generator = np.random.default_rng(1)
    words = [
        judging.judged(
            simulated(generator, factor, noise=0.02, bias=0.003), simulated(generator, 1.0, 0.02, 0.003), 0.03
        ).word
        for _ in range(20)
    ]
    assert words.count(word) >= 18
    wrong = {"same": {"slower", "faster"}, "slower": {"faster", "same"}, "faster": {"slower", "same"}}[word]
    assert not wrong & set(words)


def test_a_wild_machine_means_cannot_tell():
    generator = np.random.default_rng(2)
    words = {
        judging.judged(simulated(generator, 1.04, 0.4, 0.1), simulated(generator, 1.0, 0.4, 0.1), 0.03).word
        for _ in range(10)
    }
    assert words <= {"cannot tell", "same"}


def test_exit_codes_and_tables():
    same, slower = judging.Verdict("same", 1.0, 0.99, 1.01), judging.Verdict("slower", 1.2, 1.1, 1.3)
    assert judging.exit_code({"a": same, "b": judging.Verdict("unchanged"), "c": judging.Verdict("faster")}) == 0
    assert judging.exit_code({"a": same, "b": slower, "c": judging.Verdict("cannot tell")}) == 1
    for word in ("cannot tell", "answers differ", "not comparable"):
        assert judging.exit_code({"a": same, "b": judging.Verdict(word)}) == 2
    assert "1.200" in ab.table({"b": slower}, markdown=False)
    assert "| b | slower | 1.200 | 1.100 to 1.300 |" in ab.table({"b": slower}, markdown=True)


def options(cases, **changed):
    return argparse.Namespace(
        **{"cases": cases, "limit": 3.0, "processes": 3, "most": 6, "time_all": True, "markdown": False, **changed}
    )


def copied(tmp_path):
    """The working tree's package and benchmarks, elsewhere."""
    for name in ("fastgd", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_identical_trees_are_never_slower(tmp_path, monkeypatch):
    names = ("gather 4-64-64-1 b1024", "epoch 4-64-64-1 b32")
    monkeypatch.setattr(ab, "COMPARED", [case for case in COMPARED if case.name in names])
    base, head = copied(tmp_path / "base"), copied(tmp_path / "head")
    for _ in range(10):
        verdicts = ab.compare(base, head, options("", most=3), tmp_path / "work")
        assert sorted(verdicts) == sorted(names)
        assert "slower" not in {verdict.word for verdict in verdicts.values()}


def planted(tree, file, code):
    """Plant a fault into a copied tree: code at the end of a file, whatever else stands there."""
    with (tree / file).open("a") as text:
        text.write(f"\n\n{code}")


def renamed(tree, words):
    """Rename words in all of a tree's sources, as an editor would: not in texts, nor as a part of other words."""
    pattern = re.compile(rf"(?<![\w\"'])({'|'.join(words)})(?![\w\"'])")
    for path in [*(tree / "fastgd").rglob("*.py"), *(tree / "benchmarks").rglob("*.py")]:
        path.write_text(pattern.sub(lambda found: words[found[0]], path.read_text()))


# Some rows are gathered twice: the answer is the same, and gathering takes some 10 % longer.
SLOWER = """
import inspect, numba
_options = {**gather.targetoptions, "inline": "never"}
_once, _names = numba.njit(**_options)(gather.py_func), ", ".join(inspect.signature(gather.py_func).parameters)
exec(f"def gather({_names}):\\n _once({_names})\\n order = order[: order.size // 6]\\n _once({_names})")
gather = numba.njit(**_options)(gather)
"""
WRONG = """
_right = gather
def gather(x, *others):
    _right(x, *others)
    x += 1
"""
DEADLY = """
import os, signal, sys
sys.modules[__name__].MLP.predict = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_planted_slow_down_is_named(tmp_path):
    base, slow = copied(tmp_path), copied(tmp_path / "slow")
    planted(slow, "fastgd/kernels/cpu/__init__.py", SLOWER)
    verdicts = ab.compare(base, slow, options("4-64-64-1 b1024", time_all=False), tmp_path / "work")
    assert verdicts["gather 4-64-64-1 b1024"].word == "slower"
    assert verdicts["loss 4-64-64-1 b1024"].word == "unchanged"
    assert [name for name, verdict in verdicts.items() if verdict.word == "slower"] == ["gather 4-64-64-1 b1024"]


def test_other_answers_are_not_timed(tmp_path):
    base, wrong = copied(tmp_path), copied(tmp_path / "wrong")
    planted(wrong, "fastgd/kernels/cpu/__init__.py", WRONG)
    verdicts = ab.compare(base, wrong, options("gather", processes=1, most=1), tmp_path / "work")
    assert verdicts["gather 4-64-64-1 b1024"].word == "answers differ"


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_a_measuring_process_that_dies_is_named(tmp_path):
    base, deadly = copied(tmp_path), copied(tmp_path / "deadly")
    planted(deadly, "fastgd/__init__.py", DEADLY)
    with pytest.raises(ToolError, match=r"was ended by SIGKILL at predict_row 4-64-64-1 b1\."):
        ab.compare(base, deadly, options("predict_row", processes=1, most=1), tmp_path / "work")
    with pytest.raises(ToolError, match=r"ended with an error \(.*\) at its start\."):
        processes.child(["times", str(tmp_path / "nowhere"), str(base), "--names", "[]"], tmp_path / "work")


# The kernel takes its arguments in another order …
REORDERED = """
_former = fetch
def fetch(net, *others):
    return _former(*others, net)
"""
# … and the tree's own stages know it.
REORDERED_STAGES = """
from types import SimpleNamespace
_engine_of = engine_of
def engine_of(package, name="cpu"):
    kernels = _engine_of(package, name)
    return SimpleNamespace(**{**vars(kernels), "fetch": lambda *given: kernels.fetch(given[-1], *given[:-1])})
"""


def test_what_is_renamed_with_its_stages_is_compared(tmp_path):
    """A module, two kernels, the order of arguments and a private attribute."""
    base, head = copied(tmp_path / "base"), copied(tmp_path / "head")
    renamed(head, {"gather": "fetch", "forward": "onward", "_net": "_numbers"})
    for engine in ("cpu", "plain"):
        folder = head / "fastgd" / "kernels" / engine
        (folder / "forward.py").rename(folder / "onward.py")
        planted(head, f"fastgd/kernels/{engine}/__init__.py", REORDERED)
    planted(head, "benchmarks/stages.py", REORDERED_STAGES)
    cases = "gather 4-64-64-1 b1024"
    verdict = ab.compare(base, head, options(cases, processes=1, most=1), tmp_path / "work")[cases]
    assert verdict.word in ("slower", "faster", "same", "cannot tell"), verdict
    # The control: with the base's stages, as if they served both, there is no answer.
    for name in ("problems.py", "stages.py"):
        shutil.copy(base / "benchmarks" / name, head / "benchmarks" / name)
    verdict = ab.compare(base, head, options(cases, processes=1, most=1), tmp_path / "work")[cases]
    assert (verdict.word, verdict.note[:27]) == ("not comparable", "the head cannot run it (Att")


def flattened(tree):
    """The benchmarks of a copied tree as they were before they became a package: with names at the top level."""
    folder = tree / "benchmarks"
    (folder / "__init__.py").unlink()
    for path in folder.glob("*.py"):
        text = path.read_text().replace("from . import", "import")
        path.write_text(re.sub(r"from \.(\w+) import", r"from \1 import", text))
    (folder / "ab.py").write_text("from stages import runner\n")
    return tree


def test_a_base_from_before_benchmarks_were_a_package(tmp_path):
    base, head = flattened(copied(tmp_path / "base")), copied(tmp_path / "head")
    verdicts = ab.compare(base, head, options("loss", processes=1, most=1), tmp_path / "work")
    (verdict,) = verdicts.values()
    assert verdict.word in ("slower", "faster", "same", "cannot tell"), verdict


def test_a_case_that_a_version_cannot_express():
    class Older(typing.NamedTuple):
        stage: str
        sizes: tuple[int, ...] = (1, 1)

    version = versions.Version("base", fastgd, versions.Benchmarks(Older, None, None, None))
    plain = Case("predict", sentence="what is said of it does not matter")
    assert version.own(plain) == Older(plain.stage, plain.sizes)
    with pytest.raises(TypeError, match="its cases have no dtype"):
        version.own(plain._replace(dtype="float64"))
    with pytest.raises(ValueError, match="it has no stage dream"):
        stages.runner(fastgd, plain._replace(stage="dream"), problems.tables(plain))


def test_records_get_names_of_their_own_wherever_they_are(tmp_path):
    """In a package of its own, whose modules hold a record each and share one; other classes keep their names."""
    home = tmp_path / "records"
    (home / "inner").mkdir(parents=True)
    (home / "__init__.py").write_text("")
    first = "from typing import NamedTuple\n"
    (home / "inner" / "__init__.py").write_text(f"{first}class A(NamedTuple): x: int\n")
    second = "from fractions import Fraction\nfrom . import A\n"
    (home / "inner" / "deep.py").write_text(f"{first}{second}class B(NamedTuple): x: int\n")
    package = versions.imported("records_of_a_test", home)
    deep = importlib.import_module("records_of_a_test.inner.deep")
    versions.tell_records_apart(package)
    names = [kind.__name__ for kind in (deep.A, deep.B, deep.Fraction)]
    assert names == ["A_records_of_a_test", "B_records_of_a_test", "Fraction"]


@pytest.fixture
def repository(tmp_path):
    """A small git repository of the package and the benchmarks, with a kernel that has been changed since."""
    folder = copied(tmp_path / "repository")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    with (folder / "fastgd" / "kernels" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    return folder


def worktrees_of(repository):
    out = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def test_a_worktree_comes_and_goes(repository, tmp_path):
    with worktrees.BaseTree("HEAD", repository, tmp_path) as tree:
        assert (tree / "fastgd" / "__init__.py").exists()
        assert len(worktrees_of(repository)) == 2
        (tree / "left over").write_text("dirt")
    assert not tree.exists()
    assert len(worktrees_of(repository)) == 1
    with pytest.raises(RuntimeError), worktrees.BaseTree("HEAD", repository, tmp_path):
        raise RuntimeError
    assert len(worktrees_of(repository)) == 1
    with (
        pytest.raises(ToolError, match="There is no revision 'nowhere'"),
        worktrees.BaseTree("nowhere", repository, tmp_path),
    ):
        pass
    assert len(worktrees_of(repository)) == 1


def test_without_git_or_outside_a_repository(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with (
        pytest.raises(ToolError, match="bare is in no git repository"),
        worktrees.BaseTree("HEAD", tmp_path / "bare", tmp_path),
    ):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ToolError, match="There is no program git"),
        worktrees.BaseTree("HEAD", tmp_path / "bare", tmp_path),
    ):
        pass


def ended_while_measuring(repository, temporary, command, how):
    """Send a signal to a comparison that is at work; returns its exit code and what it said."""
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=repository, env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not any(path.read_text() for path in temporary.glob(f"{worktrees.PREFIX}*/*/cases")):
        assert process.poll() is None
        time.sleep(0.01)
    assert len(worktrees_of(repository)) == 2
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    return process.returncode, error


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
@pytest.mark.parametrize(
    ("command", "how"),
    [
        (["benchmarks/ab.py", "--base", "HEAD"], "SIGTERM"),
        (["-m", "fastgd.command.cli", "bench", "--against", "HEAD"], "SIGINT"),
    ],
)
def test_a_signal_leaves_nothing_behind(repository, tmp_path, command, how):
    temporary = tmp_path / "temporary"
    ended = ended_while_measuring(repository, temporary, command, signal.Signals[how])
    assert ended == (2, "ab: interrupted\n")
    assert len(worktrees_of(repository)) == 1
    assert not list(temporary.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_what_a_killed_run_left_is_removed_by_the_next(repository, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    command = ["benchmarks/ab.py", "--base", "HEAD"]
    assert ended_while_measuring(repository, temporary, command, signal.SIGKILL) == (-signal.SIGKILL, "")
    (left,) = temporary.iterdir()
    (left / "base" / "left over").write_text("dirt")
    running = temporary / f"{worktrees.PREFIX}{os.getpid()}-other"
    running.mkdir()
    monkeypatch.setattr(worktrees.tempfile, "tempdir", str(temporary))
    with worktrees.temporary_folder() as name, worktrees.BaseTree("HEAD", repository, Path(name)):
        assert sorted(temporary.iterdir()) == sorted([running, Path(name)])
        assert len(worktrees_of(repository)) == 2
    assert len(worktrees_of(repository)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Which revision?"),
        (["--base", "nowhere"], "There is no revision 'nowhere'|is in no git repository"),
        (["--base", "HEAD", "--limit", "0"], "--limit between 0 and 100"),
        (["--base", "HEAD", "--processes", "9"], "--processes must be from 1 to --most"),
        (["--base", "HEAD", "--cases", "nothing"], "No case has 'nothing' in its name"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, capsys):
    assert ab.main(arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.startswith("ab: ")
    assert len(error.splitlines()) == 1


def test_normalised_assembly():
    one = '\t.file\t"a"\n_ZN6fastgd1a:\n\tcall\t_ZN6fastgd1b  # comment\n\tret\n'
    two = one.replace("fastgd", "fastgd_head")
    assert machine_code.normalised(one) == machine_code.normalised(two) != ""
    assert machine_code.normalised(one) != machine_code.normalised(two.replace("ret", "nop"))


def test_unexpected_errors_and_wrong_options_are_one_line(monkeypatch, capsys):
    def broken(*_):
        raise OSError("no space\nleft")

    monkeypatch.setattr(ab, "temporary_folder", broken)
    assert ab.main(["--base", "HEAD"]) == 2
    assert capsys.readouterr().err == "ab: OSError: no space left\n"
    for tool, name in ((ab, "ab"), (peers, "peers"), (report, "report"), (results, "results")):
        with pytest.raises(SystemExit) as ended:
            tool.main(["--no-such-option"])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{name}: ")


def test_mistakes_with_peers(monkeypatch, capsys):
    import importlib.util

    assert peers.main(["--peers", "numpy_tuned", "--cases", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("peers: no case has 'nothing' in its name; there are: epoch")
    assert peers.main(["--record", "--peers", "numpy_tuned"]) == 2
    assert capsys.readouterr().err == "peers: --record keeps whole runs only: leave out --cases and --peers.\n"
    assert peers.main(["--vectors", "avx2", "--peers", "jax_tuned"]) == 2
    assert capsys.readouterr().err.startswith("peers: jax_tuned takes long vectors all the same")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert peers.main([]) == 2
    assert capsys.readouterr().err.startswith("peers: not installed: scikit-learn torch jax. Run pip install")


STEADY = """
import json, sys
print(json.dumps({"worst": WORST}), flush=True)
taken = min(THREADS, 2)
for _ in sys.stdin: print(json.dumps({"seconds": 1 / taken, "threads": taken}), flush=True)
"""
DYING = STEADY.replace("for _ in sys.stdin:", "sys.stdin.readline(); sys.exit('no more')\nfor _ in sys.stdin:")
CODES = {
    "fastgd_fit": STEADY.replace("WORST", "0"),
    "numpy_tuned": DYING.replace("WORST", "0"),
    "jax_tuned": STEADY.replace("WORST", "0.5"),
}


@pytest.fixture
def pretended(monkeypatch):
    """Peers that only pretend; the list of their servers."""
    servers = []

    class Server(peers.Server):
        def __init__(self, *arguments):
            servers.append(self)
            super().__init__(*arguments)

    def serving(peer, case, threads):
        return [sys.executable, "-c", CODES[peer].replace("THREADS", str(threads))]

    monkeypatch.setattr(peers, "Server", Server)
    monkeypatch.setattr(peers, "serving", serving)
    return servers


def test_peers_that_die_or_compute_something_else_are_named(pretended, capsys):
    found, well = peers.measured(PEER_CASES[0], list(CODES), 1)
    assert not well
    assert list(found) == ["fastgd_fit"]
    assert capsys.readouterr().err.splitlines() == [
        "peers: numpy_tuned ×1 on epoch 4-64-64-1 b1: no more.",
        "peers: jax_tuned ×1 on epoch 4-64-64-1 b1: it computes something else (0.5 of a step).",
    ]


def test_numbers_of_threads(pretended):
    assert [peers.thread_counts(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
    found, well = peers.measured(PEER_CASES[0], ["fastgd_fit"], 4)
    assert well
    assert (found["fastgd_fit"]["seconds"], found["fastgd_fit"]["threads"]) == (0.5, 2)  # with 4 it is the same
    assert [len(server.times) for server in pretended] == [peers.ROUNDS] * 3
    assert "500.0 ×2" in peers.table([{"case": "c", "results": found}], ["fastgd_fit"])


def test_an_interrupted_comparison_of_peers_leaves_no_process(pretended, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(peers.Server, "round", interrupted)
    with pytest.raises(KeyboardInterrupt):
        peers.measured(PEER_CASES[0], ["fastgd_fit", "jax_tuned"], 1)
    assert len(pretended) == 2
    assert all(server.process.poll() is not None for server in pretended)


@pytest.mark.parametrize("case", COMPARED, ids=lambda case: case.name)
def test_every_compared_case_has_an_answer(case):
    run, answer = stages.runner(fastgd, case, problems.tables(case._replace(rows=min(case.rows, 2000))))
    run()
    assert np.isfinite(answer()).all()
    assert np.abs(answer()).max() > 0


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_an_answer(name):
    case = next(case for case in KERNELS if case.stage == name)
    made = stages.stage(fastgd, case, problems.tables(case))
    made.run(1)
    assert np.isfinite(made.answer()).all()
    assert np.abs(made.answer()).max() > 0
    assert all(len(kernel.signatures) for kernel in stages.kernels_of(fastgd, case))


def test_a_saved_run_can_be_compared_with(tmp_path):
    """In a process each, because both end with a table and an exit code."""
    narrow = ["benchmarks/test_kernels.py", "-k", "test_loops and loss and b8 and not b8192"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-only", *narrow]
    for option in ("--benchmark-autosave", "--benchmark-compare"):
        result = subprocess.run(
            [*command, f"--benchmark-storage={tmp_path}", option], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Warning" not in result.stdout + result.stderr
    assert "Comparing against benchmarks from" in result.stdout + result.stderr
    assert "(0001_" in result.stdout


def test_every_case_has_a_name_of_its_own():
    for cases in (CASES, COMPARED, PEER_CASES):
        assert len({case.name for case in cases}) == len(cases)
    assert all(case.sentence for case in CASES)
    assert {case.batch_size for case in CASES} >= {1, 8, 32, 128, 256, 1024, 8192}


def test_a_run_is_kept_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    monkeypatch.setattr(report, "CHART", tmp_path / "throughput.svg")
    facts = {"processor": "P", "cores": 2, "peak_gflops": 100.0, "fingerprint": "F"}
    record = {
        "case": "epoch 4-64-64-1 b32", "stage": "epoch", "sizes": [4, 64, 64, 1], "batch_size": 32,
        "rows_per_second": 2e6, "fraction_of_peak": 0.4, "gflops": 40.0, "sentence": "",
    }  # fmt: skip
    suite = [
        {**record, "who": "fastgd", "microseconds": 1e4},
        {**record, "who": "NumPy, tuned", "microseconds": 4e4, "rows_per_second": 5e5},
    ]
    results.keep("suite", suite, facts)
    times = {"fastgd_fit": {"seconds": 0.05, "threads": 1}, "jax_tuned": {"seconds": 0.04, "threads": 2}}
    assert report.throughput()[1]["fastgd"] == {32: 2e6}
    results.keep("peers", [{"case": "epoch 4-64-64-1 b256", "rows": 1000, "results": times}], facts)
    assert report.throughput()[1] == {"fastgd": {256: 20_000.0}, "JAX, tuned": {256: 25_000.0}}
    (tmp_path / "README.md").write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    assert report.main(["--check"]) == 1, "stale"
    assert report.main([]) == 0
    text = (tmp_path / "README.md").read_text()
    assert "| epoch 4-64-64-1 b32 | 20,000 | 10 ms | 40 ms |  | 4.00 | 40% |" in text
    assert "| 4-64-64-1, batch 256 | 1,000 | 50 | 40 ×2 | 0.80 |" in text
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "polyline" in (tmp_path / "throughput.svg").read_text()
    assert report.main(["--check"]) == 0
    assert report.history("F").splitlines() == ["1 run on F", "epoch 4-64-64-1 b32: 10 ms"]
    assert report.history("G").splitlines() == ["0 runs on G", "1 run on another machine, F"]
    (tmp_path / "results" / "19990101T000000-suite.json").write_text("{")
    assert report.main(["--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()[1:]
    assert re.fullmatch(r"report: \S+19990101T000000-suite.json is no kept run \(.*\): mend or delete it\.", line)


def test_change_points():
    assert report.change_points([10, 10.1, 9.9, 10, 12, 12.1, 11.9, 12]) == [4]
    assert report.change_points([10, 10.5, 9.6, 10.2, 9.8, 10.4, 10]) == []


def test_what_pytest_benchmark_saves_is_understood(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    facts = {"processor": "P", "cores": 2, "blas": "B", "fingerprint": "F"}
    names = ["fastgd", *(baseline.name for baseline in BASELINES)]
    taken = [
        {
            "extra_info": {"case": case.name, "who": who, "peak_gflops": 1.0},
            "stats": {"median": 1.0, "rounds": 5},
        }
        for case in EPOCHS + PREDICTIONS
        for who in names[: 1 if case.stage == "predict_row_compiled" else None]
    ]
    file = tmp_path / "run.json"

    def kept(benchmarks):
        file.write_text(json.dumps({"machine_info": {**facts, "node": "private"}, "benchmarks": benchmarks}))
        return results.main([str(file)])

    assert kept([*taken, {"extra_info": {}, "stats": {}}]) == 0
    (run,) = results.kept("suite")
    assert run["machine"] == {**facts, "peak_gflops": 1.0}
    assert run["records"][0] == {"case": EPOCHS[0].name, "who": "fastgd", "median": 1.0, "rounds": 5}
    capsys.readouterr()
    assert kept(taken[1:]) == 2
    assert f"lacks 1 figures, such as fastgd on {EPOCHS[0].name}." in capsys.readouterr().err
    file.write_text("{}")
    assert results.main([str(file)]) == 2
    assert len(results.kept("suite")) == 1
