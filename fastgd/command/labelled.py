"""A whole table of a file, with its actual values, as a model takes both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import Places, read_placed
from ..data.reading.source import shown
from ..errors import InvalidInputError
from ..options import counted
from .question import Question, by_order
from .terminal import warn
from .unlike import Gaps, Unlike

if TYPE_CHECKING:
    from polars import DataFrame, Series

    from ..data.files import Format
    from ..many.ensemble import Ensemble
    from ..mlp import MLP

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Labelled(NamedTuple):
    """A model, and rows whose actual values are known."""

    model: MLP | Ensemble
    X: DataFrame
    y: NDArray[Any]  # (n_rows,) or (n_rows, n_targets)
    targets: Sequence[str]
    places: Places  # of the rows


def unlabelled(model: Path, file: Path, fmt: Format) -> tuple[MLP | Ensemble, DataFrame, Places]:
    """The model, the columns of a file that it reads, and where its rows stand."""
    question = Question(model)
    return question.model, *_read(question, file, (), (), fmt)


class Asked(NamedTuple):
    """A model, and the columns of a file with actual values."""

    question: Question
    targets: Sequence[str]
    numbers: Sequence[str]  # those of them that hold numbers

    def values(self, frame: DataFrame, places: Places, file: Path) -> NDArray[Any]:
        """Actual values, (n_rows,) or (n_rows, n_targets)."""
        y = np.column_stack([_values(frame[name], places, self.question.model, file) for name in self.targets])
        return y[:, 0] if len(self.targets) == 1 else y


def asked(model: Path, file: Path, targets: Sequence[str]) -> Asked:
    """The model, and the columns of a file with actual values; without `targets` those of its training.

    Raises:
        InvalidInputError: targets that it does not predict.
    """
    question = Question(model)
    loaded, network = question.model, question.model.network
    n_targets = 1 if network.loss.task == "classes" else network.n_targets
    targets = targets or loaded.target_names or ()
    if not targets:
        raise InvalidInputError(f"Say which column of {file} holds the actual values: --target COLUMN.")
    if len(targets) != n_targets:
        raise InvalidInputError(
            f"{model} predicts {counted(n_targets, 'target')}: --target has to name each of them, in order."
        )
    known = loaded.feature_names or ()
    mixed = next((name for name in targets if name in known), None)
    if mixed is not None:
        raise InvalidInputError(f"{model} reads the column {mixed!r}: it cannot be the target, too.")
    is_text = loaded.classes is not None and loaded.classes.dtype.kind in "Ub"
    return Asked(question, targets, () if is_text else targets)


def labelled(model: Path, file: Path, targets: Sequence[str], fmt: Format) -> Labelled:
    """The model, the columns of a file that it reads, and the targets.

    Raises:
        InvalidInputError: a file or a target that cannot be used.
    """
    return read_whole(asked(model, file, targets), file, fmt)


def read_whole(which: Asked, file: Path, fmt: Format) -> Labelled:
    """All rows of a file.

    Raises:
        InvalidInputError: a file that cannot be used.
    """
    frame, places = _read(which.question, file, which.targets, which.numbers, fmt)
    X, y = frame.drop(which.targets), which.values(frame, places, file)
    return Labelled(which.question.model, X, y, which.targets, places)


def _read(
    question: Question, file: Path, targets: Sequence[str], numbers: Sequence[str], fmt: Format
) -> tuple[DataFrame, Places]:
    """The columns that the model reads, and then the targets; and where the rows stand."""
    names, numbers = question.model.feature_names, [*question.numbers, *numbers]
    wanted = None if names is None else [*names, *targets]
    text = [name for name in wanted or targets if name not in numbers]
    frame, places = read_placed(file, wanted, text, numbers, fmt, told=warn)
    features = names or by_order(frame, targets, question, shown(file))
    if question.is_encoded:
        unlike = Unlike(question.model)
        unlike.add(question.model.schema.columns(frame[list(features)]), places)
        for line in unlike.told(features):
            warn(f"{shown(file)}, {line}")
    else:
        gaps = Gaps(shown(file))
        gaps.found(frame[list(features)], places)
        gaps.refuse()
    return frame[[*features, *targets]], places


def _values(column: Series, places: Places, model: MLP | Ensemble, file: Path) -> NDArray[Any]:
    """Actual values as the model knows them: labels of its classes, or numbers."""
    empty = column.is_null()
    if empty.any():
        n, first = int(empty.sum()), places.of(int(empty.arg_max() or 0))
        raise InvalidInputError(
            f"{shown(file)}: {counted(n, 'row')} {'has' if n == 1 else 'have'} no {column.name}, the first is {first}: "
            "fill it, or drop these rows."
        )
    values: NDArray[Any] = column.to_numpy()
    if model.classes is None:
        return values
    if model.classes.dtype.kind == "b":
        return np.array([BOOLEANS.get(str(value).lower(), value) for value in values.tolist()])
    if model.classes.dtype.kind in "iu" and (values == np.rint(values)).all():
        return values.astype(np.int64)
    return np.array(list(map(str, values.tolist()))) if model.classes.dtype.kind == "U" else values
