"""Drawing: dots that are thinned, histograms as images, and surfaces with holes."""

from __future__ import annotations

import numpy as np
import pytest
from figures import image_of, labels, plt, spreads

import fastgd
from fastgd import plots
from fastgd.callbacks import Recorder
from fastgd.pages import drawing

pytestmark = pytest.mark.usefixtures("no_figure_is_left")


def test_many_rows_are_thinned(training, monkeypatch):
    X, y = fastgd.datasets.houses(500)
    monkeypatch.setattr(drawing, "MOST_DOTS", 100)
    first, second = (plots.predicted_against_actual(training.model, X, y) for _ in range(2))
    drawn = np.asarray(first.collections[0].get_offsets())
    assert len(drawn) == 100
    everything = set(zip(y.tolist(), training.model.predict(X).tolist(), strict=True))
    assert set(map(tuple, drawn.tolist())) <= everything
    np.testing.assert_array_equal(drawn, second.collections[0].get_offsets())


@pytest.mark.parametrize("kind", ["weights", "nudges"])
@pytest.mark.parametrize("layer", [0, -1])
def test_images_of_histograms(training, kind, layer):
    ax = getattr(plots, kind)(training.recorder, layer=layer)
    shares, coordinates = image_of(ax)
    first = 0 if kind == "weights" else 1
    epochs = np.arange(first, 7)
    np.testing.assert_allclose(coordinates[0, :, 0], np.arange(first, 8) - 0.5)
    np.testing.assert_allclose(shares.sum(axis=0), 100)
    edges = coordinates[:, 0, 1]
    for column, epoch in enumerate(epochs):
        spread = getattr(training.recorder.recorded[epoch], kind)[layer]
        filled = np.flatnonzero(shares[:, column])
        assert edges[filled[0]] <= spread.low < edges[filled[0] + 1]
        assert edges[filled[-1]] < spread.high <= edges[filled[-1] + 1] * (1 + 1e-9)
    assert labels(ax) == ("epoch", f"{kind} of layer {layer % 2}")


def test_a_histogram_keeps_its_shares_in_other_cells():
    shares, coordinates = image_of(plots.weights(spreads([0, 1, 1, 4], [0, 8, 8, 8])))
    below = np.concatenate([[0], np.cumsum(shares[:, 0])])
    edges = coordinates[:, 0, 1]
    for value, share in ((0, 0), (0.5, 12.5), (1, 25), (2, 75), (4, 100)):
        assert np.interp(value, edges, below) == pytest.approx(share, abs=5)


def test_weights_that_are_all_the_same():
    for recorder in (spreads([0, 0], [0, 0]), spreads([3, 3], [3, 3])):
        for draw in (plots.weights, plots.nudges):
            shares, _ = image_of(draw(recorder))
            np.testing.assert_allclose(shares.sum(axis=0), 100)
            assert np.count_nonzero(shares[:, 0]) <= 2


def test_nudges_that_shrink_stay_visible():
    shrinking = spreads([0, 0, 0], [-9, 1, 9], [-8, 1, 8.5], [-7.99, 1.001, 8.51])
    assert plots.weights(shrinking).get_yscale() == "linear"
    ax = plots.nudges(shrinking)
    assert ax.get_yscale() == "asinh"
    shares, coordinates = image_of(ax)
    assert np.count_nonzero(shares[:, 1]) > 10, "on a linear scale, a twelfth of the first's width would be 7 cells"
    np.testing.assert_allclose(shares.sum(axis=0), 100)
    assert (np.diff(coordinates[:, 0, 1]) > 0).all()


def test_thinned_epochs_fill_the_axis(houses):
    recorder = Recorder(most=4)
    fastgd.MLP([4, 1]).fit(*houses, epochs=11, callbacks=[recorder], verbose=0)
    assert [entry.epoch for entry in recorder.recorded] == [0, 4, 8, 11]
    _, coordinates = image_of(plots.weights(recorder))
    np.testing.assert_allclose(coordinates[0, :, 0], [-2, 2, 6, 9.5, 12.5])


def test_losses_that_are_not_finite_stay_white():
    _, ax = plt.subplots()
    losses = np.array([[1.0, np.inf, 3.0], [np.nan, 2.0, 5.0], [1.0, 1.0, 900.0]])
    drawing.ground(ax, np.arange(3), np.arange(3), losses, "loss")
    shown, _ = image_of(ax)
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), ~np.isfinite(losses))
    assert type(ax.collections[0].norm).__name__ == "LogNorm"
    ax.figure.canvas.draw()


def test_a_flat_surface():
    _, ax = plt.subplots()
    drawing.ground(ax, np.arange(3), np.arange(3), np.full((3, 3), 2.0), "loss")
    assert len(ax.collections) == 1, "no lines of equal loss"
