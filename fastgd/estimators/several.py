"""Several networks of one estimator: trained side by side by recipes that differ, and their mean.

The mean is plain, or of those networks that a greedy selection takes on held-out rows; these are then trained again on
all rows.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..data.encoding import as_encoding
from ..errors import InvalidInputError, TrainingWarning, kept_warnings, warn
from ..many.budget import Tempo, check, fitting, makespan, overrun, tempo_of, within
from ..many.ensemble import Ensemble
from ..many.fit_many import fit_many
from ..many.records import Record, was_stopped
from ..many.selection import greedy
from ..many.variety import Variant, draws
from ..training.cores import allowance
from ..training.history import INTERRUPTED
from ..training.progress import say
from ..training.recipe import Recipe
from .held_out import Rows
from .tables import count_rows

# What fit_many says of one network beside the fault itself; here table and options are those of all.
OF_A_SPEC = re.compile(r"^spec \d+: | \(The like holds for .*\)$")
Trained = tuple[Variant, Record]

POOL = 0.45  # of a budget is for the networks of which some are then trained again; of what is left, once more
LEFT = 0.1  # of a budget, which is worth another round
MORE = 1.05  # times the seconds that a network took before: threads are not always equally fast
FEWEST_SELECTED = 8  # networks to select from; with fewer of them the mean of all is better


class Team:
    """The networks of one fit.

    Args:
        estimator: whose options they have.
        base: the recipe around which theirs are drawn.
        free: the names of the options that nobody has chosen.
        is_rich: whether there are bins and many rows.
    """

    def __init__(self, estimator: Any, base: Recipe, free: frozenset[str], is_rich: bool) -> None:
        self.estimator, self.base, self.free, self.is_rich = estimator, base, free, is_rich
        self.selects = estimator._selects()
        self.n_threads = allowance(estimator.n_threads).most
        self.records: list[Record] = []  # of the networks of the ensemble
        self.variants: list[Variant] = []

    def mean(self, rows: Rows, held_out: Rows | None, all_rows: Rows | None) -> Ensemble:
        """Train them; with all_rows those that a selection on held_out has taken learn again, from all rows."""
        begun, budget = time.perf_counter(), self.estimator.time_budget
        found = self._mean(rows, held_out, all_rows, begun)
        late = 0.0 if budget is None else overrun(budget, time.perf_counter() - begun)
        if late:
            warn(
                f"time_budget={budget:g} was exceeded by {late:.3g} s: networks took longer than an epoch had told.",
                TrainingWarning,
            )
        return found

    def _mean(self, rows: Rows, held_out: Rows | None, all_rows: Rows | None, begun: float) -> Ensemble:
        estimator, budget = self.estimator, self.estimator.time_budget
        if budget is not None:
            self.tempo = self._tempo(rows, budget)
        if estimator.selection == "auto" and (held_out is None or self._fit_into(budget) < FEWEST_SELECTED):
            self.selects = False
        self.variants_left = self._variants()
        if not self.selects and not estimator.early_stopping:
            rows, held_out, all_rows = all_rows or rows, None, None
        if not self.selects:
            validation = held_out if estimator.early_stopping else None
            return self._whole(self._trained(rows, validation, self._left(begun)))
        assert held_out is not None
        taken = self._selected(rows, held_out, all_rows, begun)
        counts = [count for _, count in taken]
        found = [one for one, _ in taken]
        if all_rows is not None and not _is_interrupted(found):
            found = self._trained_again(found, all_rows)
        return self._whole(found, counts)

    def _selected(self, rows: Rows, held_out: Rows, all_rows: Rows | None, begun: float) -> list[tuple[Trained, int]]:
        """A pool of networks, and which of them count how often, those first that count most; all, once interrupted."""
        estimator, budget = self.estimator, self.estimator.time_budget
        validation = held_out if estimator.early_stopping else None
        of_classes = estimator._weights_of_classes(rows.y, rows.weights)
        pool: list[Trained] = []
        spare = self._left(begun)
        while True:
            pool += self._trained(rows, validation, budget and (1.0 if all_rows is None else POOL) * spare)
            if _is_interrupted(pool):
                return [(one, 1) for one in pool]
            counts = greedy([record.model for _, record in pool], *held_out.told, class_weight=of_classes)  # type: ignore[misc]
            chosen = [(one, int(count)) for one, count in zip(pool, counts, strict=True) if count]
            taken = sorted(chosen, key=lambda each: -each[1])
            if all_rows is not None and budget is not None:
                longer = MORE * count_rows(all_rows.X) / count_rows(rows.X)
                seconds = [longer * record.seconds for (_, record), _ in taken]
                left = self._left(begun)
                spare = left - makespan(seconds, self.n_threads)
                if spare >= LEFT * budget and estimator.n_networks == 1:
                    continue  # there is time for a larger pool
                taken = [taken[place] for place in fitting(seconds, left, self.n_threads)]
            if estimator.verbose:
                say(f"{len(taken)} of {len(pool)} networks are taken.")
            return taken

    def _trained_again(self, taken: list[Trained], all_rows: Rows) -> list[Trained]:
        """The same networks, learned from all rows; if one of them does not learn, they stay as they are."""
        again = [one for one, _ in taken]
        records = self._records(again, all_rows, None)
        lost = [record.error for record in records if record.error is not None]
        if lost:
            warn(f"Selected networks stay as they are: of all rows one did not learn: {lost[0]}", TrainingWarning)
        if lost or any(map(was_stopped, records)):
            return taken
        return list(zip(again, records, strict=True))

    def _left(self, begun: float) -> Any:
        """The seconds that are left of the budget; None where there is none."""
        budget = self.estimator.time_budget
        return None if budget is None else max(budget - (time.perf_counter() - begun), 0.0)

    def _tempo(self, rows: Rows, budget: float) -> Tempo:
        """How fast it goes here, from an epoch of the network that others are drawn around."""
        n_in = self.estimator.n_features_in_
        once = Variant(dataclasses.replace(self.base, epochs=1), as_encoding(self.estimator.encoding), 0)
        check(budget, once, count_rows(rows.X), n_in)
        with kept_warnings():  # all networks tell them
            (record,) = self._records([once], rows, None, verbose=0)
        return tempo_of(record, once, n_in, self.n_threads)

    def _fit_into(self, budget: float | None) -> float:
        """How many networks to select from a budget allows."""
        if budget is None:
            return math.inf
        one = Variant(self.base, as_encoding(self.estimator.encoding), 0)
        return POOL * budget * self.n_threads / self.tempo.seconds(one)

    def _variants(self) -> Iterator[Variant]:
        encoding = as_encoding(self.estimator.encoding)
        for draw in draws(self.estimator._seed()):
            yield draw.around(self.base, encoding, self.free, self.is_rich, self.selects)

    def _trained(self, rows: Rows, held_out: Rows | None, budget: float | None) -> list[Trained]:
        """As many networks as are asked for, or as the budget allows."""
        n_networks = self.estimator.n_networks
        chosen: list[Variant] = []

        def train(next_ones: Sequence[Variant]) -> list[Record]:
            chosen.extend(next_ones)
            return self._records(next_ones, rows, held_out)

        if budget is None:
            records = train(list(islice(self.variants_left, n_networks)))
        else:
            records = within(budget, self.variants_left, train, n_networks, self.tempo)
        found = _whole_ones(chosen, records)
        if not found:
            raise next((record.error for record in records if record.error is not None), KeyboardInterrupt())
        lost = [record.error for record in records if record.error is not None]
        if lost:
            warn(f"{len(lost)} of {len(records)} networks are left out: {lost[0]}", TrainingWarning)
        return found

    def _records(
        self, variants: Sequence[Variant], rows: Rows, held_out: Rows | None, verbose: Any = None
    ) -> list[Record]:
        estimator = self.estimator
        specs: list[dict[str, Any]] = []
        for variant in variants:
            recipe = variant.recipe
            specs.append({
                "model": estimator._network(rows.X, rows.y, recipe, variant.seed, variant.encoding),
                "epochs": recipe.epochs,
                "batch_size": recipe.batch_size,
                "optimizer": recipe.optimizer,
                "callbacks": [
                    estimator._patience(None if held_out is None else held_out.told, recipe), *estimator._beside(rows)
                ],
            })  # fmt: skip
        try:
            with kept_warnings() as told:
                records = fit_many(
                    specs, rows.X, rows.y,
                    sample_weight=rows.weights, class_weight=estimator._weights_of_classes(rows.y, rows.weights),
                    validation_data=None if held_out is None else held_out.told, shuffle=estimator.shuffle,
                    n_threads=estimator.n_threads, device=estimator.device,
                    verbose=estimator.verbose if verbose is None else verbose,
                )  # fmt: skip
        except InvalidInputError as error:
            raise InvalidInputError(OF_A_SPEC.sub("", str(error))) from error
        for message, category in told:
            warn(OF_A_SPEC.sub("", message), category)
        return records

    def _whole(self, found: Sequence[Trained], weights: Any = None) -> Ensemble:
        self.variants = [one for one, _ in found]
        self.records = [record for _, record in found]
        return Ensemble([record.model for record in self.records], weights)  # type: ignore[misc]

    def curve(self, name: str) -> list[float]:
        """What histories say of each epoch, the mean over the networks that came to it."""
        return _mean([record.history.history[name] for record in self.records if record.history])

    def scores(self) -> list[float]:
        """Likewise the scores of held-out rows."""
        return _mean([record.callbacks[0].scores for record in self.records])  # type: ignore[attr-defined]


def _whole_ones(variants: Sequence[Variant], records: Sequence[Record]) -> list[Trained]:
    """Those that came to an end."""
    pairs = zip(variants, records, strict=True)
    return [(one, record) for one, record in pairs if record.error is None and record.history is not None]


def _is_interrupted(found: Sequence[Trained]) -> bool:
    return any(record.history is not None and record.history.ended == INTERRUPTED for _, record in found)


def _mean(curves: Sequence[Sequence[float]]) -> list[float]:
    longest = max(map(len, curves), default=0)
    return [float(np.mean([curve[epoch] for curve in curves if epoch < len(curve)])) for epoch in range(longest)]
