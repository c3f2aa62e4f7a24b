"""What comes from files is shown on the terminal, and harmless."""

from __future__ import annotations

import re
import warnings

import pytest
from shell import ARGUMENTS, run, write

CURSED = "pr\x1b[2Jice\n\u202eeur\x9b1A"


def harmless(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text)


def test_what_is_not_harmless_is_seen():
    assert not any(harmless(character) for character in "\x1b\x9b\u202e\u2028\r\b\udcff")
    assert harmless("price in €\n")


def test_control_characters_of_names_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\x1b]0;b\x07\n\u2066c.csv"
    path.write_text(f'size,rooms,"{CURSED}"\n' + "".join(f"{i},{i % 5},{3 * i}\n" for i in range(100)))
    report = tmp_path / "page\x1b[31m[red].html"
    options = ["--features", "size,rooms", "--group", "rooms", "--epochs", 1, "--learning-rate", 0.001]
    result = run("train", path, "--target", CURSED, *options, "--report", report, "--save", tmp_path / "m\x9b")
    assert result.exit_code == 0
    assert r"a\x1b]0;b\x07\n\u2066c.csv: 100 rows, 20 of them held out, no rooms on both sides." in result.stderr
    assert harmless(result.output)
    page = report.read_text()
    assert harmless(page)
    assert r"<h1>pr\x1b[2Jice\n\u202eeur\x9b1A from a\x1b]0;b\x07\n\u2066c.csv</h1>" in page
    for target, told in (
        ("price", r"its columns are: size, rooms, pr\x1b[2Jice\n\u202eeur\x9b1A."),
        ("\udcff\n", r"'\udcff'"),
    ):
        result = run("train", path, "--target", target, *options)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert told in result.stderr
        assert harmless(result.stderr)


@pytest.mark.parametrize("option", ["--features", "--hidden", "--seed", "--target"])
def test_messages_are_harmless_and_not_endless(tmp_path, option):
    for value in ("\x1b[2J\x9b\u202e", "9" * 5000, "x\n" * 5000, "\udcff"):
        result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, option, value)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert len(result.stderr) < 2100
        assert harmless(result.stderr)


@pytest.mark.filterwarnings("always:a:UserWarning")
def test_warnings_are_harmless(tmp_path, monkeypatch):
    from fastgd.data import splits as data

    def warns(*given):
        warnings.warn("a\x1b[2J\nb", stacklevel=2)
        return split_rows(*given)

    split_rows = data.split_rows
    monkeypatch.setattr(data, "split_rows", warns)
    result = run("train", write(tmp_path / "houses.csv"), *ARGUMENTS, "--epochs", 1)
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if line.startswith("fastgd: ")] == ["fastgd: a\\x1b[2J\\nb"]
