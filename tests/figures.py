"""What can be read from a figure: its numbers, its texts, and which of these touch."""

from __future__ import annotations

import itertools

import pytest

import fastgd
from fastgd.callbacks import Recorder

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt

FEATURES = ["size", "rooms", "distance", "age"]


def image_of(ax):
    """The image in axes: its cells' numbers (n_rows, n_columns), and where they are."""
    (mesh,) = (found for found in ax.collections if hasattr(found, "get_coordinates"))
    return mesh.get_array(), mesh.get_coordinates()


def labels(ax):
    return ax.get_xlabel(), ax.get_ylabel()


def spreads(*values):
    """A recorder that has seen these values of one layer."""
    recorder = Recorder(bins=4)
    model = fastgd.MLP([len(values[0]), 1], standardize=False)
    recorder.model = model
    for epoch, weights in enumerate(values):
        model.parameters = [*weights, 0]
        recorder.on_epoch_end(epoch - 1) if epoch else recorder.on_train_begin()
    return recorder


def written(axis):
    """What stands along an axis within its range, and where: (text, box)."""
    low, high = sorted(axis.get_view_interval())
    for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
        for label in (tick.label1, tick.label2):
            if low <= tick.get_loc() <= high and label.get_visible() and label.get_text():
                yield label.get_text(), label.get_window_extent()


def collisions(figure):
    """Pairs of texts along one axis that touch."""
    figure.canvas.draw()
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    return [
        (one, other)
        for axis in axes
        for (one, box), (other, beside) in itertools.combinations(written(axis), 2)
        if box.x0 < beside.x1 and beside.x0 < box.x1 and box.y0 < beside.y1 and beside.y0 < box.y1
    ]


def figure_of(draw, size=(5.2, 3.3)):
    figure = plt.figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    return figure
