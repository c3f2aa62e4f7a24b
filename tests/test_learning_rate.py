"""The range test finds a learning rate that trains."""

from __future__ import annotations

import numpy as np

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
