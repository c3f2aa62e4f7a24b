"""Whose turn it is with a model: changes in other threads are refused, looks get copies, and forks wait."""

from __future__ import annotations

import copy
import os
import pickle
import threading

import numpy as np
import pytest

import fastgd
from fastgd.errors import BusyError
from fastgd.kernels import forking
from fastgd.training.turns import Turns

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


def test_rest_is_for_those_who_wait():
    """A look that comes in the middle of a chunk waits for its end, and gets what is there then."""
    turns = Turns()

    class Model:
        value = 0

        def at_rest(self):
            return self.value

    model, seen = Model(), []
    with turns.alone(trains=True), turns.changing(trains=True):
        look = threading.Thread(target=lambda: seen.append(turns.look(model, lambda value: value)))
        look.start()
        while not turns.door.locked():
            pass
        model.value = 1
        turns.breathe()
        look.join(30)
        model.value = 2
    assert seen == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_fit_can_look_and_copy():
    def fork(model):
        def child():
            with pytest.raises(BusyError, match="when this process was forked"):
                model.fit(X, y, verbose=0)
            other = copy.deepcopy(model)
            other.fit(X, y, epochs=1, verbose=0, n_threads=2)
            return np.isfinite(other.predict(X)).all()

        pid = os.fork()
        if not pid:
            code = 1
            try:
                code = 0 if child() else 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    _, code = fitted(lambda model: elsewhere(lambda: fork(model)))
    assert code == 0


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
