"""Print how good scikit-learn's networks and fastgd's are on the tables that scikit-learn brings, at equal settings.

The settings are scikit-learn's defaults: 100 hidden units, relu, Adam at 0.001, batches of 200, 200 epochs; the last
column has fastgd's own. Inputs and numeric targets are standardised for all. Means over three times five folds:
accuracy, or R² for diabetes.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgd

SEEDS = range(3)


def scored(make, X, y, folds):
    """Means over the folds, one for each seed."""
    return [
        cross_val_score(make(seed), X, y, cv=folds(n_splits=5, n_repeats=1, random_state=seed)).mean() for seed in SEEDS
    ]


def theirs_for_numbers(seed):
    scaled = make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))
    return TransformedTargetRegressor(scaled, transformer=StandardScaler())


# scikit-learn's defaults in fastgd's words.
EQUAL = {
    "hidden_layer_sizes": (100,), "activation": "relu", "initializer": "glorot_uniform", "dropout": 0.0,
    "optimizer": fastgd.Adam(), "epochs": 200, "batch_size": 200, "n_iter_no_change": 10,
}  # fmt: skip


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    classes = (
        lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
        lambda seed: fastgd.MLPClassifier(random_state=seed, **EQUAL),
        lambda seed: fastgd.MLPClassifier(random_state=seed),
    )
    numbers = (
        theirs_for_numbers,
        lambda seed: fastgd.MLPRegressor(random_state=seed, **EQUAL),
        lambda seed: fastgd.MLPRegressor(random_state=seed),
    )
    print(f"{'':<16}{'scikit-learn':>16}{'fastgd, equal':>16}{'fastgd':>16}")
    for name, makes, folds in (
        *((name, classes, RepeatedStratifiedKFold) for name in ("iris", "wine", "breast_cancer", "digits")),
        ("diabetes", numbers, RepeatedKFold),
    ):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        scores = [scored(make, X, y, folds) for make in makes]
        shown = "".join(f"{np.mean(s):.3f} ± {np.std(s) / len(s) ** 0.5:.3f}".rjust(16) for s in scores)
        print(f"{name.replace('_', ' '):<16}{shown}")


if __name__ == "__main__":
    main()
