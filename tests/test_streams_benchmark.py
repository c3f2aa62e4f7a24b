"""The benchmark of streams subtracts what happens once, and writes what it has measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.streams import BEGIN, END, PAGE, Measured, page, rate_of

ROOT = Path(__file__).parents[1]


def test_what_happens_once_is_taken_away():
    pairs = [
        (Measured(3.0, 5), Measured(5.0, 7)),
        (Measured(13.0, 5), Measured(15.0, 7)),
        (Measured(3.5, 5), Measured(5.5, 7)),
    ]
    rate, once = rate_of(pairs, 1000)
    assert rate == pytest.approx(1000)
    assert once == pytest.approx(2.5)


def test_the_table_compares_with_memory():
    found = {"4-8-1": {"memory": [(Measured(1, 0), Measured(3, 0))], "npy": [(Measured(2, 0), Measured(6, 9_000_000))]}}
    memory, npy = page(found, 10_000_000).split("\n")[4:6]
    assert memory == "| 4-8-1 | arrays in memory | 10.0 million | 100% |  | 0 MB |"
    assert npy == "| 4-8-1 | `.npy` files | 5.0 million | 50% | 0.0 s | 9 MB |"


def test_the_page_has_room_for_it():
    text = PAGE.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells the memory")
def test_it_measures():
    ran = subprocess.run(
        [sys.executable, "benchmarks/streams.py", "--gigabytes", "0.02", "--kinds", "npy", "--networks", "4-8-1",
         "--rounds", "1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "| 4-8-1 | `.npy` files |" in ran.stdout
