"""A training on rows that are read a part at a time, by one process or by several that share them.

A first pass tells what the columns are and how many rows there are. Then the training reads the rows in each epoch, and
a last pass over both sides measures how good it has become.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ..data.streams.source import Batch
from ..data.streams.stream import Stream
from ..errors import FastgdError, InvalidInputError
from ..mlp import MLP
from ..model.streamed import batches_of, measures_over
from ..model.streamed_measures import StreamedMeasures
from ..options import counted
from .guard import EXIT_INTERRUPTED
from .look import Look, Prepared
from .machines import Check, Together
from .networks import Shape, Trained, check_is_for_numbers, with_options
from .outcome import Outcome, Rows, tell
from .rows import features_of, told_missing
from .sides import HELD, KEPT, LEARNED, sides_of
from .tally import Tally
from .targets import classes_of
from .terminal import aside, busy, is_quiet, remark

if TYPE_CHECKING:
    from .request import Request

WHOLE = "takes all rows in memory, which are read a part at a time here: leave it out"
WORDS = (
    (re.compile(r"^(separator|decimal|encoding|missing)(?= is for)"), r"--\1"),
    (re.compile(r"columns="), "--features"),
    (re.compile(r"column as text"), "column as text with --text"),
    (re.compile(r"name another folder with spool=, or read the text in each pass with spool=False"), "set TMPDIR to "
     "another folder"),
)  # fmt: skip


class Lesson(NamedTuple):
    """What the first pass has told, for all processes."""

    rows: Rows
    shape: Shape
    n_kept: int  # to stop with


def check_can_stream(request: Request) -> None:
    """Refuse what takes all rows at once.

    Raises:
        InvalidInputError: an option that does.
    """
    plan = request.plan
    given = {
        "--group": request.columns.group is not None, "--ensemble": plan.n_networks > 1,
        "--time-budget": plan.budget is not None, "--intervals": plan.intervals, "--report": request.report is not None,
    }  # fmt: skip
    for option, is_given in given.items():
        if is_given:
            raise InvalidInputError(f"{option} {WHOLE}.")
    if "-" in map(str, request.files):
        raise InvalidInputError("Standard input can be read only once, but rows are read in each epoch: name a file.")


def train_stream(request: Request, together: Together) -> None:
    """Look at the rows, train on them, and say how good that is.

    Raises:
        InvalidInputError: a file or an option that cannot be used.
        DivergenceError: the loss has blown up.
    """
    with _in_options():
        own = together.met(lambda check: sides_of(request, together.rank, together.size))
        with aside(), busy(f"reading {own.name}"):
            look = together.met(lambda check: own.looked_at(request, check))
    sizes = look.sides.tolist()
    whole = together.merged(look, Look.merge)
    lesson = together.by_first(lambda: _lesson(request, own.name, whole))
    remark(lesson.rows.told())
    if len(sizes) > KEPT:
        remark(f"{lesson.n_kept:,} of the rows to learn from are kept to stop with.")
    prepared = Prepared(lesson.rows.features, lesson.rows.target, lesson.rows.classes)
    parts = [part.changed(prepared) for part in own.parts]
    trained = _trained(request, lesson.shape, parts, sizes, together)
    model = trained.model
    assert isinstance(model, MLP)
    model.target_names = [lesson.rows.target]
    if (path := request.save) is not None:
        together.by_first(lambda: model.save(path))
    found = together.met(lambda check: [_measured(model, parts[side], sizes[side], check) for side in (LEARNED, HELD)])
    outcome = together.merged(found, _both)
    if outcome is not None:
        measured, tallies = [measures.metrics() for measures, _ in outcome], [tally for _, tally in outcome]
        tell(Outcome(lesson.rows, trained, measured, tallies), request.save, None, request.as_json)
    if request.save is not None:
        remark(f"Saved to {request.save}.")
    if trained.is_interrupted:
        sys.exit(EXIT_INTERRUPTED)


def _lesson(request: Request, name: str, look: Look | None) -> Lesson:
    """What all rows tell, and says so.

    Raises:
        InvalidInputError: a target or features that cannot be used.
    """
    assert look is not None
    columns, missing = request.columns, look.missing
    if missing.n_rows:
        told_missing(name, columns.target, missing.n_rows, look.n_rows, request.drops_missing, missing.first)
    classes = classes_of(name, look.target.target, request.as_classes)
    check_is_for_numbers(classes, request.plan)
    facts = {column: found.facts for column, found in look.columns.items()}
    features, left_out = features_of(name, columns, facts)
    sizes = look.sides.tolist()
    rows = Rows(name, sum(sizes), sizes[HELD], columns.target, classes, features, left_out)
    for side, purpose in ((LEARNED, "to train on"), (HELD, "to measure with"), (KEPT, "to stop with")):
        if side < len(sizes) and not sizes[side]:
            raise InvalidInputError(f"{name} has only {counted(rows.n_rows, 'row')}: none of them is left {purpose}.")
    n_numbers = sum(look.columns[column].is_number for column in features)
    return Lesson(rows, Shape(sizes[LEARNED], features, n_numbers, classes), sum(sizes[KEPT:]))


def _trained(request: Request, shape: Shape, parts: list[Stream], sizes: list[int], together: Together) -> Trained:
    """Train one network; the first process watches its own rows."""
    plan = request.plan
    recipe, _ = shape.recipe(plan.wishes)
    model = shape.network(recipe, "auto", plan.seed, plan.log_target)
    watched = KEPT if plan.stops_early else HELD
    is_watching = together.rank == 0 and sizes[watched] > 0
    remark(f"Training: {recipe}")
    begun = time.perf_counter()
    with aside(), _in_options():
        history = model.fit(
            parts[LEARNED], epochs=recipe.epochs, batch_size=recipe.batch_size, optimizer=recipe.optimizer,
            validation_data=parts[watched] if is_watching else None,  # type: ignore[arg-type]
            callbacks=shape.callbacks(plan, recipe) if together.rank == 0 else [],
            verbose=0 if is_quiet() else "auto", comm=together.comm,
        )  # fmt: skip
    remark(f"Network {model.network}")
    return Trained(model, [history], recipe, None, time.perf_counter() - begun)


def _measured(model: MLP, stream: Stream, n_rows: int, check: Check) -> tuple[StreamedMeasures, Tally]:
    """How good the network is on one side of this process's rows, which may have none there."""
    tally = Tally(model.classes is not None)
    if not n_rows:
        return StreamedMeasures(model.schema, model.net), tally

    def counted(batch: Batch) -> Batch:
        check()
        tally.add(batch.y)
        return batch

    return measures_over(model, batches_of(stream.changed(counted).once())), tally


def _both(
    some: list[tuple[StreamedMeasures, Tally]], more: list[tuple[StreamedMeasures, Tally]]
) -> list[tuple[StreamedMeasures, Tally]]:
    for (measures, tally), (others, other) in zip(some, more, strict=True):
        measures.merge(others)
        tally.merge(other)
    return some


@contextmanager
def _in_options() -> Iterator[None]:
    """Errors of the block in the words of the command line."""
    try:
        yield
    except FastgdError as error:
        message = with_options(str(error))
        for pattern, words in WORDS:
            message = pattern.sub(words, message)
        error.args = (message,)  # it stays the error that all processes have met
        raise
