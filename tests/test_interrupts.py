"""Ctrl-C wherever it comes: the model stays usable, and the history says so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from inside import ctrl_c, ctrl_c_in_a_step, overheard
from samples import houses

import fastgd
from fastgd.data.streams.ahead import ahead
from fastgd.many import crew
from fastgd.model import lessons
from fastgd.training import interrupts, progress
from fastgd.training import loop as training
from trials import interrupted


def test_ctrl_c_leaves_a_usable_model(monkeypatch):
    X, y = houses(2000)
    monkeypatch.setattr(training, "MOST_CHUNK_STEPS", 10)
    chunks = iter(range(9))

    def advance(display, epoch, rows_done, loss):
        if next(chunks, None) is None:
            ctrl_c()

    monkeypatch.setattr(progress.Silent, "advance", advance)
    model = fastgd.MLP([4, 8, 1])
    start = model.parameters.copy()
    history = model.fit(X, y, epochs=5, verbose=0)
    assert (history.ended, history.stop_reason) == ("interrupted", "interrupted in epoch 2")
    assert history.epochs == 1
    assert 0 < history.steps < 5 * 63
    assert (model.parameters != start).any()
    assert np.isfinite(model.predict(X)).all()
    monkeypatch.undo()
    assert model.fit(X, y, epochs=1, verbose=0).stop_reason == "completed"


def test_an_interruption_where_nothing_was_to_be_trained(monkeypatch):
    class Impatient(fastgd.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    X, y = houses(50)
    with pytest.raises(KeyboardInterrupt):
        fastgd.MLP([4, 1]).fit(X, y, epochs=0, verbose=0, callbacks=[Impatient()])
    overheard(monkeypatch, "train", ctrl_c)
    assert fastgd.MLP([4, 1]).fit(X, y, epochs=1, verbose=0).stop_reason == "interrupted in epoch 1"


def test_a_real_signal_is_heard_within_a_chunk():
    X, y = houses(50_000)
    model = fastgd.MLP([4, 32, 1])
    model.fit(X, y, epochs=1, verbose=0)
    import signal

    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    history = model.fit(X, y, epochs=1000, verbose=0)
    timer.join()
    assert history.stop_reason.startswith("interrupted in epoch ")
    assert history.epochs < 1000


def table(n=1024):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, 4))
    return X, X @ [1.0, 2.0, -1.0, 0.5]


def trained(n_threads, layer_sizes=(4, 32, 32, 1), batch_size=512, **options):
    X, y = table()
    model = fastgd.MLP(list(layer_sizes), random_state=0)
    history = model.fit(X, y, epochs=2, batch_size=batch_size, n_threads=n_threads, verbose=0, **options)
    return model.parameters.copy(), history


MOMENTS = {
    "gradients are made": ("new_gradients", ctrl_c),
    "scratch is made": ("new_workspaces", ctrl_c),
    "loops are compiled": ("train", ctrl_c),
    "the first step is taken": ("train", ctrl_c_in_a_step),
}


@pytest.mark.parametrize("when", MOMENTS)
def test_ctrl_c_ends_in_a_history_wherever_it_comes(monkeypatch, when):
    X, y = table()
    model = fastgd.MLP([4, 8, 1], random_state=0)
    before = model.parameters.copy()
    overheard(monkeypatch, *MOMENTS[when])
    history = model.fit(X, y, verbose=0)
    assert history.stop_reason == "interrupted in epoch 1"
    assert (history.epochs, history.steps) == (0, 0)
    assert (model.parameters == before).all()


class Swallows(fastgd.callbacks.Callback):
    """Presses Ctrl-C in its second epoch, where the exception gets lost."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_that_was_swallowed_is_heard_all_the_same():
    _, history = trained(1, callbacks=[Swallows()])
    assert history.stop_reason.startswith("interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class InDestructor(fastgd.callbacks.Callback):
    """Presses Ctrl-C in a destructor, and goes on for a while."""

    slept_on = False

    def on_epoch_end(self, epoch, logs=None):
        class Last:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)

        Last()
        time.sleep(10)
        self.slept_on = True


def test_ctrl_c_in_a_destructor_is_raised_right_after_it():
    callback = InDestructor()
    _, history = trained(1, callbacks=[callback])
    assert history.stop_reason.startswith("interrupted")
    assert not callback.slept_on, "it was not heard while it slept"


def test_a_process_that_answered_ctrl_c_ends_well():
    code = (
        "import signal, numpy as np, fastgd\n"
        "class Press(fastgd.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        exec('signal.raise_signal(signal.SIGINT)', {'signal': signal})\n"
        "history = fastgd.MLP([1, 1]).fit(np.zeros((9, 1)), np.arange(9), callbacks=[Press()], verbose=0)\n"
        "print(history.stop_reason)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()[0]) == (0, "interrupted"), ended.stderr


PRESSES = """
import sys


class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            exec("raise KeyboardInterrupt")  # as in the source code of a dataclass


sys.meta_path.insert(0, Press())
"""


@pytest.mark.parametrize("module", ["fastgd.command.cli", "fastgd.command.info", "nothing"])
def test_the_command_line_ends_with_the_code_of_ctrl_c(tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(PRESSES.format(module=module))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(fastgd.__file__).parents[1])])}
    command = [sys.executable, "-m", "fastgd", "info", "no such file"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == (2 if module == "nothing" else 130)
    assert "Traceback" not in ended.stderr
    assert ("no such file" in ended.stderr) == (module == "nothing")


def test_a_handler_of_the_users_own_stays():
    heard = []
    mine = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        _, history = trained(1, callbacks=[Swallows()])
    finally:
        signal.signal(signal.SIGINT, mine)
    assert heard == [signal.SIGINT]
    assert history.stop_reason == "completed"


ANYWHERE = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # also in a destructor


@ANYWHERE
def test_ctrl_c_at_random_moments():
    assert interrupted.run(16, seed=3).failures == []


def escapes(interrupts):
    raise KeyboardInterrupt


PLANTED = {
    "it comes out of fit": (interrupts.Interrupts, "answered", escapes),
    "the handler stays": (interrupts.Interrupts, "__exit__", lambda self, *error: None),
    "the history says nothing": (fastgd.History, "end", lambda self, *reason: None),
}


@ANYWHERE
@pytest.mark.parametrize("planted", PLANTED)
def test_the_trial_of_random_moments_finds_faults(monkeypatch, planted):
    monkeypatch.setattr(*PLANTED[planted])
    try:
        assert interrupted.run(8, seed=3).failures
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_thread_that_reads_ahead_ends_however_early_ctrl_c_comes(monkeypatch):
    start = threading.Thread.start

    def interrupted_start(thread):
        start(thread)
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        next(ahead(iter([1, 2])))
    monkeypatch.undo()
    assert set(threading.enumerate()) == before


class Vanishes:
    """Swallows Ctrl-C as a weak reference's callback does."""

    def _remove(self):
        signal.raise_signal(signal.SIGINT)

    def __call__(self, *_):
        with contextlib.suppress(KeyboardInterrupt):
            self._remove()
        time.sleep(0.1)


def test_ctrl_c_that_vanishes_while_a_stream_is_looked_at_is_heard(monkeypatch):
    X, y = table()
    monkeypatch.setattr(lessons, "buffer_rows_of", lambda *_: Vanishes()() or 100)
    with pytest.raises(KeyboardInterrupt):
        fastgd.MLP([4, 1]).fit(fastgd.Stream(X, y), verbose=0, epochs=10**6)


def test_ctrl_c_that_vanishes_while_many_are_trained_is_heard(monkeypatch):
    X, y = table()
    monkeypatch.setattr(crew.Crew, "share", lambda self: Vanishes()() or 0.0)
    (record,) = fastgd.fit_many([{"layer_sizes": [4, 64, 1], "epochs": 5000}], X, y, verbose=0)
    assert record.ended == "interrupted"


IMPORTED = """
import os, signal, sys
import fastgd

class Presses:
    done = False
    def find_spec(self, name, path=None, target=None):
        if name == "numba.core.types" and not Presses.done:
            Presses.done = True
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
signal.signal(signal.SIGINT, signal.default_int_handler)
model = fastgd.MLP([2, 1], random_state=0)
try:
    model.predict([[1, 2]])
except KeyboardInterrupt:
    print("heard", Presses.done, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(model.predict([[1, 2]]).shape)
"""


def test_ctrl_c_while_numba_is_imported_waits_for_its_end():
    result = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert result.stdout.splitlines() == ["heard True True", "(1,)"], result.stderr[-500:]
