"""`fastgd train FILE`: a network for the user's own table, and how good it is on rows that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .guard import one_line_errors
from .kinds import Names, Share, Widths
from .options import file_options, json_option, overwrite_option, quiet_option
from .paths import check_can_write

if TYPE_CHECKING:
    from ..data.files import Format
    from .machines import Together
    from .networks import Plan

OPTIMIZERS = "sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw"
SCHEDULES = "constant", "cosine", "one-cycle", "plateau"


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
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
              type=Share())  # fmt: skip
@click.option("--buffer-rows", type=click.IntRange(min=1), metavar="N", help="Hold so many rows in memory at a time, "
              "twice, for tables that do not fit; FILE may then be several, or a pattern in quotes.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the split and the weights.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the model there; `fastgd predict` reads it.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML page with charts there.")
@overwrite_option
@json_option
@file_options
@quiet_option
@one_line_errors
def train(
    files: tuple[Path, ...],
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
    buffer_rows: int | None,
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

    Under mpiexec all processes train one network together, each on its share of the rows.

    Example: fastgd train houses.csv --target price_eur --save house.safetensors
    """
    from ..errors import InvalidInputError
    from .in_memory import train_table
    from .machines import Alone, Several, communicator, ending_alike
    from .networks import Plan, check_options
    from .over_stream import check_can_stream, train_stream
    from .recipes import Wishes
    from .request import Request
    from .rows import Columns, check_columns_given

    if not 0 < validation < 1:  # not-a-number passes every range
        raise InvalidInputError(f"--validation must be a share between 0 and 1, not {validation}.")
    if time_budget is not None and not 0 < time_budget < float("inf"):
        raise InvalidInputError(f"--time-budget must be a number of seconds above 0, not {time_budget}.")
    plan = Plan(Wishes(**wishes), seed, n_networks, time_budget, early_stopping, intervals, log_target)
    columns = Columns(target.strip(), features, without or [], text or [], None if group is None else group.strip())
    request = Request(
        list(files), fmt, columns, as_classes, drop_missing_target, plan, validation, save, report, as_json, buffer_rows
    )
    comm = communicator()
    together: Together = Alone() if comm is None else Several(comm)
    is_streamed = comm is not None or buffer_rows is not None

    def check() -> None:
        if is_streamed:
            check_can_stream(request)
        check_options(plan)
        check_columns_given(columns)
        if report is not None:
            _check_can_report(plan)
        for file in files:
            check_can_write(save, report, table=file, overwrite=overwrite)

    with ending_alike(together):
        together.by_first(check)
        if is_streamed:
            train_stream(request, together)
        else:
            train_table(request)


def _check_can_report(plan: Plan) -> None:
    from ..errors import InvalidInputError
    from ..pages import drawing

    if plan.is_several or plan.intervals:
        raise InvalidInputError("--report is about one network: leave --ensemble, --time-budget and --intervals out.")
    drawing.check_matplotlib()
