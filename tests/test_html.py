"""What notebooks show of models, histories and tables: sound HTML, text as text, and no colours of its own."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser

import pytest

import fastgd
from fastgd.explain.table import Table
from fastgd.options import html_table

NASTY = '<script>alert("1 & 2")</script>'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Reader(HTMLParser):
    """Elements that are closed in their order, their attributes, and the cells of each row."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.rows, self.words = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    assert reader.attributes <= {"scope"}, "no colour, no style: a notebook has its own, light or dark"
    assert {len(row) for row in reader.rows} == {len(reader.rows[0])}
    return reader


def shown():
    X, y = fastgd.datasets.houses(200, random_state=0)
    model = fastgd.MLP([4, 8, 1], dropout=0.25, feature_names=["size", NASTY, "distance", "age"], random_state=0)
    stop = fastgd.callbacks.EarlyStopping(patience=1, monitor="val_loss")
    history = model.fit(X, y, epochs=4, validation_split=0.2, callbacks=stop, verbose=0)
    return {
        "model": model,
        "history": history,
        "short history": model.fit(X, y, epochs=0, verbose=0),
        "ensemble": fastgd.Ensemble([model, model], weights=[3, 1]),
        "table": model.blame(X, y, by="input"),
        "importance": fastgd.features.permutation_importance(model, X, y),
        "dependence": fastgd.features.partial_dependence(model, X, NASTY),
        "records": fastgd.fit_many([{"layer_sizes": [4, 2, 1]}], X, y, epochs=1, verbose=0),
    }


@pytest.fixture(scope="module")
def things():
    return shown()


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("model", [["layer", "units", "activation", "parameters", "dropout"], ["0", "4 → 8", "relu", "40", "0.25"],
                   ["1", "8 → 1", "identity", "9", "0"]]),
        ("ensemble", [["model", "network", "share"]]),
        ("table", [["input", "value", "gradient", "share", "gain", "severity"]]),
    ],
    ids=str,
)  # fmt: skip
def test_what_notebooks_show(things, name, cells):
    rows = read(things[name]._repr_html_()).rows
    assert len(rows) > 1
    assert rows[: len(cells)] == cells


@pytest.mark.parametrize(
    "name", ["model", "history", "short history", "ensemble", "table", "importance", "dependence", "records"]
)
def test_everything_that_prints_as_a_table_is_sound_html(things, name):
    text = things[name]._repr_html_()
    read(text)
    assert "<script>" not in text


def test_a_history_tells_first_last_and_kept(things):
    history = things["history"]
    header, *rows = read(history._repr_html_()).rows
    assert header[1] == "first epoch"
    assert header[-1].endswith("kept")
    told = {row[0]: row[1:] for row in rows}
    assert set(told) == set(history.history)
    assert told["loss"][0] == f"{history['loss'][0]:.4g}"
    assert told["val_loss"][-1] == f"{history.kept['val_loss']:.4g}"


def test_names_are_text(things):
    for name in ("table", "importance"):
        assert any(NASTY in row for row in read(things[name]._repr_html_()).rows)
    noted = Table({"x": [NASTY]}, note=NASTY)._repr_html_()
    assert NASTY not in noted
    assert NASTY in read(noted).words


def test_html_that_is_not_sound_is_noticed():
    for wrong in ("<table><tr><td>1</table>", '<table style="color: red"><tr><td>1</td></tr></table>',
                  "<table><tr><td>1</td></tr><tr></tr></table>"):  # fmt: skip
        with pytest.raises(AssertionError):
            read(wrong)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt install chromium)")
def test_a_dark_page_keeps_its_colours(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which steers the browser, is missing")
    page = tmp_path / "dark.html"
    body = html_table(["a"], [["b"]], "c", ["d"])
    page.write_text(f"<!doctype html><style>body {{ color: #eee; background: #111 }}</style><body>{body}</body>")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        opened = browser.new_page(color_scheme="dark")
        opened.goto(page.as_uri())
        colours = opened.evaluate(
            "[...document.querySelectorAll('th, td, caption, p')].map(e => getComputedStyle(e).color)"
        )
        browser.close()
    assert len(colours) == 4
    assert set(colours) == {"rgb(238, 238, 238)"}
