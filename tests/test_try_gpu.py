"""The tool that runs all on a card: it deals out tests, keeps to its time, and says what fails and what is skipped."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tools import try_gpu

SMI = "#!/bin/sh\necho 'NVIDIA H100, 580.159.04, 81559 MiB, 1980 MHz, 2619 MHz'\n"


@pytest.fixture
def with_a_card(tmp_path, monkeypatch):
    """A machine whose nvidia-smi and compute-sanitizer are scripts."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("nvidia-smi", SMI), ("compute-sanitizer", "#!/bin/sh\necho ERROR SUMMARY: 1 error; exit 9\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return programs


def summary(folder):
    """Parts, and what became of them."""
    return [line.split()[:2] for line in (folder / "summary.txt").read_text().splitlines()]


def test_without_a_card_each_part_says_why_it_is_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name, **options: None)
    assert try_gpu.main([str(tmp_path / "out")]) == 0
    assert summary(tmp_path / "out") == [[part, "skipped"] for part in try_gpu.PARTS]
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("there is no nvidia-smi, and so no driver for NVIDIA cards")
    assert all(line.endswith("there is no card") for line in told[1:])


@pytest.mark.skipif(os.name == "nt", reason="the scripts are of sh")
def test_a_card_without_a_package_is_told_in_its_own_words(with_a_card, tmp_path, capsys):
    assert try_gpu.main([str(tmp_path), "--parts", "tests", "memcheck"]) == 0
    assert summary(tmp_path) == [["card", "passed"], ["tests", "skipped"], ["memcheck", "skipped"]]
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("NVIDIA H100, 580.159.04, 81559 MiB, 1980 MHz, 2619 MHz: extra cuda13")
    assert "device='cuda' needs a compiler for NVIDIA GPUs" in told[1]


@pytest.mark.skipif(os.name == "nt", reason="the scripts are of sh")
def test_what_the_parts_run_is_judged(with_a_card, tmp_path, monkeypatch):
    monkeypatch.setattr(try_gpu, "runnable", lambda attempt: None)
    assert try_gpu.main([str(tmp_path), "--parts", "tests", "racecheck"]) == 1
    assert summary(tmp_path) == [["card", "passed"], ["tests", "passed"], ["racecheck", "FAILED"]]
    assert "ERROR SUMMARY: 1 error" in (tmp_path / "racecheck.log").read_text()
    assert " skipped" in (tmp_path / "tests_1.log").read_text()  # here no card can be used


@pytest.mark.skipif(os.name == "nt", reason="the scripts are of sh")
def test_an_environment_that_cannot_be_made_names_what_is_missing(with_a_card, tmp_path, capsys):
    (tmp_path / "wheels").mkdir()
    assert try_gpu.main([str(tmp_path), "--parts", "environment", "--wheels", str(tmp_path / "wheels")]) == 1
    told = capsys.readouterr().out.splitlines()[1]
    assert "not all could be installed" in told
    assert "missing: numba_cuda_mlir" in told
    assert " numba," not in told  # it is seen where this Python has it


def test_who_takes_too_long_is_ended(tmp_path):
    attempt, mark = try_gpu.Attempt(tmp_path, 1.0, None), tmp_path / "late"
    code = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    with pytest.raises(try_gpu.Failed, match="more than its 0 s"):
        attempt.run("tests", sys.executable, "-c", code, seconds=0.2)
    assert not mark.exists()
    assert attempt.run("tests", sys.executable, "-c", "print(1)")[0] == 0


def test_all_tests_are_dealt():
    names = list("abcdefg")
    assert sorted(name for hand in try_gpu.dealt(names, 3) for name in hand) == names
    assert try_gpu.dealt(["a"], 3) == [["a"]]
    assert sum(try_gpu.SHARES.values()) == pytest.approx(1)
    assert try_gpu.SHARES.keys() == try_gpu.PARTS.keys()
    assert [try_gpu.extra_for(driver) for driver in ("580.65", "575.1", "610.0")] == ["cuda13", "cuda12", "cuda13"]
    assert all((Path(try_gpu.ROOT) / path).is_file() for path in ("tests/test_cuda_device.py", "benchmarks/gpu.py"))
