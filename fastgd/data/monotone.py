"""Monotone columns: what a user asks for, as a sign for each column; network/network.py has the weights' signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..network.network import Network
from ..options import is_number, shown

NOT_RISING = "gelu", "silu"  # activations
NOT_ORDERED = "cross_entropy", "gaussian_nll"  # losses whose outputs cannot all rise together, or mean nothing then


def checked_monotone(given: Any, network: Network, names: Sequence[str] | None) -> tuple[int, ...]:
    """1, -1 or 0 for each column of the user's table, () where nothing is asked for.

    names: those of the columns, where they are known.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"monotone must be such as {{'size': 1, 'age': -1}}, not {shown(given)}.")
    signs, named = [0] * network.n_in, dict[int, Any]()
    for key, sign in given.items():
        if not is_number(sign) or sign not in (-1, 0, 1):
            raise InvalidInputError(f"monotone[{shown(key)}] must be 1 (rising), -1 (falling) or 0, not {shown(sign)}.")
        place = _place(key, network.n_in, names)
        if place in named:
            raise InvalidInputError(f"monotone names one column twice: {shown(named[place])} and {shown(key)}.")
        signs[place], named[place] = int(sign), key
    if not any(signs):
        return ()
    wrong = next((activation.name for activation in network.activations if activation.name in NOT_RISING), None)
    if wrong:
        raise InvalidInputError(f"monotone needs activations that rise, and {wrong} does not: use 'relu' or 'tanh'.")
    if network.loss.name in NOT_ORDERED:
        raise InvalidInputError(
            f"monotone is for predictions that can rise, such as numbers or two classes, not for {network.loss.name}."
        )
    return tuple(signs)


def _place(key: Any, n_in: int, names: Sequence[str] | None) -> int:
    if isinstance(key, str):
        if names is None:
            raise InvalidInputError(f"monotone names {shown(key)}, but columns have no names here: give its number.")
        if key not in names:
            raise InvalidInputError(f"monotone names {shown(key)}, which is none of {', '.join(names)}.")
        return list(names).index(key)
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or not 0 <= key < n_in:
        raise InvalidInputError(f"monotone names column {shown(key)}, but columns are 0 to {n_in - 1}.")
    return int(key)
