"""The same bits: for the same seed, for a row alone or among others, wherever the chunks of training end."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd import training

N = 500


def table(n_in=4, n_out=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(N, n_in)).astype(np.float32), generator.normal(size=(N, n_out)).astype(np.float32)


def trained(random_state=0, sizes=(4, 17, 5, 1), **options):
    X, y = table(sizes[0], sizes[-1])
    model = fastgd.MLP(list(sizes), random_state=random_state, activation="tanh")
    history = model.fit(X, y, **{"epochs": 3, "batch_size": 32, "verbose": 0, **options})
    return model, history


def test_same_seed_same_bits_and_another_seed_others():
    first, history = trained()
    again, history_again = trained()
    assert (first.parameters == again.parameters).all()
    assert history.history == history_again.history
    assert (trained(random_state=1)[0].parameters != first.parameters).any()


def test_shuffling_changes_the_steps_and_its_absence_is_repeatable():
    shuffled, plain_order = trained()[0], trained(shuffle=False)[0]
    assert (shuffled.parameters != plain_order.parameters).any()
    assert (plain_order.parameters == trained(shuffle=False)[0].parameters).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[4, 64, 64, 1], [4, 17, 1], [3, 5, 3, 2], [1, 1], [9, 130, 7]])
def test_a_row_alone_has_the_same_bits_as_in_a_batch(sizes, dtype, activation):
    X = np.random.default_rng(1).normal(size=(131, sizes[0])).astype(dtype)
    model = fastgd.MLP(sizes, dtype=dtype, activation=activation)
    together = model.predict(X)
    alone = np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    assert (together == alone).all()
    assert (model.predict(X[1:]) == together[1:]).all()


@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_chunks_do_not_matter(monkeypatch, steps):
    expected, expected_history = trained()
    monkeypatch.setattr(training, "MOST_CHUNK_STEPS", steps)
    model, history = trained()
    assert (model.parameters == expected.parameters).all()
    assert history.history == expected_history.history


def test_a_second_fit_goes_on_with_new_orders_and_the_same_scaling():
    X, y = table()
    once = fastgd.MLP([4, 8, 1])
    once.fit(X, y, epochs=4, verbose=0)
    twice = fastgd.MLP([4, 8, 1])
    twice.fit(X, y, epochs=2, verbose=0)
    twice.fit(X, y, epochs=2, verbose=0)
    assert (once.parameters == twice.parameters).all()
    before = twice.predict(X)
    twice.fit(X * 10, y, epochs=0, verbose=0)
    assert (twice.predict(X) == before).all()


def test_the_users_table_is_neither_changed_nor_copied():
    X, y = table()
    X.flags.writeable = y.flags.writeable = False
    fastgd.MLP([4, 8, 1]).fit(X, y, epochs=1, verbose=0)
    assert np.shares_memory(fastgd.MLP([4, 8, 1])._inputs(X), X)
