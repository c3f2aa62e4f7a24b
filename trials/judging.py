"""What may come of a call: a clear sentence, or an answer of finite numbers; and what never may."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import fastgd
from fastgd.errors import FastgdError, FastgdWarning, NonFiniteWarning
from fastgd.explain.health import Health

from .bad_values import OwnError

LONGEST = 600  # characters of a sentence
DUMPS = re.compile(r"Traceback|numba|nopython|llvmlite|TypingError", re.I)
SIGNATURE = re.compile(r"argument|positional|keyword")  # in Python's own words on a call that fits no signature
TELLS_TIME = {"seconds", "thread_reason", "device_reason", "rows_per_second"}
MOST_BYTES = 1 << 24  # of an array that is compared before and after


class Answer(NamedTuple):
    """What came of a call."""

    value: Any
    error: BaseException | None
    told: list[Any]  # warnings


def answer_of(call: Callable[[], Any]) -> Answer:
    """Call, and keep what comes of it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            return Answer(call(), None, told)
        except Exception as error:
            return Answer(None, error, told)


def complaint(answer: Answer, from_sklearn: bool) -> str | None:
    """What is wrong with an answer, or None; estimators may have scikit-learn's errors and warnings, too."""
    leaked = [each for each in answer.told if not _is_ours(each, from_sklearn)]
    if leaked:
        return f"a {leaked[0].category.__name__} leaks: {str(leaked[0].message)[:200]}"
    if answer.error is not None:
        return error_complaint(answer.error, from_sklearn)
    if not any(issubclass(each.category, NonFiniteWarning) for each in answer.told):
        for place, numbers in essence(answer.value):
            if isinstance(numbers, np.ndarray) and numbers.dtype.kind in "fc" and not np.isfinite(numbers).all():
                return f"{place or 'the answer'} has numbers that are not finite, and nothing is said"
    return None


def _is_ours(told: Any, from_sklearn: bool) -> bool:
    return issubclass(told.category, FastgdWarning) or (
        from_sklearn and ("sklearn" in told.filename or told.category.__module__.startswith("sklearn"))
    )


def error_complaint(error: BaseException, from_sklearn: bool = False) -> str | None:
    """What is wrong with an error, or None."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, OwnError):
        return None
    is_signature = type(error) is TypeError and SIGNATURE.search(text)
    if from_sklearn and isinstance(error, ValueError | TypeError):
        return f"{kind} without a word" if not text.strip() else None
    if not isinstance(error, FastgdError) and not is_signature:
        return f"raises {kind}: {' '.join(text.split())[:200]}"
    if not text.strip():
        return f"{kind} without a word"
    if "\n" in text:
        return f"{kind} of several lines: {text[:200]!r}"
    if len(text) > LONGEST:
        return f"{kind} of {len(text):,} characters: {text[:120]} … {text[-60:]}"
    if DUMPS.search(text):
        return f"{kind} tells of the inside: {text[:300]}"
    return None


def essence(value: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """All numbers of an answer with their places, and texts, for comparisons."""
    if depth > 8 or value is None or isinstance(value, str | bytes):
        return
    if isinstance(value, np.ndarray | np.generic | bool | int | float | complex):
        yield place, np.asarray(value)
    elif isinstance(value, fastgd.MLP):
        yield f"{place}.parameters", value.parameters
        yield from essence(tuple(value.scaling)[:4] if isinstance(value.scaling, tuple) else None, place, depth + 1)
    elif isinstance(value, pd.DataFrame | pd.Series | pl.DataFrame | pl.Series):
        yield place, value.to_numpy()
    elif isinstance(value, pa.Table):
        yield from essence(value.to_pydict(), place, depth + 1)
    elif isinstance(value, fastgd.Ensemble):
        yield from essence(list(value.members), f"{place}.members", depth + 1)
    elif hasattr(value, "model_"):
        yield from essence(value.model_, f"{place}.model_", depth + 1)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            if name not in TELLS_TIME:
                yield from essence(entry, f"{place}[{name!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from essence(entry, f"{place}[{number}]", depth + 1)
    elif isinstance(value, Health) and value.findings:
        return  # which say it
    elif is_dataclass(value) and type(value).__module__.startswith(fastgd.__name__):
        told = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        yield from essence(told, f"{place}.{type(value).__name__}", depth + 1)


def difference(mine: Any, expected: Any) -> str | None:
    """Where two answers differ by a bit, or None."""
    one, other = dict(essence(mine)), dict(essence(expected))
    for place in one.keys() | other.keys():
        if place not in one or place not in other:
            return f"{place} is there in one answer alone"
        a, b = one[place], other[place]
        if a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc"):
            return f"{place or 'the answer'} differs from that of the plain array"
    return None


def seen(value: Any) -> bytes | None:
    """The bytes of an array or a frame, to compare with; None where there are too many, or it is none."""
    if isinstance(value, np.ma.MaskedArray):
        return value.data.tobytes() + np.ma.getmaskarray(value).tobytes()
    if isinstance(value, np.ndarray):
        if value.size * value.itemsize > MOST_BYTES:
            return None
        return repr(value.tolist()).encode() if value.dtype.kind == "O" else value.tobytes()
    if isinstance(value, pd.DataFrame | pd.Series):
        return repr((value.to_numpy().tolist(), list(value.index), getattr(value, "columns", None))).encode()
    if isinstance(value, list | tuple | dict):
        try:
            return repr(value).encode(errors="replace")
        except Exception:
            return None
    return None
