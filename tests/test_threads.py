"""Threads: one writer for every weight, and threads that never start."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from inside import overheard
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
    with pytest.warns(ThreadsWarning, match="Threads do not start here"):
        parameters, _ = trained(2)
    assert late
    for worker in late:
        thread.start(worker)
        worker.join(10)
        assert not worker.is_alive()
    np.testing.assert_array_equal(parameters, expected)


def test_the_loops_are_compiled_by_one_thread(monkeypatch):
    calls = []
    overheard(monkeypatch, "train", lambda call: calls.append((len(call.workspaces), len(call.learning_rates))))
    trained(2)
    assert calls[0] == (1, 0), "no step, by one thread, before threads are started"
    assert 2 in [threads for threads, _ in calls]
