"""The benchmark of accuracy against seconds: what is measured is kept, told in a table, and drawn in its place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from trees import ROOT

from benchmarks import accuracy, quality, results
from benchmarks.accuracy_chart import chart


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X, y, np.arange(len(y)) // 2, np.arange(300), np.arange(300, len(y))


TABLES = [accuracy.Table(name, diabetes, {"RMSE": quality.rmse, "R²": quality.r2}) for name in ("A", "B")]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two tables of scikit-learn, a mean and two lines, and pages of their own."""

    def methods():
        return [
            accuracy.Method("fastgd", "one network", "sklearn", lambda X, y, *_: Ridge(0.001).fit(X, y)),
            accuracy.Method("fastgd", "8 networks", "sklearn", lambda X, y, *_: Ridge(1).fit(X, y)),
            accuracy.Method("CatBoost", "defaults", "sklearn", lambda X, y, *_: DummyRegressor().fit(X, y)),
        ]

    for name in ("PAGE", "README", "PICTURE"):
        monkeypatch.setattr(accuracy, name, tmp_path / name)
        (tmp_path / name).write_text(f"before\n{accuracy.BEGIN}old\n{accuracy.END}after\n")
    monkeypatch.setattr(accuracy, "TABLES", TABLES)
    monkeypatch.setattr(accuracy, "methods", methods)
    monkeypatch.setattr(accuracy, "warm_up", lambda *_: None)
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    facts = {"processor": "P", "cores": 2}
    monkeypatch.setattr(accuracy.results, "keep", lambda kind, records, keep=results.keep: keep(kind, records, facts))
    monkeypatch.setenv("FASTGD_DATA", str(tmp_path))
    return tmp_path


def test_a_run_is_kept_told_and_drawn(small, capsys):
    assert accuracy.main(["--draw"]) == 2
    assert capsys.readouterr().err == "accuracy: no run is kept: measure one with --write.\n"
    assert accuracy.main(["--seeds", "2"]) == 0
    assert "old" in (small / "PAGE").read_text()
    assert accuracy.main(["--seeds", "2", "--write"]) == 0
    text = (small / "PAGE").read_text()
    assert re.match(
        rf"before\n{accuracy.BEGIN}\nP, 2 cores; ....-..-.., 2 seeds:\n\n\| \| A, RMSE \| A, R² \| B, RMSE", text
    )
    assert text.endswith(f"\n\n{accuracy.END}after\n")
    one, several, mean = text.splitlines()[7:10]
    assert [line.count("**") for line in (one, several, mean)] == [8, 0, 0]
    assert one.startswith("| fastgd, one network | **")
    assert mean.startswith("| CatBoost, defaults | ")
    assert accuracy.SHOWN in (small / "README").read_text()
    (small / "PAGE").write_text(f"before\n{accuracy.BEGIN}old\n{accuracy.END}after\n")
    assert accuracy.main(["--draw"]) == 0
    assert (small / "PAGE").read_text() == text
    assert ElementTree.fromstring((small / "PICTURE").read_text()).tag.endswith("svg")


def test_mistakes_are_one_sentence(small, monkeypatch, capsys):
    assert accuracy.main(["--methods", "catboost"]) == 2
    assert accuracy.main(["--methods", "CatBoost", "--write"]) == 2
    monkeypatch.delenv("FASTGD_DATA")
    assert accuracy.main([]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "accuracy: catboost is none of fastgd, CatBoost.",
        "accuracy: --write keeps whole runs only: all libraries, and no --methods.",
        "accuracy: FASTGD_DATA names no folder with the tables: see CONTRIBUTING.md.",
    ]


def test_better_is_up_and_later_is_right():
    def record(setting, seconds, rmse, r2):
        return [
            {"table": name, "family": "fastgd", "setting": setting, "seconds": [seconds], "scores": {name: [score]}}
            for name, score in (("RMSE", rmse), ("R²", r2))
        ]

    drawing = chart([*record("one network", 0.5, 0.44, 0.82), *record("8 networks", 4.0, 0.42, 0.84)], ("RMSE",))
    circles = [
        (float(x), float(y)) for x, y in re.findall(r'class="c0"[^>]* cx="([\d.]+)" cy="([\d.]+)" r="4"/><?', drawing)
    ][:4]
    for (x, y), (later, better) in (circles[:2], circles[2:]):
        assert x < later
        assert y > better


def test_rows_of_a_group_are_held_out_together():
    X, y, groups, train, _ = diabetes()
    seen = {}

    def model(seed, held, X, y):
        seen.update(held=held[0], learned=X)

    accuracy.stopped(model, X[train], y[train], groups[train], 0)
    held = {tuple(row) for row in seen["held"]}
    of_groups = {int(group) for group, row in zip(groups[train], X[train], strict=True) if tuple(row) in held}
    assert len(held) == 2 * len(of_groups) == pytest.approx(accuracy.HELD_OUT * len(train), abs=2)
    assert len(held) + len(seen["learned"]) == len(train)
    accuracy.stopped(model, X[train], y[train], None, 0)  # without groups they are parted
    held = {tuple(row) for row in seen["held"]}
    assert len({int(g) for g, row in zip(groups[train], X[train], strict=True) if tuple(row) in held}) > len(held) / 2


def test_every_method_learns():
    X, y, groups, train, test = diabetes()
    for method in accuracy.methods():
        if method.family in ("fastgd", "HistGradientBoosting") and method.setting not in ("5 s", "15 s", "60 s"):
            model = method.learned(X[train], y[train], groups[train], 0)
            assert quality.r2(y[test], model.predict(X[test])) > 0.2, method
    settings = [method.setting for method in accuracy.methods() if method.family == "fastgd"]
    assert settings == ["one network", "8 networks", "1 s", "5 s", "15 s", "60 s"]


def test_pages_show_what_the_newest_kept_run_gives():
    assert all(page.read_text().count(accuracy.BEGIN) == 1 for page in (accuracy.PAGE, accuracy.README))
    for run in results.kept("accuracy")[-1:]:
        assert all(path.read_text() == text for path, text in accuracy.pages(run).items())
    if not results.kept("accuracy"):
        assert not (ROOT / "docs" / "accuracy.svg").exists()
