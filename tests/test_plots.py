"""Plots: the numbers in what they draw, their labels, and one sentence for what cannot be drawn."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from figures import FEATURES, labels, plt, spreads

import fastgd
from fastgd import plots
from fastgd.callbacks import Recorder
from fastgd.errors import InvalidInputError
from fastgd.training.history import History
from fastgd.training.learning_rate import LearningRateSearch

pytestmark = pytest.mark.usefixtures("no_figure_is_left")


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
    ax = plots.learning_rate_search(LearningRateSearch(0.1, rates, np.array(losses), np.array([1, 2]), ""))
    assert ax.get_yscale() == scale


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


def test_learning_rates_side_by_side(houses):
    X, y = houses
    regimes = fastgd.explain.learning_rates(fastgd.MLP([4, 1], random_state=1), X, y, [0.002, 0.15, 3.0])
    ax = plots.learning_rates(regimes)
    for line, regime in zip(ax.lines, regimes, strict=True):
        assert line.get_ydata().tolist() == regime.losses.tolist()
        assert line.get_xdata().tolist() == list(range(len(regime.losses)))
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["0.002: too low", "0.15: well chosen", "3: too high"]
    assert len({line.get_marker() for line in ax.lines}) == 3, "they differ in print, too"
    assert (ax.get_yscale(), *labels(ax)) == ("log", "step", "mean loss")
    assert (
        plots.learning_rates(regimes[1:2]).get_yscale() == "linear"
        or regimes[1].losses.min() < regimes[1].losses[0] / 5
    )
    with pytest.raises(InvalidInputError, match="the list is empty"):
        plots.learning_rates([])
    with pytest.raises(
        InvalidInputError, match=r"regimes must be what fastgd.explain.learning_rates returned, not float"
    ):
        plots.learning_rates([0.1])


KINDS = {
    "two": (["no", "yes"], {"layer_sizes": [4, 8, 1], "loss": "binary_cross_entropy"}, [4e5]),
    "three": (["low", "mid", "top"], {"layer_sizes": [4, 8, 3], "loss": "cross_entropy"}, [3e5, 6e5]),
}


@pytest.fixture(params=KINDS)
def classifier(request, houses):
    X, y = houses
    names, options, bounds = KINDS[request.param]
    kinds = np.array(names)[np.digitize(y, bounds)]
    model = fastgd.MLP(**options)
    model.fit(X, kinds, epochs=3, verbose=0)
    return model, X, kinds


def test_a_confusion_matrix_is_that_of_scikit_learn(classifier):
    from sklearn.metrics import confusion_matrix

    model, X, kinds = classifier
    ax = plots.confusion_matrix(model, X, kinds)
    expected = confusion_matrix(kinds, model.predict(X))
    n = len(model.classes)
    written = np.array([int(text.get_text().replace(",", "")) for text in ax.texts]).reshape(n, n)
    np.testing.assert_array_equal(written, expected)
    np.testing.assert_allclose(ax.images[0].get_array(), expected / expected.sum(axis=1, keepdims=True))
    assert (expected != expected.T).any(), "rows and columns are told apart"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(model.classes)
    assert labels(ax) == ("predicted", "actual")


def test_a_reliability_curve_is_that_of_scikit_learn(classifier):
    from sklearn.calibration import calibration_curve

    model, X, kinds = classifier
    ax = plots.reliability(model, X, kinds)
    probabilities = model.predict_proba(X)
    two = len(model.classes) == 2
    score = probabilities[:, 1] if two else probabilities.max(axis=1)
    truth = kinds == "yes" if two else kinds == model.predict(X)
    shares, means = calibration_curve(truth, score, n_bins=10)
    (dots,) = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), np.column_stack([means, shares]), rtol=1e-6)
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), dots.get_offsets())
    rows = np.histogram(score, np.linspace(0, 1, 11))[0]
    assert np.argmax(dots.get_sizes()) == np.argmax(rows[rows > 0]), "where most rows are"
    assert len(set(dots.get_sizes())) > 1
    assert labels(ax) == (f"predicted probability of {'yes' if two else 'the predicted class'}", "share that came true")


@pytest.mark.parametrize("draw", [plots.confusion_matrix, plots.reliability])
def test_what_is_no_classifier_has_no_classes_to_draw(draw, training, houses):
    with pytest.raises(InvalidInputError, match="This plot is of classes, but a model with loss='mse' has none"):
        draw(training.model, *houses)


def test_a_named_target_keeps_its_name(training, houses):
    import pandas as pd

    X, y = houses
    ax = plots.residuals(training.model, pd.DataFrame(X, columns=FEATURES), pd.Series(y, name="price_eur"))
    assert labels(ax) == ("predicted price_eur", "actual − predicted price_eur")


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


def test_a_search_shows_its_curve_and_its_choice(houses):
    search = fastgd.MLP([4, 1]).find_learning_rate(*houses, epochs=2)
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
    table.unit_of = "loss"
    assert plots.importance(table).get_xlabel() == "growth of the loss with the column shuffled"


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


def test_names_from_files_are_one_harmless_line(training, houses):
    import pandas as pd

    X, y = houses
    ax = plots.residuals(training.model, X, pd.Series(y, name="eur\x1b[2J\n\u202e$x$"))
    assert labels(ax)[0] == r"predicted eur\x1b[2J\n\u202e\$x\$"


@pytest.mark.parametrize(
    ("good", "bad", "scale", "top"),
    [
        ([8, 4, 2], [8, 16, 32], "log", None),
        ([8, 4, 2], [8, 1e4, 1e305], "log", 80),
        ([8, 7, 6], [8, 7, 7], "linear", None),
        ([8, 7, -2], [8, 30, 1e305], "linear", 18),
        ([8, 7, -2], [8], "linear", None),  # it blew up in the first step
    ],
)
def test_a_rate_that_blows_up_does_not_hide_the_others(good, bad, scale, top):
    regimes = [
        SimpleNamespace(learning_rate=rate, verdict="", losses=np.array(losses, float))
        for rate, losses in ((0.1, good), (9, bad))
    ]
    ax = plots.learning_rates(regimes)
    ax.figure.canvas.draw()
    assert ax.get_yscale() == scale
    bottom, end = ax.get_ylim()
    assert end == top if top else end >= max(good + bad)
    shown = ax.transData.transform([(0, good[0]), (0, good[-1])])[:, 1]
    assert bottom < min(good)
    assert shown[0] - shown[1] > 0.3 * ax.bbox.height, "else it is pressed flat"


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
        "learning_rate_search": lambda ax: plots.learning_rate_search(model.find_learning_rate(X, y, epochs=1), ax),
        "importance": lambda ax: plots.importance(table, ax),
        "partial_dependence": lambda ax: plots.partial_dependence(curve, ax),
    }
    kinds = y > np.median(y)
    classifier = fastgd.MLP([4, 1], loss="binary_cross_entropy")
    classifier.fit(X, kinds, epochs=1, verbose=0)
    regimes = fastgd.explain.learning_rates(fastgd.MLP([4, 1]), X, y, [0.1], steps=4)
    draw |= {
        "confusion_matrix": lambda ax: plots.confusion_matrix(classifier, X, kinds, ax),
        "reliability": lambda ax: plots.reliability(classifier, X, kinds, ax),
        "learning_rates": lambda ax: plots.learning_rates(regimes, ax),
    }
    assert sorted([*draw, "search"]) == sorted(plots.__all__)  # that one draws into several
    figure, places = plt.subplots(3, 4)
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
    with pytest.raises(InvalidInputError, match=r"^Plots need matplotlib: run `pip install matplotlib`\.$"):
        plots.loss(training.history)


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import sys, fastgd.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
