"""ONNX files predict in onnxruntime what the model does: every activation and loss, tables with text, and ensembles."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
from exported import CASES, CONTROLS, apart, case, empty_labels
from samples import refused

import fastgd

onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")

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


@pytest.mark.parametrize(("name", "spoil"), CONTROLS)
def test_what_is_wrong_is_seen(tmp_path, monkeypatch, name, spoil):
    model, X, want = case(name)
    spoil(monkeypatch)
    model.export(tmp_path / "m.onnx")
    assert apart(predicted(run(tmp_path / "m.onnx", X)), want) > LARGEST


def test_what_a_file_says_of_itself(tmp_path):
    model, _, _ = case("classes of a table")
    model.export(tmp_path / "m.onnx")
    found = onnx.load(tmp_path / "m.onnx")
    told = {entry.key: json.loads(entry.value) for entry in found.metadata_props}
    assert told["feature_names"] == list(model.feature_names)
    assert told["output_names"] == [f"probability of {name}" for name in ["high ü", "low", "mid"]]
    assert (found.producer_name, found.producer_version, found.graph.name) == ("fastgd", fastgd.__version__, "m")
    assert {entry.domain: entry.version for entry in found.opset_import} == {"": 17, "ai.onnx.ml": 3}
    assert [one.name for one in found.graph.input] == list(model.feature_names)


@pytest.mark.parametrize("name", ["relu float32", "table with bins float64", "mixture", "ensemble of classes"])
def test_nothing_is_in_a_file_that_nothing_uses(tmp_path, name):
    model, _, _ = case(name)
    model.export(tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    used = {value for node in graph.node for value in node.input} | {one.name for one in graph.output}
    assert {tensor.name for tensor in graph.initializer} <= used
    assert {value for node in graph.node for value in node.output} <= used


def test_no_number_is_not_a_number(tmp_path):
    """Plain networks have no gaps: the model refuses them, and a file says NaN."""
    model, X, _ = case("relu float32")
    model.export(tmp_path / "m.onnx")
    X = X.copy()
    X[1, 0] = np.nan
    out = predicted(run(tmp_path / "m.onnx", X))
    assert np.flatnonzero(np.isnan(out[:, 0])).tolist() == [1]


@pytest.mark.parametrize("name", ["label", "prediction", "", "fastgd/x"])
def test_names_that_mean_something_else(tmp_path, name):
    model = fastgd.MLP([2, 1], feature_names=[name, "b"], encoding="auto")
    model.fit([[1, "x"], [2, "y"]] * 30, [1, 2] * 30, epochs=1, verbose=0)
    refused("A column cannot be called .* in an ONNX file", model.export, tmp_path / "m.onnx")
    model.export(tmp_path / "m.py")


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused("ONNX files need onnx: run `pip install onnx`", fastgd.MLP([2, 1]).export, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_empty_text_that_is_a_label_is_no_gap(tmp_path):
    model, X, want = empty_labels()
    model.export(tmp_path / "m.onnx")
    got = predicted(run(tmp_path / "m.onnx", X))
    assert apart(got, want) < LARGEST
