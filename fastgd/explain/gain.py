"""How much of the error each weight alone could still take away: a scale for blame that has a zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..data.rows import sample
from ..kernels.records import Net, Reals, Rows, resting, taken
from ..model.core import Core

Numbers = NDArray[np.float64]

WORK = 2e7  # gradients of single weights that are looked at, at most
MOST_ROWS, FEWEST_ROWS = 1000, 16


class Scatter:
    """What the gradients of single rows say of their mean: do the rows agree, and how wrong is the network at all?

    At most 1,000 rows are asked, drawn at random but always the same, fewer where there are very many parameters.

    Attributes:
        means: the mean of each parameter's gradient over these rows, (n_parameters,).
        squares: the mean of its square.
        wrongness: how steep the loss is by the last layer's biases, beside a network of zeros, which knows nothing: the
            ratio of the mean squares, at most 1. For squared errors it is the loss over that network's loss.
    """

    def __init__(self, model: Core, rows: Rows) -> None:
        counting = taken(rows, np.flatnonzero(rows.weights)) if rows.weights.size else rows
        some = sample(counting, max(FEWEST_ROWS, min(MOST_ROWS, int(WORK / model.parameters.size))))
        self.means, self.squares = _moments(model, model.net, some)
        nothing = model.net._replace(parameters=np.zeros_like(model.parameters))
        last = slice(-model.network.n_out, None)  # biases of the last layer
        now, of_zeros = self.squares[last].sum(), _moments(model, nothing, some)[1][last].sum()
        self.wrongness = 1.0 if now >= of_zeros else float(now / of_zeros)

    def gain(self, over: Callable[[Numbers], Numbers]) -> Numbers:
        """About what part of the error each weight, or group of weights, alone could still take away: from 0 to 1.

        The error is that of a network of zeros, at most. Where rows agree, the square of their mean gradient is nearly
        the mean of its square; where they pull in all directions, it is nearly 0. For squared errors and a linear
        network this ratio is the part of the loss that moving this weight alone can take away, if what is left of the
        target is as large for any input; down to a third of it, if it grows with this one. (The ratio is the signal to
        noise of McCandlish et al. 2018, arXiv 1812.06162.)

        Args:
            over: adds up squares (n_parameters,) over the groups that are asked for.
        """
        with np.errstate(all="ignore"):
            signal, squares = over(self.means**2), over(self.squares)
            agreement = np.where(signal == 0, 0, np.minimum(signal / squares, 1))
        return np.where(np.isnan(agreement), 1, agreement) * self.wrongness


def _moments(model: Core, net: Net, rows: Rows) -> tuple[Numbers, Numbers]:
    """The mean of each parameter's gradient and that of its square over the rows, as these count: (n_parameters,)."""
    total, means, squares = 0.0, np.zeros(model.parameters.size), np.zeros(model.parameters.size)
    with np.errstate(all="ignore"):
        for weight, gradient in gradients_of_rows(model, net, rows):
            wide = gradient.astype(np.float64)
            means += weight * wide
            squares += weight * wide**2
            total += weight
    return means / total, squares / total


def gradients_of_rows(model: Core, net: Net, rows: Rows) -> Iterator[tuple[float, Reals]]:
    """For each row how much it counts, and the gradient of its own loss (n_parameters,), which the next overwrites."""
    engine, loss, net = model.engine, model.objective, resting(net)
    (workspace,), gradients = engine.new_workspaces(net, loss), engine.new_gradients(net, 1)
    weights = rows.weights if rows.weights.size else np.ones(len(rows.X))
    alone = rows._replace(weights=rows.weights[:0])
    for row in range(len(rows.X)):
        engine.batch_gradient(gradients, workspace, alone, row, 1, net, loss)
        yield float(weights[row]), gradients[0]
