"""Words for what a nudge does to a weight's contribution, which is the weight times its input."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..kernels.records import Reals

LARGE, NOTABLE = 0.5, 0.2  # part of the layer's largest nudge or gradient: from here on the first and the second word
UNTOUCHED = 1e-3  # part of the typical weight: no smaller nudge counts, however small the others are
CHANGED = 0.5  # part of the weight itself: such a nudge is never "barely touched", however large the others are
NEAR = 2  # nudges: a weight below zero that is this near to it goes by the direction alone

RULE = (
    "Above zero, a weight that grows makes a larger contribution, one that shrinks a smaller one. Below zero, one that "
    "comes nearer to zero gets weaker, one that goes away from it stronger. But where two such nudges would reach "
    "zero, the direction alone counts: up is larger, down is smaller."
)
WORDS = (
    ("larger contribution", "slight increase"),
    ("smaller contribution", "slight decrease"),
    ("weaker", "slightly weaker"),
    ("stronger", "slightly stronger"),
    ("changes sign", "changes sign"),
)
TOLD = np.array([word for words in WORDS for word in (*words, "barely touched")], object)
UP, DOWN, WEAKER, STRONGER, OTHER_SIGN = range(len(WORDS))


def effects(old: Reals, new: Reals, shares: Reals) -> list[str]:
    """A word for each weight, by RULE.

    Args:
        old: the weights before, (n,).
        new: the weights after, (n,).
        shares: how large each nudge is beside the largest of its layer, (n,).
    """
    sizes = np.abs(new - old)
    typical = math.sqrt(np.square(old, dtype=np.float64).sum() / len(old))
    touched = ((shares >= NOTABLE) | (sizes >= CHANGED * np.abs(old))) & (sizes > 0) & ~(sizes < UNTOUCHED * typical)
    grades = np.where(touched, shares < LARGE, 2)
    told: list[str] = TOLD[_kinds(old, new) * 3 + grades].tolist()
    return told


def _kinds(old: Reals, new: Reals) -> NDArray[np.int64]:
    up = new > old
    by_direction = np.where(up, UP, DOWN)
    is_near = np.abs(new) <= NEAR * np.abs(new - old)
    below = np.where(is_near, by_direction, np.where(up, WEAKER, STRONGER))
    return np.where(old * new < 0, OTHER_SIGN, np.where(old < 0, below, by_direction))
