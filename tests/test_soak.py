"""The soak: a short one, and that each planted leak and each failure is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trials import soak, soak_work

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted by /proc")
QUICK = {soak_work.pieces: 3, soak_work.beside: 1, soak_work.cancels: 2}
STEADY = soak.Level(300 << 20, 9, 14, 0)


def soaked(folder, kinds, operations):
    found = soak.Soak(0, folder, kinds)
    found.run(0, operations, minutes=1, every=60)
    return found.report()


def test_a_short_soak(tmp_path):
    report = soaked(tmp_path, QUICK, 12)
    assert report["failures"] == []
    assert sum(report["done"].values()) == 12
    assert "12 operations, 0 failures" in report["figure"]


@pytest.mark.parametrize("what", soak.LEAKS)
def test_a_planted_leak_is_found(what, tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "WARM_ROUNDS", 0)
    leak = soak.Leaking(what)
    try:
        found = soaked(tmp_path, {leak: 1}, 12)["failures"]
    finally:
        leak.free()
    assert len(found) == 1
    assert {"files": "file descriptors", "left": "temporary files"}.get(what, what) in found[0]


def test_what_broke_is_told_with_all_that_repeats_it(tmp_path):
    def breaks(place):
        if place.random.integers(3) == 0:
            raise ValueError("zero was drawn")

    failures = soaked(tmp_path, {breaks: 1}, 12)["failures"]
    assert 1 < len(failures) < 12
    again = soak.Soak(0, tmp_path, {breaks: 1})
    number = int(failures[0].split("operation ")[1].split()[0])
    again.run(number, 1, minutes=1, every=60)
    assert again.failures == failures[:1] == [f"seed 0, operation {number} (breaks): ValueError: zero was drawn"]


def test_what_comes_and_goes_is_no_leak(monkeypatch):
    monkeypatch.setattr(soak, "WARM_ROUNDS", 0)
    levels = [(number, STEADY._replace(threads=14 + number % 2, memory=STEADY.memory + number)) for number in range(40)]
    assert list(soak.leaks(levels)) == []
    assert soak.slope(levels) == pytest.approx(1)
    growing = [(number, STEADY._replace(memory=STEADY.memory + number * (2 << 20))) for number in range(40)]
    assert "memory grew by 40 MiB" in next(soak.leaks(growing))


def test_every_kind_is_done_and_the_same_number_is_the_same_operation():
    drawn = [soak.drawn(3, number, soak_work.KINDS) for number in range(400)]
    assert set(drawn[: len(soak_work.KINDS)]) == set(soak_work.KINDS)
    assert set(drawn[100:]) == set(soak_work.KINDS)
    assert drawn == [soak.drawn(3, number, soak_work.KINDS) for number in range(400)]


def test_a_soak_that_dies_is_a_failure(monkeypatch):
    report = soak.child(["--operations", "nonsense"])
    assert "ended with code 2" in report["failures"][0]
    monkeypatch.setattr(soak, "child", lambda options: {"done": {"x": 3}, "failures": [], "figure": " ".join(options)})
    assert soak.run(3, 5) == soak.Outcome(3, [], "--operations 3 --seed 5")
    assert np.isfinite(soak.status("VmRSS"))
