"""A model from a file, and what a command asks it of each row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.column_codes import LevelCode
from ..errors import InvalidInputError
from ..many.ensemble import load
from ..model.answers import answers, named, named_probabilities, output_names, probabilities
from ..model.mean import Mean
from ..options import counted, is_number

if TYPE_CHECKING:
    from polars import DataFrame


class Question:
    """A model, and what it is asked of each row.

    Args:
        path: of the model.
        with_probabilities: whether the probability of each class is asked for.
        interval: the share of actual values that intervals shall hold, if they are asked for.

    Raises:
        InvalidInputError: the model was never fitted, or cannot answer this.
        ModelFileError: there is no such model.
    """

    def __init__(self, path: Path, with_probabilities: bool = False, interval: float | None = None) -> None:
        self.path, self.model = path, load(path)
        self.with_probabilities, self.interval = with_probabilities, interval
        members = self.model.members
        encoders = [member.schema.encoder for member in members]
        self.is_encoded, self.encoder = None not in encoders, encoders[0]
        if any(not member.schema.scaled and (member.standardize or member.encoding) for member in members):
            raise InvalidInputError(f"{path} has never been fitted: train it first.")
        if with_probabilities and self.model.network.loss.task not in ("classes", "labels"):
            raise InvalidInputError(f"{path} predicts numbers, not classes: leave --probabilities out.")
        if interval is not None:
            self._check_interval(interval)

    def _check_interval(self, share: float) -> None:
        if not is_number(share) or not 0 < share < 1:
            raise InvalidInputError(f"--interval must be a share between 0 and 1, such as 0.9, not {share}.")
        if not isinstance(self.model, Mean) or self.model.calibration is None:
            raise InvalidInputError(
                f"{self.path} has no intervals: train it with --intervals, or calibrate an ensemble."
            )
        try:
            self.model.calibration.reach(share)
        except InvalidInputError as error:
            told = str(error).replace("coverage=", "--interval ").rstrip(".")
            raise InvalidInputError(f"{told}: ask for a smaller share.") from error

    @property
    def names(self) -> Sequence[str]:
        """What messages call the columns that the model reads."""
        return self.model.feature_names or [str(place) for place in range(self.model.network.n_in)]

    @property
    def numbers(self) -> list[str]:
        """The names of those that hold numbers."""
        names, codes = self.model.feature_names or (), () if self.encoder is None else self.encoder.codes
        labels = {name for name, code in zip(names, codes, strict=False) if isinstance(code, LevelCode)}
        return [name for name in names if name not in labels]

    def answered(self, X: Any) -> dict[str, Any]:
        """The answers for some rows, as columns by name."""
        model, out = self.model, self.model.outputs_for(X)
        columns = named(answers(model.schema, out), output_names(model.network))
        if self.with_probabilities:
            found = named_probabilities(model.schema, probabilities(model.network, out))
            columns |= {f"probability of {name}": values for name, values in found.items()}
        if self.interval is not None and isinstance(model, Mean):
            ends = model.predict_interval(X, self.interval).reshape(len(out), -1, 2).astype(out.dtype)
            for target in range(ends.shape[1]):
                which = f" {target}" if ends.shape[1] > 1 else ""
                columns |= {f"low{which}": ends[:, target, 0], f"high{which}": ends[:, target, 1]}
        return columns


def by_order(frame: DataFrame, others: Sequence[str], question: Question, name: str) -> list[str]:
    """The columns that a model without names reads: all but some others."""
    names, n_in = [column for column in frame.columns if column not in others], question.model.network.n_in
    if len(names) != n_in:
        raise InvalidInputError(
            f"{name} has {counted(len(names), 'column')}, but {question.path} reads {n_in}, and has no "
            "names to choose them by."
        )
    return names
