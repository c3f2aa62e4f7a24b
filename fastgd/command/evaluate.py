"""`fastgd evaluate MODEL FILE`: how good predictions are, for rows of which the target is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .guard import one_line_errors
from .options import file_options, json_option, quiet_option
from .terminal import answer, table

if TYPE_CHECKING:
    from ..data.files import Format


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", "targets", multiple=True, metavar="COLUMN", help="The column with actual values; by default "
              "that of the training. With several targets say each, in the order of the training.")  # fmt: skip
@json_option
@file_options
@quiet_option
@one_line_errors
def evaluate(model: Path, file: Path, targets: tuple[str, ...], as_json: bool, fmt: Format) -> None:
    """Say how good the predictions of MODEL are on the rows of FILE.

    Numbers: the root mean squared error (rmse), the mean absolute error (mae), R² (r2; 1 is perfect). Classes:
    accuracy, the area under the ROC curve, and of each class recall and precision. A large file is read part by part,
    for which rankings such as that area are left out.

    Example: fastgd evaluate house.safetensors sold.csv --target price
    """
    from ..data.reading.source import shown
    from ..options import counted
    from ..pages.page import number
    from .labelled import asked, read_whole
    from .measured_parts import are_wanted, measured_in_parts
    from .placed import words_of

    which = asked(model, file, targets)
    if are_wanted(which, file):
        found, n_rows = measured_in_parts(which, file, fmt)
    else:
        rows = read_whole(which, file, fmt)
        n_rows = len(rows.y)
        with words_of(shown(file), rows.places, rows.targets):
            found = rows.model.evaluate(rows.X, rows.y)
    if as_json:
        answer({"model": str(model), "file": str(file), "rows": n_rows, "target": which.targets, "metrics": found})
        return
    of = f"{', '.join(which.targets)}, {counted(n_rows, 'row')}"
    table((of, ""), [(name, number(value)) for name, value in found.items()])
