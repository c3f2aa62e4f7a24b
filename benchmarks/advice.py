"""How good is the advice of `model.find_learning_rate`? Run by hand: some minutes on one core.

    python benchmarks/advice.py             ten problems
    python benchmarks/advice.py --others    five others, on which nothing about the search was decided

Good advice: with the advised rate, the loss at the end of the training is at most 5 % above the lowest that the same
training comes to with any of the rates of a grid, 31 from 0.00001 to 10, each 1.6 times the one before. The end is
that of all epochs, and the loss is the one that the user looks at: of the rows to learn from, or where rows are held
out, of those. Both are asked for, in each problem with each of several seeds of the model. The target is 90 %.

"Another model" is a harder question: a model with the next seed is trained with the rate that was advised for this one,
and compared with what it comes to itself over the grid. Other starting weights want other rates.

With FASTGD_DATA, a folder as described in CONTRIBUTING.md, both lists have a problem on real data more.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.errors import DivergenceError, TrainingWarning

GRID = np.geomspace(1e-5, 10, 31)
GOOD = 0.05  # part of the lowest loss
Table = tuple[Any, Any]


class Problem(NamedTuple):
    """A training whose rate is sought."""

    name: str
    rows: Callable[[], tuple[Any, Any]]  # some of which are held out
    n_train: int
    layer_sizes: list[int]
    options: dict[str, Any]
    rule: Callable[..., Any]
    batch_size: int
    epochs: int


def momentum(**options: Any) -> Any:
    return fastgd.SGD(momentum=0.9, **options)


def houses(n: int, noise: float = 0.0) -> Table:
    """Generated houses; noise, where there is some, has outliers."""
    X, y = fastgd.datasets.houses(n, random_state=0)
    return X, y + noise * y.std() * np.random.default_rng(9).standard_t(2, size=n)


def counts(n: int) -> Table:
    generator = np.random.default_rng(3)
    X = generator.normal(size=(n, 6))
    return X, generator.poisson(np.exp(0.3 + 0.5 * X[:, 0] - 0.35 * X[:, 1] * X[:, 2]))


def waves(n: int, uneven: float = 0.0) -> Table:
    """A wave and a bowl; the noise may grow along the first column."""
    generator = np.random.default_rng(4)
    X = generator.uniform(-1, 1, size=(n, 3))
    noise = 0.1 * np.exp(uneven * X[:, 0]) * generator.normal(size=n)
    return X, np.sin(4 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + noise


def known(name: str) -> Table:
    """A table of scikit-learn, shuffled."""
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def real(name: str) -> Table:
    """A table of FASTGD_DATA, shuffled; the target is its last column."""
    import pandas as pd

    path = Path(os.environ["FASTGD_DATA"]) / name
    table = pd.read_csv(path, header=None if ".data" in name else 0)
    values = table.drop(columns=["asset_id", "period"], errors="ignore").sample(frac=1, random_state=0)
    values = values.dropna().to_numpy(np.float64)
    return values[:, :-1], values[:, -1]


PROBLEMS = [
    Problem("4,000 houses, SGD", lambda: houses(6000), 4000, [4, 64, 64, 1], {}, fastgd.SGD, 32, 20),
    Problem("500 houses, momentum", lambda: houses(2500), 500, [4, 32, 1], {}, momentum, 32, 20),
    Problem("20,000 houses, Adam", lambda: houses(22_000), 20_000, [4, 64, 64, 1], {}, fastgd.Adam, 256, 10),
    Problem("digits, SGD", lambda: known("digits"), 1347, [64, 32, 10], {"loss": "cross_entropy"}, fastgd.SGD, 32, 20),
    Problem(
        "breast cancer, Adam", lambda: known("breast_cancer"), 426, [30, 16, 1], {"loss": "binary_cross_entropy"},
        fastgd.Adam, 16, 20,
    ),
    Problem("counts, Adam", lambda: counts(5000), 3000, [6, 32, 32, 1], {"loss": "poisson"}, fastgd.Adam, 32, 20),
    Problem(
        "0.9 quantile, RMSprop", lambda: houses(5000), 3000, [4, 32, 1], {"loss": fastgd.losses.Quantile([0.9])},
        fastgd.RMSprop, 32, 20,
    ),
    Problem(
        "mean and spread, Adam", lambda: waves(6000, 1.5), 4000, [3, 32, 32, 2], {"loss": "gaussian_nll"},
        fastgd.Adam, 64, 15,
    ),
    Problem(
        "deep narrow tanh, momentum", lambda: waves(5000), 3000, [3, *[12] * 6, 1], {"activation": "tanh"},
        momentum, 32, 20,
    ),
    Problem("outliers, batches of 8", lambda: houses(4000, 1.0), 2000, [4, 32, 1], {}, fastgd.SGD, 8, 10),
]  # fmt: skip
OTHERS = [
    Problem("4,000 houses, Adam", lambda: houses(6000), 4000, [4, 64, 64, 1], {}, fastgd.Adam, 32, 20),
    Problem("wine, SGD", lambda: known("wine"), 133, [13, 16, 3], {"loss": "cross_entropy"}, fastgd.SGD, 16, 20),
    Problem(
        "gelu, dropout, AdamW", lambda: waves(5000), 3000, [3, 48, 48, 1], {"activation": "gelu", "dropout": 0.1},
        fastgd.AdamW, 64, 10,
    ),
    Problem(
        "huber, outliers, Nesterov", lambda: houses(6000, 0.5), 4000, [4, 24, 24, 1], {"loss": "huber"},
        lambda **options: momentum(nesterov=True, **options), 500, 30,
    ),
    Problem("diabetes, Adagrad", lambda: known("diabetes"), 331, [10, 16, 1], {}, fastgd.Adagrad, 331, 100),
]  # fmt: skip
if os.environ.get("FASTGD_DATA"):
    PROBLEMS.append(
        Problem("California, SGD", lambda: real("cal_housing.data.gz"), 16_000, [8, 64, 64, 1], {}, fastgd.SGD, 64, 10)
    )
    OTHERS.append(
        Problem(
            "Barcelona, Adam", lambda: real("barcelona_houses.csv.gz"), 20_000, [4, 64, 64, 1], {}, fastgd.Adam, 64, 5
        )
    )


def ends(problem: Problem, seed: int, rate: float, seen: Table, unseen: Table) -> tuple[float, float]:
    """The losses of both kinds of rows after a training."""
    model = fastgd.MLP(problem.layer_sizes, random_state=seed, **problem.options)
    try:
        model.fit(*seen, problem.epochs, problem.batch_size, problem.rule(learning_rate=rate), verbose=0)
        return model.evaluate(*seen)["loss"], model.evaluate(*unseen)["loss"]
    except (DivergenceError, fastgd.errors.InvalidInputError):  # or a row has no finite prediction
        return np.inf, np.inf


def measured(problem: Problem, n_seeds: int) -> tuple[list[float], list[float]]:
    """Print what is found out about a problem. Returns how far above the lowest the advice ends, and for others."""
    X, y = problem.rows()
    seen, unseen = (X[: problem.n_train], y[: problem.n_train]), (X[problem.n_train :], y[problem.n_train :])
    grids = [np.array([ends(problem, seed, rate, seen, unseen) for rate in GRID]) for seed in range(n_seeds)]
    totals: tuple[list[float], list[float]] = [], []
    for kind, what in enumerate(("learned", "held out")):
        rates, above, carried = [], [], []
        for seed in range(n_seeds):
            model = fastgd.MLP(problem.layer_sizes, random_state=seed, **problem.options)
            validation = {"validation_data": unseen} if kind else {}
            search = model.find_learning_rate(*seen, problem.epochs, problem.batch_size, problem.rule(), **validation)
            rates.append(search.learning_rate)
            for judged, losses in ((seed, above), ((seed + 1) % n_seeds, carried)):
                best = grids[judged][:, kind].min()
                loss = ends(problem, judged, search.learning_rate, seen, unseen)[kind]
                losses.append((loss - best) / abs(best))
        good, others = (sum(value <= GOOD for value in values) for values in (above, carried))
        lowest = np.median([grid[:, kind].min() for grid in grids])
        print(
            f"{problem.name:27}{what:9}{' '.join(f'{rate:8.2g}' for rate in rates)}  {lowest:9.4g}  "
            f"{' '.join(f'{value:+6.1%}' for value in above)}  {good}/{n_seeds}  {others}/{n_seeds}",
            flush=True,
        )
        totals[0].extend(above)
        totals[1].extend(carried)
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", action="store_true", help="the five problems that were kept apart")
    parser.add_argument("--seeds", type=int, default=5, help="how many models of each problem (5)")
    options = parser.parse_args()
    problems = OTHERS if options.others else PROBLEMS
    print(
        "problem, whose loss counts; for each seed the advised rate; the median of the lowest losses of the grid; "
        "for each seed how far above the lowest the advised rate ends; how many good; how many for another model"
    )
    own, others = [], []
    for problem in problems:
        above, carried = measured(problem, options.seeds)
        own += above
        others += carried
    for what, values in (("this model", own), ("another model", others)):
        good = np.mean(np.array(values) <= GOOD)
        print(f"{what}: {good:.0%} of {len(values)} are good; {np.median(values):+.1%} in the middle")


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", TrainingWarning)
    main()
