"""The notebook shows what its cells print and draw now, and the tool that says so would notice."""

from __future__ import annotations

import json

import pytest

from tools import notebook

TEXT = notebook.NOTEBOOK.read_text(encoding="utf-8")
CELLS = [cell for cell in json.loads(TEXT)["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_outputs_are_those_of_the_cells(no_figure_is_left):
    fresh, stale = notebook.renewed(TEXT)
    assert stale == []
    assert fresh == TEXT


def test_it_stays_a_lesson():
    assert 10 <= len(CELLS) <= 15
    shown = [entry for cell in CELLS for entry in cell["outputs"]]
    assert sum("image/png" in entry.get("data", ()) for entry in shown) >= 2
    printed = [line for entry in shown for line in entry.get("text", ())]
    by_hand = [line for line in printed if "by hand" in line and "fastgd" in line]
    assert len(by_hand) >= 6
    assert [line for line in "".join(map("".join, printed)).splitlines() if "Error" in line] == []


def small(*sources):
    cells = [{"cell_type": "code", "source": [source], "outputs": [], "execution_count": None} for source in sources]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Words"]}, *cells]})


DRAWN = "from matplotlib import pyplot\npyplot.plot([1, 2], label=str(a))"


def test_what_has_changed_is_named_and_renewed(no_figure_is_left):
    text, stale = notebook.renewed(small("a = 1", "print(a)", DRAWN))
    assert stale == ["print(a)", DRAWN]
    assert notebook.renewed(text) == (text, [])
    changed, stale = notebook.renewed(text.replace("a = 1", "a = 2"))
    assert stale == ["print(a)"]
    assert json.loads(changed)["cells"][2]["outputs"][0]["text"] == ["2\n"]
    assert notebook.renewed(text.replace("pyplot.plot([1, 2]", "dict(x=[1, 2]"))[1] == [
        DRAWN.replace("pyplot.plot([1, 2]", "dict(x=[1, 2]")
    ]
    with pytest.raises(NameError):
        notebook.renewed(small("print(b)"))


def test_the_check_fails_where_a_cell_has_changed(tmp_path, monkeypatch, no_figure_is_left):
    path = tmp_path / "n.ipynb"
    path.write_text(small("print(1)"), encoding="utf-8")
    monkeypatch.setattr(notebook, "NOTEBOOK", path)
    monkeypatch.setattr("sys.argv", ["notebook.py", "--check"])
    with pytest.raises(SystemExit, match=r"These cells no longer give what is shown: print\(1\)\. Run"):
        notebook.main()
    monkeypatch.setattr("sys.argv", ["notebook.py"])
    notebook.main()
    monkeypatch.setattr("sys.argv", ["notebook.py", "--check"])
    notebook.main()
