"""The suite: every case has an answer, and what was measured is kept, reported and summed up."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from trees import ROOT

import fastgd
from benchmarks import ab, peers, problems, report, results, stages, summary
from benchmarks.baselines import BASELINES
from benchmarks.cases import CASES, EPOCHS, KERNELS, PEER_CASES, PREDICTIONS, STAGES


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_an_answer(case):
    run, answer = stages.repeated(fastgd, case, problems.tables(case._replace(rows=min(case.rows, 2000))))
    run(1)
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
    for option in ("--benchmark-autosave", "--benchmark-compare"):  # which asks for the wide table, too
        result = subprocess.run(
            [*command, f"--benchmark-storage={tmp_path}", option], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Warning" not in result.stdout + result.stderr
    assert "Comparing against benchmarks from" in result.stdout + result.stderr
    assert "(0001_" in result.stdout


def test_every_case_has_a_name_of_its_own():
    for cases in (CASES, PEER_CASES):
        assert len({case.name for case in cases}) == len(cases)
    assert all(case.sentence for case in CASES)
    assert {case.batch_size for case in CASES} >= {1, 8, 32, 128, 256, 1024, 8192}


def test_a_run_is_kept_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
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
    faster = {"fastgd_fit": {"seconds": 0.01, "threads": 1}, "jax_tuned": {"seconds": 0.02, "threads": 2}}
    compared = [
        {"case": "epoch 4-64-64-1 b256", "rows": 1000, "results": times},
        {"case": report.SHORTLY[0], "rows": 1000, "results": faster},
    ]
    results.keep("peers", compared, facts)
    assert report.throughput()[1]["JAX, tuned"] == {256: 25_000.0, 32: 50_000.0}
    for name in ("README.md", "performance.md"):
        (tmp_path / name).write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    assert report.main(["--check"]) == 1, "stale"
    assert report.main([]) == 0
    short, text = (tmp_path / "README.md").read_text(), (tmp_path / "performance.md").read_text()
    assert "| 4-64-64-1, batch 32 | 1,000 | 10 | 20 ×2 | 2.00 |" in short
    assert "batch 256" not in short
    assert text.count("faster:") == 1
    assert "- 4-64-64-1, batch 256 (P): JAX, tuned takes 80% of fastgd's time" in text
    assert "batch 32 (P)" not in text, "a case that we win"
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


def test_the_summary_fits_into_80_columns_and_says_how_fast_it_is():
    def taken(case, who, microseconds):
        info = {
            "case": case, "who": who, "microseconds": microseconds, "rows_per_second": 32e6 / microseconds,
            "gflops": 10.0 if "forward" in case else 0.0, "fraction_of_peak": 0.125,
        }  # fmt: skip
        return ("test", 1.0, info)

    lines = summary.summary([
        taken("forward b32", "fastgd", 16.0), taken("forward b32", "NumPy, tuned", 40.0), ("start", 0.25, {}),
        taken("gather b32", "fastgd", 0.5), taken("loss b32", "NumPy, tuned", 2e6),
    ]).splitlines()  # fmt: skip
    assert lines[0].split() == ["case", "median", "rows/s", "of", "peak", "NumPy", "÷", "fastgd"]
    assert [line.split("  ") for line in map(" ".join, (line.split() for line in lines[1:]))] == [
        ["start 250 ms"], ["forward b32 16 µs 2,000,000 12% 2.50"], ["gather b32 500 ns 64,000,000"],
        ["loss b32, NumPy, tuned 2 s 16"],
    ]  # fmt: skip
    longest = [taken(case.name, who, 1e-3) for case in CASES for who in ("NumPy, textbook",)]
    assert max(map(len, summary.summary(longest).splitlines())) <= 80
