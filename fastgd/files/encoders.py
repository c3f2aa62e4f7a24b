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

OF_BINS = ("edges", "bin_mean", "bin_std")
OF_QUANTILES = ("values", "normal")
LONGEST_LABEL = 1 << 16  # characters
KINDS = {"numbers": {"kind", "n_bins", "n_quantiles", "mean", "has_gaps"},
         "levels": {"kind", "levels", "has_rare", "has_gaps", "seen"}}  # fmt: skip


def described(encoder: Encoder) -> tuple[list[dict[str, Any]], Arrays]:
    """Of each column its words; the arrays of all columns of numbers, one after the other."""
    words: list[dict[str, Any]] = []
    numbers = [code for code in encoder.codes if isinstance(code, NumberCode)]
    for code, seen in zip(encoder.codes, encoder.seen, strict=True):
        if isinstance(code, NumberCode):
            kind = {"kind": "numbers", "n_bins": code.n_bins, "n_quantiles": len(code.values), "mean": repr(code.mean)}
            words.append({**kind, "has_gaps": code.has_gaps})
        else:
            known = None if seen is None else sorted(seen - set(code.levels))  # besides those that are levels
            kind = {"kind": "levels", "levels": list(code.levels), "has_rare": code.has_rare, "seen": known}
            words.append({**kind, "has_gaps": code.has_gaps})
    names = (*OF_BINS, *OF_QUANTILES)
    arrays = {f"encoder.{name}": np.concatenate([np.zeros(0), *(getattr(code, name) for code in numbers)])
              for name in names}  # fmt: skip
    return words, arrays


def promised(words: Any) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array."""
    numbers = [column for column in words if column["kind"] == "numbers"]
    bins = [positive_integer(column["n_bins"], "n_bins", least=0) for column in numbers]
    quantiles = sum(positive_integer(column["n_quantiles"], "n_quantiles", least=0) for column in numbers)
    lengths = {"edges": sum(bins) + sum(n > 0 for n in bins), "bin_mean": sum(bins), "bin_std": sum(bins)}
    lengths |= dict.fromkeys(OF_QUANTILES, quantiles)
    return {f"encoder.{name}": ("F64", length) for name, length in lengths.items()}


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
    taken = dict.fromkeys((*OF_BINS, *OF_QUANTILES), 0)

    def part(name: str, length: int) -> Any:
        start = taken[name]
        taken[name] += length
        return np.array(arrays[f"encoder.{name}"][start : start + length])

    codes: list[NumberCode | LevelCode] = []
    seen: list[frozenset[str] | None] = []
    for column in words:
        has_gaps = yes_or_no(column["has_gaps"], "has_gaps")
        if column["kind"] == "levels":
            levels, known = _labels(column["levels"]), column["seen"]
            codes.append(LevelCode(levels, yes_or_no(column["has_rare"], "has_rare"), has_gaps))
            seen.append(None if known is None else frozenset(levels) | frozenset(_labels(known)))
            continue
        n, n_quantiles = column["n_bins"], column["n_quantiles"]
        lengths = dict(zip((*OF_BINS, *OF_QUANTILES), (n + (n > 0), n, n, n_quantiles, n_quantiles), strict=True))
        values = {name: part(name, length) for name, length in lengths.items()}
        mean = float(column["mean"])
        ascending = all((np.diff(values[name]) > 0).all() for name in ("edges", "values"))
        if not ascending or not np.isfinite(mean) or (values["bin_std"] < 0).any() or (n > 0) != (n_quantiles > 0):
            raise InvalidInputError("a column of numbers contradicts itself")
        codes.append(NumberCode(**values, mean=mean, has_gaps=has_gaps))
        seen.append(frozenset())
    return Encoder(tuple(codes), tuple(seen))


def _labels(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or any(type(label) is not str or len(label) > LONGEST_LABEL for label in values):
        raise InvalidInputError("its levels are not text")
    if sorted(set(values)) != values:
        raise InvalidInputError("its levels are not different, in their order")
    return tuple(values)
