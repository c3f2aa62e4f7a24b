"""Model files that earlier versions wrote are read for ever, and predict what they did; tests/golden/make_files.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from golden.make_files import KINDS, houses
from inside import memory_of
from model_files import parts

import fastgd
from fastgd.errors import ModelFileError

FILES = Path(__file__).parent / "golden" / "files"
TOLD = json.loads((FILES / "told.json").read_text(encoding="utf-8"))


def rows(name):
    """The rows as they were: text and truth values are objects, numbers have NaN for gaps."""
    frame = pd.DataFrame({column: pd.Series(values, dtype=object) for column, values in TOLD[name]["columns"].items()})
    return frame.apply(lambda column: column if column.name in ("street", "lift") else column.astype(float))


def close(name, got, want):
    """As close as the dtype of the network allows."""
    wide = name in ("regression", "training")
    np.testing.assert_allclose(got, want, rtol=1e-9 if wide else 2e-6)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_read_and_predicts_the_same(name):
    model, told = fastgd.load(FILES / f"{name}.safetensors"), TOLD[name]
    got = model.predict(rows(name))
    if name == "classes":
        assert got.tolist() == told["predict"]
        close(name, model.predict_proba(rows(name)), told["predict_proba"])
        return
    close(name, got, told["predict"])
    if name == "ensemble":
        close(name, model.predict_interval(rows(name), coverage=0.8), told["predict_interval"])
    members = model.members
    members[0].parameters = members[0].parameters * 1.0001
    with pytest.raises(AssertionError):
        close(name, model.predict(rows(name)), told["predict"])


@pytest.mark.parametrize("name", KINDS)
def test_it_knows_what_it_knew(name):
    model, told = fastgd.load(FILES / f"{name}.safetensors"), TOLD[name]
    assert list(model.feature_names) == list(told["columns"])
    assert (None if model.target_names is None else list(model.target_names)) == told["target_names"]
    assert repr(getattr(model, "encoder", None)) == told.get("encoder", "None")


def test_it_learns_on():
    model = fastgd.load(FILES / "training.safetensors")
    assert memory_of(model).epoch == 3
    model.fit(*houses(), epochs=2, verbose=0)
    want = TOLD["training"]["after two more epochs"]
    close("training", model.predict(rows("training")), want)
    other = fastgd.load(FILES / "training.safetensors")
    other.fit(*houses(), epochs=1, verbose=0)
    with pytest.raises(AssertionError):
        close("training", other.predict(rows("training")), want)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_written_again_as_it_is(tmp_path, name):
    """What this version writes of it has the same arrays, and says of it whatever was said."""
    model = fastgd.load(FILES / f"{name}.safetensors")
    model.save(tmp_path / "m", *([True] if name == "training" else []))
    old, new = parts(FILES / f"{name}.safetensors"), parts(tmp_path / "m")
    assert old[2] == new[2]
    assert told(old[1]) <= told(new[1])


def told(words, place=()):
    """All that a header says, each with its place."""
    pairs = words.items() if isinstance(words, dict) else enumerate(words) if isinstance(words, list) else None
    if pairs is None:
        return {(place, repr(words))}
    return {found for key, value in pairs for found in told(value, (*place, key))}


@pytest.mark.parametrize("name", ["regression", "ensemble"])
def test_a_flipped_bit_is_told_wherever_it_is(tmp_path, name):
    """Every byte of a file counts, but for the digits of a checksum that becomes no checksum at all."""
    content, path = (FILES / f"{name}.safetensors").read_bytes(), tmp_path / "m"
    generator = np.random.default_rng(0)
    for place, bit in zip(range(0, len(content), 7), generator.integers(0, 8, len(content)), strict=False):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(bit)
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            fastgd.load(path)
    path.write_bytes(content)
    fastgd.load(path)


def test_a_file_that_ends_early_is_told(tmp_path):
    path = tmp_path / "m"
    content = (FILES / "table.safetensors").read_bytes()
    for length in [*range(0, len(content), 101), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            fastgd.load(path)
    shutil.copy(FILES / "table.safetensors", path)
    fastgd.load(path)
