"""The training loop: how its steps are handed to the kernels, and that no steps change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from inside import overheard
from samples import fitted, houses, waves

import fastgd
from fastgd.training import loop as training
from fastgd.training.team_size import TeamSize


def test_calls_into_kernels_per_epoch(monkeypatch):
    calls = []
    overheard(monkeypatch, "train", lambda call: calls.append(len(call.learning_rates)))
    monkeypatch.setattr(training, "CHUNK_SECONDS", 1e9)
    X, y = fastgd.datasets.houses(20_000)
    fastgd.MLP([4, 4, 1]).fit(X, y, epochs=2, batch_size=2, verbose=0)
    # A call that only compiles, a step that says how long steps take, and then as many as fit into a chunk.
    assert calls == [0, 1, 9_999, 10_000]


@pytest.mark.tiny
def test_the_last_batch_of_an_epoch_counts_as_the_part_that_it_is(monkeypatch):
    counted, took = [], TeamSize.took

    def noted(team, size, seconds, steps, busy):
        counted.append(steps)
        took(team, size, seconds, steps, busy)

    monkeypatch.setattr(TeamSize, "took", noted)
    X, y = houses(50)
    fastgd.MLP([4, 3, 1]).fit(X, y, epochs=3, batch_size=20, verbose=0)
    assert sum(counted) == 3 * 50 / 20


@pytest.mark.tiny
def test_a_batch_larger_than_the_table_is_the_whole_table():
    X, y = houses(20)
    models = [fastgd.MLP([4, 3, 1]) for _ in range(2)]
    for model, batch_size in zip(models, (20, 10**9), strict=True):
        assert model.fit(X, y, epochs=2, batch_size=batch_size, verbose=0).steps == 2
    assert (models[0].parameters == models[1].parameters).all()


def test_nothing_to_do_changes_nothing():
    X, y = waves()
    model, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9))
    before = model.parameters.copy()
    model.fit(X, y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.parameters, before)
