"""Training one network, or several whose mean counts, on the rows of a file."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..data.encoding import Encoding
from ..data.splits import split_rows
from ..errors import DivergenceError, InvalidInputError
from ..estimators.watch import fading
from ..many.budget import Tempo, check, overrun, tempo_of, within
from ..many.ensemble import Ensemble
from ..many.fit_many import fit_many
from ..many.records import Record
from ..many.variety import MANY_ROWS, Variant, draws
from ..mlp import MLP
from ..options import counted
from ..training.callbacks import Callback, EarlyStopping
from ..training.cores import allowance
from ..training.history import INTERRUPTED, History
from ..training.recipe import ROWS_OF_FLOAT32, Recipe
from .placed import words_of
from .recipes import Wishes, chosen
from .rows import Lesson
from .terminal import aside, is_quiet, remark, warn

TO_STOP, TO_CALIBRATE = 0.1, 0.2  # shares of the rows to learn from, which are kept for it


PARAMETER = re.compile(
    r"^(learning_rate|weight_decay|clip_norm|batch_size|buffer_rows|epochs|dropout|time_budget)\b(=?)"
)


class Plan(NamedTuple):
    """What is to be trained."""

    wishes: Wishes
    seed: int
    n_networks: int
    budget: float | None  # seconds
    stops_early: bool
    intervals: bool
    log_target: bool

    @property
    def is_several(self) -> bool:
        """Whether several networks are trained."""
        return self.n_networks > 1 or self.budget is not None


class Trained(NamedTuple):
    """What has come of it."""

    model: MLP | Ensemble
    histories: list[History]
    recipe: Recipe
    rows: Lesson | None  # that it has learned from; None for a stream
    seconds: float

    @property
    def is_interrupted(self) -> bool:
        """Whether a person has ended it."""
        return any(history.ended == INTERRUPTED for history in self.histories)


def check_options(plan: Plan) -> None:
    """Refuse what no table could be learned with, before one is read.

    Raises:
        InvalidInputError: an option out of its range.
    """
    try:
        made, _ = chosen(plan.wishes, ROWS_OF_FLOAT32, 1, False)
        MLP(
            [1, *made.hidden_layer_sizes, 1], activation=made.activation, dropout=made.dropout, random_state=plan.seed,
            log_target=plan.log_target,
        )  # fmt: skip
    except InvalidInputError as error:
        raise InvalidInputError(with_options(str(error))) from error


def check_is_for_numbers(classes: NDArray[Any] | None, plan: Plan) -> None:
    """Refuse what classes cannot have."""
    if classes is not None and (plan.intervals or plan.log_target):
        raise InvalidInputError(
            f"{'--intervals' if plan.intervals else '--log-target'} is for numbers, not for classes."
        )


def train_networks(plan: Plan, rows: Lesson, held_out: Lesson, callbacks: Sequence[Callback]) -> Trained:
    """Train on `rows`, whose loss on those held out is shown meanwhile.

    Raises:
        InvalidInputError: an option or a table that cannot be used.
        DivergenceError: the loss has blown up.
    """
    kept: dict[str, Lesson] = {}
    for purpose, share in (("stop", TO_STOP * plan.stops_early), ("calibrate", TO_CALIBRATE * plan.intervals)):
        if share:
            places = split_rows(len(rows.y), share, rows.groups, plan.seed + 1)
            rows, kept[purpose] = rows.at(places[0]), rows.at(places[1])
            remark(f"{len(kept[purpose].y):,} of the rows to learn from are kept to {purpose} with.")
    team = Team(plan, rows, kept.get("stop"), held_out, callbacks)
    begun = time.perf_counter()
    try:
        with aside(), words_of(rows.name, rows.places, [rows.target], team.watched_places):
            model, histories = team.several() if plan.is_several else team.one()
    except DivergenceError as error:
        raise DivergenceError(with_options(str(error))) from error
    except InvalidInputError as error:
        raise InvalidInputError(with_options(str(error))) from error
    seconds = time.perf_counter() - begun
    late = 0.0 if plan.budget is None else overrun(plan.budget, seconds)
    if late:
        warn(f"--time-budget {plan.budget:g} was exceeded by {late:.3g} s.")
    if plan.intervals:
        aside_rows = kept["calibrate"]
        model = model if isinstance(model, Ensemble) else Ensemble([model])
        model.calibrate(aside_rows.X, aside_rows.y, aside_rows.groups)
    return Trained(model, histories, team.recipe, rows, seconds)


class Shape(NamedTuple):
    """A table to learn from, as far as networks are chosen by it."""

    n_rows: int
    columns: list[str]
    n_numbers: int  # of the columns
    classes: NDArray[Any] | None

    @property
    def n_in(self) -> int:
        """How many columns there are."""
        return len(self.columns)

    def recipe(self, wishes: Wishes) -> tuple[Recipe, bool]:
        """What suits it, and whether columns of numbers have bins."""
        return chosen(wishes, self.n_rows, self.n_numbers, self.classes is not None)

    def callbacks(self, plan: Plan, recipe: Recipe) -> list[Callback]:
        """What goes with that."""
        is_fading = plan.wishes.dropout is None and self.classes is None
        found = fading(self.n_rows, self.n_in) if is_fading else []
        return [*found, EarlyStopping(patience=recipe.patience)] if plan.stops_early else found

    def network(self, recipe: Recipe, encoding: Any, seed: int, log_target: bool) -> MLP:
        """A new network for it."""
        classes = self.classes
        loss, n_out, labels = "mse", 1, None if classes is None else classes.tolist()
        if classes is not None:
            loss, n_out = ("cross_entropy", len(classes)) if len(classes) > 2 else ("binary_cross_entropy", 1)
        return MLP(
            [self.n_in, *recipe.hidden_layer_sizes, n_out], activation=recipe.activation, dropout=recipe.dropout,
            dtype="float32" if self.n_rows >= ROWS_OF_FLOAT32 else "float64", loss=loss, classes=labels,
            encoding=encoding, feature_names=self.columns, random_state=seed, log_target=log_target,
        )  # fmt: skip


class Team:
    """The networks of one training."""

    def __init__(
        self, plan: Plan, rows: Lesson, to_stop: Lesson | None, held_out: Lesson, callbacks: Sequence[Callback]
    ) -> None:
        self.plan, self.rows, self.callbacks = plan, rows, list(callbacks)
        watched = to_stop or held_out
        self.watched, self.watched_places = (watched.X, watched.y), watched.places
        n_numbers = sum(dtype.is_numeric() for dtype in rows.X.dtypes)
        self.shape = Shape(len(rows.y), rows.X.columns, n_numbers, rows.classes)
        self.recipe, self.is_encoded = self.shape.recipe(plan.wishes)
        self.callbacks += self.shape.callbacks(plan, self.recipe)

    def network(self, recipe: Recipe, encoding: Any, seed: int) -> MLP:
        """A new network."""
        return self.shape.network(recipe, encoding, seed, self.plan.log_target)

    def one(self) -> tuple[MLP, list[History]]:
        """One network."""
        model = self.network(self.recipe, "auto", self.plan.seed)
        remark(f"Training: {self.recipe}")
        history = model.fit(
            self.rows.X, self.rows.y, epochs=self.recipe.epochs, batch_size=self.recipe.batch_size,
            optimizer=self.recipe.optimizer, validation_data=self.watched, callbacks=self.callbacks,
            verbose=0 if is_quiet() else "auto",
        )  # fmt: skip
        remark(f"Network {model.network}")  # whose inputs the fit has made of the columns
        return model, [history]

    def several(self) -> tuple[Ensemble, list[History]]:
        """Several networks, by recipes that differ; as many as are asked for, or fit into the seconds."""
        remark(f"Training: {self.recipe}, and others like it")
        plan, variants = self.plan, self._variants()
        if plan.budget is None:
            records = self._records(list(islice(variants, plan.n_networks)))
        else:
            records = within(plan.budget, variants, self._records, plan.n_networks, self._tempo(plan.budget))
        good = [record for record in records if record.error is None and record.history is not None]
        lost = [record.error for record in records if record.error is not None]
        if not good:
            raise lost[0] if lost else KeyboardInterrupt
        if lost:
            warn(f"{len(lost)} of {len(records)} networks {'is' if len(lost) == 1 else 'are'} left out: {lost[0]}")
        remark(f"{counted(len(good), 'network')} {'is' if len(good) == 1 else 'are'} averaged.")
        return Ensemble([record.model for record in good]), [record.history for record in good]  # type: ignore[misc]

    def _variants(self) -> Iterator[Variant]:
        is_rich = self.is_encoded and self.shape.n_rows >= MANY_ROWS
        for draw in draws(self.plan.seed):
            yield draw.around(self.recipe, Encoding(), self.plan.wishes.free, is_rich)

    def _records(self, variants: Sequence[Variant]) -> list[Record]:
        specs = [
            {
                "model": self.network(one.recipe, one.encoding, one.seed), "epochs": one.recipe.epochs,
                "batch_size": one.recipe.batch_size, "optimizer": one.recipe.optimizer, "callbacks": self.callbacks,
            }
            for one in variants
        ]  # fmt: skip
        validation = self.watched if self.plan.stops_early else None
        verbose = 0 if is_quiet() else "auto"
        return list(fit_many(specs, self.rows.X, self.rows.y, validation_data=validation, verbose=verbose))

    def _tempo(self, budget: float) -> Tempo:
        """How fast it goes here, from one epoch."""
        once = Variant(dataclasses.replace(self.recipe, epochs=1), Encoding(), 0)
        check(budget, once, self.shape.n_rows, self.shape.n_in)
        (record,) = self._records([once])
        return tempo_of(record, once, self.shape.n_in, allowance("auto").most)


def with_options(message: str) -> str:
    """A message in the words of the command line."""
    for name, option in (
        ("a smaller learning rate, such as ", "a smaller --learning-rate, such as "),
        ("clip_norm=1.0 in the optimizer", "--clip-norm 1"),
        ("layer_sizes ask for ", "--hidden asks for "),
        ("random_state must ", "--seed must "),
        ("or a smaller batch_size.", "or a smaller --batch-size."),
    ):
        message = message.replace(name, option)
    return PARAMETER.sub(lambda match: f"--{match[1].replace('_', '-')}{' ' * bool(match[2])}", message)
