"""Pictures of a classifier: which classes it takes for which, and whether its probabilities are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.rows import measured
from ..errors import InvalidInputError
from ..model.answers import chosen_classes
from ..model.measures import class_numbers
from ..options import checked_names
from . import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..mlp import MLP

BINS = 10  # of probabilities
LEAST_DOT, LARGEST_DOT = 6, 120  # points², for ranges with hardly a row and with most rows
MOST_WRITTEN = 12  # classes: with more of them the cells of a confusion matrix have no numbers


@checked_names
def confusion_matrix(model: MLP, X: Any, y: Any, ax: Axes | None = None) -> Axes:
    """Draw how many rows of each class, from top to bottom, are taken for which, from left to right.

    The shade is the share of the class's rows; right answers stand on the diagonal.

    Args:
        model: a fitted classifier.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: the classes, (n_rows,).
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a table that cannot be used, a model without classes, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(300)
        >>> model = fastgd.MLP([4, 8, 2], loss="cross_entropy", classes=["cheap", "dear"])
        >>> kinds = ["dear" if price > 400_000 else "cheap" for price in y]
        >>> history = model.fit(X, kinds, verbose=0)
        >>> [tick.get_text() for tick in fastgd.plots.confusion_matrix(model, X, kinds).get_xticklabels()]
        ['cheap', 'dear']
    """
    truth, chosen, _ = _told(model, X, y)
    names = [drawing.literal(str(name)) for name in _classes(model)]
    n = len(names)
    counts = np.bincount(truth * n + chosen, minlength=n * n).reshape(n, n)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes = drawing.axes(ax)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= MOST_WRITTEN:
        for row, column in np.ndindex(n, n):
            colour = "white" if shares[row, column] > 0.5 else "#1a1a1a"  # readable on its shade, on any paper
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)
    axes.set_xticks(range(n), names, rotation=0 if n <= 3 else 90)
    axes.set_yticks(range(n), names)
    axes.set(xlabel="predicted", ylabel="actual")
    return axes


@checked_names
def reliability(model: MLP, X: Any, y: Any, ax: Axes | None = None) -> Axes:
    """Draw how often the model is right where it gives a probability: on the diagonal its probabilities are true.

    For two classes it is the probability of the second one, for several that of the class which is predicted; rows are
    gathered in ten equal ranges of it, and each has a dot at their mean probability, the larger the more rows it has.

    Args:
        model: a fitted classifier.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: the classes, (n_rows,).
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a table that cannot be used, a model without classes, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(300)
        >>> model = fastgd.MLP([4, 8, 1], loss="binary_cross_entropy")
        >>> history = model.fit(X, y > 400_000, verbose=0)
        >>> fastgd.plots.reliability(model, X, y > 400_000).get_xlabel()
        'predicted probability of True'
    """
    truth, chosen, out = _told(model, X, y)
    names = _classes(model)
    if len(names) == 2:
        probability, came_true, what = out[:, -1], truth == 1, drawing.literal(str(names[1]))
    else:
        probability, came_true, what = out.max(axis=1), truth == chosen, "the predicted class"
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    rows = np.bincount(place, minlength=BINS)
    some = rows > 0
    means, shares = (np.bincount(place, values, BINS)[some] / rows[some] for values in (probability, came_true))
    axes = drawing.guide(drawing.axes(ax), (0, 0), 1)
    axes.plot(means, shares, color=drawing.BLUE)
    axes.scatter(means, shares, s=LEAST_DOT + LARGEST_DOT * rows[some] / rows.max(), color=drawing.BLUE)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set(xlabel=f"predicted probability of {what}", ylabel="share that came true")
    return axes


def _classes(model: MLP) -> Any:
    drawing.check_model(model)
    if model.classes is None:
        loss = model.network.loss.name
        raise InvalidInputError(f"This plot is of classes, but a model with loss={loss!r} has none.")
    return model.classes


def _told(model: MLP, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """The numbers of the actual and of the predicted classes, (n_rows,), and the probabilities (n_rows, n_out)."""
    n = len(_classes(model))
    rows = measured(model.schema, X, y, None)
    out = model.outputs_for(X).astype(np.float64)[:, :n]
    return class_numbers(model.schema, rows.Y), chosen_classes(model.schema, out), out
