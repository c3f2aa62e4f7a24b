"""Write a model file of each kind, with rows and what is predicted of them, for tests/test_golden_files.py.

    python tests/golden/make_files.py files

They are those of the version that wrote them, and stay as they are: a file that later versions write differently goes
into a folder of its own, beside these, so that what was written once is read for ever.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import fastgd

NAMES = ["size", "rooms", "distance", "age"]


def houses(n=300):
    X, y = fastgd.datasets.houses(n, random_state=3)
    return pd.DataFrame(X, columns=NAMES), pd.Series(y, name="price")


def mixed():
    """Numbers with gaps, text with gaps and rare labels, truth values."""
    generator = np.random.default_rng(3)
    X, y = houses()
    X["age"] = X["age"].where(generator.random(len(X)) > 0.1)
    X["street"] = pd.Series(generator.choice(["Gràcia", "Sants", "Eixample"], len(X)), dtype=object)
    X.loc[:2, "street"] = "once"
    X.loc[3:5, "street"] = "twice"
    X.loc[6:30, "street"] = None
    X["lift"] = generator.random(len(X)) < 0.5
    return X, y


def regression():
    X, y = houses()
    model = fastgd.MLP([4, 6, 3, 1], dtype="float64", log_target=True, clip_predictions=True,
                       monotone={"size": 1, "age": -1}, feature_names=NAMES)  # fmt: skip
    model.fit(X, y, epochs=5, verbose=0)
    return model, X


def table():
    X, y = mixed()
    model = fastgd.MLP([6, 5, 1], encoding=fastgd.Encoding(bins=4), dropout=0.1)
    model.fit(X, y, epochs=5, verbose=0)
    return model, X


def classes():
    X, y = houses()
    model = fastgd.MLP([4, 6, 3], loss="cross_entropy", activation="gelu")
    model.fit(X, np.array(["low", "mid", "high ü"])[np.digitize(y, [3e5, 4e5])], epochs=5, verbose=0)
    return model, X


def ensemble():
    X, y = mixed()
    models = [
        fastgd.MLP([6, 4, 1], encoding="auto", random_state=k, dtype=dtype)
        for k, dtype in enumerate(["float32", "float64"])
    ]
    for model in models:
        model.fit(X[:200], y[:200], epochs=5, verbose=0)
    return fastgd.Ensemble(models, [1, 2]).calibrate(X[200:], y[200:]), X


def training():
    X, y = houses()
    schedule = fastgd.schedules.WarmUp(fastgd.schedules.ReduceOnPlateau(0.01, monitor="loss"), steps=3)
    model = fastgd.MLP([4, 6, 1], loss=fastgd.losses.Huber(delta=2), dtype="float64")
    model.fit(X, y, epochs=3, optimizer=fastgd.AdamW(schedule, ema_decay=0.9), verbose=0)
    return model, X


KINDS = {made.__name__: made for made in (regression, table, classes, ensemble, training)}


def main(folder):
    folder.mkdir(exist_ok=True)
    told = {}
    for name, make in KINDS.items():
        model, X = make()
        model.save(folder / f"{name}.safetensors", *([True] if name == "training" else []))
        rows = X.iloc[:8]
        told[name] = {
            "columns": rows.astype(object).where(rows.notna(), None).to_dict("list"),
            "predict": model.predict(rows).tolist(),
            "target_names": model.target_names,
        }
        if name == "classes":
            told[name]["predict_proba"] = model.predict_proba(rows).tolist()
        if name == "ensemble":
            told[name]["predict_interval"] = model.predict_interval(rows, coverage=0.8).tolist()
        if name == "training":
            model.fit(*houses(), epochs=2, verbose=0)
            told[name]["after two more epochs"] = model.predict(rows).tolist()
        if hasattr(model, "encoder"):
            told[name]["encoder"] = repr(model.encoder)
    (folder / "told.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(__file__).parent / sys.argv[1])
