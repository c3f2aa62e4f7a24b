"""The cases: each public callable with each of its arguments replaced by each of the values; and how one is judged."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .bad_values import LARGE, LIKE, ODD, SPOILT
from .judging import Answer, answer_of, complaint, difference, essence, seen
from .public_names import Public, public_names
from .recipes import AMOUNTS, RECIPES, WRITTEN, called
from .samples import table

UNKNOWN = "an unknown option"
GOOD = "good arguments"
ESTIMATORS = "MLPRegressor", "MLPClassifier"  # raise what scikit-learn raises
# Too much, or too odd, to be printed, which scikit-learn does with options that it refuses.
PRINTED = "unprintable", "unreadable", "2**31 rows", "2**31 columns", "2**31 elements"
# Estimators learn and answer in the precision in which a table came.
OTHER_DIGITS = {"float16", "float32"}


class Case(NamedTuple):
    """A callable, and the argument that gets one of the values."""

    public: Public
    argument: str
    value: str

    def __str__(self) -> str:
        return f"fastgd.{self.public.name}: {self.argument} = {self.value}"


def all_cases() -> list[Case]:
    """Every case, in an order that depends on the names alone."""
    return [case for public in public_names() if public.name in RECIPES for case in cases_of(public)]


def cases_of(public: Public) -> Iterator[Case]:
    """The cases of one callable: first whether its good arguments are good."""
    yield Case(public, "", GOOD)
    if all(parameter.kind is not inspect.Parameter.VAR_POSITIONAL for parameter in public.parameters):
        yield Case(public, "", UNKNOWN)
    good = RECIPES[public.name]()
    names = [p.name for p in public.parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    left_out = PRINTED if public.name in ESTIMATORS else PRINTED[:1] if is_of_sklearn(public) else ()
    for name in names:
        yield from (Case(public, name, value) for value in (*ODD, *SPOILT) if value not in left_out)
        if name not in AMOUNTS:
            yield from (Case(public, name, value) for value in LARGE)
        if isinstance(good.get(name), np.ndarray) and name not in WRITTEN and not public.name.startswith("predict_row"):
            like = [value for value in LIKE if not (is_of_sklearn(public) and value in OTHER_DIGITS)]
            yield from (Case(public, name, value) for value in like)


def is_of_sklearn(public: Public) -> bool:
    """Whether scikit-learn checks the arguments."""
    return public.name.split(".")[0] in ESTIMATORS


def some_of(cases: list[Case], n: int, seed: int) -> list[Case]:
    """At most n of the cases, some of each callable, in their order."""
    if n >= len(cases):
        return cases
    random = np.random.default_rng(seed)
    by_name: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        by_name.setdefault(case.public.name, []).append(place)
    first = [places[0] for places in by_name.values()]
    others = np.setdiff1d(np.arange(len(cases)), first)
    drawn = random.choice(others, max(n - len(first), 0), replace=False)
    return [cases[place] for place in sorted({*first, *drawn.tolist()})]


def value_of(case: Case, good: Any) -> Any:
    """The value of a case, made anew; arrays are made from the good one."""
    array = good if isinstance(good, np.ndarray) else table()
    if case.value in LIKE:
        return LIKE[case.value](array)
    if case.value in SPOILT:
        return SPOILT[case.value](array)
    return {**ODD, **LARGE}[case.value]()


def failure(case: Case) -> str | None:
    """A sentence on how a case broke the promise, or None."""
    arguments = RECIPES[case.public.name]()
    if case.value == UNKNOWN:
        arguments["nonsense"] = 1
    elif case.value != GOOD:
        arguments[case.argument] = value_of(case, arguments.get(case.argument))
    given = dict(arguments)
    before = {name: seen(value) for name, value in given.items()}
    subject = dict(essence(given.get("self")))
    subject = {place: np.array(numbers) for place, numbers in subject.items()}
    answer = answer_of(lambda: called(case.public, arguments))
    wrong = _wrong(case, answer)
    if wrong is None:
        changed = [n for n, value in given.items() if n not in WRITTEN and before[n] != seen(value)]
        wrong = f"changes {', '.join(changed)}" if changed else None
    if wrong is None and answer.error is not None and not isinstance(answer.error, ArithmeticError):
        now = dict(essence(given.get("self")))
        if any(not np.array_equal(numbers, now[place], equal_nan=True) for place, numbers in subject.items()):
            wrong = "is refused, but the object has changed"
    return None if wrong is None else f"{case}: {wrong}."


def _wrong(case: Case, answer: Answer) -> str | None:
    from_sklearn = is_of_sklearn(case.public)
    wrong = complaint(answer, from_sklearn)
    if wrong is not None:
        return wrong
    if case.value == GOOD and answer.error is not None:
        return f"is refused: {answer.error}"
    if case.value in LIKE and answer.error is None:
        expected = answer_of(lambda: called(case.public, RECIPES[case.public.name]()))
        return difference(answer.value, expected.value)
    if case.value in LIKE and not from_sklearn and type(answer.error).__name__ != "InvalidInputError":
        return f"is refused by {type(answer.error).__name__}"
    return None


__all__ = ["Case", "all_cases", "cases_of", "failure", "some_of"]
