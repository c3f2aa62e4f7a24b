"""The surface of the loss: every point is a loss, and the path is seen from above."""

from __future__ import annotations

import numpy as np
import pytest
from figures import FEATURES, image_of, labels
from inside import rows_of

import fastgd
from fastgd import plots
from fastgd.callbacks import EarlyStopping, Recorder
from fastgd.explain import surface

pytestmark = pytest.mark.usefixtures("no_figure_is_left")


def test_every_point_of_the_surface_is_a_loss(training, houses):
    X, y = houses
    model, recorder = training.model, training.recorder
    before = model.parameters.copy()
    ax = plots.loss_surface(model, X, y, recorder, points=4)
    assert (model.parameters == before).all()
    losses, coordinates = image_of(ax)
    across, up = surface.grid_around(surface.plane_of(model, recorder.recorded).path, 4)
    middles = (coordinates[:-1, :-1] + coordinates[1:, 1:]) / 2
    np.testing.assert_allclose(middles[0, :, 0], across)
    np.testing.assert_allclose(middles[:, 0, 1], up)
    directions = surface.plane_of(model, recorder.recorded).directions
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-5)
    twin = fastgd.MLP([4, 8, 1], feature_names=FEATURES)
    twin.fit(X, y, epochs=0, validation_split=0.2, verbose=0)  # the same scaling
    for i, j in np.ndindex(4, 4):
        twin.parameters = before + across[j] * directions[0] + up[i] * directions[1]
        assert losses[i, j] == pytest.approx(twin.evaluate(X, y)["loss"], rel=1e-5)
    assert ax.collections[0].colorbar.ax.get_ylabel() == "mean loss (mse, units of y²)"


def test_the_path_is_seen_from_above(training, houses):
    entries = training.recorder.recorded
    ax = plots.loss_surface(training.model, *houses, training.recorder, points=3)
    path = ax.lines[0].get_xydata()
    moves = np.array([entry.parameters - training.model.parameters for entry in entries], np.float64)
    values, vectors = np.linalg.eigh(moves @ moves.T)  # another way to the principal components
    expected = vectors[:, [-1, -2]] * np.sqrt(values[[-1, -2]])
    np.testing.assert_allclose(np.abs(path), np.abs(expected), atol=1e-4)
    assert (path[0] <= 0).all(), "it starts at the lower left"
    shares = 100 * values[[-1, -2]] / values.sum()
    for label, share in zip(labels(ax), shares, strict=True):
        assert f"({share:.0f}% of the movement)" in label
    np.testing.assert_allclose(ax.lines[1].get_xydata(), path[:1])
    assert ax.lines[2].get_xydata().tolist() == [[0, 0]]
    assert [text.get_text() for text in ax.texts] == ["start", "model"]


def test_two_parameters_are_a_plane(houses):
    """Then nothing is lost: the path keeps its distances, and the surface has the losses of the path."""
    X, y = houses[0][:, :1], houses[1]
    model, recorder = fastgd.MLP([1, 1], dtype="float64"), Recorder()
    stop = EarlyStopping(monitor="loss", patience=2)
    model.fit(X, y, epochs=8, callbacks=[recorder, stop], verbose=0)
    plane = surface.plane_of(model, recorder.recorded)
    assert plane.shares.sum() == pytest.approx(1)
    for entry, place in zip(recorder.recorded, plane.path, strict=True):
        twin = fastgd.MLP([1, 1], dtype="float64")
        twin.fit(X, y, epochs=0, verbose=0)
        twin.parameters = entry.parameters
        assert np.linalg.norm(place) == pytest.approx(np.linalg.norm(twin.parameters - model.parameters), abs=1e-6)
        ((loss,),) = surface.losses_on(plane, place[:1], place[1:], model, rows_of(model, X, y))
        assert loss == pytest.approx(twin.evaluate(X, y)["loss"], rel=1e-5)


def test_the_surface_holds_path_and_model(houses):
    for path in ([[-4, -1], [-2, 3], [0, 0]], [[1, 1], [4, 2]], [[-3, 0], [0, 0]]):
        across, up = surface.grid_around(np.array(path, np.float64), 9)
        points = np.array([*path, [0, 0]])
        for axis, places in enumerate((across, up)):
            reach = np.ptp(points[:, axis])
            assert places[0] <= points[:, axis].min() - 0.25 * reach
            assert places[-1] >= points[:, axis].max() + 0.25 * reach
            assert places[-1] > places[0], "a straight path has some width, too"


def test_a_surface_uses_some_rows_and_one_epoch_is_enough(houses, monkeypatch):
    X, y = fastgd.datasets.houses(2000)
    model, recorder = fastgd.MLP([4, 1], loss="mae"), Recorder()
    model.fit(X, y, epochs=1, callbacks=[recorder], verbose=0)
    seen = []
    monkeypatch.setattr(surface, "losses_on", lambda plane, across, up, model, rows: seen.append(rows) or np.eye(3))
    ax = plots.loss_surface(model, X, y, recorder, points=3)
    assert len(seen[0].X) == surface.ROWS_OF_A_SURFACE == 1024
    assert labels(ax)[0] == "direction 1 (100% of the movement)"
    assert ax.collections[0].colorbar.ax.get_ylabel() == "mean loss (mae, units of y)"
