"""`fastgd train FILE`: a network for the user's own table, and how good it is on rows that it has not seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import counted, shortened
from .guard import EXIT_INTERRUPTED, one_line_errors
from .kinds import Names, Widths
from .options import file_options, json_option, overwrite_option, quiet_option
from .paths import check_can_write
from .terminal import answer, busy, is_quiet, remark, table

if TYPE_CHECKING:
    from ..data.files import Format
    from ..pages.page import Listing
    from ..training.callbacks import Recorder
    from .networks import Plan, Trained
    from .rows import Lesson

OPTIMIZERS = "sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"
SCHEDULES = "constant", "cosine", "one-cycle", "plateau"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="The column to predict: numbers, or classes.")
@click.option("--features", type=Names(), help="The columns to predict it from, with commas between them; by default "
              "all others, but what tells nothing, such as the number of the row.")  # fmt: skip
@click.option("--without", type=Names(), help="Columns that are no features.")
@click.option("--text", type=Names(), help="Columns to read as text, such as codes.")
@click.option("--classes/--regression", "as_classes", default=None, help="The target is a class, or a number; by "
              "default text and what has two values are classes.")  # fmt: skip
@click.option("--group", metavar="COLUMN", help="Its equal values stay on one side of the split.")
@click.option("--drop-missing-target", is_flag=True, help="Leave rows without a target out.")
@click.option("--hidden", type=Widths(), help="Units of the hidden layers, such as 64,64.")
@click.option("--activation", metavar="NAME", help="Of the hidden layers, such as relu.")
@click.option("--dropout", type=float, help="Share of the hidden units that a step leaves out.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over all rows.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), metavar="NAME", help="What a step does with the gradient: "
              f"{', '.join(OPTIMIZERS)}.")  # fmt: skip
@click.option("--learning-rate", type=float, help="How far a step goes; of a schedule the highest.")
@click.option("--schedule", type=click.Choice(SCHEDULES), metavar="NAME", help="How the learning rate goes on: "
              f"{', '.join(SCHEDULES)}.")  # fmt: skip
@click.option("--weight-decay", type=float, help="How much weights are pulled towards 0.")
@click.option("--clip-norm", type=float, help="A longer gradient is cut to this length.")
@click.option("--early-stopping", is_flag=True, help="Stop when rows kept for it are predicted no better.")
@click.option("--log-target", is_flag=True, help="Learn the logarithm of the target, as suits prices.")
@click.option("--ensemble", "n_networks", default=1, show_default=True, type=click.IntRange(1, 1000), metavar="N",
              help="So many networks, whose mean predicts.")  # fmt: skip
@click.option("--time-budget", type=float, metavar="SECONDS", help="As many networks as can be trained in this time.")
@click.option("--intervals", is_flag=True, help="Keep rows to learn from how far off predictions are, for `fastgd "
              "predict --interval`.")  # fmt: skip
@click.option("--validation", default=0.2, show_default=True, help="Share of the rows that is held out.",
              type=click.FloatRange(0, 1, min_open=True, max_open=True))  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the split and the weights.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the model there; `fastgd predict` reads it.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page with charts there.")
@overwrite_option
@json_option
@file_options
@quiet_option
@one_line_errors
def train(
    file: Path,
    target: str,
    features: list[str] | None,
    without: list[str] | None,
    text: list[str] | None,
    as_classes: bool | None,
    group: str | None,
    drop_missing_target: bool,
    n_networks: int,
    time_budget: float | None,
    early_stopping: bool,
    intervals: bool,
    log_target: bool,
    validation: float,
    seed: int,
    save: Path | None,
    report: Path | None,
    overwrite: bool,
    as_json: bool,
    fmt: Format,
    **wishes: Any,
) -> None:
    """Train on the rows of FILE and say how good it is on rows held out.

    FILE is .csv, plain or packed (.gz, .zst), or .parquet, or - for standard input. Columns may hold numbers or text,
    and cells may be empty. What no option says is chosen by the table.

    Example: fastgd train houses.csv --target price_eur --save house.safetensors
    """
    from ..errors import InvalidInputError
    from .networks import Plan, check_options
    from .recipes import Wishes
    from .rows import Columns, lesson

    if not 0 < validation < 1:  # not-a-number passes every range
        raise InvalidInputError(f"--validation must be a share between 0 and 1, not {validation}.")
    if time_budget is not None and not 0 < time_budget < float("inf"):
        raise InvalidInputError(f"--time-budget must be a number of seconds above 0, not {time_budget}.")
    plan = Plan(Wishes(**wishes), seed, n_networks, time_budget, early_stopping, intervals, log_target)
    check_options(plan)
    if report is not None:
        _check_can_report(plan)
    check_can_write(save, report, table=file, overwrite=overwrite)
    columns = Columns(target.strip(), features, without or [], text or [], None if group is None else group.strip())
    rows = lesson(file, columns, as_classes, drop_missing_target, fmt)
    if rows.classes is not None and (intervals or log_target):
        raise InvalidInputError(f"{'--intervals' if intervals else '--log-target'} is for numbers, not for classes.")
    _train(rows, columns.target, plan, validation, group, save, report, as_json)


def _check_can_report(plan: Plan) -> None:
    from ..errors import InvalidInputError
    from ..pages import drawing

    if plan.is_several or plan.intervals:
        raise InvalidInputError("--report is about one network: leave --ensemble, --time-budget and --intervals out.")
    drawing.check_matplotlib()


def _train(
    rows: Lesson, target: str, plan: Plan, validation: float, group: str | None, save: Path | None,
    report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from ..data.splits import split_rows
    from ..training.callbacks import Recorder
    from .networks import train_networks
    from .placed import words_of
    from .results import listings_of

    train_rows, held = split_rows(len(rows.y), validation, rows.groups, plan.seed)
    grouped = f", no {group} on both sides" if group is not None else ""
    remark(opening := f"{rows.name}: {counted(len(rows.y), 'row')}, {len(held):,} of them held out{grouped}.")
    seen, unseen = rows.at(train_rows), rows.at(held)
    recorder = None if report is None else Recorder()
    trained = train_networks(plan, seen, unseen, [] if recorder is None else [recorder])
    model = trained.model
    for member in model.members:
        member.target_names = [target]
    if save is not None:  # before anything that can go wrong with telling about it
        model.save(save)
    parts = (trained.rows, unseen)
    measured = []
    for part in parts:
        with words_of(part.name, part.places, [target]):
            measured.append(model.evaluate(part.X, part.y))
    listings = listings_of(measured, [part.y for part in parts], rows.classes is not None)
    if as_json:
        answer(_found(rows, target, trained, measured, len(held), save, report))
    elif not is_quiet():
        for listing in listings:
            table(listing.header, listing.rows)
    _say_more(plan, trained, measured, unseen)
    if save is not None:
        remark(f"Saved to {save}.")
    if report is not None and recorder is not None:
        _write_report(report, opening, target, trained, unseen, recorder, listings)
    if trained.is_interrupted:
        sys.exit(EXIT_INTERRUPTED)


def _say_more(plan: Plan, trained: Trained, measured: list[dict[str, float]], unseen: Lesson) -> None:
    """What else is worth knowing of the result."""
    remark(f"{trained.seconds:.2f} s of training.")
    is_worse = measured[1].get("r2", 0) < 0 and unseen.y.min() < unseen.y.max() if unseen.classes is None else False
    if is_worse:
        remark("On the rows held out the mean would do better: try another --learning-rate, or more --epochs.")
    if plan.intervals:
        low, high = trained.model.predict_interval(unseen.X, 0.9).T  # type: ignore[union-attr]
        inside = ((low <= unseen.y) & (unseen.y <= high)).mean()
        remark(f"Of the rows held out {inside:.1%} lie in their intervals for 90 %.")


def _found(
    rows: Lesson, target: str, trained: Trained, measured: list[dict[str, float]], n_held: int, save: Path | None,
    report: Path | None,
) -> dict[str, Any]:  # fmt: skip
    """The answer for programs."""
    return {
        "file": rows.name,
        "rows": len(rows.y),
        "rows_held_out": n_held,
        "target": target,
        "classes": rows.classes,
        "features": rows.X.columns,
        "left_out": rows.left_out,
        "networks": [str(member.network) for member in trained.model.members],
        "recipe": str(trained.recipe),
        "training": measured[0],
        "held_out": measured[1],
        "seconds": trained.seconds,
        "interrupted": trained.is_interrupted,
        "saved": None if save is None else str(save),
        "report": None if report is None else str(report),
    }


def _write_report(
    report: Path, opening: str, target: str, trained: Trained, unseen: Lesson, recorder: Recorder,
    listings: list[Listing],
) -> None:  # fmt: skip
    from ..pages.page import Part, Text, write_page
    from ..pages.training_page import TITLE, Training, scenes

    (history,), recipe, rows, model = trained.histories, trained.recipe, trained.rows, trained.model
    if not history.epochs:
        remark(f"No {report}: not one epoch was completed.")
        return
    seen, held_out = (rows.X, rows.y), (unseen.X, unseen.y)
    training = Training(model, history, recorder, recipe.optimizer, recipe.batch_size, seen, held_out, target)  # type: ignore[arg-type]
    first: list[Part] = [Text(f"{opening} Network {model.network}. {recipe}."), *listings]
    with busy(f"drawing {report}"):
        write_page(report, f"{shortened(target, TITLE)} from {unseen.name}", list(scenes(training, first)))
    remark(f"Report: {report}")
