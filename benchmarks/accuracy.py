"""How good is a model after so many seconds? fastgd beside gradient-boosted trees, on two tables; some ten minutes.

    python benchmarks/accuracy.py            prints a table in Markdown
    python benchmarks/accuracy.py --write    keeps the run in benchmarks/results/, puts the table into
                                             docs/estimators.md, draws docs/accuracy.svg and shows it in README.md
    python benchmarks/accuracy.py --draw     the same from the newest kept run, without measuring
    python benchmarks/accuracy.py --methods fastgd LightGBM --seeds 1

It needs `pip install -e '.[dev,quality]'`, and FASTGD_DATA, a folder as described in CONTRIBUTING.md: the tables are
`quality.py`'s California and Barcelona. Trees run with their defaults, and with a small rate and as many trees as are
best on a held-out part of the rows to learn from, in Barcelona of whole units. Seconds are those of fit and
predict, holding out included, compilation not; of several seeds the median, and of scores the mean. The machine should
be quiet: threads of trees wait for each other by spinning, and may take a hundred times as long beside other work.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.accuracy import main

    sys.exit(main())

import argparse
import importlib.util
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastgd

from . import quality, results
from .accuracy_chart import chart
from .tool import Parser, ToolError, guarded

ROOT = Path(__file__).parents[1]
PAGE, README, PICTURE = ROOT / "docs" / "estimators.md", ROOT / "README.md", ROOT / "docs" / "accuracy.svg"
BEGIN, END = "<!-- benchmarks/accuracy.py -->\n", "<!-- end of benchmarks/accuracy.py -->\n"
SHOWN = "![Scores of unseen rows against seconds](docs/accuracy.svg)"
HELD_OUT, PATIENCE, MOST_TREES, RATE = 0.15, 50, 5000, 0.05
BUDGETS = (1, 5, 15, 60)  # seconds
Rows = Any  # numbers of rows


class Table(NamedTuple):
    """What is to be learned, and how it is judged."""

    name: str
    load: Callable[[], tuple[Any, Any, Any, Rows, Rows]]  # X, y, groups or None, rows to learn from, rows to test with
    scores: dict[str, Callable[[Any, Any], float]]


def california() -> tuple[Any, Any, Any, Rows, Rows]:
    X, y, [(train, test)] = quality.california()
    return X, y, None, train, test


def barcelona() -> tuple[Any, Any, Any, Rows, Rows]:
    import pandas as pd

    X, y, [(train, test)] = quality.barcelona()
    file = Path(os.environ["FASTGD_DATA"]) / "barcelona_houses.csv.gz"
    return X, y, pd.read_csv(file, usecols=["asset_id"])["asset_id"].to_numpy(str), train, test


def price_rmse(y: Any, predicted: Any) -> float:
    """Of prices, where their logarithms were learned."""
    return quality.rmse(np.exp(y), np.exp(predicted))


LOWER_IS_BETTER = ("RMSE", "price RMSE, EUR")
TABLES = [
    Table("California", california, {"RMSE": quality.rmse}),
    Table("Barcelona", barcelona, {"R² of log price": quality.r2, "price RMSE, EUR": price_rmse}),
]


# Who learns.


class Method(NamedTuple):
    """One way to learn: a library with one setting."""

    family: str
    setting: str
    package: str
    learned: Callable[..., Any]  # (X, y, groups, seed) → a fitted model


def methods() -> list[Method]:
    """Everybody."""
    ours = [("one network", {}), ("8 networks", {"n_networks": 8})]
    ours += [(f"{seconds} s", {"time_budget": seconds}) for seconds in BUDGETS]
    families = [
        ("HistGradientBoosting", "sklearn", hist), ("LightGBM", "lightgbm", lightgbm), ("XGBoost", "xgboost", xgboost),
        ("CatBoost", "catboost", catboost),
    ]  # fmt: skip
    found = [Method("fastgd", setting, "sklearn", estimator(options)) for setting, options in ours]
    for family, package, model in families:
        found += [
            Method(family, "defaults", package, lambda X, y, groups, seed, model=model: model(seed, None, X, y)),
            Method(
                family,
                "early stopping",
                package,
                lambda X, y, groups, seed, model=model: stopped(model, X, y, groups, seed),
            ),
        ]
    return found


def estimator(options: dict[str, Any]) -> Callable[..., Any]:
    """fastgd with some options."""
    return lambda X, y, groups, seed: fastgd.MLPRegressor(random_state=seed, **options).fit(X, y, groups=groups)


def stopped(model: Callable[..., Any], X: Any, y: Any, groups: Any, seed: int) -> Any:
    """Trees that hold out a part of the rows, by groups where there are some, and stop when it gets no better."""
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

    splitter = (ShuffleSplit if groups is None else GroupShuffleSplit)(1, test_size=HELD_OUT, random_state=seed)
    train, held = next(splitter.split(X, y, groups))
    return model(seed, (X[held], y[held]), X[train], y[train])


def hist(seed: int, held: Any, X: Any, y: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor as Model

    if held is None:
        return Model(random_state=seed).fit(X, y)
    model = Model(
        random_state=seed, learning_rate=RATE, max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=PATIENCE
    )
    return model.fit(X, y, X_val=held[0], y_val=held[1])


def lightgbm(seed: int, held: Any, X: Any, y: Any) -> Any:
    import lightgbm

    if held is None:
        return lightgbm.LGBMRegressor(random_state=seed, verbose=-1).fit(X, y)
    model = lightgbm.LGBMRegressor(random_state=seed, verbose=-1, learning_rate=RATE, n_estimators=MOST_TREES)
    return model.fit(X, y, eval_set=[held], callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])


def xgboost(seed: int, held: Any, X: Any, y: Any) -> Any:
    import xgboost

    if held is None:
        return xgboost.XGBRegressor(random_state=seed).fit(X, y)
    model = xgboost.XGBRegressor(
        random_state=seed, learning_rate=RATE, n_estimators=MOST_TREES, early_stopping_rounds=PATIENCE
    )
    return model.fit(X, y, eval_set=[held], verbose=False)


def catboost(seed: int, held: Any, X: Any, y: Any) -> Any:
    """Its rate is its own choice: it knows better than 0.05."""
    import catboost

    options: dict[str, Any] = {"random_state": seed, "verbose": 0, "allow_writing_files": False}
    if held is None:
        return catboost.CatBoostRegressor(**options).fit(X, y)
    model = catboost.CatBoostRegressor(**options, iterations=MOST_TREES, early_stopping_rounds=PATIENCE)
    return model.fit(X, y, eval_set=held)


# Measuring.


def warm_up(chosen: list[Method], X: Any, y: Any) -> None:
    """What is compiled, loaded or started is so before the clock runs: networks of many kinds, and a few trees."""
    few = slice(0, 2000)
    if any(method.family == "fastgd" for method in chosen):
        fastgd.MLPRegressor(random_state=0, epochs=1).fit(X, y)
        fastgd.MLPRegressor(random_state=0, n_networks=16, epochs=1).fit(X[few], y[few])
    for method in chosen:
        if method.family != "fastgd" and method.setting == "defaults":
            method.learned(X[:200], y[:200], None, 0)


def measured(tables: list[Table], chosen: list[Method], seeds: int) -> list[dict[str, Any]]:
    """A record for each table and method, with the seconds and scores of each seed."""
    records = []
    for table in tables:
        X, y, groups, train, test = table.load()
        groups = None if groups is None else groups[train]
        warm_up(chosen, X[train], y[train])
        for method in chosen:
            print(f"{table.name}: {method.family}, {method.setting} …", file=sys.stderr)
            seconds: list[float] = []
            scores: dict[str, list[float]] = {name: [] for name in table.scores}
            for seed in range(seeds):
                started = time.perf_counter()
                predicted = np.ravel(method.learned(X[train], y[train], groups, seed).predict(X[test]))
                seconds.append(time.perf_counter() - started)
                for name, score in table.scores.items():
                    scores[name].append(score(y[test], predicted))
            records.append({
                "table": table.name, "family": method.family, "setting": method.setting, "seconds": seconds,
                "scores": scores,
            })  # fmt: skip
    return records


# Telling.


def lines(records: list[dict[str, Any]]) -> list[str]:
    """The table in Markdown; the best of each column is bold."""
    columns: dict[tuple[str, str], dict[str, float]] = {}
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for record in records:
        for score, values in record["scores"].items():
            name = f"{record['family']}, {record['setting']}"
            columns.setdefault((record["table"], score), {})[name] = statistics.fmean(values)
            cells.setdefault(name, {})[record["table"], score] = f" ({statistics.median(record['seconds']):.2g} s)"
    told = [f"| | {' | '.join(f'{table}, {score}' for table, score in columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for name, of_method in cells.items():
        row = []
        for column, values in columns.items():
            best = (min if column[1] in LOWER_IS_BETTER else max)(values.values())
            figure, best_figure = (f"{value:,.0f}" if best > 100 else f"{value:.4f}" for value in (values[name], best))
            mark = "**" if figure == best_figure else ""
            row.append(f"{mark}{figure}{mark}{of_method[column]}")
        told.append(f"| {name} | {' | '.join(row)} |")
    return told


def between(page: Path, text: str) -> str:
    """The page with this text between its marks."""
    old = page.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise ToolError(f"{page} needs the lines {BEGIN.strip()} and {END.strip()}, once each.")
    before, rest = old.split(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def pages(run: dict[str, Any]) -> dict[Path, str]:
    """What each file should hold, by the run."""
    records = run["records"]
    seeds = len(records[0]["seconds"])
    facts = run["machine"]
    count = f"{seeds} seed{'s' * (seeds > 1)}"
    where = f"{facts['processor']}, {facts['cores']} cores; {run['time'][:10]}, {count}:"
    return {
        PAGE: between(PAGE, "\n".join([where, "", *lines(records), ""])),
        README: between(README, f"{SHOWN}\n"),
        PICTURE: chart(records, LOWER_IS_BETTER),
    }


def draw() -> int:
    """Write what the newest kept run says."""
    kept = results.kept("accuracy")
    if not kept:
        raise ToolError("no run is kept: measure one with --write.")
    for path, text in pages(kept[-1]).items():
        path.write_text(text, encoding="utf-8")
    return 0


def run(options: argparse.Namespace) -> int:
    """Measure, print, and keep."""
    if options.draw:
        return draw()
    everybody = methods()
    families = list(dict.fromkeys(method.family for method in everybody))
    wrong = [name for name in options.methods or [] if name not in families]
    if wrong:
        raise ToolError(f"{wrong[0]} is none of {', '.join(families)}.")
    wanted = [method for method in everybody if not options.methods or method.family in options.methods]
    chosen = [method for method in wanted if importlib.util.find_spec(method.package)]
    missing = list(dict.fromkeys(method.family for method in wanted if method not in chosen))
    if missing:
        print(f"accuracy: not installed, left out: {', '.join(missing)}. pip install -e '.[quality]'.", file=sys.stderr)
    if options.write and len(chosen) < len(everybody):
        raise ToolError("--write keeps whole runs only: all libraries, and no --methods.")
    if "FASTGD_DATA" not in os.environ:
        raise ToolError("FASTGD_DATA names no folder with the tables: see CONTRIBUTING.md.")
    warnings.simplefilter("ignore")  # of columns without names
    records = measured(TABLES, chosen, options.seeds)
    print("\n".join(lines(records)))
    if options.write:
        print(f"kept in {results.keep('accuracy', records)}")
        return draw()
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("accuracy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", nargs="+", help="libraries that are measured")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is measured")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--write", action="store_true", help="keep the run, and write table and picture")
    either.add_argument("--draw", action="store_true", help="write table and picture of the newest kept run")
    options = parser.parse_args(arguments)
    return guarded("accuracy", lambda: run(options))
