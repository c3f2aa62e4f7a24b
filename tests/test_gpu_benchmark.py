"""The benchmark of the GPU: on the double, and beside the others on the CPU, all compute the same."""

from __future__ import annotations

import contextlib
import importlib.util
from types import SimpleNamespace

import cuda_double
import pytest

from benchmarks import gpu, gpu_card
from fastgd import kernels

CARD = gpu_card.Card("H200", "580.1", 132, 1.98e9, 128, 4.8e12, "numba-cuda-mlir 0.6.0")
ONE = gpu.JOBS[0]


@pytest.fixture
def here(monkeypatch):
    """Everybody measures in this process, where the engine is the double, and for a short time."""
    monkeypatch.setattr(gpu, "asked", lambda name, job: gpu.measure(gpu.CONTENDERS[name], job))
    monkeypatch.setattr(gpu, "SECONDS", 0.0)
    monkeypatch.setattr(gpu, "CALLS", 2)
    with cuda_double.engine():
        yield


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """Contenders that only pretend, a card, and a page to write to."""
    answers = {"jax": {"seconds": 1.0, "first": 2.0, "seen": 3.0}, "torch_eager": {"failure": "out of memory"}}
    fair = {"seconds": 0.5, "first": 2.0, "seen": 1.0}
    monkeypatch.setattr(gpu, "asked", lambda name, job: dict(answers.get(name, fair)))
    monkeypatch.setattr(gpu_card, "card", lambda: CARD)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    page = tmp_path / "NOTES.md"
    page.write_text(f"before\n{gpu.BEGIN}\nNot measured on a card.\n\n{gpu.END}after\n")
    monkeypatch.setattr(gpu, "PAGE", page)
    return answers


@pytest.mark.slow
def test_all_compute_the_same(here, capsys):
    pytest.importorskip("torch").set_num_threads(1)
    chosen = [name for name in gpu.CONTENDERS if name != "torch_compiled"]  # its compiler takes a minute
    assert gpu.main(["--quick", "--contenders", *chosen]) == 0
    told = capsys.readouterr().out
    times = {("one",): 2, ("one", "many"): 3, ("predict",): 1}
    for name in chosen:
        who = gpu.CONTENDERS[name]
        if importlib.util.find_spec(who.package):
            assert told.count(f"| {who.title} ") == times[who.does]
    assert told.startswith("No card; ")


def test_what_is_recorded_leaves_the_weights_as_they_were(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks.rivals import gpu_torch_graphs

    streams = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: streams)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay="replayed"))
    monkeypatch.setattr(torch.cuda, "graph", contextlib.nullcontext)
    job = gpu.QUICK[2]
    state = gpu_torch_graphs.prepare(job, *gpu.table_of(job.n_rows, job.sizes[0]), "")
    before = [part.clone() for layer in state["weights"] for part in layer]
    moved = []

    def run():
        gpu_torch_graphs.steps_of(state, 2, job.batch_size)()
        moved.append(int(state["place"]))

    assert gpu_torch_graphs.recorded(run, state) == "replayed"
    assert moved == [16] * (gpu_torch_graphs.WARM + 1)
    assert int(state["place"]) == 0
    for part, was in zip((part for layer in state["weights"] for part in layer), before, strict=True):
        assert torch.equal(part, was)
    run()
    assert not torch.equal(state["weights"][0][0], before[0])


def test_who_fails_or_computes_something_else_is_named(pretended, capsys):
    assert gpu.main(["--jobs", "one network, batch 32", "--write"]) == 2
    assert gpu.main(["--jobs", "batch 33"]) == 2
    assert "no job has 'batch 33' in its name; there are: one network, batch 32, " in capsys.readouterr().err
    assert gpu.main(["--jobs", "one network, batch 32"]) == 1
    told = capsys.readouterr()
    assert f"gpu: torch_eager, {ONE.name}: out of memory" in told.err
    assert f"gpu: jax, {ONE.name}: it computed something else (3 times our loss)" in told.err
    assert "JAX" not in told.out
    assert "| PyTorch, CUDA graphs " in told.out


def test_a_whole_run_is_written(pretended, capsys):
    assert gpu.main(["--write"]) == 1
    assert "not written, because it is not whole" in capsys.readouterr().err
    pretended.clear()
    assert gpu.main(["--write"]) == 0
    text = gpu.PAGE.read_text()
    assert text.startswith(f"before\n{gpu.BEGIN}\nH200: driver 580.1, 132 multiprocessors at 1.98 GHz, 66.9 TFLOP/s")
    assert text.endswith(f"\n{gpu.END}after\n")
    assert "Not measured" not in text
    assert all(f"\n{job.name}:\n" in text for job in gpu.JOBS)


def test_the_page_has_the_marks():
    assert [gpu.PAGE.read_text().count(mark) for mark in (gpu.BEGIN, gpu.END)] == [1, 1]


def test_floors_are_those_of_the_arithmetic():
    of_all, of_one = (seconds for _, seconds in gpu_card.floors(ONE, CARD))
    assert of_all * 132 == pytest.approx(of_one)
    assert of_one == pytest.approx(5.13e-3, rel=1e-2)  # 26 kFLOP a row, 0.507 TFLOP/s
    assert len(gpu_card.floors(gpu.JOBS[2], CARD)) == 1
    many = gpu.JOBS[4]
    assert gpu_card.floors(many, CARD)[0][1] == pytest.approx(0.389, rel=1e-2)
    slow = CARD._replace(bandwidth=1e6)
    assert gpu_card.floors(many, slow)[0][1] == pytest.approx(4 * (5e5 + 2e4 * 4545) / 1e6)


@pytest.mark.skipif(not kernels.missing("cuda"), reason="there is a card")
def test_without_a_card_it_says_what_is_missing(capsys):
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == f"gpu: {kernels.missing('cuda')}\n"
    told = gpu.asked("fit", gpu.QUICK[0])["failure"]
    assert told.startswith("fastgd.errors.DeviceError: ")
    assert kernels.missing("cuda") in told
