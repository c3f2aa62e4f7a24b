"""Where numbers stand along an axis: at round places, and so few that they do not run into each other.

Matplotlib takes a number to be three letters wide, so that it writes 100000 into 120000, and on a logarithmic axis it
writes as many as there are. Here numbers are measured as they will be written. This module imports matplotlib, so it is
imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import (
    AsinhLocator,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    ScalarFormatter,
)

MOST = 9  # steps between numbers
GAP = 0.8  # between numbers, at least, in heights of a letter
FACTORS = (tuple(range(1, 10)), (1, 2, 5), (1,))  # of the powers of ten on a logarithmic axis


class RoundNumbers(MaxNLocator):
    """Numbers in equal steps."""

    def __call__(self) -> Any:
        return _first_that_fits(self.axis, self._fewer())

    def _fewer(self) -> Iterator[Any]:
        axis: Any = self.axis
        for most in range(max(min(MOST, axis.get_tick_space()), 1), 0, -1):
            self.set_params(nbins=most)
            yield super().__call__()


class Decades(LogLocator):
    """Powers of ten, and numbers between them where there is room."""

    def __call__(self) -> Any:
        return _first_that_fits(self.axis, _ever_fewer(*_view(self.axis)))


class BothWays(AsinhLocator):
    """The same on both sides of 0, where an axis is logarithmic beyond a small width."""

    def __call__(self) -> Any:
        return _first_that_fits(self.axis, self._mirrored(np.abs(_view(self.axis)).max()))

    def _mirrored(self, highest: float) -> Iterator[Any]:
        for sizes in _ever_fewer(self.linear_width, highest):
            for first in range(3):  # those next to 0 are the closest
                yield np.concatenate([-sizes[first:][::-1], [0.0], sizes[first:]])


def _ever_fewer(low: float, high: float) -> Iterator[Any]:
    """Places on a logarithmic axis: multiples of powers of ten, powers of ten, some of them."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for factors in FACTORS:
        yield np.multiply.outer(10.0**powers, factors).ravel()
    for step in range(2, len(powers)):
        yield 10.0 ** powers[powers % step == 0]


def write_apart(ax: Axes, whole: bool = False) -> None:
    """Let numbers be legible; those across count something if they are `whole`."""
    steps, least = ([1, 2, 5, 10], 1) if whole else ([1, 2, 2.5, 5, 10], 2)
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(RoundNumbers(steps=steps, integer=whole, min_n_ticks=least))
    for axis, scale in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
        if scale in ("log", "asinh"):
            _write_powers_apart(axis, scale)


def write_labels(ax: Axes, labels: Sequence[str]) -> None:
    """Write labels at 0, 1, … across: upright where they would run into each other, and smaller where these do."""
    ax.set_xticks(range(len(labels)), labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    places = np.arange(len(labels))
    if _labels_apart(ax.xaxis, places, labels):
        return
    apart = float(np.diff(_points(ax.xaxis, np.arange(2)))[0])
    size = min(_font(ax.xaxis).get_size_in_points(), apart / (1 + GAP / 4))
    ax.tick_params(axis="x", labelrotation=90, labelsize=size)


def _write_powers_apart(axis: Any, scale: str) -> None:
    low, high = _view(axis)
    locator: Any = Decades()
    formatter: Any = LogFormatterSciNotation(minor_thresholds=(np.inf, np.inf))
    if scale == "asinh":
        locator = BothWays(axis.get_transform().linear_width)
    elif high < 10 * low:
        locator, formatter = RoundNumbers(steps=[1, 2, 2.5, 5, 10]), ScalarFormatter()
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def _view(axis: Any) -> Any:
    return np.sort(axis.get_view_interval())


def _first_that_fits(axis: Any, candidates: Iterable[Any]) -> Any:
    """The first places whose numbers stay apart, or one of the last."""
    low, high = _view(axis)
    shown: Any = np.empty(0)
    for places in candidates:
        shown = places[(low <= places) & (places <= high)]
        if axis.axis_name == "y":  # a power at an end of the axis would stand out of the figure
            ends = _points(axis, np.array([low, high]))
            shown = shown[
                np.abs(_points(axis, shown)[:, None] - ends).min(axis=1) > _font(axis).get_size_in_points() / 2
            ]
        if len(shown) <= MOST + 1 and _stay_apart(axis, shown):
            return shown
    return shown[:1]


def _stay_apart(axis: Any, places: Any) -> bool:
    return _labels_apart(axis, places, axis.get_major_formatter().format_ticks(places))


def _labels_apart(axis: Any, places: Any, labels: Sequence[str]) -> bool:
    is_across, font = axis.axis_name == "x", _font(axis)
    sizes = [text_to_path.get_text_width_height_descent(label, font, "$" in label)[:2] for label in labels]
    lengths = np.array([width if is_across else height for width, height in sizes])
    gap = (GAP if is_across else GAP / 2) * font.get_size_in_points()
    return bool((np.abs(np.diff(_points(axis, places))) >= (lengths[1:] + lengths[:-1]) / 2 + gap).all())


def _font(axis: Any) -> FontProperties:
    return FontProperties(size=axis.get_tick_params().get("labelsize", rcParams[f"{axis.axis_name}tick.labelsize"]))


def _points(axis: Any, places: Any) -> Any:
    """Where places on an axis stand in the figure, in points."""
    is_across = axis.axis_name == "x"
    to_pixels = axis.axes.get_xaxis_transform() if is_across else axis.axes.get_yaxis_transform()
    points = np.column_stack([places, np.zeros(len(places))] if is_across else [np.zeros(len(places)), places])
    return to_pixels.transform(points)[:, 0 if is_across else 1] * 72 / axis.figure.dpi
