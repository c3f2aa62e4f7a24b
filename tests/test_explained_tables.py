"""Explanations of a model that encodes its tables speak of the user's columns, by known answers, on both engines."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from samples import refused

import fastgd
from fastgd.explain import learning_rates
from fastgd.features import PartialDependence, partial_dependence, permutation_importance
from fastgd.pages import dependence, training_page

N_ROWS = 2500  # from 2,000 on there are bins
CITIES = ["Bonn", "Köln", "Ulm"]
COLUMNS = ["size", "city", "age", "lift", "noise", "firm"]
pytestmark = pytest.mark.usefixtures("no_figure_is_left")


def homes(n=N_ROWS, seed=0):
    """Rents: 0.1 for each square metre, 5 for Ulm, 2 for a lift, 4 where the age is not known; `noise` means nothing.

    `firm` is the same in every row, so that it is left out.
    """
    draw = np.random.default_rng(seed)
    size, age, noise = draw.uniform(20, 200, n), draw.integers(0, 100, n).astype(float), draw.normal(size=n)
    city, lift = draw.choice(CITIES, n, p=[0.5, 0.3, 0.2]), draw.random(n) < 0.4
    age[draw.random(n) < 0.2] = np.nan
    y = 0.1 * size + 5 * (city == "Ulm") + 2 * lift + 4 * np.isnan(age) + 0.1 * draw.normal(size=n)
    columns = [size, city, age, lift, noise, np.full(n, "us")]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))), pd.Series(y, name="rent")


@pytest.fixture(scope="module", params=["cpu", "plain"])
def told(request):
    """A model that has learned the rents, the rows, and what was recorded. Tests leave it as it is."""
    X, y = homes()
    model, recorder = fastgd.MLP([len(COLUMNS), 16, 1], encoding="auto"), fastgd.callbacks.Recorder()
    with pytest.warns(fastgd.errors.InputWarning, match=r"firm\) is 'us' in every row"):
        history = model.fit(
            X, y, epochs=15, optimizer=fastgd.Adam(0.005), device=request.param, callbacks=[recorder], verbose=0,
            validation_split=0.2,
        )  # fmt: skip
    assert model.evaluate(X, y)["r2"] > 0.99
    assert max(code.n_bins for code in model.encoder.codes) > 0
    return model, X, y, history, recorder


def new(**options):
    """A model that has seen nothing."""
    return fastgd.MLP([len(COLUMNS) - 1, 8, 1], encoding="auto", **options)


def seen_by_new(n=N_ROWS):
    X, y = homes(n)
    return X.drop(columns="firm"), y


# Blame, nudges and steps.


def of_column(names, column):
    """Which weights belong to a column, by what they are called."""
    return np.array([re.match(rf"{column}( |$)", name) is not None for name in names])


def test_blame_gathers_all_weights_of_a_column(told):
    model, X, y, *_ = told
    by_weight, by_column = model.blame(X, y, by="weight"), model.blame(X, y, by="input")
    assert by_column["input"] == COLUMNS
    assert len(by_weight) == model.get_parameters()[0][0].size
    for name in ("value", "gradient"):
        each = by_weight[name].astype(np.float64)
        sums = [np.sqrt((each[of_column(by_weight["weight"], column)] ** 2).sum()) for column in COLUMNS]
        np.testing.assert_allclose(by_column[name], sums, rtol=1e-4)
        moved = [np.sqrt((each[np.roll(of_column(by_weight["weight"], c), 16)] ** 2).sum()) for c in COLUMNS[:3]]
        assert (np.abs(by_column[name][:3] / moved - 1) > 1e-3).all(), "a row more or less shows"
    assert by_column["value"][-1] == by_column["gain"][-1] == 0, "a column that was left out has no weights"
    each_row = model.blame(X[:20], y[:20], by="input", per_row=True)["per_row"]
    assert each_row.shape == (len(COLUMNS), 20)
    assert (each_row[:5].max(axis=1) > 0).all()


def test_a_model_that_encodes_is_blamed_by_column_unless_asked_otherwise(told):
    model, X, y, *_ = told
    assert model.blame(X, y)["input"] == COLUMNS
    assert "input" not in model.blame(X, y, by="weight")
    plain = fastgd.MLP([1, 2, 1], standardize=False)
    assert "weight" in plain.blame(X[["size"]], y)


def test_weights_are_called_by_what_they_mean(told):
    model, X, y, *_ = told
    names = model.blame(X, y, by="weight")["weight"]
    assert len(set(names)) == len(names)
    assert {"size → unit 0", "city = Köln → unit 3", "lift = True → unit 15", "age is missing → unit 7"} <= set(names)
    assert any(re.fullmatch(r"size \d\d\.\d to \d\d\.\d → unit 0", name) for name in names)
    assert model.nudge(X, y)["weight"] == names
    for table in (model.blame(X, y, by="weight"), model.blame(X, y), model.nudge(X, y)):
        assert max(map(len, repr(table).splitlines())) <= 80


def test_edges_have_as_many_digits_as_tell_them_apart():
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"price": draw.uniform(1_000_000, 1_001_000, N_ROWS), "share": draw.random(N_ROWS)})
    model = fastgd.MLP([2, 1], encoding="auto")
    model.fit(X, X["share"], epochs=0, verbose=0)
    names = model.blame(X, X["share"], by="weight")["weight"]
    assert len(set(names)) == len(names)
    assert any(re.fullmatch(r"price 10\d{5}(\.\d)? to 10\d{5}(\.\d)?", name) for name in names)
    assert any(re.fullmatch(r"share 0\.\d{1,3} to 0\.\d{1,3}", name) for name in names)


def test_only_weights_that_rows_look_up_have_a_gradient(told):
    model, X, y, *_ = told
    without = (X["city"] != "Ulm") & X["age"].notna()
    names = model.blame(X, y, by="weight")["weight"]
    unseen = np.array([name.startswith(("city = Ulm", "age is missing")) for name in names])
    assert unseen.sum() == 2 * 16
    assert not model.blame(X[without], y[without], by="weight")["gradient"][unseen].any()
    assert model.blame(X, y, by="weight")["gradient"][unseen].any(), "other rows do"


@pytest.mark.parametrize("fresh", [False, True])
def test_nudges_are_the_steps_of_descent(told, fresh):
    if fresh:
        X, y = seen_by_new()
        model = new()
    else:
        model, X, y = copy.deepcopy(told[0]), *told[1:3]
    before, n_before = model.parameters.copy(), model.network.n_parameters
    rule = fastgd.SGD(learning_rate=0.25)
    nudges, blamed = model.nudge(X, y, optimizer=rule), model.blame(X, y, by="weight")
    np.testing.assert_array_equal(model.parameters, before)
    assert blamed["weight"] == nudges["weight"]
    np.testing.assert_array_equal(blamed["value"], nudges["old"])
    np.testing.assert_allclose(nudges["nudge"], -0.25 * blamed["gradient"], rtol=2e-3, atol=2e-7)
    assert np.abs(nudges["nudge"] + 0.3 * blamed["gradient"]).max() > 1e-4, "another rate shows"
    taken = model.step(X, y, optimizer=rule)
    assert taken["weight"] == nudges["weight"]
    for column in ("old", "nudge", "new"):
        np.testing.assert_array_equal(taken[column], nudges[column])
    np.testing.assert_array_equal(model.get_parameters()[0][0].ravel(), taken["new"])
    assert (model.network.n_parameters > n_before) == fresh
    assert ("The model is new" in nudges.note) == fresh


def test_a_step_that_is_refused_changes_nothing():
    X, y = seen_by_new()
    model = new()
    before = model.parameters.copy()
    with pytest.raises(fastgd.errors.DivergenceError):
        model.step(X, y, learning_rate=1e30)
    assert model.encoder is None
    np.testing.assert_array_equal(model.parameters, before)


# Importance.


def test_a_column_is_permuted_as_a_whole(told):
    model, (X, y) = told[0], homes(seed=1)  # of rows that were learned from some noise is known by heart
    found = permutation_importance(model, X, y, repeats=10)
    assert found.features == COLUMNS
    growth = np.sqrt(np.maximum((found.baseline + found.increase) ** 2 - found.baseline**2, 0))
    # Of a sum of independent columns it is √2 times the standard deviation of what the column adds.
    adds = {"size": 0.1 * X["size"], "city": 5.0 * (X["city"] == "Ulm"), "age": 4.0 * X["age"].isna()}
    adds["lift"] = 2.0 * X["lift"]
    for column, added in adds.items():
        grown = growth[COLUMNS.index(column)]
        assert grown == pytest.approx(np.sqrt(2) * added.std(), rel=0.1), column
        assert grown != pytest.approx(np.sqrt(3) * added.std(), rel=0.1), "another factor shows"
    assert abs(found.increase[COLUMNS.index("noise")]) < 0.03 * found.increase[COLUMNS.index("lift")]
    assert found.increase[COLUMNS.index("firm")] == found.spread[COLUMNS.index("firm")] == 0
    assert json.loads(json.dumps(found.to_dict()))["features"] == COLUMNS


def test_libraries_agree(told):
    polars = pytest.importorskip("polars")
    model, X, y, *_ = told
    turned = polars.from_pandas(X[COLUMNS[::-1]])
    assert permutation_importance(model, turned, y, 1).to_dict() == permutation_importance(model, X, y, 1).to_dict()
    for column in ("city", "age", "lift"):
        theirs, ours = (partial_dependence(model, table, column) for table in (turned, X))
        assert theirs.to_dict() == ours.to_dict()


# Partial dependence.


def test_what_a_label_adds_is_found(told):
    model, X, *_ = told
    by_city = partial_dependence(model, X, "city")
    assert by_city.values.tolist() == CITIES
    bonn, koeln, ulm = by_city.predictions
    assert ulm - bonn == pytest.approx(5, abs=0.2)
    assert koeln - bonn == pytest.approx(0, abs=0.2)
    no, yes = partial_dependence(model, X, "lift").predictions
    assert yes - no == pytest.approx(2, abs=0.2)
    assert json.loads(json.dumps(by_city.to_dict()))["values"] == CITIES
    by_firm = partial_dependence(model, X, "firm")
    assert by_firm.values.tolist() == ["us"], "what was left out has a value all the same"
    assert np.isfinite(by_firm.predictions).all()


def test_numbers_are_those_of_the_table(told):
    model, X, *_ = told
    by_size = partial_dependence(model, X, "size")
    assert set(by_size.values) <= set(X["size"])
    slope = np.polyfit(by_size.values, by_size.predictions, 1)[0]
    assert slope == pytest.approx(0.1, rel=0.05)
    by_age = partial_dependence(model, X, "age")
    assert np.isfinite(by_age.values).all(), "gaps are no values"
    assert np.ptp(by_age.predictions) < 1
    # Rows without an age get one, so that the 4 that they had for the gap are gone.
    known = X["age"].notna()
    assert by_age.predictions.mean() == pytest.approx(model.predict(X[known]).mean(), abs=0.2)
    assert by_age.predictions.mean() < model.predict(X).mean() - 0.5


def test_what_is_printed(told):
    model, X, *_ = told
    lines = repr(partial_dependence(model, X, "city")).splitlines()
    assert lines[0] == "prediction by city:"
    assert [line.split()[0] for line in lines[4:]] == CITIES
    assert [line[: len(city)] for line, city in zip(lines[4:], CITIES, strict=True)] == CITIES, "labels begin a line"


def many_labels(n=60, size=1):
    labels = np.array([f"{'ä very long label ' * size}{i}\n" for i in range(n)], np.str_)
    numbers = np.linspace(0, 1, n)
    return PartialDependence("town", labels, numbers, numbers - 1, numbers + 1)


def test_many_and_long_labels_are_printed_within_80_columns():
    for curve in (many_labels(), many_labels(size=9)):
        text = repr(curve)
        assert max(map(len, text.splitlines())) <= 80
        assert len(text.splitlines()) == 24
        assert "(20 of 60 values)" in text


def test_the_most_frequent_labels_are_tried():
    X, y = seen_by_new()
    draw = np.random.default_rng(3)
    X["city"] = np.minimum(draw.geometric(0.2, N_ROWS), 30).astype(str)
    model = new()
    model.fit(X, y, epochs=0, verbose=0)
    assert set(partial_dependence(model, X, "city", grid=4).values) == {"1", "2", "3", "4"}


def test_a_picture_of_labels_has_dots_and_bars():
    pytest.importorskip("matplotlib")
    curve = replace(many_labels(3), values=np.array(CITIES))
    ax = fastgd.plots.partial_dependence(curve)
    assert [label.get_text() for label in ax.get_xticklabels()] == CITIES
    assert ax.lines[0].get_linestyle() == "None", "there is nothing between labels"
    assert ax.lines[0].get_ydata().tolist() == curve.predictions.tolist()
    bars = np.array(ax.collections[0].get_segments())
    np.testing.assert_array_equal(bars[:, :, 1], np.column_stack([curve.low, curve.high]))
    numbers = fastgd.plots.partial_dependence(replace(curve, values=np.array([1.0, 2.0, 3.0])))
    assert numbers.lines[0].get_linestyle() == "-"


def test_labels_across_do_not_run_into_each_other():
    plt = pytest.importorskip("matplotlib.pyplot")

    def overlaps(labels, draw):
        figure, ax = plt.subplots(figsize=(5.2, 3.3), layout="constrained")
        draw(ax, labels)
        figure.canvas.draw()
        boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
        return any(left.x1 > right.x0 for left, right in pairwise(boxes))

    def as_drawn(ax, curve):
        dependence.one_output(ax, curve)

    def as_matplotlib_would(ax, curve):
        ax.set_xticks(range(len(curve.values)), curve.values)

    for curve in (many_labels(4), many_labels(12), many_labels(40)):
        assert not overlaps(curve, as_drawn)
        assert overlaps(curve, as_matplotlib_would)


def test_classes_by_label_are_dots():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = seen_by_new()
    kinds = np.where(X["city"] == "Ulm", "south", np.where(y > 15, "dear", "cheap"))
    model = fastgd.MLP([5, 8, 3], loss="cross_entropy", encoding="auto")
    model.fit(X, kinds, epochs=5, optimizer=fastgd.Adam(0.01), verbose=0)
    curves = [partial_dependence(model, X, "city", output=kind) for kind in range(3)]
    assert curves[2].output == "probability of south"
    assert curves[2].predictions[2] > 0.8 > 0.2 > curves[2].predictions[0]
    ax = dependence.several_outputs(plt.subplots()[1], curves)
    assert {line.get_linestyle() for line in ax.lines} == {"None"}
    for draw in (fastgd.plots.confusion_matrix, fastgd.plots.reliability):
        assert draw(model, X, kinds).has_data()


# Health, learning rates, surfaces and pages.


def test_health_tells_of_columns(told):
    model, X, y, *_ = told
    found = model.health(X, y)
    assert not found.of("unscaled inputs")
    assert not found.of("constant predictions")
    raw = new(standardize=False)
    few, some = seen_by_new(500)  # no bins: numbers stay as they are
    raw.fit(few, some, epochs=0, verbose=0)
    (finding,) = raw.health(few, some).of("unscaled inputs")
    assert finding.message.startswith("2 of 5 inputs reach")
    assert finding.message.endswith("size, age.")
    fresh = new()
    assert not fresh.health(few, some).of("unscaled inputs")
    refused("learns from rows with y how they are encoded: pass y, too", fresh.health, few)
    assert fresh.encoder is None


@pytest.mark.parametrize("fresh", [False, True])
def test_learning_rates_are_judged(told, fresh):
    model, X, y = (new(), *seen_by_new()) if fresh else told[:3]
    n_before = model.network.n_parameters
    slow, blown_up = learning_rates(model, X, y, [1e-5, 1e6], steps=8, row=3, optimizer=fastgd.SGD())
    assert blown_up.verdict == "too high"
    assert "blew up" in blown_up.reason
    assert slow.verdict == "too low"
    assert slow.actual == pytest.approx(y[3], rel=1e-6)
    if not fresh:
        assert slow.predictions[0] == pytest.approx(float(model.predict(X[3:4])[0]), rel=1e-5)
    assert model.network.n_parameters == n_before
    refused("row must be the number of one of 2,500 rows, not 2500", learning_rates, model, X, y, [0.1], row=2500)


def test_a_learning_rate_is_found_for_a_table_as_it_comes():
    X, y = seen_by_new()
    model = new(random_state=0)
    search = model.find_learning_rate(X, y, epochs=3, optimizer=fastgd.SGD())
    assert model.encoder is None
    losses = []
    for rate in (search.learning_rate, search.learning_rate / 100):
        model = new(random_state=0)
        losses.append(model.fit(X, y, epochs=3, optimizer=fastgd.SGD(rate), verbose=0).history["loss"][-1])
    assert losses[0] < 0.5 * losses[1]


def test_pictures_of_weights_and_the_way_down(told):
    pytest.importorskip("matplotlib")
    model, X, y, _, recorder = told
    assert sum(recorder.recorded[-1].weights[0].counts) == model.get_parameters()[0][0].size
    assert fastgd.plots.weights(recorder).get_ylabel() == "weights of layer 0"
    assert fastgd.plots.nudges(recorder).get_ylabel() == "nudges of layer 0"
    ax = fastgd.plots.loss_surface(model, X, y, recorder, points=5)
    assert len(ax.lines[0].get_xdata()) == len(recorder.recorded)
    assert fastgd.plots.residuals(model, X, y).get_xlabel() == "predicted rent"


def test_a_table_of_labels_alone_and_a_model_from_a_file(tmp_path):
    X, y = seen_by_new(500)
    X = X[["city", "lift"]]
    model = fastgd.MLP([2, 8, 1], encoding="auto")
    model.fit(X, y, epochs=30, optimizer=fastgd.Adam(0.01), verbose=0)
    model.save(tmp_path / "rents.safetensors")
    read = fastgd.load(tmp_path / "rents.safetensors")
    assert read.blame(X, y).to_dict() == model.blame(X, y).to_dict()
    assert read.blame(X, y)["input"] == ["city", "lift"]
    found = permutation_importance(read, X, y)
    assert found.to_dict() == permutation_importance(model, X, y).to_dict()
    assert found.increase[0] > found.increase[1] > 0
    theirs, ours = (some.health(X, y).layers["gradient"].tolist() for some in (read, model))
    assert theirs == ours
    bonn, _, ulm = partial_dependence(read, X, "city").predictions
    assert ulm - bonn == pytest.approx(5, abs=1.5)


@pytest.mark.slow
def test_a_page_of_a_training_on_a_frame(told):
    pytest.importorskip("matplotlib")
    model, X, y, history, recorder = told
    optimizer, (seen, unseen) = fastgd.Adam(0.005), (slice(0, 2000), slice(2000, None))
    training = training_page.Training(
        model, history, recorder, optimizer, 32, (X[seen], y[seen]), (X[unseen], y[unseen]), "rent"
    )
    scenes = list(training_page.scenes(training, []))
    pictures = {part.title: part for scene in scenes for part in scene.parts if hasattr(part, "title")}
    assert {"rent by city", "rent by size", "rent by lift", "Loss surface", "Learning-rate finder"} <= set(pictures)
    assert all(city in str(pictures["rent by city"]) for city in CITIES)
    assert "Köln" not in str(pictures["rent by size"])
    said = " ".join(repr(part) for scene in scenes for part in scene.parts if not hasattr(part, "title"))
    assert "Nothing to worry about" in said
