"""Monotone columns: as a number grows, predictions never fall, or never rise, whatever was learned.

All activations rise, hidden units rise and fall in turns with the monotone columns, and a weight has the sign of what
it leads from times that of what it leads to. So each path from a monotone column to an output rises, or falls, as it
should; other columns lead to the first layer with weights of any sign. Units that fall make relu's bends concave, too
(Runje and Shankaranarayana 2023, arXiv 2205.11775); with rising ones alone they would all be convex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels.records import Reals

NOT_RISING = "gelu", "silu"  # activations
NOT_ORDERED = "cross_entropy", "gaussian_nll"  # losses whose outputs cannot all rise together, or mean nothing then


def checked_monotone(
    given: Any, n_in: int, names: Sequence[str] | None, activations: Sequence[str], loss: str
) -> tuple[int, ...]:
    """1, -1 or 0 for each column of the user's table, from what was given; () where nothing is asked for.

    The names are those of the columns, where they are known, of the activations, the last layer's included, and of the
    loss.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"monotone must be such as {{'size': 1, 'age': -1}}, not {given!r}.")
    signs = [0] * n_in
    for key, sign in given.items():
        if isinstance(sign, bool) or sign not in (-1, 0, 1):
            raise InvalidInputError(f"monotone[{key!r}] must be 1 (rising), -1 (falling) or 0, not {sign!r}.")
        signs[_place(key, n_in, names)] = int(sign)
    if not any(signs):
        return ()
    wrong = next((name for name in activations if name in NOT_RISING), None)
    if wrong:
        raise InvalidInputError(f"monotone needs activations that rise, and {wrong} does not: use 'relu' or 'tanh'.")
    if loss in NOT_ORDERED:
        raise InvalidInputError(
            f"monotone is for predictions that can rise, such as numbers or two classes, not for {loss}."
        )
    return tuple(signs)


def _place(key: Any, n_in: int, names: Sequence[str] | None) -> int:
    if isinstance(key, str):
        if names is None:
            raise InvalidInputError(f"monotone names {key!r}: give feature_names, too, or the number of the column.")
        if key not in names:
            raise InvalidInputError(f"monotone names {key!r}, which is none of {', '.join(names)}.")
        return list(names).index(key)
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or not 0 <= key < n_in:
        raise InvalidInputError(f"monotone names column {key!r}, but columns are 0 to {n_in - 1}.")
    return int(key)


def unit_signs(n_out: int, is_last: bool) -> NDArray[np.float64]:
    """1 for each output of a layer that rises with what should raise predictions, -1 for one that falls."""
    return np.ones(n_out) if is_last else np.where(np.arange(n_out) % 2, -1.0, 1.0)


def check_signs(parameters: Reals, wanted: Reals) -> None:
    """Refuse parameters with which predictions need not be monotone."""
    if wanted.size and (parameters * wanted < 0).any():
        raise InvalidInputError("These weights are not those of a network with monotone columns: their signs differ.")
