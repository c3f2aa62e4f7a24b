"""The trial of random tables and options with few cases, what it found, and faults that it must find."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from trials import nasty_tables
from trials.nasty_tables import choices, options_hold, problems, searched, tables_hold


def test_a_few_nasty_tables_and_options():
    outcome = nasty_tables.nasty(80, 0)
    assert outcome.failures == []
    assert outcome.cases >= 80


# Shrunk examples that once broke a property.
@pytest.mark.parametrize(
    "problem",
    [
        (np.zeros((1, 3), np.float16), np.zeros(1, np.float16), "binary_cross_entropy"),
    ],
)
def test_tables_that_were_found(problem):
    tables_hold(problem)


@pytest.mark.parametrize(
    "choice",
    [
        ("WarmUp", {"schedule": 0.1, "steps": 3, "start": np.longdouble(0.5)}),
        ("Huber", {"delta": np.float16(0.5)}),
    ],
)
def test_options_that_were_found(choice):
    options_hold(choice)


def test_a_fault_of_fit_is_found_and_shrunk(monkeypatch):
    learn = fastgd.MLP.fit

    def wrong(self, X, y, **options):
        if np.asarray(X).dtype.kind == "i":
            raise KeyError("whole numbers")
        return learn(self, X, y, **options)

    monkeypatch.setattr(fastgd.MLP, "fit", wrong)
    _, failure = searched(problems(), tables_hold, 60, 0)
    assert "raises KeyError" in failure


def test_an_option_that_is_not_checked_is_found(monkeypatch):
    monkeypatch.setattr(fastgd.losses.Huber, "__post_init__", lambda self: None)
    monkeypatch.setattr(nasty_tables, "TAKERS", {"Huber": nasty_tables.TAKERS["Huber"]})
    _, failure = searched(choices(), options_hold, 60, 0)
    assert "Huber" in failure
