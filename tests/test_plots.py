"""Plots: the numbers in what they draw, their labels, and one sentence for what cannot be drawn."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import fastgd
from fastgd import plots
from fastgd.callbacks import EarlyStopping, Recorder
from fastgd.errors import InvalidInputError
from fastgd.explain import surface
from fastgd.pages import drawing
from fastgd.pages.page import short
from fastgd.training.history import History
from fastgd.training.learning_rate import LearningRateSearch

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt

FEATURES = ["size", "rooms", "distance", "age"]


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def houses():
    return fastgd.datasets.houses(300, random_state=1)


@pytest.fixture(scope="module")
def training(houses):
    recorder, model = Recorder(), fastgd.MLP([4, 8, 1], feature_names=FEATURES)
    history = model.fit(*houses, epochs=6, validation_split=0.2, callbacks=[recorder], verbose=0)
    return SimpleNamespace(model=model, recorder=recorder, history=history)


def image_of(ax):
    """The image in axes: its cells' numbers (n_rows, n_columns), and where they are."""
    (mesh,) = (found for found in ax.collections if hasattr(found, "get_coordinates"))
    return mesh.get_array(), mesh.get_coordinates()


def labels(ax):
    return ax.get_xlabel(), ax.get_ylabel()


# Losses of epochs.


def test_loss_of_every_epoch(training):
    ax = plots.loss(training.history)
    for line, name in zip(ax.lines, ("loss", "val_loss"), strict=True):
        assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
        assert line.get_ydata().tolist() == training.history.history[name]
    assert len({line.get_linestyle() for line in ax.lines}) == 2, "they differ in print, too"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
    assert labels(ax) == ("epoch", "mean loss")
    assert (ax.get_xticks() % 1 == 0).all(), "there are no half epochs"


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([8.0, 2.0], "linear"), ([100.0, 2.0], "log"), ([100.0, 0.0], "linear"), ([100.0, -2.0], "linear")],
)
def test_a_logarithmic_scale_where_it_helps(losses, scale):
    assert plots.loss(History({"loss": losses})).get_yscale() == scale
    rates = np.geomspace(1e-3, 1, len(losses))
    ax = plots.learning_rate_search(LearningRateSearch(0.1, rates, np.array(losses), ""))
    assert ax.get_yscale() == scale


# Predictions.


def test_dots_of_predictions_and_residuals(training, houses):
    X, y = houses
    predicted = training.model.predict(X)
    ax = plots.predicted_against_actual(training.model, X, y)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([y, predicted]))
    (line,) = ax.lines
    assert (line.get_slope(), line.get_xy1()) == (1, (y[0], y[0]))
    assert labels(ax) == ("actual value (units of y)", "predicted value (units of y)")
    ax = plots.residuals(training.model, X, y)
    errors = y.astype(np.float64) - predicted
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([predicted, errors]))
    assert (ax.lines[0].get_slope(), ax.lines[0].get_xy1()[1]) == (0, 0)
    assert labels(ax) == ("predicted value (units of y)", "actual − predicted value (units of y)")


def test_a_named_target_keeps_its_name(training, houses):
    import pandas as pd

    X, y = houses
    ax = plots.residuals(training.model, pd.DataFrame(X, columns=FEATURES), pd.Series(y, name="price_eur"))
    assert labels(ax) == ("predicted price_eur", "actual − predicted price_eur")


def test_many_rows_are_thinned(training, monkeypatch):
    X, y = fastgd.datasets.houses(500)
    monkeypatch.setattr(drawing, "MOST_DOTS", 100)
    first, second = (plots.predicted_against_actual(training.model, X, y) for _ in range(2))
    drawn = np.asarray(first.collections[0].get_offsets())
    assert len(drawn) == 100
    everything = set(zip(y.tolist(), training.model.predict(X).tolist(), strict=True))
    assert set(map(tuple, drawn.tolist())) <= everything
    np.testing.assert_array_equal(drawn, second.collections[0].get_offsets())


def test_several_targets_quantiles_and_variances(houses):
    X, y = houses
    Y = np.column_stack([y, X[:, 0]])
    model = fastgd.MLP([4, 6, 2])
    model.fit(X, Y, epochs=1, verbose=0)
    ax = plots.predicted_against_actual(model, X, Y)
    for target, dots in enumerate(ax.collections):
        np.testing.assert_array_equal(dots.get_offsets()[:, 0], Y[:, target])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["target 0", "target 1"]
    assert not np.array_equal(*(dots.get_facecolor()[0] for dots in ax.collections))
    model = fastgd.MLP([4, 6, 4], loss=fastgd.losses.Quantile([0.9, 0.4]))
    model.fit(X, Y, epochs=1, verbose=0)
    ax = plots.predicted_against_actual(model, X, Y)
    for target, dots in enumerate(ax.collections):
        np.testing.assert_array_equal(dots.get_offsets()[:, 1], model.predict(X)[:, 2 * target + 1])
    assert ax.get_ylabel() == "predicted 0.4 quantile of value (units of y)"
    model = fastgd.MLP([4, 6, 2], loss="gaussian_nll")
    model.fit(X, y, epochs=1, verbose=0)
    (dots,) = plots.predicted_against_actual(model, X, y).collections
    np.testing.assert_array_equal(dots.get_offsets()[:, 1], model.predict(X)[:, 0])


# Weights and nudges.


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


def spreads(*values):
    """A recorder that has seen these values of one layer."""
    recorder = Recorder(bins=4)
    model = fastgd.MLP([len(values[0]), 1], standardize=False)
    recorder.model = model
    for epoch, weights in enumerate(values):
        model.parameters = [*weights, 0]
        recorder.on_epoch_end(epoch - 1) if epoch else recorder.on_train_begin()
    return recorder


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


# The surface of the loss.


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
        ((loss,),) = surface.losses_on(plane, place[:1], place[1:], model, model._rows(X, y, None))
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
    assert len(seen[0].X) == surface.MOST_ROWS == 1024
    assert labels(ax)[0] == "direction 1 (100% of the movement)"
    assert ax.collections[0].colorbar.ax.get_ylabel() == "mean loss (mae, units of y)"


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


# Other records.


def test_a_search_shows_its_curve_and_its_choice(houses):
    search = fastgd.MLP([4, 1]).find_learning_rate(*houses, steps=40)
    ax = plots.learning_rate_search(search)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.column_stack([search.rates, search.losses]))
    assert set(ax.lines[1].get_xdata()) == {search.learning_rate}
    assert ax.get_xscale() == "log"
    assert f"chosen: {search.learning_rate:.3g}" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_bars_of_importance():
    table = SimpleNamespace(
        features=["a", "b", "c"], increase=np.array([2.0, -0.1, 7.0]), spread=np.array([0.1, 0.2, 0.3]), unit_of="rmse"
    )
    ax = plots.importance(table)
    lines = ax.collections[0].get_segments()
    assert [bar.get_width() for bar in ax.patches] == [-0.1, 2.0, 7.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a", "c"]
    np.testing.assert_allclose([np.ptp(line[:, 0]) / 2 for line in lines], [0.2, 0.1, 0.3])
    assert ax.get_xlabel() == "growth of the rmse with the column shuffled (units of y)"
    table.unit_of = "log_loss"
    assert plots.importance(table).get_xlabel() == "growth of the log_loss with the column shuffled"


def test_only_the_most_important_of_many():
    names = [f"x{i}" for i in range(100)]
    table = SimpleNamespace(features=names, increase=np.arange(100.0), spread=np.zeros(100), unit_of="rmse")
    assert [label.get_text() for label in plots.importance(table).get_yticklabels()] == names[70:]


def test_partial_dependence_and_its_band():
    curve = SimpleNamespace(
        feature="size_m2", values=[50, 60, 90], predictions=[2, 3, 4], low=[1, 2, 2], high=[3, 5, 8]
    )
    ax = plots.partial_dependence(curve)
    assert ax.lines[0].get_xydata().tolist() == [[50, 2], [60, 3], [90, 4]]
    corners = set(map(tuple, ax.collections[0].get_paths()[0].vertices))
    assert corners == {(50, 1), (60, 2), (90, 2), (50, 3), (60, 5), (90, 8)}
    assert labels(ax) == ("size_m2", "prediction (units of y)")
    curve.output = "probability of yes"
    assert plots.partial_dependence(curve).get_ylabel() == "probability of yes"


def test_records_of_features_fit(training, houses):
    X, y = houses
    ax = plots.importance(fastgd.features.permutation_importance(training.model, X, y))
    assert ax.get_yticklabels()[-1].get_text() == "size"
    curve = fastgd.features.partial_dependence(training.model, X, "age")
    np.testing.assert_array_equal(plots.partial_dependence(curve).lines[0].get_ydata(), curve.predictions)


# Numbers and names along the axes.


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


def search_over(rates):
    return LearningRateSearch(rates[3], rates, 1 / rates, "")


CHARTS = {
    "importance": lambda x: (
        lambda ax: plots.importance(
            SimpleNamespace(features=[f"{'name' * 9}{i}" for i in x], increase=x, spread=0 * x, unit_of="rmse"), ax
        )
    ),
    "partial_dependence": lambda x: (
        lambda ax: plots.partial_dependence(SimpleNamespace(feature="a", values=x, predictions=x, low=x, high=x), ax)
    ),
    "predictions": lambda x: lambda ax: drawing.dots(ax, x[:, None], x[:, None], "actual", "predicted"),
    "loss": lambda x: lambda ax: plots.loss(History({"loss": x.tolist()}), ax),
    "loss_surface": lambda x: (
        lambda ax: drawing.route(
            drawing.ground(ax, x, x, np.add.outer(x, x), "loss"), np.array([[x[0], x[0]], [x[-1], x[-1]]]), np.ones(2)
        )
    ),
}
RANGES = [
    (0, 1e-9), (-3e-4, 1e-4), (0, 1), (-140_000, 99_999), (0, 140_000), (1e5, 1.4e5), (123_456, 123_457), (0, 1e12),
    (-1e12, 1e12),
]  # fmt: skip


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_numbers_stay_apart(chart, low, high):
    for size in ((5.2, 3.3), (3, 2.2), (6.4, 4.8)):
        assert collisions(figure_of(chart(np.linspace(low, high, 7)), size)) == []


@pytest.mark.parametrize(
    ("low", "high"), [(1e-7, 10), (1e-30, 10), (1e-4, 1e-3), (2e-4, 5e-3), (1.1e-3, 1.9e-3), (0.021, 0.029)]
)
def test_rates_stay_apart(low, high):
    for size in ((5.2, 3.3), (3, 2.2), (6.4, 4.8)):
        figure = figure_of(lambda ax: plots.learning_rate_search(search_over(np.geomspace(low, high, 9)), ax), size)
        assert collisions(figure) == []
        assert len(list(written(figure.axes[0].xaxis))) >= (2 if size[0] > 5 else 1), "and yet there are some"


@pytest.mark.parametrize(("low", "high"), [(1, 7), (2, 19), (3, 29), (1, 1e3), (1e-12, 1e-9), (1, 1e5)])
def test_numbers_on_logarithmic_scales_stay_apart(low, high):
    x = np.geomspace(low, high, 7)
    changes = spreads([0, 0, 0], [-high, low, high], [-high + low / 3, low, high + low / 7])
    for draw, scale in (
        (lambda ax: plots.loss(History({"loss": x.tolist()}), ax), "log"),
        (lambda ax: plots.nudges(changes, ax=ax), "asinh"),
        (lambda ax: drawing.ground(ax, np.arange(7), np.arange(7), np.sqrt(np.multiply.outer(x, x)), "loss"), "linear"),
    ):
        for size in ((5.2, 3.3), (3, 2.2), (6.4, 4.8)):
            figure = figure_of(draw, size)
            assert collisions(figure) == []
            assert figure.axes[0].get_yscale() == scale
            assert all(len(list(written(ax.yaxis))) >= 2 for ax in figure.axes), "and yet there are some"


def test_collisions_are_seen():
    numbers = figure_of(lambda ax: ax.set(xlim=(0, 140_000), xticks=range(0, 140_001, 10_000)))
    assert ("100000", "110000") in collisions(numbers)
    names = figure_of(lambda ax: ax.barh([f"name {i}" for i in range(30)], range(30)))
    assert ("name 1", "name 2") in collisions(names)


@pytest.mark.parametrize("ax", [None, "alone"])
def test_names_of_many_bars_stay_apart(ax):
    table = SimpleNamespace(features=range(30), increase=np.arange(30.0), spread=np.zeros(30), unit_of="rmse")
    table.features = [f"a rather long name of a column {i}" for i in range(30)]
    drawn = plots.importance(table, plt.subplots(figsize=(5.2, 3.3))[1] if ax else None)
    assert collisions(drawn.figure) == []
    _, (given, other) = plt.subplots(2)
    height = given.figure.get_figheight()
    plots.importance(table, given)
    assert other.figure.get_figheight() == height, "what shares its figure keeps its size"


def test_labels_of_a_small_figure_are_whole():
    name = "a_rather_long_name_of_a_column_that_says_everything"
    table = SimpleNamespace(features=[name], increase=np.array([1.0]), spread=np.zeros(1), unit_of="rmse")
    figure = figure_of(lambda ax: plots.importance(table, ax))
    figure.canvas.draw()
    box = figure.axes[0].xaxis.label.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    curve = SimpleNamespace(feature=name, values=[1, 2], predictions=[1, 2], low=[0, 1], high=[2, 3])
    figure = figure_of(lambda ax: plots.partial_dependence(curve, ax).set(ylabel=f"predicted {drawing.literal(name)}"))
    figure.canvas.draw()
    box = figure.axes[0].yaxis.label.get_window_extent()
    assert 0 <= box.y0 < box.y1 <= figure.bbox.height


@pytest.mark.parametrize(("epochs", "most"), [(1, 1), (2, 2), (9, 9), (100_000, 9)])
def test_epochs_are_whole_and_not_too_many(epochs, most):
    ax = figure_of(lambda ax: plots.loss(History({"loss": [1.0] * epochs}), ax)).axes[0]
    ax.figure.canvas.draw()
    shown = [float(number) for number, _ in written(ax.xaxis)]
    assert 1 <= len(shown) <= most
    assert all(number.is_integer() for number in shown)


def test_axes_keep_a_scale_that_was_chosen_before():
    _, ax = plt.subplots()
    ax.set_xscale("symlog")
    formatter = ax.xaxis.get_major_formatter()
    curve = SimpleNamespace(feature="a", values=[1, 2], predictions=[1, 2], low=[0, 1], high=[2, 3])
    plots.partial_dependence(curve, ax)
    assert (ax.get_xscale(), ax.xaxis.get_major_formatter()) == ("symlog", formatter)


def test_names_from_files_are_one_harmless_line(training, houses):
    import pandas as pd

    X, y = houses
    ax = plots.residuals(training.model, X, pd.Series(y, name="eur\x1b[2J\n\u202e$x$"))
    assert labels(ax)[0] == r"predicted eur\x1b[2J\n\u202e\$x\$"


def test_numbers_in_few_characters():
    values = (0, 0.05, 999, 999.9, 12_345, 999_999, -1e6, 2.5e9, 1e12, 1e15)
    shown = ["0", "0.05", "999", "1k", "12.3k", "1M", "-1M", "2.5G", "1T", "1e+15"]
    assert [short(value) for value in values] == shown


# Axes, and what cannot be drawn.


def test_all_draw_into_given_axes(training, houses):
    X, y = houses
    model, recorder = training.model, training.recorder
    table = SimpleNamespace(features=["a"], increase=[1.0], spread=[0.1], unit_of="rmse")
    curve = SimpleNamespace(feature="a", values=[1, 2], predictions=[1, 2], low=[0, 1], high=[2, 3])
    draw = {
        "loss": lambda ax: plots.loss(training.history, ax),
        "predicted_against_actual": lambda ax: plots.predicted_against_actual(model, X, y, ax),
        "residuals": lambda ax: plots.residuals(model, X, y, ax),
        "weights": lambda ax: plots.weights(recorder, 0, ax),
        "nudges": lambda ax: plots.nudges(recorder, 0, ax),
        "loss_surface": lambda ax: plots.loss_surface(model, X, y, recorder, ax, points=3),
        "learning_rate_search": lambda ax: plots.learning_rate_search(model.find_learning_rate(X, y, steps=10), ax),
        "importance": lambda ax: plots.importance(table, ax),
        "partial_dependence": lambda ax: plots.partial_dependence(curve, ax),
    }
    assert sorted(draw) == sorted(plots.__all__)
    figure, places = plt.subplots(3, 3)
    for name, place in zip(draw, places.flat, strict=True):
        assert draw[name](place) is place
        assert place.has_data()
        assert draw[name](None).figure is not figure
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, X, y: plots.loss(History()), "The history has no epoch to draw: fit for at least one"),
        (lambda t, X, y: plots.loss([1.0]), "history must be what fit returned, not list"),
        (lambda t, X, y: plots.loss(t.history, axis=3), "`axis` is called `ax`"),
        (lambda t, X, y: plots.loss(t.history, ax=plt.figure()), "ax must be matplotlib axes.*, not Figure"),
        (lambda t, X, y: plots.weights(Recorder()), "The recorder has recorded no epoch: pass it to fit"),
        (lambda t, X, y: plots.nudges(spreads([1, 2])), "The recorder has recorded no epoch"),
        (lambda t, X, y: plots.weights(t.history), "recorder must be a fastgd.callbacks.Recorder, not History"),
        (lambda t, X, y: plots.weights(t.recorder, layer=2), "layer must be a whole number from 0 to 1, not 2"),
        (lambda t, X, y: plots.residuals(t.model, X[:, :3], y), "X has 3 columns, but the network has 4 inputs"),
        (lambda t, X, y: plots.residuals("house", X, y), "model must be a fastgd.MLP, not str"),
        (
            lambda t, X, y: plots.predicted_against_actual(fastgd.MLP([4, 3], loss="cross_entropy"), X, y),
            "This plot is of numbers, but a model with loss='cross_entropy' predicts classes",
        ),
        (lambda t, X, y: plots.loss_surface(t.model, X, y, Recorder()), "The recorder has recorded no epoch"),
        (
            lambda t, X, y: plots.loss_surface(fastgd.MLP([4, 1]), X, y, t.recorder),
            "The recorder has seen a model of 49 parameters, but this one has 5",
        ),
        (
            lambda t, X, y: plots.loss_surface(t.model, X, y, t.recorder, points=2),
            "points must be a whole number of at least 3, not 2",
        ),
        (
            lambda t, X, y: plots.loss_surface(fastgd.MLP([2, 1], initializer="zeros"), X, y, spreads([0, 0], [0, 0])),
            "The parameters never moved in this training",
        ),
        (
            lambda t, X, y: plots.learning_rate_search(LearningRateSearch(0.1, np.zeros(0), np.zeros(0), "")),
            "The search has no step to draw",
        ),
        (lambda t, X, y: plots.learning_rate_search(0.1), "search must be what model.find_learning_rate returned"),
        (lambda t, X, y: plots.importance({}), "table must be a record of importance, not dict"),
        (lambda t, X, y: plots.partial_dependence(None), "curve must be a record of partial dependence, not NoneType"),
    ],
)
def test_mistakes_are_one_sentence(training, houses, call, message):
    with pytest.raises(InvalidInputError, match=message):
        call(training, *houses)


def test_without_matplotlib(training, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InvalidInputError, match=r"^Plots need matplotlib: pip install 'fastgd\[plot\]'\.$"):
        plots.loss(training.history)


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, fastgd.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
