"""What a training remembers: its average, its moments and its place, over fits, errors, Ctrl-C and processes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from inside import memory_of
from samples import fitted, waves

import fastgd
from fastgd import schedules
from fastgd.callbacks import Callback


def test_the_moving_average_is_what_the_model_has():
    X, y = waves()
    raw, _ = fitted(X, y, optimizer=fastgd.SGD())
    averaged, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9))
    assert (raw.parameters != averaged.parameters).any()
    np.testing.assert_array_equal(memory_of(averaged).raw, raw.parameters)
    averaged.fit(X, y, epochs=2, batch_size=16, verbose=0)
    longer, _ = fitted(X, y, optimizer=fastgd.SGD(ema_decay=0.9), epochs=7)
    np.testing.assert_array_equal(averaged.parameters, longer.parameters)


@pytest.mark.parametrize(
    ("first", "then", "goes_on"),
    [
        (lambda: fastgd.Adam(0.01), lambda: fastgd.Adam(0.02), True),  # another object
        (lambda: fastgd.Adam(0.01), lambda: fastgd.AdamW(0.01, weight_decay=0.0), False),
        (lambda: fastgd.RMSprop(0.01), lambda: fastgd.RMSprop(0.01), True),
        (lambda: fastgd.RMSprop(0.01), lambda: fastgd.RMSprop(0.01, momentum=0.9), False),
    ],
    ids=["the same", "another kind", "the same without velocity", "a new velocity"],
)
def test_moments_go_on_with_an_optimizer_of_the_same_kind(first, then, goes_on):
    X, y = waves()
    model, _ = fitted(X, y, optimizer=first(), epochs=3)
    moments = memory_of(model).state.squares.copy()
    assert moments.any()
    model.fit(X, y, epochs=0, optimizer=then(), verbose=0)
    assert (memory_of(model).state.squares == moments).all() == goes_on


RESUME = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
import fastgd
from test_state import resumable
path = {path!r}
model = fastgd.load(path)
X, y, options = resumable({case!r})
model.fit(X, y, epochs=3, **{{name: value for name, value in options.items() if name != "optimizer"}})
model.save(path, training_state=True)
"""


OPTIMIZERS = {
    "sgd": lambda: fastgd.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: fastgd.Adam(schedules.WarmUp(schedules.CosineRestarts(0.01, period=9), steps=5), ema_decay=0.9),
    "rmsprop": lambda: fastgd.RMSprop(schedules.ReduceOnPlateau(0.01, patience=0, monitor="loss"), momentum=0.5),
    "adagrad": lambda: fastgd.Adagrad(0.05, clip_norm=1.0, weight_decay=0.01),
}


def resumable(case):
    X, y = waves()
    return X, y, {"batch_size": 16, "optimizer": OPTIMIZERS[case](), "verbose": 0}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_three_epochs_and_three_in_a_new_process_are_six(case, tmp_path, request):
    X, y, options = resumable(case)
    sizes = {"layer_sizes": [3, 8, 1], "dropout": 0.2}
    once = fastgd.MLP(**sizes)
    once.fit(X, y, epochs=6, **options)
    half = fastgd.MLP(**sizes)
    half.fit(X, y, epochs=3, **options)
    path = str(tmp_path / "half.safetensors")
    half.save(path, training_state=True)
    code = RESUME.format(folder=str(request.path.parent), path=path, case=case)
    subprocess.run([sys.executable, "-c", code], check=True)
    resumed = fastgd.load(path)
    np.testing.assert_array_equal(resumed.parameters, once.parameters)
    for mine, its in zip(memory_of(resumed).state, memory_of(once).state, strict=True):
        np.testing.assert_array_equal(mine, its)
    half.save(path)
    forgetful = fastgd.load(path)
    forgetful.fit(X, y, epochs=3, **options)
    assert (forgetful.parameters != once.parameters).any()


class Refuses(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("the disk is full")


def test_an_error_in_a_callback_keeps_scaling_and_average():
    X, y = waves()
    model = fastgd.MLP([3, 8, 1], dtype="float64")
    with pytest.raises(RuntimeError, match="the disk is full"):
        model.fit(X, y, epochs=3, optimizer=fastgd.SGD(ema_decay=0.9), callbacks=[Refuses()], verbose=0)
    np.testing.assert_array_equal(model.parameters, memory_of(model).state.average)
    before = model.predict(X)
    model.fit(X * 100, y, epochs=0, verbose=0)
    np.testing.assert_array_equal(model.predict(X), before)


def test_ctrl_c_with_a_moving_average_then_on():
    X, y = waves()

    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    optimizer = fastgd.Adam(0.01, ema_decay=0.9)
    broken, history = fitted(X, y, optimizer=optimizer, callbacks=[Stop()])
    assert history.stop_reason == "interrupted in epoch 3"
    np.testing.assert_array_equal(broken.parameters, memory_of(broken).state.average)
    broken.fit(X, y, epochs=3, batch_size=16, verbose=0)
    whole, _ = fitted(X, y, optimizer=optimizer)
    np.testing.assert_array_equal(broken.parameters, whole.parameters)
