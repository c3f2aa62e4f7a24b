"""What trials of bad inputs must find: public names that nobody tries, and every kind of fault."""

from __future__ import annotations

import inspect
import warnings
from contextlib import chdir

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError
from trials import bad_cases, bad_commands, recipes
from trials.bad_cases import Case, cases_of, some_of
from trials.bad_values import LARGE, LIKE, ODD, SPOILT
from trials.public_names import Public, public_names
from trials.watched import watched


def test_a_new_public_name_must_be_given_good_arguments(monkeypatch):
    def fresh(X):
        return X

    fresh.__module__ = "fastgd.losses"
    monkeypatch.setattr(fastgd.losses, "fresh", fresh, raising=False)
    monkeypatch.setattr(fastgd.losses, "__all__", [*fastgd.losses.__all__, "fresh"])
    (told,) = recipes.without_recipe(public_names())
    assert told.startswith("losses.fresh has no good arguments: add them to RECIPES in trials/recipes.py")


def test_methods_properties_and_estimators_are_found():
    names = {found.name for found in public_names()}
    assert {
        "MLP.fit",
        "MLP.parameters =",
        "MLPRegressor.partial_fit",
        "space.Uniform",
        "explain.Table.sorted_by",
    } <= names
    assert "MLP.outputs_of" not in names  # which tab completion does not show


def test_the_names_of_values_are_all_different():
    names = [*LIKE, *SPOILT, *ODD, *LARGE]
    assert len(set(names)) == len(names)


def test_a_selection_has_each_callable_and_is_repeatable():
    publics = [found for found in public_names() if found.name in ("MLP.predict", "SGD")]
    cases = [case for found in publics for case in cases_of(found)]
    chosen = some_of(cases, 10, 3)
    assert len(chosen) == 10
    assert {case.public.name for case in chosen} == {"MLP.predict", "SGD"}
    assert chosen == some_of(cases, 10, 3) != some_of(cases, 10, 4)


# What a function may do wrong; `good` is what it is called with.


def changes(X):
    X[:] = 0
    return 1.0


def dumps(X):
    error = InvalidInputError("X is wrong.")
    error.args = (f"X is {X!r}, which is wrong.",)  # behind the back of what makes every message one line
    raise error


def warns(X):
    warnings.warn("invalid value encountered in log", RuntimeWarning, stacklevel=2)


def leaks(X):
    raise KeyError("X")


def answers_nan(X):
    return {"loss": [np.float64("nan")]}


def is_silent(X):
    raise InvalidInputError


def tells_the_inside(X):
    raise InvalidInputError("Failed in nopython mode pipeline of numba.")


@pytest.mark.parametrize(
    ("faulty", "value", "found"),
    [
        (changes, "a NaN", "changes X"),
        (dumps, "a NaN", "InvalidInputError of several lines"),
        (warns, "a NaN", "a RuntimeWarning leaks"),
        (leaks, "a NaN", "raises KeyError: 'X'"),
        (answers_nan, "a NaN", "['loss'][0] has numbers that are not finite, and nothing is said"),
        (is_silent, "a NaN", "InvalidInputError without a word"),
        (tells_the_inside, "a NaN", "InvalidInputError tells of the inside"),
        (leaks, "good arguments", "raises KeyError"),
        (lambda X: X.flags.writeable * 1.0, "read-only", "the answer differs from that of the plain array"),
    ],
)
def test_a_fault_is_found(monkeypatch, faulty, value, found):
    public = Public("faulty", faulty, tuple(inspect.signature(faulty).parameters.values()))
    monkeypatch.setattr(bad_cases, "RECIPES", {"faulty": lambda: {"X": np.ones((6, 4))}})
    assert found in bad_cases.failure(Case(public, "X", value))


def test_what_is_right_is_no_fault(monkeypatch):
    public = Public("right", lambda X: float(np.asarray(X, float).sum()), ())
    monkeypatch.setattr(bad_cases, "RECIPES", {"right": lambda: {"X": np.ones((6, 4))}})
    assert [bad_cases.failure(Case(public, "X", value)) for value in ("good arguments", *LIKE)] == [None] * 24


def test_a_refused_call_that_changes_its_object_is_found(monkeypatch):
    def set_and_refuse(self, X):
        self.parameters[:] = 0
        raise InvalidInputError("X is wrong.")

    public = Public("MLP.faulty", set_and_refuse, ())
    monkeypatch.setattr(
        bad_cases, "RECIPES", {"MLP.faulty": lambda: {"self": fastgd.MLP([4, 1]), "X": np.ones((6, 4))}}
    )
    assert bad_cases.failure(Case(public, "X", "None")).endswith("is refused, but the object has changed.")


CRASHING = """
import json, os, sys
for number in range(int(sys.argv[1]), 5):
    print(json.dumps({"number": number, "case": f"case {number}"}), flush=True)
    if number == 2:
        os.abort()
print(json.dumps({"cases": 5}))
"""


def test_a_crash_is_named_and_the_next_case_goes_on(tmp_path):
    script = tmp_path / "crashing.py"
    script.write_text(CRASHING)
    n, failures = watched(lambda first: [str(script), str(first)])
    assert n == 5
    (told,) = failures
    assert told.startswith("case 2: ends the process with code -6: Fatal Python error: Aborted")


@pytest.fixture
def prepared(tmp_path):
    bad_commands.prepare(tmp_path)
    with chdir(tmp_path):
        yield tmp_path


def test_every_command_is_typed(monkeypatch):
    assert bad_commands.without_arguments() == []
    monkeypatch.delitem(bad_commands.ARGUMENTS, "info")
    assert bad_commands.without_arguments() == [
        "fastgd info: say in ARGUMENTS of trials/bad_commands.py what is typed."
    ]


def test_a_traceback_of_a_command_is_found(prepared, monkeypatch):
    typed = bad_commands.Typed("info", "model", ["info", "model.safetensors"])
    assert bad_commands.failure(typed) is None
    monkeypatch.setattr("fastgd.files.disk.read", lambda *_: {}["gone"])
    assert "tells of the inside: fastgd: something went wrong inside (KeyError: 'gone')" in bad_commands.failure(typed)
