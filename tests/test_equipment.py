"""Scratch that is kept from fit to fit: the same bits, never shared by two, and never taken along."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastgd
from fastgd.training import equipment

X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
Y = X @ np.array([1.0, 2.0, -1.0, 0.5])


def fitted(times, fresh, **options):
    """A model after some fits; `fresh`: nothing is kept between them."""
    model = fastgd.MLP([4, 16, 8, 1], dropout=0.1)
    for _ in range(times):
        if fresh:
            model.store.kept.clear()
        model.fit(X, Y, epochs=2, verbose=0, **options)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1, "optimizer": fastgd.Adam(0.01)},
        {"batch_size": 32, "optimizer": fastgd.SGD(0.01, momentum=0.9)},
        {"batch_size": 300, "optimizer": fastgd.Adam(0.01, ema_decay=0.9)},
        {"batch_size": 32, "device": "plain"},
    ],
    ids=str,
)
def test_the_bits_are_those_of_new_scratch(options):
    kept, new = fitted(4, False, **options), fitted(4, True, **options)
    np.testing.assert_array_equal(kept.parameters, new.parameters)
    assert len(kept.store.kept) == 1


@pytest.mark.parametrize("limit", ["MOST_KEPT", "MOST_BYTES"])
def test_each_shape_of_work_has_its_own_and_the_oldest_goes(limit, monkeypatch):
    model = fitted(1, False)
    first = next(iter(model.store.kept.values()))
    model.fit(X, Y, epochs=1, verbose=0)
    assert next(iter(model.store.kept.values())) is first
    monkeypatch.setattr(equipment, limit, 4 if limit == "MOST_KEPT" else 4 * first.n_bytes)
    for batch_size in (8, 16, 31, 64):
        model.fit(X, Y, epochs=1, batch_size=batch_size, verbose=0)
    assert len(model.store.kept) == 4
    assert first not in model.store.kept.values()


def test_batches_of_another_size_have_scratch_of_their_own():
    kept, new = (fitted(1, True, batch_size=100) for _ in range(2))  # as many steps as twos, but of fewer shards
    new.store.kept.clear()
    for model in (kept, new):
        model.fit(X, Y, epochs=2, batch_size=150, verbose=0)
    np.testing.assert_array_equal(kept.parameters, new.parameters)
    assert [len(equipment.gradients) for equipment in kept.store.kept.values()] == [1, 2]


def test_what_is_large_is_not_kept(monkeypatch):
    monkeypatch.setattr(equipment, "MOST_BYTES", 100)
    assert not fitted(1, False).store.kept


def test_a_fit_inside_a_fit_has_scratch_of_its_own():
    """A callback may train the same model, on the same shape of work."""

    class Inner(fastgd.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and not self.model.stop_training:
                inner = self.model.twin()
                self.seen = list(self.model.store.kept.values())
                inner.fit(X, Y, epochs=1, verbose=0)

    alone, inner = fitted(2, False), Inner()
    model = fitted(1, False)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[inner])
    assert inner.seen == []
    np.testing.assert_array_equal(model.parameters, alone.parameters)


@pytest.mark.parametrize(
    "taken", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_copies_begin_with_nothing(taken):
    model = fitted(2, False)
    other = taken(model)
    assert not other.store.kept
    for each in (model, other):
        each.fit(X, Y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.parameters, other.parameters)


def test_a_twin_learns_on_its_own():
    model = fitted(2, False, optimizer=fastgd.Adam(0.01))
    twin, before = model.twin(), model.parameters.copy()
    steps = model.fit_state.steps
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    twin.fit(X, Y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.parameters, before)
    assert model.fit_state.steps == steps
    model.fit(X, Y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.parameters, twin.parameters)
    np.testing.assert_array_equal(model.fit_state.state.velocity, twin.fit_state.state.velocity)
