"""The range test finds a learning rate that trains."""

from __future__ import annotations

import numpy as np
from inside import overheard
from samples import houses

import fastgd


def test_the_range_test_finds_a_rate_that_trains():
    X, y = fastgd.datasets.houses(20_000)
    model = fastgd.MLP([4, 32, 1])
    before, predicted = model.parameters.copy(), model.predict(X)
    for optimizer in (fastgd.SGD(), fastgd.Adam()):
        search = model.find_learning_rate(X, y, optimizer=optimizer)
        assert (model.parameters == before).all()
        assert (model.predict(X) == predicted).all(), "nor has it kept a scaling"
        assert 1e-4 < search.learning_rate < 1
        assert search.rates.shape == search.losses.shape
        assert "tenth" in search.reason
        assert repr(search).startswith("<LearningRateSearch: ")
        trained = fastgd.MLP([4, 32, 1])
        rule = type(optimizer)(learning_rate=search.learning_rate)
        trained.fit(X, y, epochs=3, optimizer=rule, verbose=0)
        assert trained.evaluate(X, y)["r2"] > 0.9
    early = model.find_learning_rate(X, y, lowest=0.05, highest=1e6)
    assert early.learning_rate == early.rates[np.argmin(early.losses)] / 10 < 0.05, "it may lie below the range"
    hopeless = model.find_learning_rate(X, y, lowest=1e-12, highest=1e-11)
    assert "never fell" in hopeless.reason


def test_each_step_of_the_range_test_has_the_next_batch_and_is_measured_with_all_units(monkeypatch):
    steps, measured = [], []
    overheard(monkeypatch, "train", lambda call: steps.append((call.rows.epoch, call.place, call.net.dropout.max())))
    overheard(monkeypatch, "mean_loss", lambda call: measured.append(call.net.dropout.max()))
    fastgd.MLP([4, 8, 1], dropout=0.5).find_learning_rate(*houses(100), batch_size=32, highest=1e-3, steps=10)
    places = [(0, 0), (0, 32), (0, 64), (0, 96), (1, 0), (1, 32), (1, 64), (1, 96), (2, 0), (2, 32)]
    assert steps[-10:] == [(*place, 0.5) for place in places]
    assert measured == [0] * 11, "once before the first step, and after each"
