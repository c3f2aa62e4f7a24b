"""Whose turn it is with a model: changes in other threads are refused, looks get copies, and forks wait."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import time

import numpy as np
import pytest
from ranks_double import returned

import fastgd
from fastgd.errors import BusyError
from fastgd.kernels import forking
from fastgd.training.turns import Turns, _elsewhere

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
no_warning_of_forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
X = np.random.default_rng(0).normal(size=(300, 4))
y = X @ [1.0, 2.0, -1.0, 0.5]


class Calls(fastgd.callbacks.Callback):
    """Calls a function at the end of every epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        self.function()


def elsewhere(function):
    """What it returns, or raises, in another thread."""
    found = []

    def work():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert found, "it waits for a thread that waits for it"
    return found[0]


def exit_of_fork(child):
    """0 where a function returns a true answer in a forked child."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if child() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fitted(function, **options):
    """A model whose fit calls a function after its first epoch, and what that returned."""
    model, found = fastgd.MLP([4, 16, 1], random_state=0), []
    model.fit(X, y, epochs=2, verbose=0, callbacks=[Calls(lambda: found.append(function(model)))], **options)
    return model, found[0]


def test_another_thread_sees_the_model_as_its_callbacks_do():
    def look(model):
        seen = elsewhere(lambda: (model.predict(X), model.parameters, model.get_parameters(), model.evaluate(X, y)))
        mine = model.predict(X), model.parameters.copy(), model.get_parameters(), model.evaluate(X, y)
        np.testing.assert_equal(seen, mine)
        return seen[1]

    _, parameters = fitted(look)
    with pytest.raises(ValueError, match="read-only"):
        parameters[0] = 1.0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_model_that_learns_goes_on_alone(copied):
    model, other = fitted(lambda model: elsewhere(lambda: copied(model)))
    assert not np.array_equal(model.parameters, other.parameters)
    other.fit(X, y, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.parameters, other.parameters)


def test_an_ensemble_is_saved_while_a_member_learns(tmp_path):
    path = tmp_path / "mean.safetensors"

    def save(model):
        elsewhere(lambda: fastgd.Ensemble([model]).save(path))
        np.testing.assert_array_equal(fastgd.load(path).predict(X), model.predict(X))

    fitted(save)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.fit(X, y, verbose=0),
        lambda model: model.partial_fit(X, y),
        lambda model: model.step(X, y),
        lambda model: setattr(model, "parameters", model.parameters * 0),
        lambda model: setattr(model, "device", "plain"),
    ],
)
def test_another_thread_cannot_change_a_model_that_learns(change):
    model, error = fitted(lambda model: elsewhere(lambda: change(model)))
    assert isinstance(error, BusyError)
    assert "learning in another thread" in str(error)
    np.testing.assert_array_equal(model.parameters, fitted(lambda model: None)[0].parameters)
    change(model)


def test_a_callback_may_set_parameters_but_not_fit():
    def change(model):
        model.parameters = model.parameters.copy()
        with pytest.raises(BusyError, match="in the middle of one"):
            model.fit(X, y, verbose=0)

    model, _ = fitted(change)
    np.testing.assert_array_equal(model.parameters, fitted(lambda model: None)[0].parameters)


def test_a_fit_that_fails_leaves_the_model_free():
    model = fastgd.MLP([4, 1])
    with pytest.raises(fastgd.errors.InvalidInputError):
        model.fit(X[:, :2], y, verbose=0)
    assert isinstance(elsewhere(lambda: model.fit(X, y, epochs=1, verbose=0)), fastgd.training.history.History)


def test_a_change_waits_for_those_who_look():
    turns, order = Turns(), []
    is_inside, may_go = threading.Event(), threading.Event()

    def see(model):
        is_inside.set()
        may_go.wait(30)
        order.append("seen")

    def change():
        with turns.alone():
            order.append("changed")

    looking = threading.Thread(target=lambda: turns.look(None, see))
    looking.start()
    is_inside.wait(30)
    changing = threading.Thread(target=change)
    changing.start()
    changing.join(0.05)
    may_go.set()
    changing.join(30)
    looking.join(30)
    assert order == ["seen", "changed"]


def test_a_look_within_a_look_sees_the_same_model():
    """A change waits for the outer one, also where the inner one has come and gone meanwhile."""
    turns, order, is_inside = Turns(), [], threading.Event()

    def see(model):
        is_inside.set()
        while turns.taken is None:
            time.sleep(0)
        assert turns.look(model, lambda inner: inner) is model
        changing.join(0.05)
        order.append("seen")

    def change():
        is_inside.wait(30)
        with turns.alone():
            order.append("changed")

    changing = threading.Thread(target=change, daemon=True)
    changing.start()
    turns.look(object(), see)
    changing.join(30)
    assert order == ["seen", "changed"]


def test_a_change_within_a_change_does_not_wait_for_one_who_waits_for_it():
    class Model:
        def at_rest(self):
            return "a copy"

    def change():
        turns = Turns()
        with turns.alone(), turns.changing():
            looking = threading.Thread(target=lambda: turns.look(Model(), str), daemon=True)
            looking.start()
            while not turns.door.locked():
                time.sleep(0)
            with turns.changing():
                pass
        return True

    assert elsewhere(change) is True


def test_rest_is_for_those_who_wait():
    """A look that comes in the middle of a chunk waits for its end, and gets what is there then."""
    turns = Turns()

    class Model:
        value = 0

        def at_rest(self):
            return self.value

    model, seen = Model(), []
    with turns.alone(trains=True), turns.changing(trains=True):
        for value in (1, 2):
            turns.breathe()
            look = threading.Thread(target=lambda: seen.append(turns.look(model, lambda shown: shown)), daemon=True)
            look.start()
            deadline = time.monotonic() + 30
            while not turns.door.locked() and time.monotonic() < deadline:
                time.sleep(0)
            model.value = value
            turns.breathe()
            look.join(30)
            model.value = -1
            assert elsewhere(lambda: turns.look(model, lambda shown: shown)) == value, "without waiting"
    assert seen == [1, 2]


def test_a_copy_shows_the_average_and_keeps_what_training_moves():
    model = fastgd.MLP([4, 8, 1], random_state=0)
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(0.01, ema_decay=0.9), verbose=0)
    average, raw = model.parameters.copy(), model.fit_state.raw
    model.net.parameters[:], model.fit_state.raw = raw, None  # as in the middle of an epoch
    other = model.at_rest()
    np.testing.assert_array_equal(other.parameters, average)
    np.testing.assert_array_equal(other.fit_state.raw, raw)
    np.testing.assert_array_equal(model.parameters, raw)


def test_others_may_look_while_ranks_learn_about_columns():
    model = fastgd.MLP([4, 1])

    def batches():
        assert len(elsewhere(lambda: model.predict(X))) == len(X)
        yield X, y

    returned(1, lambda comm: model.fit(batches, epochs=1, verbose=0, comm=comm))


@needs_fork
@no_warning_of_forks
def test_a_child_forked_in_the_middle_of_a_fit_can_look_and_copy():
    def fork(model):
        def child():
            with pytest.raises(BusyError, match="when this process was forked"):
                model.fit(X, y, verbose=0)
            other = copy.deepcopy(model)
            other.fit(X, y, epochs=1, verbose=0, n_threads=2)
            return np.isfinite(other.predict(X)).all()

        return exit_of_fork(child)

    _, code = fitted(lambda model: elsewhere(lambda: fork(model)))
    assert code == 0


def test_a_fork_waits_for_a_training_that_another_thread_wanted_to_change():
    turns, taken = Turns(), []
    with turns.alone():
        assert isinstance(elsewhere(lambda: turns.alone().__enter__()), BusyError)
        elsewhere(lambda: taken.extend(_elsewhere()) or True)
    assert turns in taken
    assert turns not in elsewhere(_elsewhere)


def test_ctrl_c_while_a_fork_waits_leaves_no_lock_behind(monkeypatch):
    """Python goes on with a fork whatever is raised before it."""
    lock, calls = threading.RLock(), []

    def interrupted():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(forking, "_guards", [])
    forking.guard(forking.TRAININGS, interrupted, lambda: None, lambda: None)
    forking.guard(forking.COMPILER, lock.acquire, lock.release, lock.release)
    with pytest.raises(KeyboardInterrupt):
        forking._before()
    forking._in_parent()
    for each in (lock, forking._one_at_a_time):
        assert elsewhere(lambda each=each: each.acquire(blocking=False) and (each.release() or True))


@needs_fork
@no_warning_of_forks
def test_a_child_does_not_wait_for_a_compiling_thread_that_it_does_not_have():
    lock = pytest.importorskip("numba.core.compiler_lock").global_compiler_lock
    fastgd.MLP([4, 1]).predict(X)  # loads the engine
    is_held = threading.Event()

    def compile():
        with lock:
            is_held.set()
            time.sleep(0.2)

    threading.Thread(target=compile, daemon=True).start()
    is_held.wait(30)
    assert exit_of_fork(lambda: lock._lock.acquire(timeout=1)) == 0


def test_a_fork_takes_locks_in_order_and_opens_them(monkeypatch):
    told = []
    monkeypatch.setattr(forking, "_guards", [])
    for place in (forking.COMPILER, forking.TRAININGS):
        forking.guard(
            place,
            lambda place=place: told.append(("take", place)),
            lambda place=place: told.append(("open", place)),
            lambda place=place: told.append(("mend", place)),
        )
    forking._before()
    forking._in_parent()
    forking._before()
    forking._in_child()
    taken = [("take", forking.TRAININGS), ("take", forking.COMPILER)]
    assert told == [
        *taken,
        ("open", forking.COMPILER),
        ("open", forking.TRAININGS),
        *taken,
        ("mend", forking.COMPILER),
        ("mend", forking.TRAININGS),
    ]
