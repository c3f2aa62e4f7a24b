"""A history says what ran."""

from __future__ import annotations

import json

import pytest
from samples import houses

import fastgd


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_training_makes_it_better_and_the_history_says_what_ran(device):
    X, y = houses(2000)
    model = fastgd.MLP([4, 16, 1])
    before = model.evaluate(X, y)
    history = model.fit(X, y, epochs=5, device=device, verbose=0)
    after = model.evaluate(X, y)
    assert after["r2"] > 0.85 > before["r2"]
    losses = history.history["loss"]
    assert len(losses) == history.epochs == 5
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(after["loss"], rel=0.3)
    assert (history.stop_reason, history.engine) == ("completed", device)
    assert (history.steps, history.rows_seen) == (5 * 63, 10_000)
    assert history.rows_per_second == pytest.approx(10_000 / history.seconds)
    assert json.loads(json.dumps(history.to_dict()))["history"]["loss"] == losses
    assert repr(history).startswith("<History: 5 epochs, loss ")
