"""What plots are made of: checks of what they get, and lines, dots and images in matplotlib's axes.

Colours are those of Okabe and Ito, which the colour-blind can tell apart, and what one plot compares differs in line or
marker, too; images run from light to dark. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.rows import drawn, measured
from ..errors import InvalidInputError, not_installed
from ..kernels.records import Reals
from ..network.losses import Quantile
from ..options import layer_number, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ..explain.features import Importance
    from ..explain.rates import Regime
    from ..mlp import MLP
    from ..training.callbacks import Recorded, Spread
    from ..training.learning_rate import LearningRateSearch

BLUE, RED, GREY = "#0072B2", "#D55E00", "#555555"
COLOURS, MARKERS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#000000"), "o^svDP"
WIDE = 5.0  # what spans more than this factor is drawn on a logarithmic scale
FEW = 30  # points: a line of no more has each of them marked
CELLS = 80  # of an image of histograms, from its lowest value to its highest
LINES = 12  # of equal loss on a surface
MOST_DOTS = 10_000  # rows that a scatter plot shows
SPARSE = 300  # so few of them have larger dots
MOST_BARS = 30
FAR_UP = 10.0  # times the first loss: where a rate that is too high leaves a logarithmic frame
MARGIN = 0.05  # of a frame: below its lowest value
PITCH = 0.2  # inches from a bar to the next, so that their names stay apart
LONGEST = 24  # characters of a user's name: with "predicted" before it, as high as a small figure
FINEST = 1e-2  # of the widest histogram's spread: where a logarithmic scale of an image ends
UNITS = ("", ", units of y", ", units of y²")  # of a loss, by its power


# What comes in.


def check_has(value: Any, attributes: tuple[str, ...], what: str) -> None:
    """Whether a plot got the record that it draws."""
    if not all(hasattr(value, name) for name in attributes):
        raise InvalidInputError(f"{what}, not {type(value).__name__}.")


def check_model(model: Any) -> None:
    """Whether a plot got a model."""
    check_has(model, ("network", "evaluate"), "model must be a fastgd.MLP")


def recorded_by(recorder: Any) -> list[Recorded]:
    """The entries of a recorder: the start and at least one epoch."""
    check_has(recorder, ("recorded",), "recorder must be a fastgd.callbacks.Recorder")
    entries: list[Recorded] = recorder.recorded
    if len(entries) < 2:
        raise InvalidInputError(
            "The recorder has recorded no epoch: pass it to fit, as in callbacks=[recorder], and let one be completed."
        )
    return entries


def check_matplotlib() -> None:
    """Whether there is matplotlib."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError:
        raise not_installed("Plots", "matplotlib") from None


def axes(ax: Any) -> Axes:
    """The axes to draw into, in a new figure if there are none."""
    check_matplotlib()
    from matplotlib import pyplot
    from matplotlib.axes import Axes

    found = pyplot.subplots()[1] if ax is None else ax
    if not isinstance(found, Axes):
        raise InvalidInputError(f"ax must be matplotlib axes, such as plt.subplots()[1], not {type(ax).__name__}.")
    return found


def predictions(model: MLP, X: Any, y: Any) -> tuple[Reals, Reals, str]:
    """Predicted and actual values of at most MOST_DOTS rows, (n_rows, n_targets) each, and a name for the former."""
    check_model(model)
    loss = model.network.loss
    if loss.task in ("classes", "labels"):
        raise InvalidInputError(f"This plot is of numbers, but a model with loss={loss.name!r} predicts classes.")
    rows = measured(model.schema, X, y, None)
    some = drawn(len(rows.X), MOST_DOTS)
    out, called = model.outputs_for(X)[some], "predicted"
    if isinstance(loss, Quantile):
        place = int(np.argmin(np.abs(np.subtract(loss.levels, 0.5))))
        out, called = out[:, place :: len(loss.levels)], f"predicted {loss.levels[place]:g} quantile of"
    return out[:, : model.network.n_targets].astype(np.float64), rows.actual[some].astype(np.float64), called


def name_of(y: Any) -> str:
    """What to call the target: a named column has its own."""
    name = getattr(y, "name", None)
    return literal(name) if isinstance(name, str) and name else "value (units of y)"


def literal(name: str) -> str:
    """A user's name as matplotlib shows it: no formula between two dollars, and not longer than the axes."""
    return shortened(printable(name), LONGEST).replace("$", r"\$")


def name_of_loss(model: MLP) -> str:
    """What to call the numbers that a model's loss is measured in."""
    loss = model.network.loss
    return f"mean loss ({loss.name}{UNITS[loss.power]})"


# Lines, dots and bars.


def curves(ax: Axes, losses: list[float], of_held_out: list[float]) -> Axes:
    """The losses of epochs, of the rows that were trained on and of those held out."""
    drawn = [(losses, "training", BLUE, "-"), (of_held_out, "validation", RED, "--")]
    for values, label, colour, style in drawn:
        if values:
            places = np.arange(1, len(values) + 1)
            ax.plot(places, values, color=colour, linestyle=style, marker=_dot(values), label=label)
    if _is_wide([*losses, *of_held_out]):
        ax.set_yscale("log")
    _count_epochs(ax)
    ax.set_ylabel("mean loss")
    ax.legend()
    return ax


def dots(ax: Axes, across: Reals, up: Reals, xlabel: str, ylabel: str) -> Axes:
    """A dot for each row, and a colour and a marker for each target."""
    n_targets = across.shape[1]
    for target in range(n_targets):
        style = target % len(COLOURS)
        ax.scatter(
            across[:, target],
            up[:, target],
            s=9 if len(across) > SPARSE else 25,
            color=COLOURS[style],
            marker=MARKERS[style],
            alpha=0.4,
            linewidths=0,
            label=f"target {target}",
            rasterized=True,  # ten thousand dots would make a vector file slow
        )
    if n_targets > 1:
        ax.legend()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _write_apart(ax)


def guide(ax: Axes, through: tuple[float, float], slope: float) -> Axes:
    """A straight line through all of the axes, where perfect predictions would be."""
    ax.axline(through, slope=slope, color=GREY, linewidth=1, linestyle="--")
    return ax


def rates_tried(ax: Axes, search: LearningRateSearch) -> Axes:
    """The losses that learning rates came to, and the rate that was chosen."""
    rates, losses, given_up = search.rates, search.losses, search.epochs < search.epochs.max()
    ax.plot(rates, losses, color=BLUE, marker=".", label="loss that a rate came to")
    ax.axvline(search.learning_rate, color=RED, linestyle="--", label=f"chosen: {search.learning_rate:.3g}")
    if given_up.any():
        ax.plot(rates[given_up], losses[given_up], "o", color=GREY, fillstyle="none", label="given up before the end")
    ax.set_xscale("log")
    if _is_wide(losses):
        ax.set_yscale("log")
    ax.set(xlabel="learning rate", ylabel="mean loss")
    ax.legend()
    return _write_apart(ax)


def rates_side_by_side(ax: Axes, regimes: Sequence[Regime]) -> Axes:
    """The losses after each step with several learning rates; what climbs too far is not followed."""
    losses = np.concatenate([regime.losses for regime in regimes])
    first, low = float(regimes[0].losses[0]), float(losses.min())
    logarithmic = _is_wide(losses)
    top = FAR_UP * first if logarithmic else first + (first - low)
    if logarithmic:
        ax.set_yscale("log")
    if low < first and losses.max() > top:  # else a rate that blew up would press the others flat
        ax.set_ylim(low / (top / low) ** MARGIN if logarithmic else low - (top - low) * MARGIN, top)
    for place, regime in enumerate(regimes):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        label, every = f"{regime.learning_rate:.3g}: {regime.verdict}", max(len(regime.losses) // FEW, 1)
        ax.plot(regime.losses, color=colour, marker=marker, markersize=3, markevery=every, label=label)
    ax.set(xlabel="step", ylabel="mean loss")
    ax.legend(title="learning rate")
    return _write_apart(ax, whole=True)


def bars(ax: Axes, table: Importance) -> Axes:
    """A bar for each feature, the longest on top."""
    order = np.argsort(table.increase, kind="stable")[-MOST_BARS:]
    increase, spread = np.asarray(table.increase)[order], np.asarray(table.spread)[order]
    ax.barh(range(len(order)), increase, xerr=spread, color=BLUE, ecolor=GREY, capsize=3)
    ax.set_yticks(range(len(order)), [literal(table.features[place]) for place in order])
    ax.axvline(0, color=GREY, linewidth=1)
    unit = " (units of y)" if table.unit_of == "rmse" else ""
    ax.set_xlabel(f"growth of the {table.unit_of} with the column shuffled{unit}", loc="right")  # below the names, too
    _make_room(ax, PITCH * len(order))
    return _write_apart(ax)


def _make_room(ax: Axes, height: float) -> None:
    """Let axes have a height in inches, where they are alone in their figure."""
    figure: Any = ax.figure
    if len(figure.axes) == 1 and hasattr(figure, "set_figheight"):  # a figure in a figure has none of its own
        now = ax.get_position().height * figure.get_figheight()
        figure.set_figheight(figure.get_figheight() * max(height / now, 1))


def _dot(points: Any) -> str | None:
    """The marker of a line through these values."""
    return "." if len(points) <= FEW else None


def _is_wide(values: Any) -> bool:
    """Whether a logarithmic scale shows more."""
    return bool(np.min(values) > 0 and np.max(values) > WIDE * np.min(values))


def _write_apart(ax: Axes, whole: bool = False) -> Axes:
    """Numbers across that do not run into each other."""
    from .ticks import write_apart

    write_apart(ax, whole)
    return ax


def _count_epochs(ax: Axes) -> None:
    """Epochs along the axes: there are no halves."""
    _write_apart(ax, whole=True).set_xlabel("epoch")


# A surface of losses.


def ground(ax: Axes, across: Reals, up: Reals, losses: Reals, label: str) -> Axes:
    """An image of losses with lines of equal loss, white where a loss is not finite."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_invalid(losses)
    low, high = (float(value) for value in (shown.min(), shown.max()))
    logarithmic = _is_wide([low, high])
    norm = LogNorm(low, high) if logarithmic else None
    image = ax.pcolormesh(across, up, shown, cmap="cividis", norm=norm, shading="nearest", rasterized=True)
    ax.figure.colorbar(image, ax=ax, label=label)
    if high > low:
        between = np.geomspace if logarithmic else np.linspace
        ax.contour(across, up, shown, between(low, high, LINES + 2)[1:-1], colors="white", linewidths=0.5)
    return ax


def route(ax: Axes, path: Reals, shares: Reals) -> Axes:
    """The path of a training, from its start to the model's parameters at (0, 0)."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=3, foreground="white")]  # so that the line is seen on dark and on light ground
    ax.plot(*path.T, color="black", linewidth=1.2, marker=".", path_effects=rim)
    ax.plot(*path[0], "s", color="white", markeredgecolor="black")
    ax.plot(0, 0, "*", color=RED, markeredgecolor="white", markersize=14)
    for text, place in (("start", path[0]), ("model", (0, 0))):
        ax.annotate(text, place, xytext=(7, -13), textcoords="offset points", color="black", path_effects=rim)
    xlabel, ylabel = (f"direction {i + 1} ({share:.0%} of the movement)" for i, share in enumerate(shares))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _write_apart(ax)


# Histograms.


def histograms(recorder: Any, kind: str, layer: Any, ax: Any) -> Axes:
    """An image with a column for each entry of a recorder: the histogram of a layer's "weights" or "nudges"."""
    entries = [entry for entry in recorded_by(recorder) if getattr(entry, kind)]
    index = layer_number(layer, len(getattr(entries[0], kind)))
    spreads: list[Spread] = [getattr(entry, kind)[index] for entry in entries]
    drawn = axes(ax)
    from matplotlib.colors import PowerNorm

    edges, width = _cells(spreads)
    if width is not None:
        drawn.set_yscale("asinh", linear_width=width)
    shares = 100 * np.column_stack([_shares(spread, edges) for spread in spreads])
    columns = _between(np.array([entry.epoch for entry in entries], np.float64))
    faint = PowerNorm(0.5, vmin=0.0, vmax=shares.max())  # so that a few weights far out are seen, too
    image = drawn.pcolormesh(columns, edges, shares, cmap="Blues", norm=faint, rasterized=True)
    drawn.figure.colorbar(image, ax=drawn, label=f"% of the {kind} in a cell")
    _count_epochs(drawn)
    drawn.set_ylabel(f"{kind} of layer {index}")
    return drawn


def _cells(spreads: list[Spread]) -> tuple[Reals, float | None]:
    """Edges of an image's cells: equal, or in the logarithm beyond a width around 0, which is returned, too.

    Nudges often shrink by decades in a training; on a linear scale the later ones would be one line.
    """
    low, high = min(spread.low for spread in spreads), max(spread.high for spread in spreads)
    margin = 0.02 * (high - low) or 0.5 * abs(high) or 0.5
    sizes = np.array([spread.norm / np.sqrt(spread.counts.sum()) for spread in spreads])
    sizes = sizes[sizes > 0]
    if not sizes.size or not _is_wide(sizes):
        return np.linspace(low - margin, high + margin, CELLS + 1), None
    width = max(float(sizes.min()), FINEST * float(sizes.max()))
    first, last = np.arcsinh((low - margin) / width), np.arcsinh((high + margin) / width)
    return width * np.sinh(np.linspace(first, last, CELLS + 1)), width


def _shares(spread: Spread, edges: Reals) -> Reals:
    """A histogram with other bins, as shares of its whole: each of its own bins is taken as evenly filled."""
    # A histogram without a width gets that of the smallest cell.
    high = max(spread.high, spread.low + np.diff(edges).min())
    own = np.linspace(spread.low, high, len(spread.counts) + 1)
    below = np.concatenate([[0.0], np.cumsum(spread.counts / spread.counts.sum())])
    shares: Reals = np.diff(np.interp(edges, own, below))
    return shares


def _between(centres: Reals) -> Reals:
    """Edges half-way between ascending numbers, and as far beyond the first and the last."""
    if len(centres) == 1:
        return np.concatenate([centres - 0.5, centres + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
