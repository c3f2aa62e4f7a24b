"""`fastgd lr-find FILE`: the constant learning rate with which a training comes to the lowest loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .guard import one_line_errors
from .kinds import Names, Share, Widths
from .options import file_options, json_option, quiet_option
from .terminal import answer, aside, busy, remark, say, table
from .train import OPTIMIZERS

if TYPE_CHECKING:
    from ..data.files import Format


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="The column to predict: numbers, or classes.")
@click.option("--features", type=Names(), help="The columns to predict it from, with commas between them; by default "
              "all others.")  # fmt: skip
@click.option("--without", type=Names(), help="Columns that are no features.")
@click.option("--text", type=Names(), help="Columns to read as text, such as codes.")
@click.option("--classes/--regression", "as_classes", default=None, help="The target is a class, or a number.")
@click.option("--group", metavar="COLUMN", help="Its equal values stay on one side of the split.")
@click.option("--drop-missing-target", is_flag=True, help="Leave rows without a target out.")
@click.option("--hidden", type=Widths(), help="Units of the hidden layers, such as 64,64.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over all rows of the training in question.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), metavar="NAME",
              help=f"What a step does with the gradient: {', '.join(OPTIMIZERS)}.")  # fmt: skip
@click.option("--validation", default=0.2, show_default=True, help="Share of the rows that is held out.",
              type=Share())  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the split and the weights.")
@json_option
@file_options
@quiet_option
@one_line_errors
def lr_find(
    file: Path,
    target: str,
    features: list[str] | None,
    without: list[str] | None,
    text: list[str] | None,
    as_classes: bool | None,
    group: str | None,
    drop_missing_target: bool,
    hidden: list[int] | None,
    epochs: int | None,
    batch_size: int | None,
    optimizer: str | None,
    validation: float,
    seed: int,
    as_json: bool,
    fmt: Format,
) -> None:
    """Find the learning rate that suits the rows of FILE.

    Networks are trained with rates between which there are factors of two. Rates that fall behind are given up, and at
    last some near the best are tried. What counts is the loss on rows held out. It takes as long as ten trainings.

    Example: fastgd lr-find houses.csv --target price --optimizer sgd
    """
    from ..data.splits import split_rows
    from ..pages.page import number
    from .networks import Plan, Team
    from .placed import words_of
    from .recipes import Wishes
    from .rows import Columns, lesson

    wishes = Wishes(hidden=hidden, epochs=epochs, batch_size=batch_size, optimizer=optimizer)
    plan = Plan(wishes, seed, 1, None, stops_early=False, intervals=False, log_target=False)
    columns = Columns(target.strip(), features, without or [], text or [], None if group is None else group.strip())
    rows = lesson(file, columns, as_classes, drop_missing_target, fmt)
    seen, unseen = (rows.at(places) for places in split_rows(len(rows.y), validation, rows.groups, seed))
    team = Team(plan, seen, None, unseen, [])
    model, recipe = team.network(team.recipe, "auto", seed), team.recipe
    remark(f"Training: {recipe}")
    told = words_of(seen.name, seen.places, [seen.target], unseen.places)
    with aside(), busy("trying learning rates"), told:
        found = model.find_learning_rate(
            seen.X, seen.y, epochs=recipe.epochs, batch_size=recipe.batch_size, optimizer=recipe.optimizer,
            validation_data=(unseen.X, unseen.y),
        )  # fmt: skip
    if as_json:
        answer(vars(found) | {"rows": len(rows.y), "target": target.strip()})
        return
    cells = zip(found.rates, found.losses, found.epochs, strict=True)
    table(("learning rate", "loss", "after epochs"), [[number(value) for value in row] for row in cells])
    say(f"--learning-rate {found.learning_rate:.3g}")
    remark(found.reason)
