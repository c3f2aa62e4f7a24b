"""How good is fastgd with no option at all, beside what people use for tables at its defaults? Some minutes.

    python benchmarks/quality.py            prints a table in Markdown
    python benchmarks/quality.py --write    puts it into docs/estimators.md, too

It needs `pip install -e '.[quality]'`. FASTGD_DATA, a folder as described in CONTRIBUTING.md, adds California housing
(the test rows of its publication) and listings in Barcelona (no unit on both sides, the logarithm of the price). The
other tables are scikit-learn's, in five folds. Seconds are those of the fastest fit with its
predictions, without compilation.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd

PAGE = Path(__file__).parents[1] / "docs" / "estimators.md"
START, END = "<!-- benchmarks/quality.py -->\n", "<!-- end -->\n"
FITS = 3  # where there is one split
Split = tuple[Any, Any]  # rows to learn from, rows to test with


class Table(NamedTuple):
    """What is to be learned, and how it is judged."""

    name: str
    is_classes: bool
    score: Callable[[Any, Any], float]
    highest_is_best: bool
    load: Callable[[], tuple[Any, Any, list[Split]]]


def rmse(y: Any, predicted: Any) -> float:
    return float(np.sqrt(np.mean((y - predicted) ** 2)))


def r2(y: Any, predicted: Any) -> float:
    return float(1 - np.mean((y - predicted) ** 2) / np.var(y))


def accuracy(y: Any, predicted: Any) -> float:
    return float(np.mean(y == predicted))


def california() -> tuple[Any, Any, list[Split]]:
    """scikit-learn's eight features, prices in 100,000 USD."""
    folder = Path(os.environ["FASTGD_DATA"])
    longitude, latitude, age, rooms, bedrooms, population, households, income, value = np.loadtxt(
        folder / "cal_housing.data.gz", delimiter=",", unpack=True
    )
    averages = [rooms / households, bedrooms / households, population, population / households]
    test = np.load(folder / "rtdl_idx_test.npy")
    train = np.setdiff1d(np.arange(len(value)), test)
    return np.column_stack([income, age, *averages, latitude, longitude]), value / 100_000, [(train, test)]


def barcelona() -> tuple[Any, Any, list[Split]]:
    """Size, bedrooms, distance and age; a fifth of the units is for testing."""
    import pandas as pd

    frame = pd.read_csv(Path(os.environ["FASTGD_DATA"]) / "barcelona_houses.csv.gz")
    units = np.unique(frame["asset_id"].to_numpy(str))
    drawn = units[np.random.default_rng(0).permutation(len(units))[: len(units) // 5]]
    is_test = frame["asset_id"].isin(drawn).to_numpy()
    X = frame[["size_m2", "bedrooms", "distance_km", "age_years"]].to_numpy(np.float64)
    return X, np.log(frame["price_eur"].to_numpy()), [(np.flatnonzero(~is_test), np.flatnonzero(is_test))]


def known(name: str, is_classes: bool) -> Callable[[], tuple[Any, Any, list[Split]]]:
    """A table of scikit-learn, in five folds."""

    def load() -> tuple[Any, Any, list[Split]]:
        from sklearn import datasets
        from sklearn.model_selection import KFold, StratifiedKFold

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        folds = (StratifiedKFold if is_classes else KFold)(5, shuffle=True, random_state=0)
        return X, y, list(folds.split(X, y))

    return load


TABLES = [
    Table("California, RMSE", False, rmse, False, california),
    Table("Barcelona, R²", False, r2, True, barcelona),
    Table("breast cancer, accuracy", True, accuracy, True, known("breast_cancer", True)),
    Table("digits, accuracy", True, accuracy, True, known("digits", True)),
    Table("diabetes, RMSE", False, rmse, False, known("diabetes", False)),
]
NEED_DATA = (california, barcelona)


def methods(is_classes: bool) -> Iterator[tuple[str, Any]]:
    """Everybody at the defaults; scikit-learn's network gets scaled inputs and targets, without which it is lost."""
    import catboost
    import lightgbm
    import xgboost
    from sklearn import ensemble, neural_network
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = "Classifier" if is_classes else "Regressor"
    yield "**fastgd**", getattr(fastgd, f"MLP{kind}")(random_state=0)
    yield "HistGradientBoosting", getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=0)
    yield "LightGBM", getattr(lightgbm, f"LGBM{kind}")(random_state=0, verbose=-1)
    yield "XGBoost", getattr(xgboost, f"XGB{kind}")(random_state=0)
    yield "CatBoost", getattr(catboost, f"CatBoost{kind}")(random_state=0, verbose=0, allow_writing_files=False)
    network = make_pipeline(StandardScaler(), getattr(neural_network, f"MLP{kind}")(random_state=0))
    yield (
        "scikit-learn's MLP",
        network if is_classes else TransformedTargetRegressor(network, transformer=StandardScaler()),
    )


def measured(model: Any, table: Table, X: Any, y: Any, splits: list[Split]) -> tuple[float, float]:
    """The mean score of the splits, and the seconds of the fastest fit, which is the least disturbed one."""
    from sklearn.base import clone

    few = splits[0][0][:200]
    clone(model).fit(X[few], y[few])  # what is compiled, loaded or started is so before the clock runs
    scores, seconds = [], []
    for train, test in splits * (FITS if len(splits) == 1 else 1):
        started = time.perf_counter()
        predicted = np.ravel(clone(model).fit(X[train], y[train]).predict(X[test]))
        seconds.append(time.perf_counter() - started)
        scores.append(table.score(y[test], predicted))
    return float(np.mean(scores)), min(seconds)


def lines(tables: list[Table]) -> Iterator[str]:
    """The table in Markdown; the best of each column is bold."""
    columns: list[dict[str, str]] = []
    for table in tables:
        print(f"{table.name} …", file=sys.stderr)
        X, y, splits = table.load()
        results = {name: measured(model, table, X, y, splits) for name, model in methods(table.is_classes)}
        best = (max if table.highest_is_best else min)(score for score, _ in results.values())
        digits = 1 if best > 10 else 4
        columns.append({})
        for name, (score, seconds) in results.items():
            figure = f"{score:.{digits}f}"
            mark = "**" if figure == f"{best:.{digits}f}" else ""
            columns[-1][name] = f"{mark}{figure}{mark} ({seconds:.2g} s)"
    yield f"| | {' | '.join(table.name for table in tables)} |"
    yield f"| --- |{' --- |' * len(tables)}"
    for name in columns[0]:
        yield f"| {name} | {' | '.join(column[name] for column in columns)} |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="quality", description="fastgd beside others on tables, all at defaults.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.parent.name}/{PAGE.name}")
    write = parser.parse_args(arguments).write
    tables = [table for table in TABLES if table.load not in NEED_DATA or "FASTGD_DATA" in os.environ]
    if write and len(tables) < len(TABLES):
        parser.error("--write needs all tables: FASTGD_DATA names no folder.")
    warnings.simplefilter("ignore")  # of networks that could go on, and of columns without names
    text = "".join(f"{line}\n" for line in lines(tables))
    print(text, end="")
    if write:
        page = PAGE.read_text()
        before, rest = page.split(START)
        PAGE.write_text(f"{before}{START}\n{text}\n{END}{rest.split(END)[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
