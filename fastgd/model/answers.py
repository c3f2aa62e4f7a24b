"""From what a network puts out, in the user's units, to what a user is told: labels for probabilities, numbers else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..data.schema import Schema
from ..errors import InvalidInputError, NonFiniteWarning, warn
from ..kernels.records import Reals
from ..network.losses import Quantile
from ..network.network import Network


def chosen_classes(schema: Schema, out: Reals) -> NDArray[np.int64]:
    """The numbers of the classes that probabilities choose, (n_rows,), or of each label, (n_rows, n_labels)."""
    if schema.network.loss.task == "classes":
        assert schema.classes is not None
        return np.asarray(out[:, : schema.classes.size].argmax(axis=1))
    chosen = (out >= 0.5).astype(np.int64)
    return chosen if schema.classes is None else np.minimum(chosen[:, 0], schema.classes.size - 1)


def probabilities(network: Network, out: Reals) -> Reals:
    """Outputs as users look at them: of two classes the probability of each."""
    if network.loss.task == "labels" and network.n_out == 1:
        return np.column_stack([1 - out[:, 0], out[:, 0]])
    return out


def check_classes(network: Network) -> None:
    """Whether there are probabilities to tell."""
    if network.loss.task not in ("classes", "labels"):
        raise InvalidInputError(
            f"A model with loss={network.loss.name!r} has no probabilities: "
            "that takes 'cross_entropy' or 'binary_cross_entropy'."
        )


def named_probabilities(schema: Schema, found: Reals) -> dict[str, Reals]:
    """Probabilities by the names of their classes."""
    classes = [] if schema.classes is None else [str(name) for name in schema.classes]
    return named(found, [*classes, *(f"label {i}" for i in range(len(classes), found.shape[1]))])


def output_names(network: Network) -> list[str]:
    """What the columns of predictions are called."""
    n_targets, loss = network.n_targets, network.loss
    if network.n_classes is not None:
        return ["prediction"]
    kinds = ["prediction"]
    if isinstance(loss, Quantile) and len(loss.levels) > 1:
        kinds = [f"quantile {level:g}" for level in loss.levels]
    elif loss.name == "gaussian_nll":
        kinds = ["mean", "standard deviation"]
    if n_targets == 1:
        return kinds
    pairs = [(target, kind) for target in range(n_targets) for kind in kinds]
    if loss.name == "gaussian_nll":  # the means of all targets come first
        pairs = [(target, kind) for kind in kinds for target in range(n_targets)]
    return [f"{kind} {target}" for target, kind in pairs]


def named(values: Reals, names: list[str]) -> dict[str, Reals]:
    """Columns by name."""
    table = values.reshape(len(values), -1)
    return {name: np.ascontiguousarray(table[:, column]) for column, name in enumerate(names)}


def answers(schema: Schema, out: Reals) -> Reals:
    """Labels for probabilities out (n_rows, n_out), else predictions; one column as a vector."""
    network = schema.network
    if network.loss.task in ("classes", "labels"):
        chosen = chosen_classes(schema, out)
        return chosen if schema.classes is None else np.asarray(schema.classes[chosen])
    if network.loss.name == "gaussian_nll" and not out[:, network.n_targets :].all():
        row = int(np.argwhere(out[:, network.n_targets :] == 0)[0][0])
        warn(f"The standard deviation predicted for row {row} is too small for {schema.dtype}: 0.", NonFiniteWarning)
    return out[:, 0] if network.n_out == 1 else out
