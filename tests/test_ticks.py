"""Numbers and names along the axes stay apart in figures of any size."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from figures import collisions, figure_of, plt, spreads, written

from fastgd import plots
from fastgd.pages import drawing
from fastgd.training.history import History
from fastgd.training.learning_rate import LearningRateSearch

pytestmark = pytest.mark.usefixtures("no_figure_is_left")


def search_over(rates):
    return LearningRateSearch(rates[3], rates, 1 / rates, np.arange(len(rates)), "")


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
