"""`fastgd explain MODEL FILE`: which columns matter, what one does, and what is to blame for a row's error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .guard import one_line_errors
from .options import file_options, json_option, quiet_option
from .terminal import answer, remark, say, table, tell

if TYPE_CHECKING:
    from ..data.files import Format
    from ..explain.features import Importance, PartialDependence
    from .labelled import Labelled


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", "targets", multiple=True, metavar="COLUMN", help="The column with actual values; by default "
              "that of the training.")  # fmt: skip
@click.option("--column", metavar="COLUMN", help="What this column does to predictions, all others as they are.")
@click.option("--output", metavar="CLASS", help="With --column: of which class, or which output, counted from 0.")
@click.option("--row", type=click.IntRange(min=1), metavar="NUMBER", help="Who is to blame for the error of this row, "
              "counted from 1.")  # fmt: skip
@json_option
@file_options
@quiet_option
@one_line_errors
def explain(
    model: Path,
    file: Path,
    targets: tuple[str, ...],
    column: str | None,
    output: str | None,
    row: int | None,
    as_json: bool,
    fmt: Format,
) -> None:
    """Explain what MODEL makes of the columns of FILE.

    Which of them matter: how much the error grows when the values of one are shuffled among the rows. With --column:
    what is predicted if that column has one value or another. With --row: whose weights the error of one row pulls at.

    Example: fastgd explain house.safetensors sold.csv --target price --column size
    """
    from ..data.reading.source import shown
    from ..errors import InvalidInputError
    from ..explain.features import partial_dependence, permutation_importance
    from .labelled import labelled, unlabelled
    from .placed import words_of

    if column is not None and row is not None:
        raise InvalidInputError("--column and --row are two questions: ask one after the other.")
    if column is not None:
        loaded, X, places = unlabelled(model, file, fmt)
        known = [] if loaded.classes is None else [str(label) for label in loaded.classes.tolist()]
        which = int(output) if output is not None and output.isdecimal() and output not in known else output
        try:
            with words_of(shown(file), places):
                curve = partial_dependence(loaded, X, column, output=which)
        except InvalidInputError as error:
            raise InvalidInputError(str(error).replace("output=0 to", "--output 0 to")) from error
        answer(curve.to_dict()) if as_json else _show_curve(curve)
        return
    rows = labelled(model, file, targets, fmt)
    if row is not None:
        _blame(rows, row, as_json)
        return
    with words_of(shown(file), rows.places, rows.targets):
        found = permutation_importance(rows.model, rows.X, rows.y)
    answer(found.to_dict()) if as_json else _show_importance(found)


def _show_importance(found: Importance) -> None:
    import numpy as np

    from ..pages.page import number

    say(f"The {found.unit_of} is {number(found.baseline)}; with the values of one column shuffled it grows by:")
    table(
        ("column", "increase", "spread"),
        [
            (found.features[place], number(found.increase[place]), number(found.spread[place]))
            for place in np.argsort(-found.increase, kind="stable").tolist()
        ],
    )


def _show_curve(curve: PartialDependence) -> None:
    from ..pages.page import Chart, Line, Listing, Scene, number

    title = f"{curve.output} by {curve.feature}"
    if curve.values.dtype.kind == "U":
        cells = zip(curve.values.tolist(), curve.predictions, curve.low, curve.high, strict=True)
        rows = [[label, *map(number, numbers)] for label, *numbers in cells]
        tell(Scene(title, [Listing((curve.feature, "mean", "10 %", "90 %"), rows)]))
        return
    line = Line("mean", curve.values.tolist(), curve.predictions.tolist())
    shown = range(0, len(curve.values), max(len(curve.values) // 6, 1))
    rows = [
        [number(numbers[place]) for numbers in (curve.values, curve.predictions, curve.low, curve.high)]
        for place in shown
    ]
    chart = Chart("The mean of all rows", curve.feature, curve.output, [line])
    tell(Scene(title, [chart, Listing((curve.feature, "mean", "10 %", "90 %"), rows)]))


def _blame(rows: Labelled, row: int, as_json: bool) -> None:
    from ..errors import InvalidInputError
    from ..model.core import Core
    from ..pages.page import number

    if row > len(rows.y):
        raise InvalidInputError(f"There is no row {row:,}: the file has {len(rows.y):,} rows.")
    place, model = slice(row - 1, row), rows.model
    X, y = rows.X[place], rows.y[place]
    predicted = model.predict(X)
    blamed = model.blame(X, y, by="input") if isinstance(model, Core) else model.blame(X, y)
    values: Any = X.row(0) if hasattr(X, "row") else X[0]
    if as_json:
        columns = dict(zip(blamed["input"], values, strict=True))
        answer({"row": row, "actual": y[0], "prediction": predicted[0], "columns": columns, "blame": blamed.to_dict()})
        return
    line = f" ({rows.places.of(row - 1)})" if rows.places.word == "line" else ""
    say(f"Row {row:,}{line}: {_told(predicted[0])} is predicted, {_told(y[0])} is right.")
    told = sorted(
        zip(blamed["input"], values, blamed["share"], blamed["severity"], strict=True), key=lambda each: -each[2]
    )
    table(
        ("column", "value", "share of the blame", "it is"),
        [(name, _told(value), number(float(share)), severity) for name, value, share, severity in told],
    )
    remark("Share: how hard the error pulls at the weights of a column, beside the one at which it pulls hardest.")


def _told(value: Any) -> str:
    """A value of a row as text."""
    import numpy as np

    from ..pages.page import number

    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(map(_told, value))
    if isinstance(value, float | np.floating):
        return number(float(value))
    return "–" if value is None else str(value)
