"""The rows of a file to learn from: what the target is, which columns are features, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import Format, Places, read_placed
from ..data.reading.dialect import MOST_KNOWN, check_columns
from ..errors import InvalidInputError
from ..options import counted, shortened
from .facts import Facts, facts_of, why_not
from .targets import LONGEST, MOST_NAMED, classes_of, labels_of, target_of, values_of
from .terminal import remark

if TYPE_CHECKING:
    from polars import DataFrame, Series


class Columns(NamedTuple):
    """What the user says of the columns of a file."""

    target: str
    features: list[str] | None  # None: all others
    without: list[str]  # but these
    text: list[str]
    group: str | None


class Lesson(NamedTuple):
    """Rows to learn from."""

    name: str  # of the file
    target: str
    X: DataFrame
    y: NDArray[Any]  # (n_rows,): numbers, or labels
    classes: NDArray[Any] | None  # the labels, ascending
    groups: list[Any] | None  # of each row
    left_out: dict[str, str]  # columns that are no features → why
    places: Places  # where the rows stand in the file

    def at(self, places: NDArray[np.int64]) -> Lesson:
        """Some of the rows."""
        groups = None if self.groups is None else [self.groups[place] for place in places.tolist()]
        return self._replace(X=self.X[places], y=self.y[places], groups=groups, places=self.places.at(places))


def check_columns_given(columns: Columns) -> None:
    """Refuse columns that are to be two things at once."""
    target, features = columns.target, columns.features or ()
    if target in features:
        raise InvalidInputError(f"{target!r} is both the target and a feature: leave it out of --features.")
    for column in columns.without:
        if column in features:
            raise InvalidInputError(f"{column!r} is in --features and in --without: take it out of one of them.")
    if target == columns.group:
        raise InvalidInputError(f"{target!r} is both the target and the group: name another column with --group.")


def lesson(file: Path, columns: Columns, as_classes: bool | None, drop_missing: bool, fmt: Format) -> Lesson:
    """Read the rows of a file to learn from, and say what they are.

    Args:
        file: the table.
        columns: what is to be done with its columns.
        as_classes: whether the target is a class; None: what it looks like.
        drop_missing: whether rows without a target are left out.
        fmt: how the file is written.

    Raises:
        InvalidInputError: a file, a column or a target that cannot be used.
    """
    target, group, name = columns.target, columns.group, "standard input" if str(file) == "-" else file.name
    check_columns_given(columns)
    text = {*columns.text, *([group] if group is not None and group not in (columns.features or ()) else [])}
    text |= {target} if as_classes else set()
    wanted = (
        None
        if columns.features is None
        else list(dict.fromkeys([*columns.features, target, *([group] if group is not None else [])]))
    )
    try:
        numbers = [target] if as_classes is False else []
        frame, places = read_placed(file, wanted, list(text), numbers, fmt, told=remark)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).replace("column as text", "column as text with --text")) from error
    check_columns(str(file), frame.columns, [target, *columns.without, *([group] if group is not None else [])])
    frame, places = _with_targets(file, frame, places, target, drop_missing)
    labels = labels_of(frame[target])
    classes = classes_of(file, target_of(frame[target], labels), as_classes)
    y = values_of(frame[target], None) if classes is None or labels is None else labels
    groups = None if group is None else _groups(file, frame[group], places)
    names, out = features_of(file, columns, {column: facts_of(frame[column]) for column in frame.columns})
    return Lesson(name, target, frame[list(names)], y, classes, groups, out, places)


def _with_targets(file: Path, frame: DataFrame, places: Places, target: str, drop: bool) -> tuple[DataFrame, Places]:
    """The rows that have a target; the others are counted."""
    missing = frame[target].is_null()
    n_missing = int(missing.sum())
    if not n_missing:
        return frame, places
    told_missing(str(file), target, n_missing, len(frame), drop, places.of(int(missing.arg_max() or 0)))
    return frame.filter(~missing), places.at(~missing.to_numpy())


def told_missing(name: str, target: str, n_missing: int, n_rows: int, drop: bool, first: str) -> None:
    """Say that so many rows have no target and are left out.

    Raises:
        InvalidInputError: they are not to be, or nothing would be left.
    """
    rows = f"{n_missing:,} of {counted(n_rows, 'row')} {'has' if n_missing == 1 else 'have'} no {target}"
    if not drop:
        raise InvalidInputError(
            f"{name}: {rows}, the first is {first}: fill them, or leave these rows out with --drop-missing-target."
        )
    if n_missing == n_rows:
        raise InvalidInputError(f"{name}: no row has a {target}.")
    remark(f"{rows}: they are left out.")


def _groups(file: Path, column: Series, places: Places) -> list[Any]:
    if column.null_count():
        n, first = column.null_count(), places.of(int(column.is_null().arg_max() or 0))
        raise InvalidInputError(
            f"{file}: {n:,} {'row has' if n == 1 else 'rows have'} no {column.name}, the first is {first}: fill it, or "
            "drop these rows."
        )
    return list(column.to_list())


def left_out(columns: Columns, facts: Mapping[str, Facts]) -> dict[str, str]:
    """The columns that are no features unless they are named, and why; facts are of all that the file has."""
    found = {column: "as asked" for column in columns.without if column != columns.target}
    for column in facts:
        if column not in found and column not in (columns.target, columns.group) and (why := why_not(facts[column])):
            found[column] = why
    return found


def features_of(file: Path | str, columns: Columns, facts: Mapping[str, Facts]) -> tuple[list[str], dict[str, str]]:
    """The features, and what is left out; says so.

    Raises:
        InvalidInputError: there are none.
    """
    out, names = {}, columns.features
    if names is None:
        out = left_out(columns, facts)
        names = [column for column in facts if column not in out and column not in (columns.target, columns.group)]
    if not names:
        advice = ": name with --features what is to be learned from all the same" if out else ""
        raise InvalidInputError(f"{file} has no column to predict {columns.target!r} from{_listed(out)}{advice}.")
    if columns.features is None:
        remark(f"Features: {_first([shortened(column, LONGEST) for column in names])}{_listed(out)}.")
    gaps = {column: facts[column].n_rows - facts[column].n_known for column in names}
    tell_gaps({column: n for column, n in gaps.items() if n})
    return names, out


def _listed(left_out: dict[str, str]) -> str:
    if not left_out:
        return ""
    why = [f"{shortened(column, LONGEST) or 'the one without a name'} ({why})" for column, why in left_out.items()]
    return f"; left out: {_first(why)}"


def _first(told: list[str]) -> str:
    """A list, of which a table of many columns has too much to say."""
    more = f" and {len(told) - MOST_KNOWN:,} more" if len(told) > MOST_KNOWN else ""
    return ", ".join(told[:MOST_KNOWN]) + more


def tell_gaps(gaps: dict[str, int]) -> None:
    """How many cells are empty, and what becomes of them."""
    if gaps:
        most = sorted(gaps.items(), key=lambda item: -item[1])
        named = ", ".join(f"{shortened(column, LONGEST)} {count:,}" for column, count in most[:MOST_NAMED])
        more = f" and {len(most) - MOST_NAMED} more columns" if len(most) > MOST_NAMED else ""
        n = sum(gaps.values())
        remark(
            f"{counted(n, 'cell')} {'is' if n == 1 else 'are'} empty ({named}{more}): that a value is "
            "missing is learned, too."
        )
