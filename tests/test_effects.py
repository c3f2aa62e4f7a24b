"""Words for what a nudge does to a weight: they must not contradict the numbers beside them."""

from __future__ import annotations

import numpy as np
import pytest
from samples import houses

import fastgd
from fastgd.explain.effects import effects


@pytest.mark.parametrize(
    ("old", "new", "large", "notable"),
    [
        (0.5, 0.8, "larger contribution", "slight increase"),
        (0.5, 0.3, "smaller contribution", "slight decrease"),
        (-0.78, -0.62, "weaker", "slightly weaker"),
        (-0.62, -0.78, "stronger", "slightly stronger"),
        (-0.1, 0.2, "changes sign", "changes sign"),
        (0.1, -0.2, "changes sign", "changes sign"),
        (-0.31, -0.16, "larger contribution", "slight increase"),  # two more such nudges take it beyond zero
        (-0.05, -0.2, "smaller contribution", "slight decrease"),  # from next to zero
        (0.0, 0.1, "larger contribution", "slight increase"),
        (0.0, -0.1, "smaller contribution", "slight decrease"),
        (0.1, 0.0, "smaller contribution", "slight decrease"),
        (-0.1, 0.0, "larger contribution", "slight increase"),
    ],
)
def test_words(old, new, large, notable):
    for share, word in ((1.0, large), (0.5, large), (0.49, notable), (0.2, notable)):
        assert effects(np.array([old]), np.array([new]), np.array([share])) == [word]


def test_a_small_part_of_the_largest_nudge_is_no_change_unless_the_weight_is_small_too():
    for old, new, word in (
        (0.5, 0.6, "barely touched"),
        (0.03, 0.06, "slight increase"),
        (-0.4, -0.3, "barely touched"),
    ):
        told = effects(np.array([old, 0.5]), np.array([new, 1.1]), np.array([0.19, 1.0]))
        assert told == [word, "larger contribution"]
    assert effects(np.zeros(1), np.zeros(1), np.zeros(1)) == ["barely touched"]


def test_the_largest_of_tiny_nudges_is_no_change():
    X, y = houses(1000)
    model = fastgd.MLP([4, 8, 1], dtype="float64")
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(), verbose=0)
    assert set(model.nudge(X, y, learning_rate=0.1)["effect"]) != {"barely touched"}
    assert set(model.nudge(X, y, learning_rate=1e-5)["effect"]) == {"barely touched"}
