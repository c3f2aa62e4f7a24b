"""Labels of classes: which are read, which classes a model has, and how those that come later find their place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from samples import waves

import fastgd
from fastgd import schedules
from fastgd.errors import InputWarning, InvalidInputError


def network(n_out=3, **options):
    loss = "binary_cross_entropy" if n_out == 1 else "cross_entropy"
    return fastgd.MLP([1, n_out], loss=loss, random_state=0, **options)


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 1))


@pytest.mark.tiny
@pytest.mark.parametrize(
    "labels",
    [
        np.array([1.0, 0.0, 2.0, 1.0], object),
        np.array([1, 0, 2, True], object),
        [1.0, 0.0, 2.0, 1.0],
        pd.Series([1.0, 0.0, 2.0, 1.0], dtype=object),
    ],
    ids=["objects of floats", "objects with truth values", "floats", "column of objects"],
)
def test_whole_numbers_are_labels_however_they_are_kept(labels):
    model = network()
    model.fit(rows(4), labels, epochs=1, verbose=0)
    assert model.classes.tolist() == [0, 1, 2]


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [2**70, 1, 2**70, 1],
            r"y, row 0 is 1180591620717411303424: numbers of classes must be whole, and below 2\*\*63",
        ),
        (np.array([1, 2**63], np.uint64), r"y, row 1 is 9223372036854775808: numbers of classes must be whole"),
        ([2**70, float("nan")], "y, row 0 is 1180591620717411303424: numbers of classes must be whole"),
        ([10**5000, 1], r"y, row 0 is a number of over 60 digits: labels must be"),
        ([1, -(2**65)], r"y, row 1 is -36893488147419103232: numbers of classes"),
        (np.array([1.0, np.nan], object), r"y, row 1 is nan: labels of classes must be whole numbers or text"),
        (np.array([1.5, 1], object), r"y, row 0 is 1\.5: labels of classes must be whole numbers or text"),
        (np.array(["a", np.nan], object), r"y, row 1 is nan: labels must be all text or all whole numbers"),
        (np.array([True, "a"], object), r"y, row 1 is 'a': labels must be all text"),
        (np.array(["a", (1, 2)], object), r"y, row 1 is \(1, 2\): labels must be all text"),
        ([["a"], ["b", "c"]], r"y cannot be read: its rows differ in length"),
    ],
)
def test_what_is_no_label(labels, message):
    with pytest.raises(InvalidInputError, match=message):
        network(1).fit(rows(2), labels[:2], verbose=0)


def test_classes_that_come_later_get_the_outputs_that_are_left():
    model = network()
    with pytest.warns(InputWarning, match=r"y has 2 classes \(a, c\), but the network has outputs for 3: if the oth"):
        model.fit(rows(40), ["a", "c"] * 20, epochs=1, verbose=0)
    assert model.classes.tolist() == ["a", "c"]
    assert set(model.predict(rows(50))) <= {"a", "c"}
    assert model.predict_proba(rows(5)).shape == (5, 3)
    with pytest.raises(InvalidInputError, match="y, row 1 has the label 'b', which the model does not know"):
        model.evaluate(rows(2), ["a", "b"])
    X = rows(300, 1)
    labels = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    model.fit(X, labels, epochs=60, optimizer=fastgd.Adam(0.05), verbose=0)
    assert model.classes.tolist() == ["a", "c", "b"]
    right = np.mean(model.predict(X) == labels)
    assert right > 0.95
    assert model.evaluate(X, labels)["accuracy"] == pytest.approx(right)
    assert (model.predict(X) == model.classes[model.predict_proba(X).argmax(axis=1)]).all()
    with pytest.raises(InvalidInputError, match="has the label 'd', which the model does not know"):
        model.fit(X[:2], ["a", "d"], verbose=0)


def test_a_stream_that_starts_with_one_class():
    model = network(1)
    with pytest.warns(InputWarning, match=r"y has 1 class \(yes\)"):
        model.fit(rows(5), ["yes"] * 5, epochs=1, verbose=0)
    assert (model.predict(rows(5)) == "yes").all()
    X = rows(200, 2)
    labels = np.where(X[:, 0] > 0, "yes", "no")
    model.fit(X, labels, epochs=30, verbose=0)
    assert model.classes.tolist() == ["yes", "no"]
    assert model.evaluate(X, labels)["accuracy"] > 0.9


def test_labels_that_validation_alone_has_get_a_place():
    model = network()
    with pytest.warns(InputWarning, match=r"y has 2 classes \(a, b\)"):
        model.fit(rows(4), ["a", "b"] * 2, validation_data=(rows(3), ["a", "c", "b"]), epochs=1, verbose=0)
    assert model.classes.tolist() == ["a", "b", "c"]


@pytest.mark.filterwarnings("error")
def test_classes_can_be_declared():
    model = network(classes=["low", "middle", "high"])
    model.fit(rows(4), ["high", "low"] * 2, epochs=1, class_weight={"middle": 3, "low": 2}, verbose=0)
    assert model.classes.tolist() == ["low", "middle", "high"]
    with pytest.raises(InvalidInputError, match=r"label 'top', .* its classes are: low, middle, high"):
        model.fit(rows(2), ["low", "top"], verbose=0)
    with pytest.raises(InvalidInputError, match="class_weight names the class 'top', which the model does not know"):
        model.fit(rows(2), ["low", "high"], class_weight={"top": 1}, verbose=0)
    binary = network(1, classes=["no", "yes"])
    binary.fit(rows(3), ["yes"] * 3, epochs=200, optimizer=fastgd.SGD(), verbose=0)
    assert (binary.predict_proba(rows(4))[:, 1] > 0.8).all(), "the second class is the one that occurred"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.Categorical(["b", "a", "b"], categories=["b", "c", "a"])),
        pd.Categorical(["b", "a", "b"], categories=["b", "c", "a"]),
        pd.DataFrame({"y": pd.Categorical(["b", "a", "b"], categories=["b", "c", "a"])}),
        pl.Series(["b", "a", "b"], dtype=pl.Enum(["b", "c", "a"])),
    ],
    ids=["series", "categorical", "frame", "polars"],
)
def test_categories_of_a_column_are_the_classes(column):
    model = network()
    model.fit(rows(3), column, epochs=1, class_weight={"c": 2.0}, verbose=0)
    assert model.classes.tolist() == ["b", "c", "a"]


def test_more_categories_than_outputs_are_not_the_classes():
    column = pd.Series(pd.Categorical(["b", "a", "d"], categories=list("abcde")))
    model = network()
    model.fit(rows(3), column, epochs=1, verbose=0)
    assert model.classes.tolist() == ["a", "b", "d"]


@pytest.mark.tiny
@pytest.mark.parametrize(
    "classes", [["a", "b"], ["a", "b", "a"], "abc", 3, ["a", 1, "b"], [1.5, 2, 3], [None, "a", "b"]]
)
def test_classes_that_cannot_be_declared(classes):
    with pytest.raises(InvalidInputError, match="classes"):
        network(classes=classes)


@pytest.mark.tiny
def test_only_networks_with_classes_have_them_declared():
    with pytest.raises(InvalidInputError, match="classes= is for classes"):
        fastgd.MLP([1, 1], classes=["a", "b"])


def test_declared_classes_outlive_a_refused_table_and_a_file(tmp_path):
    model = network(classes=["a", "b", "c"])
    with pytest.raises(InvalidInputError, match="label 'x', which the model does not know"):
        model.fit(rows(2), ["a", "x"], verbose=0)
    model.save(tmp_path / "model")
    loaded = fastgd.load(tmp_path / "model")
    loaded.fit(rows(2), ["c", "a"], epochs=1, verbose=0)
    assert loaded.classes.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "labels", [np.array(["no", "yes"]), np.array([3, 7]), np.array([False, True]), np.array([0.0, 1.0])]
)
@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_two_classes(labels, loss, n_out):
    X, y = waves(300)
    names = labels[(y > 0).astype(int)]
    model = fastgd.MLP([3, 8, n_out], loss=loss)
    model.fit(X, names, epochs=20, verbose=0)
    assert set(model.predict(X)) <= set(labels)
    assert np.mean(model.predict(X) == names) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (300, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    measured = model.evaluate(X, names)
    assert measured["accuracy"] == pytest.approx(np.mean(model.predict(X) == names))
    chosen = probabilities[np.arange(300), (y > 0).astype(int)]
    assert measured["loss"] == pytest.approx(-np.mean(np.log(chosen)), rel=1e-4)
    assert "log_loss" not in measured, "it would be the same number"


def test_labels_in_data_frames():
    import pandas as pd
    import polars as pl

    X, y = waves()
    names = np.array(["a", "b", "c"])[np.digitize(y, [-1, 1])]
    predictions = []
    for series in (pd.Series(names), pl.Series(names), pd.Series(names).astype("category"), list(names)):
        model = fastgd.MLP([3, 3], loss="cross_entropy")
        model.fit(X, series, epochs=2, verbose=0)
        predictions.append(model.predict(X))
    assert all((p == predictions[0]).all() for p in predictions)


def test_several_labels_at_once_and_shares():
    X, y = waves(300)
    Y = np.column_stack([y > 0, X[:, 0] > 0])
    model = fastgd.MLP([3, 16, 2], loss="binary_cross_entropy")
    model.fit(X, Y, epochs=20, verbose=0)
    assert model.predict(X).shape == model.predict_proba(X).shape == (300, 2)
    assert model.evaluate(X, Y)["accuracy"] > 0.9
    shares = 1 / (1 + np.exp(-y))
    soft = fastgd.MLP([3, 16, 1], loss="binary_cross_entropy")
    soft.fit(X, shares, epochs=300, optimizer=fastgd.Adam(schedules.Cosine(0.01)), verbose=0)
    assert np.abs(soft.predict_proba(X)[:, 1] - shares).mean() < 0.05


@pytest.mark.tiny
def test_labels_that_do_not_fit():
    X, _ = waves(4)
    model = fastgd.MLP([3, 3], loss="cross_entropy")
    for y, message in (
        ([0, 1, 2, 3], r"y has 4 classes"),
        ([0, 1, 2.5, 1], r"y, row 2 is 2\.5: labels of classes must be whole numbers or text"),
        (np.array(["a", None, "b", "c"], object), r"y, row 1 is None"),
        (np.eye(3)[[0, 1, 2, 0]], r"use y\.argmax\(axis=1\)"),
        ([0, 1, 2], r"X has 4 rows, y has 3"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X, y, verbose=0)
    model.fit(X, ["a", "b", "c", "a"], epochs=1, verbose=0)
    for y in (["a", "b", "d", "a"], [0, 1, 2, 0]):
        with pytest.raises(InvalidInputError, match=r"y, row \d has the label .*; its classes are: a, b, c"):
            model.evaluate(X, y)
    for weights, message in (
        ({"d": 1}, r"class_weight names the class 'd', which the model does not know; its classes are: a, b, c"),
        ({"a": -1}, r"class_weight of 'a' must be a number of at least 0"),
        ("even", r"class_weight must be a dict .* or 'balanced'"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X, ["a", "b", "c", "a"], class_weight=weights, verbose=0)
    with pytest.raises(InvalidInputError, match=r"loss='mse' has no probabilities"):
        fastgd.MLP([3, 1]).predict_proba(X)
    with pytest.raises(InvalidInputError, match=r"y, row 1 is -1.0: poisson needs counts"):
        fastgd.MLP([3, 1], loss="poisson").fit(X, [1, -1, 2, 3], verbose=0)
    with pytest.raises(InvalidInputError, match=r"y, row 3 is 1.5: binary_cross_entropy needs"):
        fastgd.MLP([3, 1], loss="binary_cross_entropy").fit(X, [0, 0.5, 0, 1.5], verbose=0)


@pytest.mark.parametrize("n_out", [1, 3])
def test_an_accuracy_weighs_its_rows(n_out):
    X, weights = rows(60), np.linspace(0, 2, 60)
    y = np.random.default_rng(1).integers(0, max(n_out, 2), 60)
    model = network(n_out)
    model.fit(X, y, epochs=1, verbose=0)
    hits = model.predict(X) == y
    assert model.evaluate(X, y, weights)["accuracy"] == pytest.approx(np.average(hits, weights=weights))
    assert hits.mean() != pytest.approx(np.average(hits, weights=weights), abs=1e-3)
