"""A whole table of a file, with its actual values, as a model takes both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import read_table
from ..errors import InvalidInputError
from .question import Question, by_order
from .terminal import warn
from .unlike import Gaps, Unlike

if TYPE_CHECKING:
    from polars import DataFrame, Series

    from ..data.files import Format
    from ..many.ensemble import Ensemble
    from ..mlp import MLP

CELL = re.compile(r"\b(X|y), row (\d+)(?:, column \d+(?: \((.*?)\)(?=[ ,:]))?)?")  # as messages name it
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Labelled(NamedTuple):
    """A model, and rows whose actual values are known."""

    model: MLP | Ensemble
    X: DataFrame
    y: NDArray[Any]  # (n_rows,) or (n_rows, n_targets)
    targets: Sequence[str]


def unlabelled(model: Path, file: Path, fmt: Format) -> tuple[MLP | Ensemble, DataFrame]:
    """The model, and the columns of a file that it reads."""
    question = Question(model)
    return question.model, _read(question, file, (), (), fmt)


def labelled(model: Path, file: Path, targets: Sequence[str], fmt: Format) -> Labelled:
    """The model, the columns of a file that it reads, and the targets.

    Raises:
        InvalidInputError: a file or a target that cannot be used.
    """
    question = Question(model)
    loaded, network = question.model, question.model.network
    n_targets = 1 if network.loss.task == "classes" else network.n_targets
    targets = targets or loaded.target_names or ()
    if not targets:
        raise InvalidInputError(f"Say which column of {file} holds the actual values: --target COLUMN.")
    if len(targets) != n_targets:
        raise InvalidInputError(f"{model} predicts {n_targets} targets: --target has to name each of them, in order.")
    known = loaded.feature_names or ()
    mixed = next((name for name in targets if name in known), None)
    if mixed is not None:
        raise InvalidInputError(f"{model} reads the column {mixed!r}: it cannot be the target, too.")
    is_text = loaded.classes is not None and loaded.classes.dtype.kind in "Ub"
    frame = _read(question, file, targets, () if is_text else targets, fmt)
    y = np.column_stack([_values(frame[name], loaded, file) for name in targets])
    return Labelled(loaded, frame.drop(targets), y[:, 0] if n_targets == 1 else y, targets)


@contextmanager
def words_of(file: Path, targets: Sequence[str] = ()) -> Iterator[None]:
    """Messages on tables of the block name the file, its rows counted from 1, and its columns."""

    def cell(match: re.Match[str]) -> str:
        name = match[3] if match[1] == "X" else ", ".join(targets)
        return f"{file}, row {int(match[2]) + 1}" + (f", column {name!r}" if name else "")

    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(CELL.sub(cell, str(error))) from error


def _read(question: Question, file: Path, targets: Sequence[str], numbers: Sequence[str], fmt: Format) -> DataFrame:
    """The columns that the model reads, and then the targets."""
    names, numbers = question.model.feature_names, [*question.numbers, *numbers]
    wanted = None if names is None else [*names, *targets]
    text = [name for name in wanted or targets if name not in numbers]
    frame = read_table(file, wanted, text, numbers, fmt, told=warn)
    features = names or by_order(frame, targets, question, str(file))
    if question.is_encoded:
        unlike = Unlike(question.model, "row")
        unlike.add(question.model.schema.columns(frame.select(features)), range(1, 1 + len(frame)))
        for line in unlike.told(features):
            warn(f"{file}, {line}")
    else:
        gaps = Gaps(str(file), "row")
        gaps.found(frame.select(features), range(1, 1 + len(frame)))
        gaps.refuse()
    return frame.select([*features, *targets])


def _values(column: Series, model: MLP | Ensemble, file: Path) -> NDArray[Any]:
    """Actual values as the model knows them: labels of its classes, or numbers."""
    empty = column.is_null()
    if empty.any():
        n, first = int(empty.sum()), int(empty.arg_max() or 0) + 1
        raise InvalidInputError(
            f"{file}: {n:,} {'row has' if n == 1 else 'rows have'} no {column.name}, the first is row {first:,}: fill "
            "it, or drop these rows."
        )
    values: NDArray[Any] = column.to_numpy()
    if model.classes is None:
        return values
    if model.classes.dtype.kind == "b":
        return np.array([BOOLEANS.get(str(value).lower(), value) for value in values.tolist()])
    if model.classes.dtype.kind in "iu" and (values == np.rint(values)).all():
        return values.astype(np.int64)
    return np.array(list(map(str, values.tolist()))) if model.classes.dtype.kind == "U" else values
