"""A whole table of a file with its actual values, as a model takes both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import read_table
from ..errors import InvalidInputError
from ..many.ensemble import Ensemble, load
from ..mlp import MLP
from .predictions import Question, by_order
from .terminal import remark

if TYPE_CHECKING:
    from polars import DataFrame, Series

    from ..data.files import Format


class Labelled(NamedTuple):
    """A model, and rows whose actual values are known."""

    model: MLP | Ensemble
    X: DataFrame
    y: NDArray[Any]  # (n_rows,) or (n_rows, n_targets)
    targets: Sequence[str]


def unlabelled(model: Path, file: Path, fmt: Format) -> tuple[MLP | Ensemble, DataFrame]:
    """The model, and the columns of a file that it reads."""
    question = Question(load(model), model)
    frame = read_table(
        file, question.model.feature_names, question.text, question.numbers, fmt, told=remark
    )
    return question.model, frame.select(question.model.feature_names or by_order(frame, (), question, file))


def labelled(model: Path, file: Path, targets: Sequence[str], fmt: Format) -> Labelled:
    """The model, the columns of a file that it reads, and the targets."""
    question = Question(load(model), model)
    loaded, network = question.model, question.model.network
    n_targets = 1 if network.loss.task == "classes" else network.n_targets
    if not targets:
        raise InvalidInputError(f"Say which column of {file} holds the actual values: --target COLUMN.")
    if len(targets) != n_targets:
        raise InvalidInputError(f"{model} predicts {n_targets} targets: --target has to name each of them, in order.")
    names = loaded.feature_names
    twice = [name for name in targets if names is not None and name in names]
    if twice:
        raise InvalidInputError(f"{twice[0]!r} is a column that {model} reads: it cannot be the target.")
    is_text = loaded.classes is not None and loaded.classes.dtype.kind in "Ub"
    text, numbers = [*question.text, *targets * is_text], [*question.numbers, *targets * (not is_text)]
    wanted = None if names is None else [*names, *targets]
    frame = read_table(file, wanted, text, numbers, fmt, told=remark)
    y = np.column_stack([_values(frame[name], loaded, file) for name in targets])
    X = frame.select(names or by_order(frame, targets, question, file))
    return Labelled(loaded, X, y[:, 0] if n_targets == 1 else y, targets)


def _values(column: Series, model: MLP | Ensemble, file: Path) -> NDArray[Any]:
    """Actual values as the model knows them: labels of its classes, or numbers."""
    empty = column.is_null()
    if empty.any():
        n, first = int(empty.sum()), int(empty.arg_max() or 0) + 1
        what = "row has" if n == 1 else "rows have"
        raise InvalidInputError(
            f"{file}: {n:,} {what} no {column.name}, the first is row {first:,}: fill it, or drop these rows."
        )
    values = column.to_numpy()
    if model.classes is None:
        return values
    if model.classes.dtype.kind == "b":
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return np.array([known.get(str(value).lower(), value) for value in values.tolist()])
    if model.classes.dtype.kind in "iu" and (values == np.rint(values)).all():
        return values.astype(np.int64)
    return np.array(values.tolist()) if values.dtype == object else values
