"""What operations of a soak begin with: random tables, networks and optimizers of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.network.activations import ACTIVATIONS


class Place(NamedTuple):
    """What an operation works with."""

    random: np.random.Generator
    folder: Path
    old: list[Any]  # the network that lives on; a diverged one is replaced


TASKS: list[tuple[str, int]] = [
    ("mse", 1), ("huber", 2), ("log_cosh", 1), ("poisson", 1), ("binary_cross_entropy", 1), ("cross_entropy", 3),
    ("gaussian_nll", 2),
]  # fmt: skip


def table(place: Place, loss: str = "mse") -> tuple[Any, Any]:
    """Some hundred rows, and a target that suits the loss."""
    n = int(place.random.integers(200, 3000))
    X = place.random.normal(size=(n, 4)).astype(np.float32)
    y = X[:, 0] * 2 - np.abs(X[:, 1]) + place.random.normal(0, 0.1, n)
    if loss == "cross_entropy":
        return X, np.digitize(y, [-1.0, 1.0])
    if loss == "binary_cross_entropy":
        return X, (y > 0).astype(np.int64)
    if loss == "poisson":
        return X, np.floor(np.abs(y))
    return X, np.column_stack([y, -y]) if loss == "huber" else y


def network(place: Place, loss: str = "mse", n_out: int = 1, **options: Any) -> Any:
    """A network of any activation and width."""
    hidden = [int(n) for n in place.random.integers(1, 65, int(place.random.integers(1, 3)))]
    return fastgd.MLP(
        [4, *hidden, n_out],
        loss=loss,
        activation=str(place.random.choice(list(ACTIVATIONS))),
        dtype=str(place.random.choice(["float32", "float64"])),
        random_state=int(place.random.integers(1000)),
        **options,
    )


def optimizer(place: Place) -> Any:
    """Any of them, with a rate that does not blow up."""
    kind = place.random.integers(5)
    ema_decay = [None, 0.9][int(place.random.integers(2))]
    if kind == 0:
        return fastgd.SGD(0.005, momentum=0.9, nesterov=bool(place.random.integers(2)), clip_norm=1.0)
    rule = [fastgd.Adagrad, fastgd.RMSprop, fastgd.Adam, fastgd.AdamW][kind - 1]
    return rule(fastgd.schedules.Cosine(0.005), ema_decay=ema_decay, clip_norm=1.0)


def fitted(place: Place, loss: str = "mse", n_out: int = 1, **options: Any) -> tuple[Any, Any, Any]:
    """A network after two epochs, and its table."""
    model, (X, y) = network(place, loss, n_out, **options), table(place, loss)
    n_threads = int(place.random.integers(1, 4))
    model.fit(X, y, epochs=2, batch_size=int(place.random.integers(8, 600)), n_threads=n_threads,
              optimizer=optimizer(place), verbose=0)  # fmt: skip
    assert np.isfinite(model.parameters).all(), "parameters that are not finite"
    return model, X, y


def any_task(place: Place) -> tuple[str, int]:
    """A loss, and how many outputs it has."""
    return TASKS[int(place.random.integers(len(TASKS)))]
