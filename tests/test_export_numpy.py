"""Scripts of NumPy predict what the model does, in about ten readable lines."""

from __future__ import annotations

import pytest
from exported import CASES, apart, case

LARGEST = 1e-6


def script(path):
    space = {"__name__": "exported"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    return space


@pytest.mark.parametrize("name", CASES)
def test_it_predicts_the_same(tmp_path, name):
    model, X, want = case(name)
    model.export(tmp_path / "m.py")
    space = script(tmp_path / "m.py")
    got = space["predict_proba"](X) if "predict_proba" in space else space["predict"](X).reshape(want.shape)
    assert got.dtype == want.dtype
    assert apart(got, want) < LARGEST
    if "predict_proba" in space:
        assert (space["predict"](X) == model.predict(X)).all()
    else:
        assert space["predict"](X).shape == model.predict(X).shape
