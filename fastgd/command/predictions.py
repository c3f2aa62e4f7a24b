"""What a model says of the rows of a file, part by part, and what is to be said of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.column_codes import LevelCode
from ..errors import InvalidInputError, kept_warnings
from ..model.answers import answers, check_classes, named, named_probabilities, output_names
from ..model.answers import probabilities as probabilities_of
from ..model.mean import Mean
from ..options import is_number
from .terminal import remark
from .unlike import Unlike

if TYPE_CHECKING:
    from polars import DataFrame

    from ..data.files import Format
    from ..many.ensemble import Ensemble
    from ..mlp import MLP

ROW = re.compile(r"\b(?:X, row (\d+)|row (\d+) of X)\b")  # of a part, as messages name it


class Question:
    """A model, and what it is asked of each row."""

    def __init__(self, model: MLP | Ensemble, path: Path, probabilities: bool, interval: float | None) -> None:
        self.model, self.probabilities, self.interval = model, probabilities, interval
        members = model.members
        self.encoders = [member.schema.encoder for member in members]
        self.is_encoded = None not in self.encoders
        if any(not member.schema.scaled and (member.standardize or member.schema.encoding) for member in members):
            raise InvalidInputError(f"{path} has never been fitted: train it first.")
        if probabilities:
            check_classes(model.network)
        if interval is not None:
            if not is_number(interval) or not 0 < interval < 1:
                raise InvalidInputError(f"--interval must be a share between 0 and 1, such as 0.9, not {interval}.")
            if not isinstance(model, Mean) or model.calibration is None:
                raise InvalidInputError(
                    f"{path} has no intervals: they take a model that was calibrated on rows held out for that."
                )
            model.calibration.reach(interval)

    @property
    def text(self) -> list[str]:
        """The columns that hold labels."""
        names = self.model.feature_names or ()
        encoder = self.encoders[0]
        codes = encoder.codes if encoder is not None else ()
        return [name for name, code in zip(names, codes, strict=False) if isinstance(code, LevelCode)]

    @property
    def numbers(self) -> list[str]:
        """The columns that hold numbers."""
        text = self.text
        return [name for name in self.model.feature_names or () if name not in text]

    def answered(self, X: Any) -> dict[str, Any]:
        """The answers for some rows, as columns by name."""
        model = self.model
        out = model.outputs_for(X)
        columns = named(answers(model.schema, out), output_names(model.network))
        if self.probabilities:
            found = named_probabilities(model.schema, probabilities_of(model.network, out))
            columns |= {f"probability {name}": values for name, values in found.items()}
        if self.interval is not None and isinstance(model, Mean):
            ends = model.predict_interval(X, self.interval)
            ends = ends.reshape(len(ends), -1, 2)
            for target in range(ends.shape[1]):
                which = f" {target}" if ends.shape[1] > 1 else ""
                columns |= {f"low{which}": ends[:, target, 0], f"high{which}": ends[:, target, 1]}
        return columns


def predicted(
    question: Question, path: Path, keys: Sequence[str], all_columns: bool, fmt: Format
) -> Iterator[DataFrame]:
    """Predictions beside some columns of the file, part by part."""
    import polars

    model = question.model
    unlike, gaps, told = Unlike(model), Gaps(path), set[str]()
    for first_line, frame in parts_of(question, path, keys, all_columns, fmt):
        names = model.feature_names or _by_order(frame, keys, model.network.n_in, path)
        X = frame.select(names)
        if not question.is_encoded and gaps.add(X, first_line):
            continue
        with kept_warnings() as warnings:
            try:
                if question.is_encoded:
                    X = model.schema.columns(X)
                    unlike.add(X, first_line)
                columns = question.answered(X)
            except InvalidInputError as error:
                raise InvalidInputError(_placed(str(error), path, first_line)) from error
        for message, _ in warnings:
            kind = re.sub(r"[\d.,]+", "", message)
            if kind not in told:
                told.add(kind)
                remark(_placed(message, path, first_line))
        beside = frame if all_columns else frame.select(list(dict.fromkeys(keys)))
        taken = [name for name in columns if name in beside.columns]
        if taken:
            raise InvalidInputError(f"{path} has a column {taken[0]!r} itself: name others with --key.")
        yield beside.with_columns(**{}) if not columns else polars.concat(
            [beside, polars.DataFrame(columns)], how="horizontal"
        ) if beside.columns else polars.DataFrame(columns)
    gaps.refuse()
    names = model.feature_names or [f"{place + 1}" for place in range(model.network.n_in)]
    for line in unlike.told(names):
        remark(f"{path}, {line}")


def parts_of(
    question: Question, path: Path, keys: Sequence[str], all_columns: bool, fmt: Format
) -> Iterator[tuple[int, DataFrame]]:
    """The parts of a file, each with the number of its first line: the model's columns, and those beside them."""
    from ..data.files import read_chunks

    features = question.model.feature_names
    wanted = None if features is None or all_columns else list(dict.fromkeys([*keys, *features]))
    beside = [name for name in keys if name not in question.numbers]
    yield from read_chunks(path, wanted, text=[*question.text, *beside], numbers=question.numbers, fmt=fmt)


class Gaps:
    """Rows without a number that the model needs: all are counted before they are told."""

    def __init__(self, path: Path) -> None:
        self.path, self.n_rows, self.first = path, 0, ""

    def add(self, X: DataFrame, first_line: int) -> bool:
        """Whether there are any so far."""
        if any(count for count in X.null_count().row(0)):
            empty = X.select(column.is_null() for column in _columns(X))
            rows = empty.select(_any()).to_series()
            if not self.n_rows:
                row = int(rows.arg_max() or 0)
                name = next(name for name in X.columns if empty[name][row])
                self.first = f"line {first_line + row:,}, column {name!r}"
            self.n_rows += int(rows.sum())
        return self.n_rows > 0

    def refuse(self) -> None:
        """Refuse the file if there are any."""
        if self.n_rows:
            rows = "1 row has" if self.n_rows == 1 else f"{self.n_rows:,} rows have"
            raise InvalidInputError(
                f"{self.path}: {rows} no value where the model needs one, the first in {self.first}; this model was "
                "trained without gaps: fill them, or drop these rows."
            )


def _columns(X: DataFrame) -> Any:
    import polars

    return [polars.col(name) for name in X.columns]


def _any() -> Any:
    import polars

    return polars.any_horizontal(polars.all())


def _by_order(frame: DataFrame, keys: Sequence[str], n_in: int, path: Path) -> list[str]:
    """The columns that a model without names reads: all but the keys."""
    names = [name for name in frame.columns if name not in keys]
    if len(names) != n_in:
        raise InvalidInputError(
            f"{path} has {len(names)} columns, but the model reads {n_in}, and knows no names by which to choose them."
        )
    return names


def _placed(message: str, path: Path, first_line: int) -> str:
    """A message about rows of a part, as one about lines of the file."""

    def line(match: re.Match[str]) -> str:
        return f"{path}, line {first_line + int(match[1] or match[2]):,}"

    return re.sub(r"\bX, column", f"{path}, column", ROW.sub(line, message))
