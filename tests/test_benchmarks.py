"""The measuring instruments measure: verdicts, worktrees, reports, and a planted slow-down."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import ab
import report
import results
from cases import CASES, COMPARED, PEER_CASES


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
        ab.judged(
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
        ab.judged(simulated(generator, 1.04, 0.4, 0.1), simulated(generator, 1.0, 0.4, 0.1), 0.03).word
        for _ in range(10)
    }
    assert words <= {"cannot tell", "same"}


def test_exit_codes_and_tables():
    same, slower = ab.Verdict("same", 1.0, 0.99, 1.01), ab.Verdict("slower", 1.2, 1.1, 1.3)
    assert ab.exit_code({"a": same, "b": ab.Verdict("unchanged"), "c": ab.Verdict("faster")}) == 0
    assert ab.exit_code({"a": same, "b": slower, "c": ab.Verdict("cannot tell")}) == 1
    for word in ("cannot tell", "answers differ", "not comparable"):
        assert ab.exit_code({"a": same, "b": ab.Verdict(word)}) == 2
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


def test_identical_trees_are_never_slower(tmp_path):
    other = copied(tmp_path)
    words = [ab.compare(other, ROOT, options("gather"))["gather 4-64-64-1 b1024"].word for _ in range(10)]
    assert "slower" not in words


def test_a_planted_slow_down_is_named(tmp_path):
    base = copied(tmp_path)
    slow = copied(tmp_path / "slow")
    source = slow / "fastgd" / "kernels" / "cpu" / "forward.py"
    text = source.read_text()
    line = "        for i in range(order.shape[0]):\n            row = load_part(at(X_, order[i] * I), k, n)\n"
    assert text.count(line) == 1
    # Some rows are standardised twice: the answer is the same, and gathering takes some 10 % longer.
    again = line.replace("order.shape[0]", "order.shape[0] // 6")
    again += "            store_part(at(x_, i * I), k, (row - centre) * scale, n)\n"
    source.write_text(text.replace(line, again + line))
    verdicts = ab.compare(base, slow, options("4-64-64-1 b1024", time_all=False))
    assert verdicts["gather 4-64-64-1 b1024"].word == "slower"
    assert verdicts["loss 4-64-64-1 b1024"].word == "unchanged"
    assert [name for name, verdict in verdicts.items() if verdict.word == "slower"] == ["gather 4-64-64-1 b1024"]


def test_other_answers_are_not_timed(tmp_path):
    base = copied(tmp_path)
    wrong = copied(tmp_path / "wrong")
    source = wrong / "fastgd" / "kernels" / "cpu" / "forward.py"
    text = source.read_text()
    assert text.count("(row - centre) * scale,") == 1
    source.write_text(text.replace("(row - centre) * scale,", "(row - centre) * scale + scale,"))
    verdict = ab.compare(base, wrong, options("gather", processes=1, most=1))["gather 4-64-64-1 b1024"]
    assert verdict.word == "answers differ"


@pytest.fixture
def repository(tmp_path):
    """A small git repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "file").write_text("1")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def worktrees(repository):
    out = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def test_a_worktree_comes_and_goes(repository):
    with ab.BaseTree("HEAD", repository) as tree:
        assert (tree / "file").read_text() == "1"
        assert len(worktrees(repository)) == 2
        (tree / "left over").write_text("dirt")
    assert not tree.exists()
    assert len(worktrees(repository)) == 1
    with pytest.raises(RuntimeError), ab.BaseTree("HEAD", repository):
        raise RuntimeError
    assert len(worktrees(repository)) == 1
    with pytest.raises(ab.ComparisonError, match="There is no revision 'nowhere'"), ab.BaseTree("nowhere", repository):
        pass
    assert len(worktrees(repository)) == 1


def test_a_dirty_worktree_of_a_killed_run_is_removed(repository, monkeypatch):
    killed = ab.BaseTree("HEAD", repository)
    folder = killed.__enter__()
    (folder / "left over").write_text("dirt")
    monkeypatch.setattr(ab, "_in_use", lambda path: False)
    with ab.BaseTree("HEAD", repository):
        assert not folder.exists()
        assert len(worktrees(repository)) == 2
    assert len(worktrees(repository)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Which revision?"),
        (["--base", "nowhere"], "There is no revision 'nowhere'|git"),
        (["--base", "HEAD", "--limit", "0"], "--limit between 0 and 100"),
        (["--base", "HEAD", "--processes", "9"], "--processes must be from 1 to --most"),
        (["--base", "HEAD", "--cases", "nothing"], "No case has 'nothing' in its name|git"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, capsys):
    import re

    assert ab.main(arguments) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.startswith("ab: ")
    assert len(error.splitlines()) == 1


def test_normalised_assembly():
    one = '\t.file\t"a"\n_ZN6fastgd1a:\n\tcall\t_ZN6fastgd1b  # comment\n\tret\n'
    two = one.replace("fastgd", "fastgd_head")
    assert ab.normalised(one) == ab.normalised(two) != ""
    assert ab.normalised(one) != ab.normalised(two.replace("ret", "nop"))


def test_a_missing_peer_is_named(monkeypatch, capsys):
    import importlib.util

    import peers

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["peers.py"])
    assert peers.main() == 2
    error = capsys.readouterr().err
    assert error.startswith("peers: not installed: scikit-learn torch jax. Run pip install")


def test_every_case_has_a_name_of_its_own():
    for cases in (CASES, COMPARED, PEER_CASES):
        assert len({case.name for case in cases}) == len(cases)
    assert all(case.sentence for case in CASES)
    assert {case.batch_size for case in CASES} >= {1, 8, 32, 128, 256, 1024, 8192}


def test_a_run_is_kept_and_reported(tmp_path, monkeypatch):
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
    times = {"fastgd_loops": {"seconds": 0.05}, "jax_scan": {"seconds": 0.04}}
    results.keep("peers", [{"case": "epoch 4-64-64-1 b256", "results": times}], facts)
    (tmp_path / "README.md").write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    assert report.main() == 1, "stale"
    monkeypatch.setattr(sys, "argv", ["report.py"])
    assert report.main() == 0
    text = (tmp_path / "README.md").read_text()
    assert "| epoch 4-64-64-1 b32 | 10 ms | 40 ms |  | 4.00 | 40% |" in text
    assert "| 4-64-64-1, batch 256 | 50 | 40 | 0.80 |" in text
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "polyline" in (tmp_path / "throughput.svg").read_text()
    monkeypatch.setattr(sys, "argv", ["report.py", "--check"])
    assert report.main() == 0
    assert "1 runs on F" in report.history("F")


def test_change_points():
    assert report.change_points([10, 10.1, 9.9, 10, 12, 12.1, 11.9, 12]) == [4]
    assert report.change_points([10, 10.5, 9.6, 10.2, 9.8, 10.4, 10]) == []


def test_what_pytest_benchmark_saves_is_understood(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    saved = {
        "machine_info": {"processor": "P", "cores": 2, "peak_gflops": 1.0, "fingerprint": "F", "node": "private"},
        "benchmarks": [{"extra_info": {"case": "c", "who": "fastgd"}, "stats": {"median": 1.0, "rounds": 5}}],
    }
    (tmp_path / "run.json").write_text(json.dumps(saved))
    monkeypatch.setattr(sys, "argv", ["results.py", str(tmp_path / "run.json")])
    assert results.main() == 0
    (run,) = results.kept("suite")
    assert run["machine"] == {"processor": "P", "cores": 2, "peak_gflops": 1.0, "fingerprint": "F"}
    (tmp_path / "run.json").write_text("{}")
    assert results.main() == 2
