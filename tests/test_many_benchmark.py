"""The benchmark of many networks: all that are installed learn the same, and who does not is named."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

from benchmarks import many, many_costs

FASTGD = [contender for contender in many.CONTENDERS if contender.package == "fastgd"]
PRETENDED = """
import json, sys
print(json.dumps({"worst": 0, "before": 3.0, "losses": LOSSES, "form": "F"}), flush=True)
for _ in sys.stdin: print(json.dumps({"seconds": 2.0, "threads": 1}), flush=True)
"""


@pytest.fixture
def pretended(monkeypatch):
    """Contenders that only pretend: networks learn to a loss of their number + 1, but JAX's to twice that."""

    def serving(contender, job):
        losses = [(seed + 1) * (2 if contender.name == "jax" else 1) for seed in job.seeds]
        return [sys.executable, "-c", PRETENDED.replace("LOSSES", json.dumps(losses))]

    monkeypatch.setattr(many, "serving", serving)


def test_who_learned_something_else_is_named(pretended, capsys):
    job = many.job_of(16, (4, 8, 1), 100, 1, 10)
    results, failures = many.measured(job, [c for c in many.CONTENDERS if c.name in ("fastgd", "joblib", "jax")], 2)
    assert failures == {"jax": "it learned something else (its loss is 2 times ours)"}
    assert results["joblib"].numbers == [0, 15]
    assert (results["fastgd"].rate, results["joblib"].rate) == (8.0, 1.0)
    lines = many.lines_of(job, many.CONTENDERS, results, 2)
    assert "| joblib, sklearn ×2 |          1 |       2 |       1.0 |  8.5000 |    8.00 × |" in lines
    assert max(map(len, lines)) <= 80


def test_tables_are_written_between_their_marks(pretended, monkeypatch, tmp_path, capsys):
    page = tmp_path / "NOTES.md"
    page.write_text(f"before\n{many.BEGIN}old\n{many.END}after\n")
    monkeypatch.setattr(many, "PAGE", page)
    monkeypatch.setattr(many, "CONTENDERS", [c for c in many.CONTENDERS if c.name != "jax"])
    monkeypatch.setattr(many_costs, "costs_in_a_process", lambda quick: ["- costs"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else name)
    assert many.main(["--write", "--batch-sizes", "32"]) == 0
    told = capsys.readouterr().err
    assert "many: not installed, left out: torch." in told
    assert "not written, because it is not whole" in told
    assert "old" in page.read_text()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert many.main(["--write", "--batch-sizes", "32"]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{many.BEGIN}\n64 networks of 4-64-64-1, 20,000 rows, batch 32, 5 epochs of Adam:")
    assert text.endswith(f"- costs\n\n{many.END}after\n")
    assert many.main(["--write", "--quick"]) == 2
    assert capsys.readouterr().err.endswith("many: --write keeps whole runs only: leave out --quick and --peers.\n")


def test_the_page_has_the_marks():
    assert [many.PAGE.read_text().count(mark) for mark in (many.BEGIN, many.END)] == [1, 1]


@pytest.mark.slow
def test_a_tiny_run_of_those_that_are_installed(capsys):
    assert many.main(["--quick", "--batch-sizes", "32", "--peers", "joblib"]) == 0
    out = capsys.readouterr().out
    assert "| joblib, sklearn ×" in out
    assert "| fastgd ×1 " in out
    assert "- 20 networks of 4-8-1 on 1,000 rows" in out
    assert "times its parameters" in out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "torch_one_order", "jax", "jax_one_order", "jax_threads"])
def test_stacked_networks_learn_the_same(name):
    contender = next(contender for contender in many.CONTENDERS if contender.name == name)
    pytest.importorskip(contender.package)
    results, failures = many.measured(many.job_of(4, (4, 16, 16, 1), 610, 30, 32), [FASTGD[1], contender], 1)
    assert failures == {}
    assert list(results) == ["fastgd", name]
