"""Several networks of one estimator: trained side by side by recipes that differ, and their mean.

The mean is plain, or of those networks that a greedy selection takes on held-out rows; these are then trained again on
all rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..data.encoding import as_encoding
from ..errors import TrainingWarning, warn
from ..many.budget import within
from ..many.ensemble import Ensemble
from ..many.fit_many import fit_many
from ..many.records import Record
from ..many.selection import greedy
from ..many.variety import Draw, Variant, draws
from ..training.cores import allowance
from ..training.history import INTERRUPTED
from ..training.progress import say
from ..training.recipe import Recipe
from .held_out import Rows
from .tables import count_rows

POOL = 0.45  # of a budget is for the networks of which some are then trained again; of what is left, once more
LEFT = 0.1  # of a budget, which is worth another round
MANY = 1_000_000


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
        estimator, budget = self.estimator, self.estimator.time_budget
        begun, drawn = time.perf_counter(), draws(estimator._seed())
        validation = None if self.selects and not estimator.early_stopping else held_out
        learns_again = self.selects and all_rows is not None
        found = self._trained(rows, validation, drawn, budget and budget * (POOL if learns_again else 1))
        if not self.selects or _is_interrupted(found):
            return self._whole(found, None)
        assert held_out is not None
        while True:
            counts = greedy([record.model for _, record in found], *held_out.told)  # type: ignore[misc]
            taken = [(pair, int(count)) for pair, count in zip(found, counts, strict=True) if count]
            if all_rows is None or budget is None:
                break
            seconds = [record.seconds for (_, record), _ in taken]
            again = max(sum(seconds) / self.n_threads, *seconds, 0) * count_rows(all_rows.X) / count_rows(rows.X)
            left = budget - (time.perf_counter() - begun) - again
            if left < LEFT * budget or estimator.n_networks > 1:
                break
            found += self._trained(rows, validation, drawn, POOL * left)
            if _is_interrupted(found):
                return self._whole(found, None)
        if estimator.verbose:
            say(f"{len(taken)} of {len(found)} networks are taken.")
        if all_rows is None:
            return self._whole([pair for pair, _ in taken], [count for _, count in taken])
        refitted = self._records([draw for (draw, _), _ in taken], all_rows, None)
        pairs = [
            ((draw, record), n) for ((draw, _), n), record in zip(taken, refitted, strict=True) if _is_whole(record)
        ]
        return self._whole([pair for pair, _ in pairs], [count for _, count in pairs])

    def _trained(
        self, rows: Rows, held_out: Rows | None, drawn: Iterator[Draw], budget: float | None
    ) -> list[tuple[Draw, Record]]:
        """As many networks as are asked for, or as the budget allows, and what was drawn for each."""
        n_networks = self.estimator.n_networks
        if budget is None:
            chosen = list(islice(drawn, n_networks))
            records = self._records(chosen, rows, held_out)
        else:
            chosen = []

            def train(next_ones: Sequence[tuple[Draw, Variant]]) -> list[Record]:
                chosen.extend(draw for draw, _ in next_ones)
                return self._records([draw for draw, _ in next_ones], rows, held_out)

            pairs = ((draw, self._variant(draw)) for draw in drawn)
            most = n_networks if n_networks > 1 else MANY
            records = within(
                budget, pairs, train, self.n_threads, most, (count_rows(rows.X), self.estimator.n_features_in_)
            )
        found = [(draw, record) for draw, record in zip(chosen, records, strict=True) if _is_whole(record)]
        if not found:
            raise next((record.error for record in records if record.error is not None), KeyboardInterrupt())
        lost = [record.error for record in records if record.error is not None]
        if lost:
            warn(f"{len(lost)} of {len(records)} networks are left out: {lost[0]}", TrainingWarning)
        return found

    def _variant(self, draw: Draw) -> Variant:
        return draw.around(self.base, as_encoding(self.estimator.encoding), self.free, self.is_rich, self.selects)

    def _records(self, drawn: Sequence[Draw], rows: Rows, held_out: Rows | None) -> list[Record]:
        estimator = self.estimator
        specs: list[dict[str, Any]] = []
        for variant in map(self._variant, drawn):
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
        return fit_many(
            specs, rows.X, rows.y,
            sample_weight=rows.weights, class_weight=estimator._weights_of_classes(rows.y, rows.weights),
            validation_data=None if held_out is None else held_out.told, shuffle=estimator.shuffle,
            n_threads=estimator.n_threads, device=estimator.device, verbose=estimator.verbose,
        )  # fmt: skip

    def _whole(self, found: Sequence[tuple[Draw, Record]], weights: Any) -> Ensemble:
        self.variants = [self._variant(draw) for draw, _ in found]
        self.records = [record for _, record in found]
        return Ensemble([record.model for record in self.records], weights)  # type: ignore[misc]

    def curve(self, name: str) -> list[float]:
        """What histories say of each epoch, the mean over the networks that came to it."""
        return _mean([record.history.history[name] for record in self.records if record.history])

    def scores(self) -> list[float]:
        """Likewise the scores of held-out rows."""
        return _mean([record.callbacks[0].scores for record in self.records])  # type: ignore[attr-defined]


def _is_whole(record: Record) -> bool:
    return record.error is None and record.history is not None


def _is_interrupted(found: Sequence[tuple[Draw, Record]]) -> bool:
    return any(record.history is not None and record.history.ended == INTERRUPTED for _, record in found)


def _mean(curves: Sequence[Sequence[float]]) -> list[float]:
    longest = max(map(len, curves), default=0)
    return [float(np.mean([curve[epoch] for curve in curves if epoch < len(curve)])) for epoch in range(longest)]
