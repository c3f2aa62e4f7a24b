"""A training on a table that is read as a whole."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..data import splits
from ..errors import InvalidInputError
from ..mlp import MLP
from ..options import shortened
from ..training.callbacks import Recorder
from .footprint import tell_if_large
from .guard import EXIT_INTERRUPTED
from .networks import Plan, Trained, check_is_for_numbers, train_networks
from .outcome import Outcome, Rows, tell
from .placed import words_of
from .rows import Lesson, lesson
from .tally import Tally
from .terminal import busy, remark

if TYPE_CHECKING:
    from pathlib import Path

    from ..pages.page import Listing
    from .request import Request


def train_table(request: Request) -> None:
    """Read a table, train on it, and say how good that is.

    Raises:
        InvalidInputError: a table or an option that cannot be used.
    """
    plan, columns, (file, *others) = request.plan, request.columns, request.files
    if others:
        raise InvalidInputError("Several files are read as a stream: say with --buffer-rows how many rows to hold.")
    tell_if_large(file)
    rows = lesson(file, columns, request.as_classes, request.drops_missing, request.fmt)
    check_is_for_numbers(rows.classes, plan)
    train_rows, held = splits.split_rows(len(rows.y), request.validation, rows.groups, plan.seed)
    told = Rows(rows.name, len(rows.y), len(held), rows.target, rows.classes, rows.X.columns, rows.left_out)
    grouped = f", no {columns.group} on both sides" if columns.group is not None else ""
    remark(opening := told.told(grouped))
    seen, unseen = rows.at(train_rows), rows.at(held)
    recorder = None if request.report is None else Recorder()
    trained = train_networks(plan, seen, unseen, [] if recorder is None else [recorder])
    for member in trained.model.members:
        member.target_names = [rows.target]
    if request.save is not None:  # before anything that can go wrong with telling about it
        trained.model.save(request.save)
    outcome = _measured(told, trained, seen, unseen)
    tell(outcome, request.save, request.report, request.as_json)
    _tell_of_intervals(plan, trained, unseen)
    if request.save is not None:
        remark(f"Saved to {request.save}.")
    if request.report is not None and recorder is not None:
        _write_report(request.report, opening, outcome, seen, unseen, recorder)
    if trained.is_interrupted:
        sys.exit(EXIT_INTERRUPTED)


def _measured(told: Rows, trained: Trained, seen: Lesson, unseen: Lesson) -> Outcome:
    parts, measured = (trained.rows or seen, unseen), []
    for part in parts:
        with words_of(part.name, part.places, [part.target]):
            measured.append(trained.model.evaluate(part.X, part.y))
    return Outcome(told, trained, measured, [Tally(told.classes is not None, part.y) for part in parts])


def _tell_of_intervals(plan: Plan, trained: Trained, unseen: Lesson) -> None:
    if plan.intervals:
        low, high = trained.model.predict_interval(unseen.X, 0.9).T  # type: ignore[union-attr]
        inside = ((low <= unseen.y) & (unseen.y <= high)).mean()
        remark(f"Of the rows held out {inside:.1%} lie in their intervals for 90 %.")


def _write_report(
    report: Path, opening: str, outcome: Outcome, seen: Lesson, unseen: Lesson, recorder: Recorder
) -> None:
    from ..pages.page import Part, Text, write_page
    from ..pages.training_page import TITLE, Training, scenes

    trained, target, listings = outcome.trained, outcome.rows.target, outcome.listings
    (history,), model, recipe, rows = trained.histories, trained.model, trained.recipe, trained.rows or seen
    assert isinstance(model, MLP)
    if not history.epochs:
        remark(f"No {report}: not one epoch was completed.")
        return
    training = Training(
        model, history, recorder, recipe.optimizer, recipe.batch_size, (rows.X, rows.y), (unseen.X, unseen.y), target
    )
    first: list[Part | Listing] = [Text(f"{opening} Network {model.network}. {recipe}."), *listings]
    with busy(f"drawing {report}"):
        write_page(report, f"{shortened(target, TITLE)} from {unseen.name}", list(scenes(training, first)))
    remark(f"Report: {report}")
