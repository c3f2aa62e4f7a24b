"""What the command line writes is readable in few columns, and has no blanks at the ends of lines."""

from __future__ import annotations

import io
import re

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from shell import ARGUMENTS, SCENES, in_a_terminal, run, write

from fastgd.command import terminal
from fastgd.pages.page import Chart, Line, text_chart

NARROW = [40, 50, 60]


@pytest.fixture(autouse=True)
def no_columns(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def widest(text):
    return max(map(len, text.splitlines()))


def words_of_story(text):
    return set(re.findall(r"[a-z]{4,}", text[text.index(SCENES[0]) :]))  # compiling is told but once


def test_a_story_fits(monkeypatch):
    result = run("demo", "--fast")
    assert 60 < widest(result.output) <= 80, "without COLUMNS a pipe is 80 wide"
    words = words_of_story(result.output)
    for columns in NARROW:
        monkeypatch.setenv("COLUMNS", str(columns))
        result = run("demo", "--fast")
        assert result.exit_code == 0, result.output
        assert columns - 5 < widest(result.output) <= columns
        assert [line for line in result.output.splitlines() if line in SCENES] == SCENES
        assert "…" not in result.output
        assert words_of_story(result.output) == words, "nothing is left out"


@pytest.mark.parametrize("columns", NARROW)
def test_a_story_fits_on_a_terminal(columns):
    seen, code = in_a_terminal(["demo", "--fast"], columns, NO_COLOR="1")
    assert code == 0
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", seen).replace("\r", "\n")
    assert columns - 5 < widest(plain) <= columns


@pytest.mark.parametrize("columns", [40, 50, 80])
def test_a_live_line_keeps_its_numbers_whole(columns, tmp_path):
    path = write(tmp_path / "houses.csv", 5000)
    seen, code = in_a_terminal(["train", path, *ARGUMENTS, "--epochs", 50], columns, NO_COLOR="1")
    assert code == 0
    lines = [line for line in re.split(r"[\r\n]|\x1b\[[\d;?]*[a-zA-Z]", seen) if "loss" in line]
    assert all(re.search(r"loss \d\.?\d+\S*", line) for line in lines)
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    assert any("rows/s" in line for line in lines) == (columns == 80), "the speed gives way"


def test_a_training_fits(monkeypatch, tmp_path):
    arguments = ["train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 2, "--learning-rate", 1e-9]
    wide = run(*arguments)
    assert wide.exit_code == 0, wide.output
    assert widest(wide.output) > 60
    for columns in NARROW:
        monkeypatch.setenv("COLUMNS", str(columns))
        narrow = run(*arguments)
        assert widest(narrow.output) <= columns
        told = [re.findall(r"[^\W\d_]{4,}", result.output) for result in (wide, narrow)]
        assert sorted(set(told[0])) == sorted(set(told[1]))


def test_a_pipe_breaks_no_line_of_its_own_accord(monkeypatch, capsys):
    line = "Saved to " + "/folder" * 20
    terminal.say(line)
    assert capsys.readouterr().out == line + "\n"
    monkeypatch.setenv("COLUMNS", "40")
    terminal.say(line)
    assert widest(capsys.readouterr().out) <= 40


def test_a_broken_line_does_not_end_in_a_blank(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    words = "many words " * 10
    terminal.say(words)
    told = capsys.readouterr().out.splitlines()
    Console(width=40).print(words)
    assert [line for line in capsys.readouterr().out.splitlines() if line != line.rstrip()], "there would be some"
    assert [line for line in told if line != line.rstrip()] == []
    assert len(told) == 3


@pytest.mark.parametrize("arguments", [[], ["--help"], ["demo", "--help"], ["train", "--help"], ["bench", "--help"]])
def test_help_fits(monkeypatch, arguments):
    assert 50 < widest(run(*arguments).output) <= 80
    for columns in NARROW:
        monkeypatch.setenv("COLUMNS", str(columns))
        assert widest(run(*arguments).output) <= columns


def test_tables_have_no_blanks_at_the_ends_of_lines(capsys):
    rows = [["a", "1"], ["bcd", ""]]
    terminal.table(["", "much"], rows)
    told = capsys.readouterr().out.splitlines()
    raw = Table("", "much", box=SIMPLE_HEAD)
    for row in rows:
        raw.add_row(*row)
    drawn = io.StringIO()
    Console(file=drawn).print(raw)
    assert [line for line in drawn.getvalue().splitlines() if line != line.rstrip()], "there would be some"
    assert [line for line in told if line != line.rstrip()] == []
    assert told[-2:] == [" bcd", ""]


@pytest.mark.parametrize("columns", [20, 40, 60, 200])
def test_charts_fit(columns):
    chart = Chart("", "", "", [Line("", [0, 1, 2], [0, 5, 99])], ("level", 9.0), high=9.0)
    drawn = text_chart(chart, columns)
    assert max(map(len, drawn[:-1])) == min(columns, 74), "the level goes from edge to edge"
    assert drawn[-1].strip() == "(^ and v: beyond the edge)"
    assert drawn[0].rstrip().endswith("^")
