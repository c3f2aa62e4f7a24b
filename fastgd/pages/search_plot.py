"""A picture of a search: for each option a panel, in which a dot is a candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError
from ..options import checked_names, is_number
from . import drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ..many.candidates import Candidate
    from ..many.found import SearchResult

ACROSS = 3  # panels beside each other
SIZE = 3.4, 3.0  # inches of a panel
FAR = 100.0  # numbers that span more than this factor stand on a logarithmic scale


@checked_names
def search(result: SearchResult, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw for each option of a search a panel with a dot for each candidate: its score over the option's value.

    Open dots were given up on the way, and have had fewer epochs; the star is the best. What failed has no score.

    Args:
        result: what `fastgd.search` returned.
        axes: matplotlib axes to draw into, one for each option; a new figure if None.

    Raises:
        InvalidInputError: another record, one without a score, other axes, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(300)
        >>> space = {"learning_rate": fastgd.space.LogUniform(1e-3, 1), "activation": ["relu", "tanh"]}
        >>> result = fastgd.search(space, X, y, layer_sizes=[4, 8, 1], n_candidates=4, cv=0.2, verbose=0)
        >>> [ax.get_xlabel() for ax in fastgd.plots.search(result)]
        ['learning_rate', 'activation']
    """
    drawing.check_has(result, ("candidates", "metric", "importance"), "result must be what fastgd.search returned")
    measured = [candidate for candidate in result.candidates if candidate.error is None and candidate.scores]
    if not measured:
        raise InvalidInputError("The search has no candidate with a score to draw.")
    options = list(measured[0].options)
    panels = _panels(len(options)) if axes is None else [drawing.axes(ax) for ax in _listed(axes)]
    if len(panels) != len(options):
        raise InvalidInputError(f"axes must be {len(options)}, one for each option, not {len(panels)}.")
    for ax, option in zip(panels, options, strict=True):
        _panel(ax, option, measured, result.metric)
    return panels


def _panels(n: int) -> list[Axes]:
    drawing.check_matplotlib()
    from matplotlib import pyplot

    n_across = 2 if n == 4 else min(n, ACROSS)
    n_down = -(-n // n_across)
    size = SIZE[0] * n_across, SIZE[1] * n_down
    _, grid = pyplot.subplots(n_down, n_across, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for ax in grid.flat[n:]:
        ax.remove()
    return list(grid.flat[:n])


def _panel(ax: Axes, option: str, measured: Sequence[Candidate], metric: str) -> None:
    from ..many.candidates import written
    from .ticks import write_apart, write_labels

    values: list[Any] = [candidate.options[option] for candidate in measured]
    scores = np.array([candidate.score for candidate in measured])
    labels: list[str] | None = None
    if all(map(is_number, values)):
        places = np.array(values, np.float64)
        if places.min() > 0 and places.max() > FAR * places.min():
            ax.set_xscale("log")
    else:
        texts = list(map(written, values))
        labels = sorted(set(texts))
        places = np.array([labels.index(text) for text in texts], np.float64)
    if scores.min() > 0 and scores.max() > drawing.WIDE * scores.min():
        ax.set_yscale("log")
    rounds = np.array([candidate.rounds for candidate in measured])
    went_on = rounds == rounds.max()
    ax.plot(places[~went_on], scores[~went_on], "o", color=drawing.GREY, fillstyle="none", alpha=0.7)
    ax.plot(places[went_on], scores[went_on], "o", color=drawing.BLUE)
    ax.plot(places[:1], scores[:1], "*", color=drawing.RED, markeredgecolor="white", markersize=14)
    ax.set_xlabel(drawing.literal(option))
    if ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        ax.set_ylabel(drawing.literal(metric))
    if labels is None:
        write_apart(ax)
    else:
        write_labels(ax, [drawing.literal(label) for label in labels])
        if ax.get_yscale() == "log":
            write_apart(ax)


def _listed(axes: Any) -> list[Any]:
    """What pyplot.subplots returns, or a list, as a list of axes."""
    if isinstance(axes, np.ndarray) and axes.dtype == object:
        axes = axes.ravel().tolist()
    return list(axes) if isinstance(axes, list | tuple) else [axes]
