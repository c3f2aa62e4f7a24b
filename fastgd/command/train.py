"""`fastgd train FILE`: a network for the user's own table, and how good it is on rows that it has not seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .guard import EXIT_INTERRUPTED, one_line_errors
from .options import overwrite_option
from .paths import check_can_write
from .terminal import busy, say, table

if TYPE_CHECKING:
    from ..pages.page import Listing


PARTS = ("training", "held out")


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
@click.option("--target", required=True, help="The column to predict: of numbers, or see --classes.")
@click.option(
    "--features", required=True, type=_Names(), help="The columns of numbers to predict it from, with commas."
)
@click.option("--classes", is_flag=True, help="The target is a class, such as yes or no: text, or whole numbers.")
@click.option("--hidden", default="64,64", show_default=True, type=_Widths(), help="Widths of the hidden layers.")
@click.option("--epochs", default=40, show_default=True, type=click.IntRange(min=1), help="Passes over all rows.")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1), help="Rows per step.")
@click.option(
    "--learning-rate", default=None, type=float, help="Of plain gradient descent, in place of what fits most tables."
)
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
@overwrite_option
@one_line_errors
def train(
    file: Path,
    target: str,
    features: list[str],
    classes: bool,
    hidden: list[int],
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    group: str | None,
    validation: float,
    seed: int,
    save: Path | None,
    report: Path | None,
    overwrite: bool,
) -> None:
    """Train on the rows of FILE (.csv or .csv.gz) and say how good it is on rows held out.

    Example: fastgd train houses.csv --target price --features size,rooms --save model
    """
    import numpy as np

    from ..data.files import read_table
    from ..data.splits import split_rows
    from ..errors import InvalidInputError
    from ..mlp import MLP
    from ..pages.page import Part, Text, write_page
    from ..training.callbacks import Recorder
    from ..training.history import INTERRUPTED
    from ..training.optimizers import DEFAULT_OPTIMIZER, SGD

    target, groups = target.strip(), [] if group is None else [group.strip()]
    if not 0 < validation < 1:  # not-a-number passes every range
        raise InvalidInputError(f"--validation must be a share between 0 and 1, not {validation}.")
    if target in features:
        raise InvalidInputError(f"{target!r} is both the target and a feature: leave it out of --features.")
    recorder = Recorder()
    optimizer = DEFAULT_OPTIMIZER if learning_rate is None else SGD(learning_rate=learning_rate)
    check_can_write(save, report, table=file, overwrite=overwrite)
    if report is not None:
        from ..pages import drawing

        drawing.check_matplotlib()
    numbers = features if classes else [*features, target]
    rows = read_table(
        file, [*features, target, *groups], text=[*groups, target] if classes else groups, numbers=numbers,
        told=say, gaps=False,
    )  # fmt: skip
    X = rows.select(features).to_numpy()
    y = _labels(file, target, rows[target].fill_null("").to_list()) if classes else rows[target].to_numpy()
    texts = {name: rows[name].to_list() for name in groups}
    train_rows, held_out = split_rows(len(X), validation, texts[groups[0]] if groups else None, seed)
    grouped = f", no {groups[0]} on both sides" if groups else ""
    say(opening := f"{file.name}: {len(X):,} rows, {len(held_out):,} of them held out{grouped}.")
    of_classes: dict[str, Any] = {"loss": "cross_entropy", "classes": np.unique(y)} if classes else {}
    n_out = len(of_classes.get("classes", [0]))
    model = MLP([len(features), *hidden, n_out], feature_names=features, random_state=seed, **of_classes)
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
    measured = [model.evaluate(*part) for part in (seen, unseen)]
    listings = (_of_classes if classes else _of_numbers)(measured, seen[1], unseen[1])
    for listing in listings:
        table(listing.header, listing.rows)
    say(f"{history.seconds:.2f} s of training, {history.rows_per_second:,.0f} rows/s.")
    if history.epochs and not classes and measured[1]["r2"] < 0 and unseen[1].min() < unseen[1].max():
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
            *listings,
        ]
        with busy(f"drawing {report}"):
            write_page(report, f"{shortened(target, TITLE)} from {file.name}", list(scenes(training, first)))
        say(f"Report: {report}")
    if history.ended == INTERRUPTED:
        sys.exit(EXIT_INTERRUPTED)


def _labels(file: Path, target: str, cells: list[str]) -> Any:
    """Classes as an array of text."""
    import numpy as np

    from ..errors import InvalidInputError

    labels = np.array([cell.strip() for cell in cells])
    empty = np.flatnonzero(labels == "")
    if empty.size:
        raise InvalidInputError(f"{file}, row {empty[0] + 1} has no {target}: fill it, or drop the row.")
    if len(np.unique(labels)) < 2:
        raise InvalidInputError(f"{file}: {target} is {str(labels[0])!r} in every row: there is nothing to tell apart.")
    return labels


def _of_numbers(measured: list[dict[str, float]], *targets: Any) -> list[Listing]:
    """How good a regression is on the rows that it has seen, and on the others."""
    from ..pages.page import Listing, number

    header = ["", "rows", "R²", "root mean squared error", "mean absolute error"]
    rows = [
        [name, f"{len(y):,}", _r2(m["r2"], y), number(m["rmse"]), number(m["mae"])]
        for name, m, y in zip(PARTS, measured, targets, strict=True)
    ]
    return [Listing(header, rows)]


def _of_classes(measured: list[dict[str, float]], *targets: Any) -> list[Listing]:
    """How good a classifier is, and at which classes; of what no row says anything there is a dash."""
    import numpy as np

    from ..pages.page import Listing

    def share(m: dict[str, float], name: str) -> str:
        return f"{m[name]:.3f}" if name in m else "–"

    labels = np.unique(np.concatenate(targets))
    of = f" of {labels[1]}" if len(labels) == 2 else ""
    header = ["", "rows", "accuracy", "balanced", "AUC", f"average precision{of}"]
    names = ("accuracy", "balanced_accuracy", "roc_auc", "average_precision")
    rows = [
        [part, f"{len(y):,}", *(share(m, name) for name in names)]
        for part, m, y in zip(PARTS, measured, targets, strict=True)
    ]
    held_out = measured[-1]
    each = [
        [
            label,
            f"{np.sum(targets[-1] == label):,}",
            share(held_out, f"recall_{label}"),
            share(held_out, f"precision_{label}"),
        ]
        for label in labels
        if f"recall_{label}" in held_out or f"precision_{label}" in held_out
    ]
    return [Listing(header, rows)] + ([Listing(["held out", "rows", "recall", "precision"], each)] if each else [])


def _r2(value: float, y: Any) -> str:
    """R² as text; where y does not vary there is none."""
    from ..pages.page import number

    return "–" if y.min() == y.max() else f"{value:.3f}" if abs(value) < 1000 else number(value)
