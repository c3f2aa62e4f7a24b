"""`fastgd train FILE`: a network for the user's own table, and how good it is on rows that it has not seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .guard import EXIT_INTERRUPTED, one_line_errors
from .paths import check_can_write
from .terminal import busy, say, table


class _Names(click.ParamType):  # type: ignore[type-arg]  # generic only in later releases of click
    name = "NAMES"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        names = value if isinstance(value, list) else [name.strip() for name in _cells(value)]
        if not names or not all(names) or len(set(names)) < len(names):
            self.fail(f"{value!r} is not a list of different names such as size_m2,bedrooms.", param, ctx)
        return names


def _cells(line: str) -> list[str]:
    """What stands between commas; a name with a comma in it is quoted, as in the file. Nothing if that is unclear."""
    import csv

    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        return []
    return cells


class _Widths(click.ParamType):  # type: ignore[type-arg]
    name = "WIDTHS"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        words = [word.strip() for word in value.split(",")] if value.strip() else []
        if not all(word.isdecimal() and len(word) < 20 and int(word) > 0 for word in words):
            self.fail(
                f"{value!r} is not a list of layer widths such as 64,64 (empty for no hidden layer).",
                param,
                ctx,
            )
        return [int(word) for word in words]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="The column of numbers to predict.")
@click.option(
    "--features", required=True, type=_Names(), help="The columns of numbers to predict it from, with commas."
)
@click.option("--hidden", default="64,64", show_default=True, type=_Widths(), help="Widths of the hidden layers.")
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(min=1), help="Passes over all rows.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Rows per step.")
@click.option("--learning-rate", default=0.05, show_default=True, type=float, help="Size of a step.")
@click.option("--group", default=None, help="Column whose equal values stay on one side of the split.")
@click.option(
    "--validation",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the rows that is held out.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the split and the weights.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the model there; fastgd.load reads it.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page with charts there.")
@one_line_errors
def train(
    file: Path,
    target: str,
    features: list[str],
    hidden: list[int],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    group: str | None,
    validation: float,
    seed: int,
    save: Path | None,
    report: Path | None,
) -> None:
    """Train on the rows of FILE (.csv or .csv.gz) and say how good it is on rows held out."""
    from ..data.files import read_columns
    from ..data.splits import split_rows
    from ..errors import InvalidInputError
    from ..mlp import MLP
    from ..pages.page import Listing, Part, Text, number, write_page
    from ..training.callbacks import Recorder
    from ..training.history import INTERRUPTED
    from ..training.optimizers import SGD

    target, groups = target.strip(), [] if group is None else [group.strip()]
    if not 0 < validation < 1:  # not-a-number passes every range
        raise InvalidInputError(f"--validation must be a share between 0 and 1, not {validation}.")
    if target in features:
        raise InvalidInputError(f"{target!r} is both the target and a feature: leave it out of --features.")
    optimizer, recorder = SGD(learning_rate=learning_rate), Recorder()
    check_can_write(save, report, table=file)
    if report is not None:
        from ..pages import drawing

        drawing.check_matplotlib()
    values, texts = read_columns(file, [*features, target], groups)
    X, y = values[:, :-1], values[:, -1]
    train_rows, held_out = split_rows(len(X), validation, texts[groups[0]] if groups else None, seed)
    grouped = f", no {groups[0]} on both sides" if groups else ""
    say(opening := f"{file.name}: {len(X):,} rows, {len(held_out):,} of them held out{grouped}.")
    model = MLP([len(features), *hidden, 1], feature_names=features, random_state=seed)
    say(f"Network {model.network}")
    seen, unseen = (X[train_rows], y[train_rows]), (X[held_out], y[held_out])
    history = model.fit(
        *seen,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        validation_data=unseen,
        callbacks=[recorder] if report is not None else [],
    )
    if save is not None:  # before anything that can go wrong with telling about it
        model.save(save)
    header = ["", "rows", "R²", "root mean squared error", "mean absolute error"]
    measured = [model.evaluate(*part) for part in (seen, unseen)]
    errors = [
        [name, f"{len(part[0]):,}", _r2(m["r2"], part[1]), number(m["rmse"]), number(m["mae"])]
        for name, part, m in zip(("training", "held out"), (seen, unseen), measured, strict=True)
    ]
    table(header, errors)
    say(f"{history.seconds:.2f} s of training, {history.rows_per_second:,.0f} rows/s.")
    if history.epochs and measured[1]["r2"] < 0 and unseen[1].min() < unseen[1].max():
        say("On the rows held out the mean would do better: try another --learning-rate, or more --epochs.")
    if save is not None:
        say(f"Saved to {save}.")
    if report is not None and not history.epochs:
        say(f"No {report}: not one epoch was completed.")
    if report is not None and history.epochs:
        from ..options import shortened
        from ..pages.training_page import TITLE, Training, scenes

        training = Training(model, history, recorder, optimizer, batch_size, seen, unseen, target)
        first: list[Part] = [
            Text(f"{opening} Network {model.network}, {optimizer}, batches of {batch_size}."),
            Listing(header, errors),
        ]
        with busy(f"drawing {report}"):
            write_page(report, f"{shortened(target, TITLE)} from {file.name}", list(scenes(training, first)))
        say(f"Report: {report}")
    if history.ended == INTERRUPTED:
        sys.exit(EXIT_INTERRUPTED)


def _r2(value: float, y: Any) -> str:
    """R² as text; where y does not vary there is none."""
    from ..pages.page import number

    return "–" if y.min() == y.max() else f"{value:.3f}" if abs(value) < 1000 else number(value)
