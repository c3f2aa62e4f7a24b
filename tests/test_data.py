"""Tables that cannot be used are refused with one sentence that names the place; those that can are read rightly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fastgd
from fastgd.data import mean_and_std, split_rows
from fastgd.errors import FastgdError, InvalidInputError, PrecisionWarning

NAMES = ["size", "bedrooms", "distance", "age"]


def model(**options):
    return fastgd.MLP([4, 3, 1], **options)


def table(n=6):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 4)), generator.normal(size=n)


def with_value(value, row=3, column=2):
    X, y = table()
    X[row, column] = value
    return X, y


def refused(message, call, *arguments, **options):
    with pytest.raises(InvalidInputError, match=message) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FastgdError)
    assert "\n" not in str(caught.value)


@pytest.mark.tiny
@pytest.mark.parametrize("method", ["fit", "evaluate", "gradient"])
@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (*with_value(np.nan), r"X, row 3, column 2 is nan: fill it"),
        (*with_value(np.inf), r"X, row 3, column 2 is inf"),
        (*with_value(1e300), r"X, row 3, column 2 is 1e\+300, too large for float32"),
        (table()[0], [1, 2, 3, 4, np.nan, 6], r"y, row 4 is nan"),
        (table()[0], table(5)[1], r"X has 6 rows, y has 5"),
        (table()[0][:, :3], table()[1], r"X has 3 columns, but the network has 4 inputs"),
        (table()[0][0], table()[1], r"X must be a table .* X.reshape\(-1, 4\)"),
        (np.zeros((2, 4, 1)), [1, 2], r"X must be a table"),
        (np.zeros((0, 4)), np.zeros(0), r"X is empty"),
        ([], [], r"X must be a table|X is empty"),
        (table()[0], np.zeros((6, 2)), r"y has shape \(6, 2\), but the network has 1 output\."),
        (table()[0] + 1j, table()[1], r"X has complex numbers .* X.real"),
        (table()[0], table()[1] * 1j, r"y has complex numbers"),
        (np.array([[1, 2, "large", 4]], object), [1], r"X, row 0, column 2 holds text \('large'\)"),
        ([["1", "2", "3", "4"]], [1], r"X, row 0, column 0 holds text"),
        (np.array([[1, 2, None, 4]], object), [1], r"X, row 0, column 2 holds nothing"),
        (np.array([[1, 2, 3, 4]], object), [1], r"X has dtype object, .* convert it with astype\(float\)"),
        ([[1, 2, 3, 4], [1, 2]], [1, 2], r"rows differ in length"),
        ("house.csv", [1], r"X must be a table of numbers, not str"),
        (np.zeros((1, 4), "datetime64[s]"), [1], r"dtype datetime64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(method, X, y, message):
    made = model()
    before = made.parameters.copy()
    refused(message, getattr(made, method), X, y)
    assert (made.parameters == before).all()


@pytest.mark.tiny
def test_both_shapes_of_target_and_every_kind_of_number():
    X, y = table()
    expected = model().evaluate(X, y)
    assert model().evaluate(X, y.reshape(-1, 1)) == expected
    assert model().evaluate(X.tolist(), y.tolist()) == expected
    assert model().evaluate(np.asfortranarray(X), y) == expected
    assert model().evaluate(np.repeat(X, 2, axis=0)[::2], y) == expected
    whole = np.arange(24).reshape(6, 4)
    for dtype in ("int8", "uint64", "float16", "float64", ">f8"):
        assert (model().predict(whole.astype(dtype)) == model().predict(whole)).all()
    assert (model().predict(whole > 5) == model().predict((whole > 5) * 1.0)).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_data_frames(frame):
    X, y = table()
    source = frame(dict(zip(NAMES, X.T, strict=True)))
    series = pd.Series(y, name="price") if frame is pd.DataFrame else pl.Series("price", y)
    made, same = model(), model()
    made.fit(source, series, epochs=2, verbose=0)
    same.fit(X, y, epochs=2, verbose=0)
    assert made.feature_names == tuple(NAMES)
    assert (made.predict(source) == same.predict(X)).all()
    assert (made.predict(source[NAMES[::-1]]) == same.predict(X)).all(), "columns are taken by name"
    refused("X lacks age: the model was made for size, bedrooms", made.predict, source[NAMES[:3]])
    renamed = frame(dict(zip(["size", "rooms", "distance", "age"], X.T, strict=True)))
    refused("X lacks bedrooms and has rooms besides", made.predict, renamed)
    text = frame({**dict(zip(NAMES, X.T, strict=True)), "distance": list("abcdef")})
    refused(r"X, column 2 \(distance\) is \w+, but only numbers", made.predict, text)
    holes = frame({**dict(zip(NAMES, X.T.tolist(), strict=True)), "age": [1.0, 2.0, None, 4.0, 5.0, 6.0]})
    refused(r"X, row 2, column 3 \(age\) is", made.predict, holes)


def test_two_columns_of_one_name():
    X, _ = table()
    refused("two columns of the same name", model().predict, pd.DataFrame(X, columns=["a", "b", "a", "c"]))


@pytest.mark.tiny
def test_names_appear_in_messages():
    made = model(feature_names=NAMES)
    refused(r"X, row 3, column 2 \(distance\) is nan", made.predict, with_value(np.nan)[0])
    refused(r"the network has 4 inputs \(size, bedrooms, distance, age\)", made.predict, [[1, 2, 3]])


@pytest.mark.tiny
def test_constant_columns():
    X, _ = table()
    X[:, 1] = 0.1
    made = model()
    made.fit(X, np.full(6, 7.0), epochs=3, verbose=0)
    assert np.isfinite(made.predict(X)).all()
    for constant in (0.1, 1e20, 0.0, -3e-30):
        mean, std = mean_and_std(np.full((1000, 1), constant), np.zeros(0), "X", None)
        assert (mean[0], std[0]) == (pytest.approx(constant, rel=1e-12), 1.0)


@pytest.mark.tiny
def test_mean_and_std_agree_with_numpy_across_chunks(monkeypatch):
    monkeypatch.setattr("fastgd.data.CHUNK", 64)
    X = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 1e-3, 1e6] + [5, 0, -1e6]
    mean, std = mean_and_std(X, np.zeros(0), "X", None)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, X.std(axis=0), rtol=1e-12)


def test_a_column_that_the_dtype_cannot_resolve_is_warned_of():
    X, y = table(50)
    X[:, 1] = 1_600_000_000 + np.arange(50) * 100
    with pytest.warns(PrecisionWarning, match=r"X, column 1 varies by 1\.44e\+03 around 1\.6e\+09, which float32"):
        model().fit(X, y, epochs=1, verbose=0)
    model(dtype="float64").fit(X, y, epochs=1, verbose=0)


@pytest.mark.tiny
def test_splits_keep_groups_together():
    groups = np.random.default_rng(0).integers(0, 300, 1000)
    training, held_out = split_rows(1000, 0.2, [f"house {g}" for g in groups], 3)
    assert not set(groups[training]) & set(groups[held_out])
    assert sorted([*training, *held_out]) == list(range(1000))
    assert 190 <= len(held_out) <= 210
    training, held_out = split_rows(10, 0.2, None, 3)
    assert (len(training), len(held_out)) == (8, 2)
    again = split_rows(10, 0.2, None, 3)
    assert (training == again[0]).all()
    refused("All 5 rows are one group: nothing can be held out", split_rows, 5, 0.2, ["same"] * 5, 0)
    refused("There is only 1 row", split_rows, 1, 0.5, None, 0)
