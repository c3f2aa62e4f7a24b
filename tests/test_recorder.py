"""Recorder: what it keeps of a training, how little that is, and that training does not notice."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.callbacks import Callback, Recorder
from fastgd.errors import InvalidInputError


class Diary(Callback):
    """All parameters of all epochs, in full precision."""

    def on_train_begin(self, logs=None):
        self.seen = [self.model.parameters.copy()]

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.parameters.copy())


def trained(*callbacks, epochs=5, optimizer=None, **options):
    X, y = fastgd.datasets.houses(200, random_state=1)
    model = fastgd.MLP([4, 6, 1], **options)
    model.fit(
        X, y, epochs=epochs, optimizer=optimizer or fastgd.Adam(0.01), callbacks=callbacks, batch_size=64, verbose=0
    )
    return model


@pytest.mark.parametrize("optimizer", [fastgd.SGD(0.05), fastgd.Adam(0.01, ema_decay=0.9)], ids=str)
def test_training_does_not_notice(optimizer):
    watched = trained(Recorder(most=3, bins=2), optimizer=optimizer)
    alone = trained(optimizer=optimizer)
    assert (watched.parameters == alone.parameters).all()
    assert (trained(epochs=4, optimizer=optimizer).parameters != alone.parameters).any(), "a difference is noticed"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entries_hold_what_the_epochs_did(dtype):
    diary, recorder = Diary(), Recorder(bins=7)
    model = trained(diary, recorder, dtype=dtype)
    assert [entry.epoch for entry in recorder.recorded] == [0, 1, 2, 3, 4, 5]
    for entry in recorder.recorded:
        assert entry.parameters.dtype == np.float32
        assert (entry.parameters == diary.seen[entry.epoch].astype(np.float32)).all()
        for layer, spread in enumerate(entry.weights):
            weights = model.network.split(diary.seen[entry.epoch])[layer][0]
            check_spread(spread, weights, bins=7)
        for layer, spread in enumerate(entry.nudges):
            nudges = diary.seen[entry.epoch] - diary.seen[entry.epoch - 1]
            check_spread(spread, model.network.split(nudges)[layer][0], bins=7)
    assert [len(entry.nudges) for entry in recorder.recorded] == [0, 2, 2, 2, 2, 2]


def check_spread(spread, values, bins):
    values = values.astype(np.float64).reshape(-1)
    assert (spread.low, spread.high) == (values.min(), values.max())
    assert spread.norm == pytest.approx(np.linalg.norm(values))
    assert spread.counts.shape == (bins,)
    assert spread.counts.sum() == values.size
    np.testing.assert_array_equal(spread.counts, np.histogram(values, bins)[0])


def test_a_moving_average_is_seen_as_the_model_shows_it():
    diary, recorder = Diary(), Recorder()
    model = trained(diary, recorder, optimizer=fastgd.SGD(0.05, ema_decay=0.9))
    assert (recorder.recorded[-1].parameters == model.parameters).all()
    nudges = model.network.split(diary.seen[3] - diary.seen[2])[0][0]
    check_spread(recorder.recorded[3].nudges[0], nudges, bins=40)


@pytest.mark.parametrize("most", [3, 4, 5, 8])
def test_entries_are_thinned(most):
    diary, recorder = Diary(), Recorder(most=most)
    counted = []

    class Count(Callback):
        def on_epoch_end(self, epoch, logs=None):
            counted.append(len(recorder.recorded))

    model = trained(diary, recorder, Count(), epochs=37)
    epochs = [entry.epoch for entry in recorder.recorded]
    assert max(counted) == most
    assert epochs[0] == 0
    assert epochs[-1] == 37
    assert epochs[:-1] == list(range(0, 37, recorder.stride))
    for entry in recorder.recorded[1:]:  # nudges stay those of one epoch
        nudges = diary.seen[entry.epoch] - diary.seen[entry.epoch - 1]
        check_spread(entry.nudges[1], model.network.split(nudges)[1][0], bins=40)


def test_each_fit_starts_a_new_record():
    X, y = fastgd.datasets.houses(100)
    recorder = Recorder(most=4)
    for epochs in (20, 2):
        fastgd.MLP([4, 1]).fit(X, y, epochs=epochs, callbacks=[recorder], verbose=0)
    assert [entry.epoch for entry in recorder.recorded] == [0, 1, 2]
    assert recorder.stride == 1


def test_what_stopped_early_is_recorded_to_its_end():
    recorder = Recorder()

    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    trained(recorder, Stop())
    assert [entry.epoch for entry in recorder.recorded] == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([3.0, 3.0], [2, 0, 0, 0]),
        ([0.0, 0.0], [2, 0, 0, 0]),
        ([1.0, np.nextafter(1.0, 2.0)], [1, 0, 0, 1]),
        ([0.0, 5e-324], [1, 0, 0, 1]),
        ([-1e300, 1e-300, 1e300], [1, 0, 1, 1]),
    ],
)
def test_any_weights_can_be_recorded(values, counts):
    """numpy.histogram would refuse those that are next to each other."""
    recorder = Recorder(bins=4)
    recorder.model = fastgd.MLP([len(values), 1], initializer=[(np.reshape(values, (-1, 1)), [0.0])], dtype="float64")
    recorder.on_train_begin()
    (entry,) = recorder.recorded
    assert entry.weights[0].counts.tolist() == counts
    assert np.isfinite(entry.parameters).all()


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most": 2}, "most must be a whole number of at least 3, not 2"),
        ({"most": 5.5}, "most must be a whole number of at least 3, not 5.5"),
        ({"bins": 0}, "bins must be a whole number of at least 1, not 0"),
        ({"bin": 4}, "`bin` is called `bins`"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(InvalidInputError, match=message):
        Recorder(**options)
