"""Recipes around one recipe, drawn at random: networks that differ make different mistakes, which their mean evens out.

What each ingredient gives is measured in benchmarks/NOTES.md. What a user has chosen stays as it is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data.encoding import Encoding
from ..training.recipe import Recipe
from ..training.schedules import WarmUp, at_rate, top_of

ACTIVATIONS = "silu", "gelu", "relu"
WIDTHS = 2 / 3, 1.0, 4 / 3  # times the units of a layer
DEEPER = 1 / 3  # the share of networks with one more layer, of many rows with bins
FINER = 0.5, 1.0, 2.0  # times the bins
LONGER, LONGER_SELECTED = (1.0, 1.5), (1.0, 1.5, 2.0)  # times the epochs, likewise


class Range(NamedTuple):
    """From … to, times what the recipe has."""

    rate: tuple[float, float]
    decay: tuple[float, float]
    dropout: tuple[float, float]


# Wide ranges are safe: less decay suits tables with much to find out, more of it those with noise, and the mean does
# well on both. Where rows are few, or inputs have no bins, they made means worse than one network, as did more layers
# and epochs.
OF_BINS = Range((0.6, 1.6), (0.15, 3.0), (0.4, 1.4))
PLAIN = Range((0.6, 1.6), (0.5, 2.0), (0.7, 1.3))
# Where those that do best are selected, ranges may be wider still: what suits a table is among them.
SELECTED = Range((0.5, 2.0), (0.1, 3.0), (0.0, 1.5))
MANY_ROWS = 10_000


@dataclass(frozen=True)
class Variant:
    """One network of several: how it is built and trained, how its table is encoded, and its seed."""

    recipe: Recipe
    encoding: Encoding | None
    seed: int


@dataclass(frozen=True)
class Draw:
    """What is drawn for one network; epochs, rate, decay and dropout are places in their range, from 0 to 1."""

    activation: str
    width: float
    is_deeper: bool
    finer: float
    longer: float
    rate: float
    decay: float
    dropout: float
    seed: int

    def around(
        self, base: Recipe, encoding: Encoding | None, free: Set[str], is_rich: bool, selects: bool = False
    ) -> Variant:
        """The recipe with what was drawn; only what is `free` differs.

        Args:
            base: what is drawn around.
            encoding: of the table.
            free: names of options.
            is_rich: whether there are bins, and MANY_ROWS.
            selects: whether the best ones are selected.
        """
        changes: dict[str, Any] = {}
        ranges = SELECTED if selects else OF_BINS if is_rich else PLAIN
        if "activation" in free:
            changes["activation"] = self.activation
        if "hidden_layer_sizes" in free:
            sizes = [max(round(self.width * size / 8) * 8, 8) for size in base.hidden_layer_sizes]
            changes["hidden_layer_sizes"] = (*sizes, *sizes[-1:]) if self.is_deeper and is_rich else tuple(sizes)
        if "dropout" in free:
            least, most = ranges.dropout
            changes["dropout"] = round(base.dropout * (least + (most - least) * self.dropout), 3)
        optimizer: Any = base.optimizer
        if "learning_rate" in free:
            optimizer = dataclasses.replace(
                optimizer, learning_rate=_faster(optimizer.learning_rate, _between(*ranges.rate, self.rate))
            )
        if "weight_decay" in free:
            decay = float(f"{optimizer.weight_decay * _between(*ranges.decay, self.decay):.3g}")
            optimizer = dataclasses.replace(optimizer, weight_decay=decay)
        if is_rich and "epochs" in free:
            lengths = LONGER_SELECTED if selects else LONGER
            longer = lengths[int(self.longer * len(lengths))]
            changes["epochs"] = round(base.epochs * longer)
            if "learning_rate" in free:
                optimizer = dataclasses.replace(optimizer, learning_rate=_longer(optimizer.learning_rate, longer))
        if encoding is not None and encoding.bins == "auto":
            encoding = dataclasses.replace(encoding, finer=encoding.finer * self.finer)
        return Variant(dataclasses.replace(base, optimizer=optimizer, **changes), encoding, self.seed)


def shortened(variant: Variant, times: float) -> Variant:
    """The same with so many times the epochs, at least one; its rate falls as much sooner."""
    recipe = variant.recipe
    optimizer: Any = recipe.optimizer
    optimizer = dataclasses.replace(optimizer, learning_rate=_longer(optimizer.learning_rate, times))
    epochs = max(int(recipe.epochs * times), 1)
    return dataclasses.replace(variant, recipe=dataclasses.replace(recipe, epochs=epochs, optimizer=optimizer))


def draws(seed: int) -> Iterator[Draw]:
    """One after another, without an end: more networks begin with the same ones."""
    for number in itertools.count():
        random = np.random.default_rng((seed, number))
        yield Draw(
            activation=ACTIVATIONS[random.integers(len(ACTIVATIONS))],
            width=WIDTHS[random.integers(len(WIDTHS))],
            is_deeper=bool(random.random() < DEEPER),
            finer=FINER[random.integers(len(FINER))],
            longer=float(random.random()),
            rate=float(random.random()),
            decay=float(random.random()),
            dropout=float(random.random()),
            seed=int(random.integers(np.iinfo(np.int32).max)),
        )


def _between(least: float, most: float, place: float) -> float:
    """Equal steps of the place are equal factors."""
    return float(least * (most / least) ** place)


def _faster(rate: Any, times: float) -> Any:
    """A rate or a schedule, so many times as fast; a function of the step stays as it is."""
    top = top_of(rate)
    return rate if top is None else at_rate(rate, float(f"{top * times:.3g}"))


def _longer(rate: Any, times: float) -> Any:
    """A schedule whose rate warms up so many times as long."""
    return dataclasses.replace(rate, steps=max(round(rate.steps * times), 1)) if isinstance(rate, WarmUp) else rate
