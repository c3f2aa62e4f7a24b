"""Folds: which rows a network learns from, and which it is measured on, so that no row or group is on both sides.

Of classes each fold has the same share, as near as whole rows or groups allow; of groups that are held out once, none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.shared import Places
from ..data.splits import group_numbers, split_rows
from ..errors import InvalidInputError
from ..options import is_number, listed, shown
from .tasks import chosen


class Fold(NamedTuple):
    """Numbers of rows."""

    rows: Places
    held: Places


def folds_of(cv: Any, n_rows: int, groups: Any, classes: NDArray[Any] | None, seed: int) -> list[Fold]:
    """The folds that a user asks for: a number of them, a share of the rows for a single one, or pairs of rows.

    Args:
        cv: such as 5, 0.2, or [(rows, validation_rows), …].
        groups: (n_rows,); rows of one group stay on one side. None: each row is its own.
        classes: (n_rows,), of which each fold has the same share; None for numbers.
        seed: of the order in which rows and groups are dealt out.

    Raises:
        InvalidInputError: what cannot be done with these rows or groups.
    """
    members = None if groups is None else group_numbers(groups, n_rows)
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        return _dealt(int(cv), n_rows, members, classes, seed)
    if is_number(cv):
        if not 0 < cv < 1:
            raise InvalidInputError(f"cv must be a number of folds such as 5, or a share such as 0.2, not {shown(cv)}.")
        return [_held_out(float(cv), n_rows, members, classes, seed)]
    return _given(cv, n_rows, members)


def _dealt(n_folds: int, n_rows: int, members: Places | None, classes: Any, seed: int) -> list[Fold]:
    if n_folds < 2:
        raise InvalidInputError(f"cv must be at least 2 folds, or a share of the rows such as 0.2, not {n_folds}.")
    n_units, what = (n_rows, "rows") if members is None else (int(members.max()) + 1, "groups")
    if n_folds > n_units:
        raise InvalidInputError(f"cv={n_folds} needs {n_folds} {what}, but there are {n_units}: take fewer folds.")
    numbers = np.zeros(n_rows, np.int64) if classes is None else group_numbers(classes, n_rows)
    if members is None:
        order = _by_class(numbers, seed)
        fold = np.empty(n_rows, np.int64)
        fold[order] = np.arange(n_rows) % n_folds
    else:
        fold = _folds_of_groups(n_folds, members, numbers, seed)[members]
    return [Fold(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def _by_class(numbers: NDArray[np.int64], seed: int) -> Places:
    """Rows in random order, class after class."""
    order = np.random.default_rng(seed).permutation(len(numbers))
    return order[np.argsort(numbers[order], kind="stable")]


def _folds_of_groups(n_folds: int, members: Places, numbers: NDArray[np.int64], seed: int) -> Places:
    """Each group's fold: the largest first, to where its classes are rarest so far, so that folds become alike.

    Without classes that is the fold with the fewest rows. As scikit-learn's GroupKFold and StratifiedGroupKFold.
    """
    n_groups, n_classes = int(members.max()) + 1, int(numbers.max()) + 1
    counts = np.bincount(members * n_classes + numbers, minlength=n_groups * n_classes).reshape(n_groups, n_classes)
    shares = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled, fold = np.zeros((n_folds, n_classes)), np.empty(n_groups, np.int64)
    n_rows = np.zeros(n_folds, np.int64)
    for place, group in enumerate(order):
        crowded = (filled * shares[group]).sum(axis=1)
        if n_groups - place == (n_rows == 0).sum():  # as many groups are left as folds are empty
            crowded[n_rows > 0] = np.inf
        best = np.lexsort((n_rows, crowded))[0]
        fold[group] = best
        filled[best] += shares[group]
        n_rows[best] += counts[group].sum()
    return fold


def _held_out(share: float, n_rows: int, members: Places | None, classes: Any, seed: int) -> Fold:
    if members is not None or classes is None:
        return Fold(*split_rows(n_rows, share, None if members is None else members.tolist(), seed))
    order = _by_class(group_numbers(classes, n_rows), seed)
    steps = np.floor(np.arange(n_rows + 1) * share + 0.5)  # each class in turn gives its share
    is_held = np.zeros(n_rows, bool)
    is_held[order] = np.diff(steps) > 0
    if is_held.all() or not is_held.any():
        raise InvalidInputError(f"cv={share:g} of {n_rows} rows leaves none on one side.")
    return Fold(np.flatnonzero(~is_held), np.flatnonzero(is_held))


def _given(cv: Any, n_rows: int, members: Places | None) -> list[Fold]:
    pairs = listed(cv)
    if pairs is None or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise InvalidInputError(
            "cv must be a number of folds, a share of the rows, or a list of (rows, validation_rows), such as "
            "list(GroupKFold(5).split(X, y, groups))."
        )
    if not pairs:
        raise InvalidInputError("cv is an empty list: there is no fold to measure with.")
    folds = []
    for number, (rows, held) in enumerate(pairs):
        if held is None:
            raise InvalidInputError(f"fold {number}: validation_rows are missing.")
        try:
            learned, measured = chosen(rows, held, n_rows)
        except InvalidInputError as error:
            raise InvalidInputError(f"fold {number}: {error}") from error
        assert learned is not None
        assert measured is not None
        if members is not None and (both := np.intersect1d(members[learned], members[measured])).size:
            row = measured[members[measured] == both[0]][0]
            raise InvalidInputError(
                f"fold {number}: {both.size} group{'s are' if both.size > 1 else ' is'} on both sides, such as that of "
                f"row {row}."
            )
        folds.append(Fold(learned, measured))
    return folds
