"""Tables of numbers about a network: read like data frames, printed within 80 columns."""

from __future__ import annotations

import re

import numpy as np
import pytest
from samples import FEATURES, houses

import fastgd
from fastgd.errors import InvalidInputError


def known():
    """One house and a linear network, such that weights and gradients are those of the story."""
    weights, gradients = np.array([-0.31, 0.18, 0.02, 0.41]), np.array([-0.74, -0.21, -0.68, -0.08])
    model = fastgd.MLP(
        [4, 1], initializer=[(weights.reshape(4, 1), [0.0])], standardize=False, dtype="float64", feature_names=FEATURES
    )
    X = gradients.reshape(1, 4)  # the gradient of (p − y)² is 2 (p − y) x, and 2 (p − y) is 1
    return model, X, np.array([weights @ gradients - 0.5])


def test_tables_are_read_like_data_frames():
    model, X, y = known()
    table = model.blame(X, y)
    assert list(table) == list(table.keys()) == ["weight", "value", "gradient", "share", "gain", "severity"]
    assert "gradient" in table
    assert "nudge" not in table
    assert dict(table)["weight"] == FEATURES
    assert [name for name, _ in table.items()] == list(table)
    assert len(list(table.values())) == 6
    assert len(table) == 4


def test_names_with_control_characters_do_not_reach_the_terminal():
    X, y = houses(300)
    model = fastgd.MLP([4, 1], feature_names=["a\x1b[31m", "b\n", "c\u202e", "d"])
    model.fit(X, y, epochs=1, verbose=0)
    for table in (model.blame(X, y), fastgd.features.permutation_importance(model, X, y, repeats=1)):
        assert not set("\x1b\u202e") & set(repr(table))
        assert r"\x1b[31m" in repr(table)


def test_tables_print_within_80_columns_and_say_what_they_leave_out():
    X, y = houses(300)
    model = fastgd.MLP([4, 64, 1], feature_names=FEATURES)
    for table in (model.blame(X, y), model.nudge(X, y), model.blame(X, y, per_row=True, by="input")):
        lines = repr(table).splitlines()
        assert max(map(len, lines)) <= 80
        assert "<table>" in table._repr_html_()
    assert "… and 236 more" in repr(model.blame(X, y))
    long = fastgd.MLP([4, 64, 1], feature_names=[f"{'long ' * 30}{i}" for i in range(4)])
    for table in (long.blame(X, y), long.nudge(X, y), long.blame(X, y, by="input")):
        assert max(map(len, repr(table).splitlines())) <= 80
        assert table[next(iter(table))][0].startswith("long " * 30), "only what is printed is shortened"


@pytest.mark.parametrize("columns", [40, 60])
def test_tables_print_within_a_narrower_terminal(monkeypatch, columns):
    X, y = houses(300)
    names = ["size", "bedrooms", "distance", "age"]
    model = fastgd.MLP([4, 1], feature_names=names)
    model.fit(X, y, epochs=0, verbose=0)
    table = model.blame(X, y)
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = repr(table)
    assert max(map(len, whole.splitlines())) > 40, "else nothing would have to be narrower"
    monkeypatch.setenv("COLUMNS", "200")
    assert repr(table) == whole
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = repr(table)
    assert max(map(len, narrow.splitlines())) <= columns
    assert sorted(set(narrow.split())) == sorted(set(whole.split())), "everything is shown"
    for part in narrow.split("\n\n"):
        assert [line.split()[0] for line in part.splitlines()[2:]] == names


def test_long_tables_print_the_largest_in_their_order_unless_they_are_sorted():
    X, y = houses(300)
    table = fastgd.MLP([4, 64, 1], feature_names=FEATURES).nudge(X, y)
    sizes = np.abs(table["nudge"])
    largest = np.argsort(-sizes, kind="stable")[:20]

    def printed(table):
        return [re.split("  +", line)[0] for line in repr(table).splitlines()[2:22]]

    assert printed(table) == [table["weight"][i] for i in np.sort(largest)]
    ordered = table.sorted_by("nudge")
    assert printed(ordered) == [table["weight"][i] for i in largest]
    assert printed(table) != printed(ordered)
    assert (np.abs(ordered["nudge"]) == np.sort(sizes)[::-1]).all()
    assert ordered["effect"][0] == table["effect"][largest[0]]
    assert table.sorted_by("weight")["weight"] == sorted(table["weight"])
    with pytest.raises(InvalidInputError, match="There is no column 'nudges'"):
        table.sorted_by("nudges")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y: m.blame(X, y)["gradients"], "There is no column 'gradients'.*Did you mean 'gradient'"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(fastgd.MLP([4, 3, 1]), *houses(300))
