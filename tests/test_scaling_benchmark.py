"""The benchmark of several processes: the model's formulas, the fit, what the page says, and a tiny run."""

from __future__ import annotations

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from trees import ROOT

from benchmarks import results, scaling, scaling_page
from benchmarks.scaling_model import (
    Costs,
    Line,
    Point,
    amounts,
    errors,
    fitted,
    joined_by,
    limits,
    rows_of_the_rest,
    seconds,
    step_of_machines,
    traffic,
)
from benchmarks.scaling_ranks import room_of
from fastgd.training.ordered_sum import OrderedSum

FREE = Costs(*[0.0] * len(Costs._fields))
COSTS = Costs(1e-10, 1e-9, 5e-5, 1e-5, 3e-6, 4e-5, 2e-10, 2e-11, 1e-10)


@pytest.mark.parametrize(
    ("n", "size", "rounds", "received", "handled"),
    [
        (10, 1, 0, 0, 2 * 40 + 2 * 64 + 2 * 40 + 2 * 40),
        (10, 4, 2, 3 * 64, 2 * 40 + 2 * 64 + 11 * 40 + 2 * 40),
        (100_000, 2, 1, 400_024, 2 * 400_000 + 2 * 400_024 + 5 * 400_000 + 2 * 400_000),
        (100_000, 4, 5, 3 * 100_024 + 3 * 100_000, 4 * 400_000 + 2 * 100_024 + 2 * 100_000 + 11 * 100_000),
        (20_000, 1000, 20, 5000 * 104 + 999 * 80, 4 * 80_000 + 2 * 104 + 2 * 80 + 2999 * 80),
    ],
)
def test_what_a_sum_costs_is_what_is_calculated_by_hand(n, size, rounds, received, handled):
    assert traffic(n, size) == (rounds, received, handled)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("n", [8, 4545, 10_922, 10_924, 70_401, 500_000])
def test_it_is_what_ordered_sum_sends(n, size):
    """Up to the bytes that are filled up to whole words, in every slice."""
    real = OrderedSum(SimpleNamespace(size=size), n, np.float32)
    sent, room = traffic(n, size), 8 * 2 * size
    few, there = int(np.ceil(np.log2(size))), (size - 1) * real.sent.shape[1]
    if not real.is_sliced:
        assert sent.rounds == few
        assert abs(sent.received - there) <= room
    elif real.sent.shape[1] > 8 << 10:
        assert sent.rounds == size - 1 + few
        assert abs(sent.received - there - (size - 1) * real.slice.nbytes) <= room
    else:
        assert sent.rounds == 2 * few


def test_amounts_are_what_is_calculated_by_hand():
    sent = traffic(1000, 4)
    crowded = amounts("step", 1000, 64, 4, 2)
    assert crowded == (2 * 1000 * 16, 2 * 1000, 2, 2, 2, 2, 2 * sent.received, 2 * sent.handled, 0)
    roomy = amounts("step", 1000, 64, 4, 4)
    assert roomy == (1000 * 16, 1000, 1, 1, 2, 0, sent.received, sent.handled, 0)
    assert amounts("sum", 1000, 0, 4, 4) == (0, 0, 0, *roomy[3:])
    assert amounts("alone", 1000, 64, 1, 2) == (64_000, 1000, 0, 0, 0, 0, 0, 0, 0)
    large = amounts("step", 10**7, 64, 2, 2)
    assert large[1] == large[7] == 0
    assert large.memory == 56e7 + traffic(10**7, 2).handled
    assert seconds("alone", 1000, 64, 1, COSTS, 2) == pytest.approx(64_000 * 1e-10 + 1000 * 1e-9)


def made(noise, cores=2, seed=0):
    """Points as they would be, with noise."""
    random = np.random.default_rng(seed)
    what = [("sum", n, 0, size) for n in (100, 5000, 20_000, 10**5, 10**6, 10**7) for size in (1, 2, 4)]
    networks = [(4545, 256), (4545, 8192), (70_401, 256), (10**6, 128), (10**6, 1024), (10**7, 64), (10**7, 256)]
    what += [("step", n, batch, size) for n, batch in networks for size in (1, 2, 4)]
    what += [("alone", n, batch // part, 1) for n, batch in networks for part in (1, 4)]
    return [Point(*one, seconds(*one, COSTS, cores) * np.exp(noise * random.standard_normal())) for one in what]


def test_the_fit_finds_the_costs_that_points_were_made_with():
    assert fitted(made(0), 2) == pytest.approx(COSTS, rel=1e-6)
    found = fitted(made(0.05), 2)
    assert found == pytest.approx(COSTS, rel=0.25)
    assert found.latency == pytest.approx(COSTS.latency, rel=0.15)
    assert 1 / found.byte == pytest.approx(5e9, rel=0.15)
    assert np.median(np.abs(errors(made(0.05), found, 2))) < 0.06


def test_a_wrong_model_misses():
    """Of a machine with as many cores as processes, or without the costs of bytes."""
    points = made(0.05)
    assert max(map(abs, errors(points, fitted(points, 4), 4))) > 0.4
    bytes_are_free = fitted(points, 2)._replace(byte=0.0)
    assert max(map(abs, errors(points, bytes_are_free, 2))) > 0.4


def test_no_cost_is_below_zero():
    random = np.random.default_rng(3)
    for _ in range(3):
        points = [point._replace(seconds=float(np.exp(random.standard_normal()))) for point in made(0)[::3]]
        assert min(fitted(points, 2)) >= 0


def test_how_far_more_machines_help():
    gradients_alone = FREE._replace(gradient=1e-10)
    assert limits(10**6, 64, gradients_alone) == pytest.approx((64, 64, 64))
    assert limits(10**6, 64, gradients_alone._replace(latency=1.0)).size == 1
    # 64 ms of gradients; P machines take 64/P + 4 · log2(P) ms: 36, 24, 20, 20, 22 ms for 2, 4, 8, 16 and 32
    few = gradients_alone._replace(gradient=1e-5, latency=4e-3)
    assert [round(1e3 * step_of_machines(100, 64, size, few)) for size in (1, 2, 4, 8, 16, 32)] == [
        64, 36, 24, 20, 20, 22,
    ]  # fmt: skip
    assert limits(100, 64, few)[1:] == (pytest.approx(3.2), 5)  # 12.8 + 12 ms


def test_rows_of_each_machine_decide_and_not_the_weights():
    costs = joined_by(Line("a line", 0.0, 1.25e9), COSTS)
    assert (costs.byte, costs.turn, costs.latency) == (8e-10, 0, 0)
    rest = rows_of_the_rest(costs)
    assert rest == pytest.approx((8 * 8e-10 + 84e-10) / 1e-10)
    alone, many = (step_of_machines(10**9, 8192, size, costs) for size in (1, 8192))
    assert alone / many == pytest.approx(8192 / rest, rel=0.05)
    equal = step_of_machines(10**9, round(rest) * 4000, 4000, costs)
    assert equal == pytest.approx(2 * 1e9 * rest * 1e-10, rel=0.01)


def test_a_measurement_is_long_enough_and_not_too_long():
    for n, batch, size in ((49, 32, 1), (4545, 8192, 4), (10**7, 256, 1)):
        room = room_of(n, batch, size, 0.15, 1.5e-4)
        assert room.epochs >= 3
        assert room.steps >= 1
        assert room.steps * room.epochs <= 1000
        assert room.steps * batch <= max(1 << 16, batch)


# What is told.


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A page and results of its own, and processes that measure what the model says."""
    page = tmp_path / "machines.md"
    page.write_text(f"before\n{scaling_page.BEGIN}old\n{scaling_page.END}after\n")
    monkeypatch.setattr(scaling_page, "PAGE", page)
    monkeypatch.setattr(scaling_page, "PICTURE", tmp_path / "scaling.svg")
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    facts = {"processor": "P", "cores": 2}
    monkeypatch.setattr("benchmarks.machine.facts_for_results", lambda: facts)
    answers = {size: [point for point in made(0) if point.size == size] for size in (1, 2, 4)}
    monkeypatch.setattr(scaling, "started", lambda size, work: {"library": "L 1", "points": answers[size]})
    networks = [([4, 64, 64, 1], []), ([16, 256, 256, 1], []), ([999_999, 1], []), ([9_999_999, 1], [])]
    monkeypatch.setattr(scaling, "WHOLE", scaling.WHOLE._replace(networks=networks))
    return tmp_path


def test_a_run_is_kept_told_and_drawn(place, capsys):
    assert scaling.main(["--draw"]) == 2
    assert capsys.readouterr().err == "scaling: no run is kept: measure one with --write.\n"
    assert scaling.main([]) == 0
    assert "old" in (place / "machines.md").read_text()
    assert scaling.main(["--write"]) == 0
    told = (place / "machines.md").read_text()
    assert told.startswith(f"before\n{scaling_page.BEGIN}\n## What was measured here\n\nP, 2 cores; L 1; ")
    assert told.endswith(f"{scaling_page.END}after\n")
    one, two, four = (seconds("step", 4545, 8192, size, COSTS, 2) for size in (1, 2, 4))
    (row,) = [
        line for line in told.splitlines() if line.startswith("| 4-64-64-1 ") and "| 8,192 |" in line and "×" in line
    ]
    assert f"{1e3 * one:.3g} ms (" in row
    assert f"), ×{one / two:.2f} |" in row
    assert f"), ×{one / four:.2f} |" in row
    assert "0% in the middle, 0% at most" in told
    assert "| bandwidth, from process to process " in told
    assert " 5 GB/s |" in told
    assert "There are 2 cores here" in told
    for line in scaling_page.LINES:
        costs = joined_by(line, COSTS)
        found = limits(10**6, 8192, costs)
        assert f"{found.size:,}, ×{found.speed_up:.3g}" in told.partition(f"### {line.name}")[2]
    drawing = ElementTree.fromstring((place / "scaling.svg").read_text())
    assert len(drawing.findall("{*}polyline")) == 4 + 2 * 6
    (place / "machines.md").write_text(f"before\n{scaling_page.BEGIN}old\n{scaling_page.END}after\n")
    assert scaling.main(["--draw"]) == 0
    assert (place / "machines.md").read_text() == told


def test_mistakes_are_one_sentence(place, monkeypatch, capsys):
    assert scaling.main(["--write", "--quick"]) == 2
    assert scaling.main(["--write", "--processes", "1", "2"]) == 2
    (place / "machines.md").write_text("no marks\n")
    assert scaling.main(["--write"]) == 2
    monkeypatch.setattr(scaling, "started", lambda *_: {"library": "", "points": [Point("sum", 10, 0, 1, -1.0)]})
    assert scaling.main([]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "round" not in line]
    assert said[:2] == ["scaling: --write keeps whole runs only: leave out --quick and --processes."] * 2
    assert "machines.md needs the lines <!-- benchmarks/scaling.py -->" in said[2]
    assert said[3:] == [
        "scaling: long trainings took less time than short ones: the machine is too busy to measure anything."
    ]


def test_processes_that_fail_are_told(monkeypatch):
    monkeypatch.setattr(scaling, "launcher", lambda: [sys.executable, "-c", "raise SystemExit('no such host')"])
    with pytest.raises(scaling.ToolError, match=r"3 processes ended with an error \(no such host\)."):
        scaling.started(3, scaling.QUICK)
    monkeypatch.setattr(scaling, "launcher", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(scaling, "LONGEST", 0.2)
    with pytest.raises(scaling.ToolError, match="3 processes were not ready after"):
        scaling.started(3, scaling.QUICK)


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr(scaling.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(scaling.ToolError, match="mpi4py is not installed"):
        scaling.launcher()
    monkeypatch.undo()
    monkeypatch.setattr(scaling.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(scaling.ToolError, match="there is no mpiexec"):
        scaling.launcher()


def test_the_page_shows_what_the_newest_kept_run_gives():
    assert [scaling_page.PAGE.read_text().count(mark) for mark in (scaling_page.BEGIN, scaling_page.END)] == [1, 1]
    kept = results.kept("scaling")
    assert bool(kept) == (ROOT / "docs" / "scaling.svg").exists()
    for run in kept[-1:]:
        assert all(path.read_text() == text for path, text in scaling_page.pages(run).items())


@pytest.mark.slow
def test_a_tiny_run(capsys):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    if not Path(sys.executable).with_name("mpiexec").exists() and not shutil.which("mpiexec"):
        pytest.skip("there is no mpiexec")
    assert scaling.main(["--quick", "--processes", "1", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("| 4-64-64-1 ") == 3
    assert "×" in out
