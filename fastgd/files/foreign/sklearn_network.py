"""scikit-learn's MLPRegressor and MLPClassifier, by the attributes that they have after fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ...options import shortened
from .found import Found

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
LOSSES = {"identity": "mse", "logistic": "binary_cross_entropy", "softmax": "cross_entropy", "exp": "poisson"}
NEEDED = ("coefs_", "intercepts_", "activation", "out_activation_")


def network_of(estimator: Any) -> Found:
    """What it predicts, in plain arrays.

    Raises:
        InvalidInputError: another estimator, or one that has not been fitted.
    """
    missing = [name for name in NEEDED if not hasattr(estimator, name)]
    if missing and hasattr(estimator, "hidden_layer_sizes") and hasattr(estimator, "activation"):
        raise InvalidInputError(f"{type(estimator).__name__} has not been fitted: call its fit first.")
    if missing:
        hint = ": pass its last step, and scale as it does" if hasattr(estimator, "steps") else ""
        raise InvalidInputError(
            f"{shortened(type(estimator).__name__, 60)} is no MLPRegressor or MLPClassifier of scikit-learn{hint}."
        )
    activation, last = estimator.activation, estimator.out_activation_
    if activation not in ACTIVATIONS or last not in LOSSES:
        raise InvalidInputError(f"There is no activation {activation!r} with {last!r} of the last layer here.")
    pairs = [
        (np.asarray(weights), np.asarray(biases))
        for weights, biases in zip(estimator.coefs_, estimator.intercepts_, strict=True)
    ]
    loss = LOSSES[last]
    has_classes = loss == "cross_entropy" or (loss == "binary_cross_entropy" and len(pairs[-1][1]) == 1)
    names = getattr(estimator, "feature_names_in_", None)
    return Found(
        pairs,
        ACTIVATIONS[activation],
        loss=loss,
        classes=np.asarray(estimator.classes_) if has_classes else None,
        feature_names=None if names is None else [str(name) for name in names],
    )
