"""Scripts of NumPy predict what the model does, in about ten readable lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
from exported import CASES, CONTROLS, apart, case, empty_labels, numbers, words
from samples import refused

import fastgd
from fastgd.errors import InputWarning, ModelFileError

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


@pytest.mark.parametrize(("name", "spoil"), CONTROLS)
def test_what_is_wrong_is_seen(tmp_path, monkeypatch, name, spoil):
    model, X, want = case(name)
    spoil(monkeypatch)
    model.export(tmp_path / "m.py")
    assert apart(script(tmp_path / "m.py")["predict"](X).reshape(want.shape), want) > LARGEST


@pytest.mark.parametrize("encoding", ["auto", None])
@pytest.mark.parametrize("n_networks", [1, 3])
@pytest.mark.parametrize("estimator", [fastgd.MLPRegressor, fastgd.MLPClassifier])
def test_an_estimator_s_network(tmp_path, estimator, n_networks, encoding):
    X, y = numbers()
    X, y = pd.DataFrame(X[:, :3], columns=["a", "b", "c"]), words(y) if estimator is fastgd.MLPClassifier else y
    fitted = estimator(n_networks=n_networks, encoding=encoding, epochs=5, random_state=0).fit(X, y)
    fitted.model_.export(tmp_path / "m.py")
    space = script(tmp_path / "m.py")
    if estimator is fastgd.MLPClassifier:
        assert (space["predict"](X) == fitted.predict(X)).all()
        assert apart(space["predict_proba"](X), fitted.predict_proba(X)) < LARGEST
    else:
        assert apart(space["predict"](X)[:, None], fitted.predict(X)[:, None]) < LARGEST
    other = estimator(n_networks=n_networks, encoding=encoding, epochs=5, random_state=1).fit(X, y)
    predict = "predict_proba" if estimator is fastgd.MLPClassifier else "predict"
    got, want = space[predict](X), getattr(other, predict)(X)
    assert apart(got.reshape(len(X), -1), want.reshape(len(X), -1)) > LARGEST


@pytest.mark.parametrize("name", ["wide", "log and clip", "gelu float32"])
def test_a_plain_network_is_ten_lines(tmp_path, name):
    case(name)[0].export(tmp_path / "m.py")
    text = (tmp_path / "m.py").read_text()
    functions = text.partition("import numpy as np")[2].partition("def _numbers")[0]
    assert len([line for line in functions.splitlines() if line.strip()]) <= 14
    body = functions.partition("def network(X):")[2].partition("def ")[0]
    assert len([line for line in body.splitlines() if line.strip()]) <= 7


@pytest.mark.parametrize("name", ["wide", "table with bins float32", "ensemble of classes"])
def test_it_runs_where_there_is_no_fastgd(tmp_path, name):
    model, X, want = case(name)
    model.export(tmp_path / "m.py")
    held = X.astype(object).where(X.notna(), None).to_dict("list") if hasattr(X, "columns") else X.tolist()
    predict = "predict_proba" if "classes" in name else "predict"
    (tmp_path / "run.py").write_text(
        f"import json, sys\nimport m\nX = json.loads(sys.stdin.read())\nout = m.{predict}(X)\n"
        "assert not {'fastgd', 'numba', 'pandas'} & set(sys.modules)\nprint(json.dumps(out.astype(float).tolist()))"
    )
    command = [sys.executable, "-W", "error", "run.py"]
    environment = {**os.environ, "PYTHONPATH": ""}
    result = subprocess.run(
        command, cwd=tmp_path, input=json.dumps(held), capture_output=True, text=True, check=True, env=environment
    )
    assert apart(np.array(json.loads(result.stdout)).reshape(want.shape), want) < LARGEST


COLUMNS = ["size m2", "age*/", "where", "lift", "code", "year"]  # "country" tells nothing, and is not read


@pytest.mark.parametrize("name", ["table float64", "classes of a table", "ensemble of tables", "ensemble of classes"])
def test_columns_that_are_missing_are_named(tmp_path, name):
    model, X, want = case(name)
    model.export(tmp_path / "m.py")
    space = script(tmp_path / "m.py")
    probabilities = "predict_proba" if "classes" in name else "predict"
    for function in {"predict", probabilities}:
        for held in (X, X.to_dict("list")):
            fewer = {column: held[column] for column in held if column not in ("age*/", "where")}
            for table in (fewer, pd.DataFrame(fewer)):
                with pytest.raises(ValueError, match=r"it lacks \['age\*/', 'where'\]\.$"):
                    space[function](table)
        for rows in (X.to_numpy().tolist(), X.to_numpy(), [1, 2]):
            with pytest.raises(ValueError, match="X is a data frame, or a dict with a list for each column") as error:
                space[function](rows)
            assert str(COLUMNS) in str(error.value)
    tables = [X.drop(columns="country"), pyarrow.Table.from_pandas(X), polars.from_pandas(X)]
    for table in tables:
        assert apart(space[probabilities](table).reshape(want.shape), want) < LARGEST


def test_a_table_with_other_columns_is_refused(tmp_path):
    model, X, want = case("wide")
    model.export(tmp_path / "m.py")
    predict = script(tmp_path / "m.py")["predict"]
    for wrong in (X[:, :1], X[:, :3], X[0], np.hstack([X, X])):
        with pytest.raises(ValueError, match="reshape"):
            predict(wrong)
    assert predict(X[:0]).shape == (0,)
    assert apart(predict(pd.DataFrame(X))[:, None], want) < LARGEST


def test_truth_as_numbers(tmp_path):
    """Where the fit had yes and no, 1 and 0 are the same, as for the model."""
    model, X, _ = case("table float64")
    model.export(tmp_path / "m.py")
    X = X.assign(lift=X["lift"].astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        want = model.predict(X)
    assert apart(script(tmp_path / "m.py")["predict"](X)[:, None], want[:, None]) < LARGEST
    wrong = script(tmp_path / "m.py")["predict"](X.assign(lift="0"))
    assert apart(wrong[:, None], want[:, None]) > LARGEST


ENDINGS = ["h", "py", *(["onnx"] if find_spec("onnx") else [])]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_model_is_the_same_file(tmp_path, ending):
    for name in ("wide", "ensemble of tables"):
        model, _, _ = case(name)
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir(exist_ok=True)
            model.export(tmp_path / folder / f"m.{ending}")
        assert (tmp_path / "a" / f"m.{ending}").read_bytes() == (tmp_path / "b" / f"m.{ending}").read_bytes()


@pytest.mark.parametrize("name", ["m", "m.pkl", "m.safetensors", "m.ONNXX"])
def test_other_endings(tmp_path, name):
    refused(r"models are exported as \.onnx, \.h \(C99\) or \.py \(NumPy\)", fastgd.MLP([2, 1]).export, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_in_any_case(tmp_path, ending):
    model, _, _ = case("wide")
    for folder, name in ("a", ending), ("b", ending.upper()):
        (tmp_path / folder).mkdir()
        model.export(tmp_path / folder / f"m.{name}")
    assert (tmp_path / "b" / f"m.{ending.upper()}").read_bytes() == (tmp_path / "a" / f"m.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_cannot_be_expressed(tmp_path, ending):
    path = tmp_path / f"m.{ending}"
    path.write_text("the old one")
    X, y = fastgd.datasets.houses(60, random_state=0)
    new = fastgd.MLP([4, 1], encoding="auto")
    refused("has none to export before its first fit", new.export, path)
    one = fastgd.MLP([4, 1])
    one.fit(X, y, epochs=1, verbose=0)
    calibrated = fastgd.Ensemble([one]).calibrate(X, y)
    refused(r"Intervals cannot be exported: export fastgd\.Ensemble\(", calibrated.export, path)
    text = fastgd.MLP([1, 1], encoding="auto")
    text.fit([["1"], ["2"]] * 30, [1, 2] * 30, epochs=1, verbose=0)
    number = fastgd.MLP([1, 1])
    number.fit([[1], [2]] * 30, [1, 2] * 30, epochs=1, verbose=0)
    refused("Column x0 is text for some of these models", fastgd.Ensemble([text, number]).export, path)
    assert path.read_text() == "the old one"
    fastgd.Ensemble(calibrated.members, calibrated.weights).export(path)
    assert path.read_bytes() != b"the old one"
    with pytest.raises(ModelFileError, match="cannot be written"):
        one.export(tmp_path / "no such folder" / f"m.{ending}")


def test_no_name_becomes_code(tmp_path):
    name = '""" + undefined + """\\'
    model = fastgd.MLP([2, 1], feature_names=[name, "b'\\n"], encoding="auto")
    model.fit([[1, "x'\n"], [2, '"""']] * 30, [1, 2] * 30, epochs=1, verbose=0)
    path = tmp_path / f"{name}.py"
    model.export(path)
    X = {name: [1, 2], "b'\\n": ["x'\n", '"""']}
    np.testing.assert_allclose(
        script(path)["predict"](X), model.predict(list(zip(*X.values(), strict=True))), rtol=1e-6
    )


def test_empty_text_that_is_a_label_is_no_gap(tmp_path):
    model, X, want = empty_labels()
    model.export(tmp_path / "m.py")
    got = script(tmp_path / "m.py")["predict"](X).reshape(want.shape)
    assert apart(got, want) < LARGEST
