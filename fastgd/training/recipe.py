"""What suits a table by its number of rows: the network, the optimizer, the batches, and how long to train.

The numbers are measured on tables of 150 to 200,000 rows. What is given stays as it is, and the rest is chosen around
it. Whether a table holds numbers or classes made no difference, but where numbers have bins.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..options import counted, is_number
from .optimizers import DEFAULT_OPTIMIZER, AdamW, Optimizer
from .schedules import Cosine, WarmUp

ROWS_OF_FLOAT32 = 1000  # from which on float32, twice as fast, is precise enough
FEWEST_WAITED = 10  # epochs
WHOLE = 32  # rows: so few are one batch, learned without dropout, so that a weighted row is as good as a repeated one
WARM = 0.05  # share of the steps in which the rate rises
FEWEST_EPOCHS, MOST_EPOCHS = 12, 300


class Size(NamedTuple):
    """What suits tables of less than so many rows."""

    rows: float
    batch_size: int
    steps: int  # of the whole training
    hidden_layer_sizes: tuple[int, ...]
    dropout: float
    rate: float
    decay: float


# One hidden layer, a high rate and much dropout for few rows: two layers learn the noise of 500 rows. From 3,000 on
# strong decay costs accuracy where inputs are not encoded, and twice the steps help.
SIZES = (
    Size(1_000, 32, 2_000, (96,), 0.3, 0.008, 0.5),
    Size(3_000, 64, 2_000, (96, 96), 0.2, 0.004, 0.4),
    Size(10_000, 128, 4_000, (96, 96), 0.1, 0.006, 0.1),
    Size(100_001, 256, 4_000, (96, 96), 0.1, 0.006, 0.1),
    Size(500_000, 512, 4_000, (96, 96), 0.1, 0.006, 0.1),
    Size(math.inf, 1_024, 4_000, (96, 96), 0.1, 0.006, 0.1),
)


class Encoded(NamedTuple):
    """What suits tables whose numbers have bins: many more weights, which strong decay keeps in check."""

    fewest_steps: int
    most_steps: int
    epochs: int  # between these
    dropout: float
    rate: float
    decay: float  # for DECAYED rows, less for more of them: decay · √(DECAYED / rows), LEAST_DECAY to 1
    ema_decay: float


DECAYED, LEAST_DECAY = 16_000, 0.1
# Prices of houses in California and Barcelona; adults by their income, where labels are noisy.
OF_NUMBERS = Encoded(2_000, 6_000, 30, 0.1, 0.003, 0.4, 0.998)
OF_CLASSES = Encoded(2_000, 6_000, 12, 0.2, 0.004, 1.4, 0.998)
# A stream has no end that is known, and each row is learned from once: two layers without dropout, and small batches.
# In pieces of 32 to 1,000 of 10,000 generated and 16,000 Californian houses, R² was lower with one layer (by 0.01 and
# 0.02), with a dropout of 0.1 (0.01 and 0.005) and with batches of 200 (0.015 and 0.01); batches of 16 and 64 were as
# good.
OF_PIECES: dict[str, Any] = {"hidden_layer_sizes": (96, 96), "activation": "silu", "dropout": 0.0, "batch_size": 32}
# The mean of several networks of many rows gains more by twice the epochs than by twice the networks.
LONGER, ROWS_OF_LONGER = 2, 20_000


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained; printed, it names the arguments that say the same.

    Args:
        hidden_layer_sizes: units of each hidden layer.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that training sets to zero.
        optimizer: with its learning rate or schedule.
        batch_size: rows per step.
        epochs: passes over all rows.
    """

    hidden_layer_sizes: Any
    activation: Any
    dropout: Any
    optimizer: Optimizer
    batch_size: int
    epochs: int

    @property
    def patience(self) -> int:
        """Epochs that early stopping waits: the score may pause for long while the rate is high, and rise later."""
        return max(FEWEST_WAITED, self.epochs // 4)

    def __str__(self) -> str:
        hidden = self.hidden_layer_sizes
        sizes = "-".join(map(str, [hidden] if is_number(hidden) else hidden)) or "no hidden layer"
        activation = self.activation if isinstance(self.activation, str) else ", ".join(self.activation)
        return (
            f"{counted(self.batch_size, 'row')} a step, {counted(self.epochs, 'epoch')}, {self.optimizer}, "
            f"dropout {self.dropout}, {sizes} {activation}"
        )


def recipe_of_pieces(learning_rate: Any = None, weight_decay: float | None = None, **given: Any) -> Recipe:
    """What suits a stream that is learned from piece by piece, with what is given in its place; None is chosen.

    The optimizer is that of `fit` by default, whose rate is constant.
    """
    chosen = OF_PIECES | {name: value for name, value in given.items() if value is not None}
    optimizer = _with(chosen.pop("optimizer", DEFAULT_OPTIMIZER), learning_rate, weight_decay)
    return Recipe(**chosen, optimizer=optimizer, epochs=1)


def recipe(
    n_rows: int,
    *,
    encoded: bool = False,
    classes: bool = False,
    longer: bool = False,
    hidden_layer_sizes: Any = None,
    activation: Any = None,
    dropout: Any = None,
    optimizer: Optimizer | None = None,
    learning_rate: Any = None,
    weight_decay: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> Recipe:
    """What suits a table of so many rows, with what is given in its place; None is chosen.

    Args:
        n_rows: how many rows there are to learn from.
        encoded: whether columns of numbers have bins, see fastgd.Encoding.
        classes: whether classes are learned.
        longer: whether time is better spent on longer trainings than on more networks.
        hidden_layer_sizes, activation, dropout, epochs, batch_size: as a Recipe has them.
        optimizer: by default AdamW with an average, whose rate warms up and then falls to 0 along a cosine.
        learning_rate: of the optimizer; without one, a number is the highest rate of the cosine.
        weight_decay: of the optimizer.

    Example:
        >>> from fastgd.training.recipe import recipe
        >>> print(recipe(20_000, epochs=20, dropout=0.0))  # doctest: +ELLIPSIS
        256 rows a step, 20 epochs, AdamW(...), dropout 0.0, 96-96 silu
    """
    size = next(size for size in SIZES if n_rows < size.rows)
    batch_size = min(size.batch_size, n_rows) if batch_size is None else batch_size
    steps_per_epoch = -(-n_rows // batch_size)
    ema_decay, steps = 0.995, size.steps
    if encoded:
        bins = OF_CLASSES if classes else OF_NUMBERS
        decay = min(max(bins.decay * math.sqrt(DECAYED / n_rows), LEAST_DECAY), 1)
        size = size._replace(dropout=bins.dropout, rate=bins.rate, decay=round(decay, 2), hidden_layer_sizes=(96, 96))
        ema_decay, steps = bins.ema_decay, min(max(bins.epochs * steps_per_epoch, bins.fewest_steps), bins.most_steps)
        if longer and not classes and n_rows >= ROWS_OF_LONGER:
            steps *= LONGER
    if epochs is None:
        epochs = min(max(round(steps / steps_per_epoch), FEWEST_EPOCHS), MOST_EPOCHS)
    if dropout is None:
        dropout = 0.0 if n_rows <= WHOLE else size.dropout
    if optimizer is None:
        rate = size.rate if learning_rate is None else learning_rate
        warm = round(WARM * epochs * steps_per_epoch)
        falling = Cosine(rate) if is_number(rate) else rate
        learning_rate = WarmUp(falling, warm) if warm and is_number(rate) else falling
        optimizer = AdamW(beta2=0.99, weight_decay=size.decay, ema_decay=ema_decay)
    return Recipe(
        size.hidden_layer_sizes if hidden_layer_sizes is None else hidden_layer_sizes,
        "silu" if activation is None else activation,
        dropout, _with(optimizer, learning_rate, weight_decay), batch_size, epochs,
    )  # fmt: skip


def _with(optimizer: Optimizer, learning_rate: Any, weight_decay: float | None) -> Optimizer:
    """The optimizer with what is given in place of its own."""
    beside = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    return dataclasses.replace(optimizer, **{name: value for name, value in beside.items() if value is not None})
