"""ONNX files predict in onnxruntime what the model does: every activation and loss, tables with text, and ensembles."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from exported import CASES, apart, case

LARGEST = 1e-5


def run(path, X):
    """The outputs of a file by their names."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    if isinstance(X, pd.DataFrame):
        fed = {}
        for one in session.get_inputs():
            column = X[[one.name]]
            is_text = one.type == "tensor(string)"
            fed[one.name] = column.fillna("").astype(str).to_numpy(object) if is_text else column.to_numpy(np.float64)
    else:
        fed = {"X": X.astype({"tensor(float)": "f4", "tensor(double)": "f8"}[session.get_inputs()[0].type])}
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))


def predicted(out):
    return out["probabilities"] if "probabilities" in out else out["prediction"]


@pytest.mark.parametrize("name", CASES)
def test_it_predicts_the_same(tmp_path, name):
    model, X, want = case(name)
    model.export(tmp_path / "m.onnx")
    out = run(tmp_path / "m.onnx", X)
    assert predicted(out).dtype == want.dtype
    difference = apart(predicted(out), want)
    assert difference < LARGEST
    if "label" in out:
        assert (out["label"] == model.predict(X)).all()
