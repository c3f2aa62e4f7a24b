"""The ledger names tests that are there, and says what was recorded."""

from __future__ import annotations

import json

import pytest

from trials import catalogue, ledger
from trials.__main__ import main, record
from trials.trial import Outcome, Trial


def test_the_ledger_is_what_is_recorded():
    assert ledger.faults() == []


def test_a_test_that_is_not_there_is_named():
    assert ledger.places(["test_ledger.py", "test_ledger.py::test_a_test_that_is_not_there_is_named"]) == []
    assert ledger.places(["test_nothing.py", "test_ledger.py::test_nothing"]) == [
        "There is no test tests/test_ledger.py::test_nothing.",
        "There is no test tests/test_nothing.py.",
    ]


def test_a_figure_that_was_changed_by_hand_is_noticed(tmp_path, monkeypatch):
    changed = tmp_path / "ledger.md"
    changed.write_text(ledger.PAGE.read_text(encoding="utf-8").replace("noticed", "seen"), encoding="utf-8")
    monkeypatch.setattr(ledger, "PAGE", changed)
    assert ledger.faults() == ["docs/ledger.md is not what is recorded: run python -m trials.ledger."]


def test_every_trial_has_a_name_of_its_own_and_a_test():
    for name, trial in catalogue.trials().items():
        assert name == trial.name
        assert name.replace("-", "").isalpha()
        assert trial.test.startswith("tests/")


def test_a_broken_promise_is_told_and_kept(tmp_path, monkeypatch, capsys):
    def run(cases, seed):
        return Outcome(cases, [f"case {seed}: two is three"], "worst 1")

    trial = Trial("sums", "Two is two.", "tests/test_ledger.py", 5, run)
    monkeypatch.setattr("trials.__main__.trials", lambda: {"sums": trial})
    monkeypatch.setattr("trials.__main__.RESULTS", tmp_path)
    assert main(["sums", "--seed", "7", "--record"]) == 1
    assert "5 cases in 0 s, 1 broke the promise; worst 1\n    case 7: two is three" in capsys.readouterr().out
    kept = json.loads((tmp_path / "sums.json").read_text(encoding="utf-8"))
    assert (kept["cases"], kept["seed"], kept["failures"]) == (5, 7, ["case 7: two is three"])
    record(trial, Outcome(1, [], "none"), 0, 0.0)
    assert main(["products"]) == 2


@pytest.mark.parametrize("name", ["", "--seed"])
def test_without_a_name_all_are_listed(name, capsys):
    assert main([name, "1"] if name else []) == 0
    assert all(known in capsys.readouterr().out for known in list(catalogue.trials())[:1])
