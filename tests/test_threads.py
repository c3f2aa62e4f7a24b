"""Threads: one writer for every weight, threads that never start, and Ctrl-C wherever it comes."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from networks import make_case

import fastgd
from fastgd.errors import ThreadsWarning
from fastgd.kernels import cpu


def table(n=1024):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, 4))
    return X, X @ [1.0, 2.0, -1.0, 0.5]


def trained(n_threads, layer_sizes=(4, 32, 32, 1), batch_size=512, **options):
    X, y = table()
    model = fastgd.MLP(list(layer_sizes), random_state=0)
    history = model.fit(X, y, epochs=2, batch_size=batch_size, n_threads=n_threads, verbose=0, **options)
    return model.parameters.copy(), history


@pytest.mark.parametrize("optimizer", [fastgd.SGD(1e-4), fastgd.SGD(1e-5, momentum=0.9), fastgd.Adam(1e-5)], ids=str)
def test_large_networks_on_single_rows_have_one_writer(optimizer):
    X, y = table(6)

    def parameters(n_threads):
        model = fastgd.MLP([4, 512, 1030, 1], random_state=0)
        model.fit(X, y, epochs=3, batch_size=1, n_threads=n_threads, optimizer=optimizer, verbose=0)
        return model.parameters

    np.testing.assert_array_equal(parameters(2), parameters(1))


def test_single_rows_have_one_writer_whatever_batches_the_scratch_was_made_for():
    results = []
    for n_threads in (1, 2):
        case = make_case(6, [4, 512, 1030, 1], "float32", batch_size=6, n_threads=n_threads)
        assert len(case.workspaces) == n_threads
        cpu.train(
            case.net, case.state, case.gradients, case.workspaces, np.zeros(2), case.rows, 0, 1, np.full(6, 1e-3),
            case.loss, case.optimizer.rule(),
        )  # fmt: skip
        results.append(case.net.parameters)
    np.testing.assert_array_equal(*results)


class Never(threading.Thread):
    """It is started and never runs."""

    def start(self):
        pass


class InName(threading.Thread):
    """It runs on the thread that starts it, as green threads do."""

    def start(self):
        self.run()


class Refused(threading.Thread):
    """The system has no more threads."""

    def start(self):
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("kind", [Never, InName, Refused])
def test_threads_that_do_not_start_are_given_up(monkeypatch, kind):
    expected, _ = trained(2)
    monkeypatch.setattr(threading, "Thread", kind)
    with pytest.warns(ThreadsWarning, match="Threads do not start here, so that one thread trains"):
        alone, _ = trained(2)
    np.testing.assert_array_equal(alone, expected)


def test_a_thread_that_starts_too_late_does_nothing(monkeypatch):
    late = []

    class Late(threading.Thread):
        def start(self):
            late.append(self)

    expected, _ = trained(1)
    thread = threading.Thread
    monkeypatch.setattr(threading, "Thread", Late)
    with pytest.warns(ThreadsWarning):
        parameters, _ = trained(2)
    for worker in late:
        thread.start(worker)
        worker.join(10)
        assert not worker.is_alive()
    np.testing.assert_array_equal(parameters, expected)


def test_the_loops_are_compiled_by_one_thread(monkeypatch):
    calls, train = [], cpu.train

    def watched(*arguments):
        calls.append((len(arguments[3]), len(arguments[8])))
        return train(*arguments)

    monkeypatch.setattr(cpu, "train", watched)
    trained(2)
    assert calls[0] == (1, 0), "no step, by one thread, before threads are started"
    assert 2 in [threads for threads, _ in calls]


@pytest.mark.parametrize("where", ["_Run.__init__", "_Run.compile", "_Run.train_epoch"])
def test_ctrl_c_ends_in_a_history_wherever_it_comes(monkeypatch, where):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    X, y = table()
    model = fastgd.MLP([4, 8, 1], random_state=0)
    before = model.parameters.copy()
    monkeypatch.setattr(f"fastgd.training.{where}", interrupted)
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


def test_a_handler_of_the_users_own_stays():
    heard = []
    mine = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        _, history = trained(1, callbacks=[Swallows()])
    finally:
        signal.signal(signal.SIGINT, mine)
    assert heard == [signal.SIGINT]
    assert history.stop_reason == "completed"
