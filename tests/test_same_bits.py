"""The same bits wherever the code runs: trials/same_bits.py with two processors and a few items."""

from __future__ import annotations

import platform

import llvmlite.binding
import numpy as np
import pytest

from trials import computed, same_bits

NEEDED = "fma", "avx2", "bmi2"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
def test_other_processors_have_the_same_bits():
    if not all(llvmlite.binding.get_host_cpu_features().get(feature) for feature in NEEDED):
        pytest.skip("bits are promised with FMA")
    outcome = same_bits.compared(list(same_bits.processors())[:1], ["small"])
    assert outcome.cases == 1
    assert outcome.failures == []  # among them: code without FMA, which must differ


def test_bits_that_differ_are_found(monkeypatch):
    found = {"the setting at hand": "a", "other": "b"}
    monkeypatch.setattr(
        same_bits,
        "found_by",
        lambda setting, parts: {"versions": "", "hashes": {"x": found.get(setting.name, "c"), "y": "a"}},
    )
    assert same_bits.compared([same_bits.Setting("other", {})], []).failures == ["other (): other bits of x"]
    monkeypatch.setattr(same_bits, "found_by", lambda setting, parts: {"versions": "", "hashes": {"x": "a"}})
    assert "cannot fail" in same_bits.compared([], []).failures[0]


def test_a_hash_sees_every_bit():
    value = {"a": [np.arange(3.0), "text", 1.5], "b": b"bytes"}
    other = {"a": [np.nextafter(np.arange(3.0), 9), "text", 1.5], "b": b"bytes"}
    assert computed.hash_of(value) == computed.hash_of(dict(value))
    assert computed.hash_of(value) != computed.hash_of(other)
    assert computed.hash_of(np.float64(0.1)) != computed.hash_of(np.nextafter(0.1, 1))
    assert computed.hash_of(np.zeros(2)) != computed.hash_of(np.zeros(2, np.float32))
