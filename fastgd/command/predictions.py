"""What a model says of the rows of a file, part by part, and what is to be said of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.files import read_chunks, read_placed
from ..errors import InvalidInputError, kept_warnings
from .placed import in_file
from .question import Question, by_order
from .unlike import Gaps, Unlike

if TYPE_CHECKING:
    from polars import DataFrame

    from ..data.files import Format, Places

DIGITS = 10  # of predictions in float64: no more mean anything
NUMBERS = re.compile(r"[\d.,]+")


class Source:
    """A file whose rows are predicted.

    Attributes:
        path: of the file; "-" is standard input.
        keys: names of columns that stand beside the predictions; None for all.
        fmt: how it is written.
        told: takes what is to be said of it.
    """

    def __init__(self, path: Path, keys: Sequence[str] | None, fmt: Format, told: Callable[[str], None]) -> None:
        self.path, self.keys, self.fmt, self.told = path, keys, fmt, told
        self.name = "standard input" if str(path) == "-" else str(path)

    def parts(self, question: Question) -> Iterator[tuple[Places, DataFrame]]:
        """Some rows at a time, and where they stand: what the model reads, and what stands beside it."""
        features, keys = question.model.feature_names, self.keys
        if features is None:  # which columns hold numbers is found from all rows
            frame, places = read_placed(self.path, fmt=self.fmt, told=self.told)
            yield places, frame
            return
        wanted = None if keys is None else list(dict.fromkeys([*keys, *features]))
        text = [name for name in features if name not in question.numbers]
        yield from read_chunks(self.path, wanted, text, question.numbers, self.fmt, told=self.told)


def predicted(question: Question, source: Source) -> Iterator[DataFrame]:
    """Predictions beside some columns of a file, part by part."""
    unlike, gaps, told = Unlike(question.model), Gaps(source.name), set[str]()
    for places, frame in source.parts(question):
        features = question.model.feature_names or by_order(frame, source.keys or (), question, source.name)
        X = frame[list(features)]
        if not question.is_encoded and gaps.found(X, places):
            continue  # the rest is read to count them
        with kept_warnings() as warnings:
            try:
                if question.is_encoded:
                    X = question.model.schema.columns(X)
                    unlike.add(X, places)
                answers = question.answered(X)
            except InvalidInputError as error:
                raise InvalidInputError(in_file(str(error), source.name, places)) from error
        for message, _ in warnings:
            kind = NUMBERS.sub("", message)
            if kind not in told:
                source.told(in_file(message, source.name, places))
            told.add(kind)
        yield _beside(
            frame if source.keys is None else frame.select(frame[key] for key in dict.fromkeys(source.keys)),
            answers,
            source.name,
        )
    gaps.refuse()
    for line in unlike.told(question.names):
        source.told(f"{source.name}, {line}")


def _beside(frame: DataFrame, answers: dict[str, Any], name: str) -> DataFrame:
    """Columns of a file, and answers beside them."""
    from polars import DataFrame, Float64, col, concat

    taken = next((column for column in answers if column in frame.columns), None)
    if taken is not None:
        raise InvalidInputError(f"{name} has a column {taken!r} itself: say with --key which others are wanted.")
    made = DataFrame(answers).with_columns(col(Float64).round_sig_figs(DIGITS))
    return concat([frame, made], how="horizontal") if frame.width else made
