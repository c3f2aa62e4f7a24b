"""Print how good scikit-learn's networks and fastgd's are on the tables that scikit-learn brings, at equal settings.

Both at their defaults, which are the same: 100 hidden units, relu, Adam at 0.001, batches of 200, 200 epochs. Inputs
and numeric targets are standardised for both. Means over three times five folds: accuracy, or R² for diabetes.
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


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    classes = (
        lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
        lambda seed: fastgd.MLPClassifier(random_state=seed),
        RepeatedStratifiedKFold,
    )
    numbers = theirs_for_numbers, lambda seed: fastgd.MLPRegressor(random_state=seed), RepeatedKFold
    print(f"{'':<16}{'scikit-learn':>16}{'fastgd':>16}")
    for name, kind in (
        ("iris", classes), ("wine", classes), ("breast_cancer", classes), ("digits", classes), ("diabetes", numbers),
    ):  # fmt: skip
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        theirs, ours = (scored(make, X, y, kind[2]) for make in kind[:2])
        shown = "".join(f"{np.mean(s):.3f} ± {np.std(s) / len(s) ** 0.5:.3f}".rjust(16) for s in (theirs, ours))
        print(f"{name.replace('_', ' '):<16}{shown}")


if __name__ == "__main__":
    main()
