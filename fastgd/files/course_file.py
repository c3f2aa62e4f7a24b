"""How far an unfinished training has come, in words and arrays, and back: what a Checkpoint adds to a file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..options import yes_or_no
from ..training.course import NUMBERS, Course, End, Waiting
from .tensors import Arrays

HISTORY, BEST = "training.history", "training.best."  # names of arrays
MOST = 1 << 62  # steps and the like
MOST_WAITING = 1000  # callbacks


def described(course: Course) -> tuple[dict[str, Any], Arrays]:
    """A part of the header, and arrays."""
    names, waiting = list(course.history), course.waiting
    arrays: Arrays = {HISTORY: np.array([course.history[name] for name in names], np.float64).reshape(-1)}
    arrays |= {f"{BEST}{k}": seen.parameters for k, seen in enumerate(waiting) if seen.parameters is not None}
    return {
        "options": dict(course.options),
        "began": course.began,
        "first_step": course.first_step,
        "portion": course.portion,
        "step": course.step,
        "is_warned": course.is_warned,
        "numbers": {name: repr(float(getattr(course, name))) for name in NUMBERS},
        "history": names,
        "epochs": course.epochs,
        "waiting": [
            {"best": repr(float(seen.best)), "epoch": seen.best_epoch, "waited": seen.waited,
             "has_parameters": seen.parameters is not None}
            for seen in waiting
        ],
        "end": None if course.end is None else list(course.end),
    }, arrays  # fmt: skip


def promised(words: dict[str, Any], n_parameters: int, real: str) -> dict[str, tuple[str, int]]:
    """The kind and the length of each of its arrays."""
    waiting = words["waiting"]
    if not isinstance(waiting, list) or len(waiting) > MOST_WAITING:
        raise InvalidInputError("its early stopping is none")
    there = [f"{BEST}{k}" for k, seen in enumerate(waiting) if yes_or_no(seen["has_parameters"], "has_parameters")]
    length = len(words["history"]) * _count(words["epochs"], "epochs")
    return {HISTORY: ("F64", length), **dict.fromkeys(there, (real, n_parameters))}


def rebuilt(words: dict[str, Any], arrays: Arrays, begun: int, steps: int) -> Course:
    """The place in a training of which so many epochs have begun, and so many steps were taken."""
    names, epochs, options = words["history"], _count(words["epochs"], "epochs"), words["options"]
    if any(type(name) is not str for name in names) or len(set(names)) < len(names) or "loss" not in names:
        raise InvalidInputError("its history has no names")
    if any(type(option) not in (bool, int, float, str) for option in options.values()):
        raise InvalidInputError("its options are not numbers or words")
    columns = arrays[HISTORY].reshape(len(names), epochs).tolist()
    waiting = tuple(
        Waiting(float(seen["best"]), seen["epoch"], _count(seen["waited"], "waited"), arrays.get(f"{BEST}{k}"))
        for k, seen in enumerate(words["waiting"])
    )
    end = words["end"] if words["end"] is None else _end(*words["end"])
    course = Course(
        options=options,
        began=words["began"],
        first_step=_count(words["first_step"], "first_step"),
        portion=_count(words["portion"], "portion"),
        step=_count(words["step"], "step"),
        is_warned=yes_or_no(words["is_warned"], "is_warned"),
        history=dict(zip(names, columns, strict=True)),
        waiting=waiting,
        end=end,
        **{name: float(words["numbers"][name]) for name in NUMBERS},
    )
    finite = (course.loss, course.weight, course.rate, course.seconds)
    if (
        type(course.began) is not str
        or not all(map(math.isfinite, finite))
        or min(course.weight, course.rate, course.seconds) < 0
        or not course.first_step + course.step <= steps
        or begun < epochs + (end is None)
        or any(seen.best != seen.best or not -1 <= _whole(seen.best_epoch) < max(epochs, 1) for seen in waiting)
    ):
        raise InvalidInputError("the place in its training is out of range")
    return course


def _count(value: Any, name: str) -> int:
    if not 0 <= _whole(value) < MOST:
        raise InvalidInputError(f"{name} is out of range")
    return int(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise InvalidInputError(f"{value!r} is no whole number")
    return value


def _end(ended: Any, reason: Any, best_epoch: Any) -> End:
    if type(ended) is not str or type(reason) is not str or (best_epoch is not None and _whole(best_epoch) < 0):
        raise InvalidInputError("the end of its training is none")
    return End(ended, reason, best_epoch)
