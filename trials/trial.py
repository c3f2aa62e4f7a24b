"""What a trial is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Outcome(NamedTuple):
    """What a run of a trial has found."""

    cases: int  # that were tried
    failures: list[str]  # a sentence for each case that broke the promise, with all that repeats it
    figure: str  # what was measured, in a few words, such as "worst 3.1e-7 of the largest"


class Trial(NamedTuple):
    """A promise, and the function that tries to break it."""

    name: str  # one or two words, as they are typed
    promise: str  # a sentence for users
    test: str  # the test that runs it with few cases: tests/test_x.py::test_y
    cases: int  # so many are tried where nobody says how many
    run: Callable[[int, int], Outcome]  # takes the number of cases and a seed
