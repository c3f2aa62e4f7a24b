"""The benchmark of quality: scores of unseen rows, the best one bold, written between its two lines alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from trees import ROOT

import fastgd
from benchmarks import quality
from fastgd.training.recipe import SIZES

SMALL = [table for table in quality.TABLES if table.name.startswith(("breast", "diabetes"))]


@pytest.fixture
def two_methods(monkeypatch):
    def methods(is_classes):
        yield "mean", DummyClassifier() if is_classes else DummyRegressor()
        yield "line", make_pipeline(StandardScaler(), LogisticRegression() if is_classes else LinearRegression())

    monkeypatch.setattr(quality, "methods", methods)


def test_the_best_of_a_column_is_bold(two_methods, capsys):
    header, _, mean, line = quality.lines(SMALL)
    assert header == "| | breast cancer, accuracy | diabetes, RMSE |"
    accuracy, error = re.findall(r"\*\*([\d.]+)\*\* \(", line)
    assert 0.97 < float(accuracy) < 0.99
    assert 54 < float(error) < 56
    assert "**" not in mean


def test_it_is_written_between_its_lines(two_methods, monkeypatch, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{quality.START}old\n{quality.END}after\n")
    monkeypatch.setattr(quality, "PAGE", page)
    monkeypatch.setattr(quality, "TABLES", SMALL)
    assert quality.main([]) == 0
    assert "old" in page.read_text()
    assert quality.main(["--write"]) == 0
    text = page.read_text()
    assert text.startswith("before\n" + quality.START)
    assert text.endswith(quality.END + "after\n")
    assert "old" not in text
    assert "| line | **" in text
    monkeypatch.setattr(quality, "TABLES", [SMALL[0]._replace(load=quality.california)])
    monkeypatch.delenv("FASTGD_DATA", raising=False)
    with pytest.raises(SystemExit):
        quality.main(["--write"])


def test_tables_are_split_without_a_row_on_both_sides():
    for table in SMALL:
        X, y, splits = table.load()
        assert len(splits) == 5
        assert all(not np.intersect1d(*split).size for split in splits)
        assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(y))) == list(range(len(X)))


def test_the_page_has_the_sizes_of_the_recipe_and_the_table():
    page = (ROOT / "docs" / "estimators.md").read_text()
    for size in SIZES[:4]:
        hidden = ", ".join(map(str, size.hidden_layer_sizes))
        assert f"| {size.batch_size} | {hidden} | {size.dropout} | {size.rate}, {size.decay} | {size.steps:,} |" in page
    table = page.split(quality.START)[1].split(quality.END)[0]
    assert all(name in table for name in ("fastgd", "LightGBM", "XGBoost", "CatBoost", "digits, accuracy"))
    assert fastgd.MLPRegressor().get_params()["hidden_layer_sizes"] == "auto"
