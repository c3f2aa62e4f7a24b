"""The rows of a file to learn from: what the target is, which columns are features, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import Format, Places, read_placed
from ..data.reading.dialect import check_columns
from ..errors import InvalidInputError
from ..options import counted, shortened
from .terminal import remark

if TYPE_CHECKING:
    from polars import DataFrame, Series

LONGEST = 40  # characters of a name or a value
FEW = 20  # rows; of so few, different values tell nothing
MOST_NAMED = 6  # of a list
MOST_CLASSES, MOST_NUMBERED = 200, 20
DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4})([T ].*)?$"


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
    if target in (columns.features or ()):
        raise InvalidInputError(f"{target!r} is both the target and a feature: leave it out of --features.")
    for column in columns.without:
        if column in (columns.features or ()):
            raise InvalidInputError(f"{column!r} is in --features and in --without: take it out of one of them.")
    if target == group:
        raise InvalidInputError(f"{target!r} is both the target and the group: name another column with --group.")
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
    y, classes = _target(file, frame[target], as_classes)
    groups = None if group is None else _groups(file, frame[group], places)
    if columns.features is None:
        left_out = _left_out(frame, columns)
        names = [column for column in frame.columns if column not in {target, group, *left_out}]
    else:
        left_out, names = {}, columns.features
    if not names:
        advice = ": name with --features what is to be learned from all the same" if left_out else ""
        raise InvalidInputError(f"{file} has no column to predict {target!r} from{_listed(left_out)}{advice}.")
    if columns.features is None:
        remark(f"Features: {', '.join(shortened(column, LONGEST) for column in names)}{_listed(left_out)}.")
    _tell_gaps(frame.select(names))
    return Lesson(name, target, frame.select(names), y, classes, groups, left_out, places)


def _with_targets(file: Path, frame: DataFrame, places: Places, target: str, drop: bool) -> tuple[DataFrame, Places]:
    """The rows that have a target; the others are counted."""
    missing = frame[target].is_null()
    n_missing = int(missing.sum())
    if not n_missing:
        return frame, places
    rows = f"{n_missing:,} of {counted(len(frame), 'row')} {'has' if n_missing == 1 else 'have'} no {target}"
    if not drop:
        first = places.of(int(missing.arg_max() or 0))
        raise InvalidInputError(
            f"{file}: {rows}, the first is {first}: fill them, or leave these rows out with --drop-missing-target."
        )
    if n_missing == len(frame):
        raise InvalidInputError(f"{file}: no row has a {target}.")
    remark(f"{rows}: they are left out.")
    return frame.filter(~missing), places.at(~missing.to_numpy())


def _target(file: Path, column: Series, as_classes: bool | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The target as numbers, or as labels with all that there are, and what it was taken for."""
    import polars as pl

    other = ""
    name, labels = shortened(column.name, LONGEST), _labels(column)
    known = np.unique(labels) if labels is not None else None
    if as_classes is None:
        is_text = not column.dtype.is_numeric()
        as_classes = is_text or (known is not None and len(known) == 2)
        if not as_classes:
            n = "" if known is None or not 2 < len(known) <= MOST_NUMBERED else f" with {len(known)} different values"
            also = "; --classes to treat them as classes" if n else ""
            remark(f"The target {name!r} has numbers{n}, which are predicted as such{also}.")
        elif not is_text:
            other = "; --regression to treat them as numbers"
    if not as_classes:
        return column.to_numpy().astype(np.float64), None
    if labels is None or known is None:
        raise InvalidInputError(f"{file}: {name!r} holds fractions such as {column[0]}, which are no classes.")
    if len(known) < 2:
        raise InvalidInputError(f"{file}: {name} is {str(known[0])!r} in every row: there is nothing to tell apart.")
    if len(known) > MOST_CLASSES:
        are_numbers = not column.cast(pl.Float64, strict=False).has_nulls()
        advice = (
            ": leave --classes out to predict numbers" if are_numbers else ", and no numbers: name another --target"
        )
        raise InvalidInputError(
            f"{file}: {name!r} has {len(known):,} different values, such as {_some(known[:2])}: too many for "
            f"classes{advice}."
        )
    remark(f"The target {name!r} has {len(known)} values, which are predicted as classes: {_some(known)}{other}.")
    return labels, known


def _labels(column: Series) -> NDArray[Any] | None:
    """A column as text, or as whole numbers where it can be; None for fractions, which are no labels."""
    import polars as pl

    if column.dtype.is_numeric():
        values = column.to_numpy().astype(np.float64)
        return values.astype(np.int64) if (values == np.rint(values)).all() and np.abs(values).max() < 2**53 else None
    whole = column.cast(pl.Int64, strict=False) if column.dtype == pl.String else None
    if whole is not None and not whole.has_nulls() and (whole.cast(pl.String) == column).all():
        return np.asarray(whole.to_numpy())
    return np.array([str(value) for value in column.to_list()])


def _some(values: NDArray[Any]) -> str:
    shown = ", ".join(shortened(str(value), LONGEST) for value in values[:MOST_NAMED].tolist())
    return shown + (", …" if len(values) > MOST_NAMED else "")


def _groups(file: Path, column: Series, places: Places) -> list[Any]:
    if column.null_count():
        n, first = column.null_count(), places.of(int(column.is_null().arg_max() or 0))
        raise InvalidInputError(
            f"{file}: {n:,} {'row has' if n == 1 else 'rows have'} no {column.name}, the first is {first}: fill it, or "
            "drop these rows."
        )
    return list(column.to_list())


def _left_out(frame: DataFrame, columns: Columns) -> dict[str, str]:
    """The columns that are no features unless they are named, and why."""
    found = {column: "as asked" for column in columns.without if column != columns.target}
    for column in frame.columns:
        if column not in (columns.target, columns.group, *found) and (why := _why_not(frame[column])):
            found[column] = why
    return found


def _why_not(column: Series) -> str:
    """Why a column is no feature, if it is none."""
    import polars as pl

    if column.dtype.is_temporal() or column.dtype.is_nested():
        return f"{column.dtype}"
    n_rows, n_known = len(column), len(column) - column.null_count()
    if n_known == 0:
        return "empty"
    n_values = column.drop_nulls().n_unique()
    if n_values == 1 and n_known == n_rows:
        return "the same in every row"
    if n_known < FEW:
        return ""
    if column.dtype == pl.String:
        if column.drop_nulls().str.contains(DATE).all():
            return "dates"
        return "different in most rows" if n_values > n_known / 2 else ""
    if column.dtype.is_numeric() and n_values == n_rows and (column.diff().drop_nulls() == 1).all():
        return "the number of the row"
    return ""


def _listed(left_out: dict[str, str]) -> str:
    if not left_out:
        return ""
    why = [f"{shortened(column, LONGEST) or 'the one without a name'} ({why})" for column, why in left_out.items()]
    return f"; left out: {', '.join(why)}"


def _tell_gaps(X: DataFrame) -> None:
    """How many cells are empty, and what becomes of them."""
    gaps = {column: X[column].null_count() for column in X.columns if X[column].null_count()}
    if gaps:
        most = sorted(gaps.items(), key=lambda item: -item[1])
        named = ", ".join(f"{shortened(column, LONGEST)} {count:,}" for column, count in most[:MOST_NAMED])
        more = f" and {len(most) - MOST_NAMED} more columns" if len(most) > MOST_NAMED else ""
        n = sum(gaps.values())
        remark(
            f"{counted(n, 'cell')} {'is' if n == 1 else 'are'} empty ({named}{more}): that a value is "
            "missing is learned, too."
        )
