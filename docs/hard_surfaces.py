"""Which optimizer gets across a valley, a plateau and a cliff? Prints the table of docs/optimizers.md.

Each surface is a loss of two parameters with its gradient written out; each optimizer takes the steps of the training
loop's own update kernel. For every optimizer the best learning rate of a grid counts: the one that gets across in the
fewest steps.

    python docs/hard_surfaces.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import fastgd
from fastgd.kernels import engine
from fastgd.network.network import Network

STEPS = 5000
RATES = [m * 10.0**e for e in range(-5, 2) for m in (1, 2, 5)]


class Surface(NamedTuple):
    """A loss of two parameters: f(a, b) → (loss, d loss / d a, d loss / d b)."""

    name: str
    start: tuple[float, float]
    crossed_below: float
    f: Callable[[float, float], tuple[float, float, float]]


def valley(a: float, b: float) -> tuple[float, float, float]:
    """Rosenbrock's (1 − a)² + 100 (b − a²)²: a narrow, bent valley with steep walls and a floor that hardly falls."""
    bend = b - a * a
    return (1 - a) ** 2 + 100 * bend**2, -2 * (1 - a) - 400 * a * bend, 200 * bend


def plateau(a: float, b: float) -> tuple[float, float, float]:
    """(σ(a + b) − 0)²: a sigmoid that is sure and wrong, so that its slope is next to nothing."""
    p = 1 / (1 + math.exp(-max(min(a + b, 700.0), -700.0)))
    slope = 2 * p * p * (1 - p)
    return p * p, slope, slope


def cliff(a: float, b: float) -> tuple[float, float, float]:
    """(a²⁰ · b − 0.5)²: a weight that acts twenty times over, as in a deep or recurrent network."""
    error = a**20 * b - 0.5
    return error**2, 2 * error * 20 * a**19 * b, 2 * error * a**20


SURFACES = [
    Surface("valley", (-1.2, 1.0), 1e-4, valley),
    Surface("plateau", (5.0, 5.0), 1e-2, plateau),
    Surface("cliff", (1.3, 1.3), 1e-4, cliff),
]
OPTIMIZERS = {
    "SGD": lambda rate: fastgd.SGD(rate),
    "SGD, clip_norm=1": lambda rate: fastgd.SGD(rate, clip_norm=1.0),
    "SGD, momentum=0.9": lambda rate: fastgd.SGD(rate, momentum=0.9),
    "SGD, momentum=0.9, nesterov": lambda rate: fastgd.SGD(rate, momentum=0.9, nesterov=True),
    "SGD, momentum=0.9, clip_norm=1": lambda rate: fastgd.SGD(rate, momentum=0.9, clip_norm=1.0),
    "Adagrad": lambda rate: fastgd.Adagrad(rate),
    "RMSprop": lambda rate: fastgd.RMSprop(rate),
    "Adam": lambda rate: fastgd.Adam(rate),
    "AdamW, weight_decay=0.01": lambda rate: fastgd.AdamW(rate, weight_decay=0.01),
}


def steps_needed(surface: Surface, optimizer: fastgd.training.optimizers.Optimizer, most: int) -> int | None:
    """How many steps bring the loss below the mark, if `most` are enough."""
    kernels, network = engine("cpu"), Network.from_names([1, 1])
    net = network.new_net("zeros", np.dtype(np.float64), 0)._replace(parameters=np.array(surface.start))
    state, rule, rate = optimizer.new_state(net.parameters), optimizer.rule(), float(optimizer.learning_rate)
    for step in range(most + 1):
        try:
            loss, *gradient = surface.f(*net.parameters.tolist())
        except OverflowError:
            return None
        if not math.isfinite(loss):
            return None
        if loss < surface.crossed_below:
            return step
        kernels.update(net, state, np.array(gradient), rule, rate)
    return None


def best(surface: Surface, make: Callable[[float], fastgd.training.optimizers.Optimizer]) -> str:
    """The fewest steps over all learning rates, and the rate."""
    found: tuple[int, float] | None = None
    for rate in RATES:
        steps = steps_needed(surface, make(rate), STEPS if found is None else found[0])
        if steps is not None and (found is None or steps < found[0]):
            found = steps, rate
    return f"{found[0]:,} (rate {found[1]:g})" if found else f"not in {STEPS:,}"


def main() -> None:
    width = max(map(len, OPTIMIZERS))
    print(f"{'':{width}}" + "".join(f"{surface.name:>22}" for surface in SURFACES))
    for name, make in OPTIMIZERS.items():
        print(f"{name:{width}}" + "".join(f"{best(surface, make):>22}" for surface in SURFACES))


if __name__ == "__main__":
    main()
