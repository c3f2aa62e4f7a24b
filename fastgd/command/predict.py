"""`fastgd predict MODEL FILE`: predictions for the rows of a file, part by part, so that it may be of any length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import counted
from .guard import one_line_errors
from .kinds import Names
from .options import file_options, overwrite_option, quiet_option
from .paths import check_can_write
from .terminal import aside, busy, remark, warn

if TYPE_CHECKING:
    from polars import DataFrame

    from ..data.files import Format


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to this file, by its ending .csv, .csv.gz "
              "or .parquet, and not to standard output.")  # fmt: skip
@click.option("--key", "keys", type=Names(), multiple=True, help="Columns of FILE that stand beside the predictions, "
              "with commas between them; may be repeated.")  # fmt: skip
@click.option("--all-columns", is_flag=True, help="All columns of FILE stand there.")
@click.option("--probabilities", is_flag=True, help="Of each class its probability, too.")
@click.option("--interval", type=float, metavar="SHARE", help="From where to where so many actual values lie, such as "
              "0.9; for a model with calibrated intervals.")  # fmt: skip
@overwrite_option
@file_options
@quiet_option
@one_line_errors
def predict(
    model: Path,
    file: Path,
    output: Path | None,
    keys: tuple[list[str], ...],
    all_columns: bool,
    probabilities: bool,
    interval: float | None,
    overwrite: bool,
    fmt: Format,
) -> None:
    """Predict the rows of FILE with the network or networks in MODEL.

    FILE is .csv, .csv.gz or .parquet, or - for standard input, of any length, and has the columns that the model was
    trained on; others do not matter. What the model cannot know, such as a category that it has never seen, is counted
    and told.

    Example: fastgd predict house.safetensors tomorrow.csv --key id
    """
    from .predictions import Source, predicted
    from .question import Question
    from .writing import check_ending, write_table

    for read in (file, model):
        check_can_write(output, table=read, overwrite=overwrite)
    check_ending(output)
    question = Question(model, probabilities, interval)
    beside = None if all_columns else [name for names in keys for name in names]
    parts = Counted(predicted(question, Source(file, beside, fmt, warn)))
    if output is None:
        write_table(iter(parts), None)
        return
    with aside(), busy(f"predicting {file}"):
        write_table(iter(parts), output)
    remark(f"{counted(parts.n_rows, 'prediction')} {'is' if parts.n_rows == 1 else 'are'} in {output}.")


class Counted:
    """Parts of a table, and how many rows there were in them."""

    def __init__(self, parts: Iterator[DataFrame]) -> None:
        self.parts, self.n_rows = parts, 0

    def __iter__(self) -> Iterator[Any]:
        for part in self.parts:
            self.n_rows += len(part)
            yield part
