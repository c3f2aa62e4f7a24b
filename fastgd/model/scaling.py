"""What stands between the user's units and those of the network, as a record that prints as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.scaling import SCALING
from ..data.schema import Schema
from ..kernels.records import Net, Reals, read_only
from ..options import printable, shortened

SHOWN = 20  # inputs that are printed
WIDTH = 80  # columns of a terminal
HEADER = ("", "mean", "standard deviation")


@dataclass(frozen=True, eq=False, repr=False)
class Scaling:
    """How a model scales its inputs and its target: its own numbers, in the user's units, copied and read-only.

    The network sees (X − input_mean) / input_std. What its outputs become depends on the loss:

    - mse, mae, huber, log_cosh: outputs · target_std + target_mean.
    - quantile: the same, with both repeated for each level of a target, as in np.repeat(target_std, n_levels).
    - gaussian_nll: the same for the first half of the outputs, the means; e^(second half / 2) · target_std are the
      standard deviations.
    - poisson: e^outputs · target_std, where target_std is the mean count, and target_mean 0.
    - binary_cross_entropy, cross_entropy: sigmoid and softmax of the outputs; classes have no scaling.

    With an encoding these are the columns of numbers, by their rank in a normal distribution where they have bins; all
    other inputs are looked up.

    What is not scaled has mean 0 and standard deviation 1: everything before the first `fit` and with
    standardize=False, the target with an output activation that has a range of its own.

    Attributes:
        input_mean: of the columns of X, (n_in,), in the model's dtype.
        input_std: their standard deviations, (n_in,); infinite for a column that never varied, which makes it 0.
        target_mean: of the columns of y, (n_targets,).
        target_std: their standard deviations, (n_targets,).
        feature_names: a name for each input, or None.
        log_target: whether the numbers of the target are those of its logarithm.

    Example:
        >>> import fastgd, numpy as np
        >>> X, y = fastgd.datasets.houses(500, random_state=0)
        >>> model = fastgd.MLP([4, 8, 1], activation="relu", random_state=0)
        >>> history = model.fit(X, y, epochs=5, verbose=0)
        >>> scaling = model.scaling
        >>> (W0, b0), (W1, b1) = model.get_parameters()
        >>> inputs = (X - scaling.input_mean) / scaling.input_std
        >>> outputs = np.maximum(inputs @ W0 + b0, 0) @ W1 + b1
        >>> prices = outputs * scaling.target_std + scaling.target_mean
        >>> bool(abs(prices[:, 0] - model.predict(X)).max() < 1)  # not a euro apart
        True
    """

    input_mean: Reals
    input_std: Reals
    target_mean: Reals
    target_std: Reals
    feature_names: tuple[str, ...] | None = None
    log_target: bool = False

    @property
    def ignored(self) -> NDArray[np.bool_]:
        """Which inputs the model ignores, because they never varied while it learned, (n_in,)."""
        return np.isinf(self.input_std)

    def __repr__(self) -> str:
        n_in, n_targets = len(self.input_std), len(self.target_std)
        names = self.feature_names or tuple(f"input {i}" for i in range(n_in))
        y = "log y" if self.log_target else "y"
        targets = [y] if n_targets == 1 else [f"{y}, column {i}" for i in range(n_targets)]
        rows = [
            HEADER,
            *map(_row, names[:SHOWN], self.input_mean, self.input_std),
            *([(f"… and {n_in - SHOWN:,} more", "", "")] if n_in > SHOWN else []),
            *map(_row, targets, self.target_mean, self.target_std),
        ]
        of_mean, of_std = (max(len(row[i]) for row in rows) for i in (1, 2))
        of_name = min(max(len(row[0]) for row in rows), WIDTH - of_mean - of_std - 4)
        lines = [f"{shortened(name, of_name):<{of_name}}  {mean:>{of_mean}}  {std:>{of_std}}".rstrip()
                 for name, mean, std in rows]  # fmt: skip
        lines.insert(1, "  ".join("─" * width for width in (of_name, of_mean, of_std)))
        if not any(getattr(self, name).any() for name in ("input_mean", "target_mean")) and all(
            (getattr(self, name) == 1).all() for name in ("input_std", "target_std")
        ):
            lines.append("Nothing is scaled, as before the first fit, and with standardize=False.")
        return "\n".join(lines)


def _row(name: str, mean: np.floating, std: np.floating) -> tuple[str, str, str]:
    return printable(name), f"{mean:.6g}", "ignored: never varied" if np.isinf(std) else f"{std:.6g}"


def scaling_of(net: Net, schema: Schema) -> Scaling:
    """The scaling as it is now; what a model learns later does not change it."""
    copies = {name: read_only(getattr(net, name).copy()) for name in SCALING}
    if schema.encoder is None:
        return Scaling(**copies, feature_names=schema.feature_names, log_target=schema.target.log)
    dense = slice(schema.network.inputs.n_dense)  # positions have no scale
    numbers = {name: copies[name][dense] for name in SCALING[:2]}
    known = schema.feature_names or [f"input {i}" for i in range(schema.network.n_in)]
    names = tuple(known[column] for column in schema.encoder.origins[dense])
    return Scaling(**{**copies, **numbers}, feature_names=names, log_target=schema.target.log)
