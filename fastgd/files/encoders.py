"""An encoder in words and arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.column_codes import LevelCode, NumberCode
from ..data.encoder import Encoder
from ..errors import InvalidInputError
from ..network.network import Inputs
from ..options import positive_integer, yes_or_no
from .tensors import Arrays

ARRAYS = ("edges", "normal", "bin_mean", "bin_std")
LONGEST_LABEL = 1 << 16  # characters
BEYOND_ONE, LEAST_STD = 1.001, 1e-9  # of what a bin may have
KINDS = {"numbers": {"kind", "n_bins", "mean", "has_gaps"},
         "levels": {"kind", "levels", "has_rare", "has_gaps", "known"}}  # fmt: skip


def described(encoder: Encoder) -> tuple[list[dict[str, Any]], Arrays]:
    """Of each column its words; the arrays of all columns of numbers, one after the other."""
    words: list[dict[str, Any]] = []
    for code in encoder.codes:
        if isinstance(code, NumberCode):
            kind = {"kind": "numbers", "n_bins": code.n_bins, "mean": repr(code.mean)}
        else:
            besides = None if code.known is None else sorted(code.known - set(code.levels))  # labels that are no level
            kind = {"kind": "levels", "levels": list(code.levels), "has_rare": code.has_rare, "known": besides}
        words.append({**kind, "has_gaps": code.has_gaps})
    numbers = [code for code in encoder.codes if isinstance(code, NumberCode)]
    arrays = {name: np.concatenate([np.zeros(0), *(getattr(code, name) for code in numbers)]) for name in ARRAYS}
    return words, {f"encoder.{name}": array for name, array in arrays.items()}


def promised(header: dict[str, Any], n_columns: int) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array of a file whose tables have so many columns."""
    words = header["encoder"]
    if "encoding" not in header or not isinstance(words, list) or len(words) != n_columns:
        raise InvalidInputError(f"its encoder is not one of {n_columns:,} columns that are to be encoded")
    bins = [positive_integer(column["n_bins"], "n_bins", least=0) for column in words if column["kind"] == "numbers"]
    n_bins, n_edges = sum(bins), sum(n + (n > 0) for n in bins)
    return {
        f"encoder.{name}": ("F64", length)
        for name, length in zip(ARRAYS, (n_edges, n_edges, n_bins, n_bins), strict=True)
    }


def inputs_of(words: Any) -> Inputs:
    """What the first layer reads."""
    of_numbers = [column for column in words if column["kind"] == "numbers"]
    looked_up = []
    for column in words:
        n_levels = len(column.get("levels", ())) + bool(column.get("has_rare")) + bool(column["has_gaps"])
        if column.get("n_bins", 0) + n_levels:
            looked_up.append((int(column.get("n_bins", 0)), n_levels))
    return Inputs(len(of_numbers), tuple(looked_up))


def rebuilt(words: Any, arrays: Arrays) -> Encoder:
    """The encoder that they describe."""
    if not isinstance(words, list) or any(set(column) != KINDS[column["kind"]] for column in words):
        raise InvalidInputError("its columns are not described in full")
    taken = dict.fromkeys(ARRAYS, 0)

    def part(name: str, length: int) -> Any:
        start = taken[name]
        taken[name] += length
        return np.array(arrays[f"encoder.{name}"][start : start + length])

    codes: list[NumberCode | LevelCode] = []
    for column in words:
        has_gaps = yes_or_no(column["has_gaps"], "has_gaps")
        if column["kind"] == "levels":
            levels, besides = _labels(column["levels"]), column["known"]
            known = None if besides is None else frozenset((*levels, *_labels(besides)))
            codes.append(LevelCode(levels, yes_or_no(column["has_rare"], "has_rare"), has_gaps, known))
            continue
        n, mean = column["n_bins"], float(column["mean"])
        values = {
            name: part(name, length) for name, length in zip(ARRAYS, (n + (n > 0), n + (n > 0), n, n), strict=True)
        }
        of_bins, std = values["bin_mean"], values["bin_std"]  # of numbers from 0 to 1
        is_sound = (np.diff(values["edges"]) > 0).all() and np.isfinite(mean)
        if not (is_sound and (np.abs(of_bins) < BEYOND_ONE).all() and ((std > LEAST_STD) & (std < BEYOND_ONE)).all()):
            raise InvalidInputError("a column of numbers contradicts itself")
        codes.append(NumberCode(**values, mean=mean, has_gaps=has_gaps))
    return Encoder(tuple(codes))


def _labels(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or any(type(label) is not str or len(label) > LONGEST_LABEL for label in values):
        raise InvalidInputError("its levels are not text")
    if sorted(set(values)) != values:
        raise InvalidInputError("its levels are not different, in their order")
    return tuple(values)
