"""Tables that cannot be used are refused with one sentence that names the place; those that can are read rightly."""

from __future__ import annotations

import decimal
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from samples import refused

import fastgd

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
        ([], [], "X is empty"),
        (table()[0], np.zeros((6, 2)), r"y has shape \(6, 2\), but the network has 1 output\."),
        (table()[0] + 1j, table()[1], r"X has complex numbers .* X.real"),
        (table()[0], table()[1] * 1j, r"y has complex numbers"),
        (np.array([[1, 2, "large", 4]], object), [1], r"X, row 0, column 2 holds text \('large'\)"),
        ([["1", "2", "3", "4"]], [1], r"X, row 0, column 0 holds text"),
        (np.array([[1, 2, None, 4]], object), [1], r"X, row 0, column 2 holds nothing"),
        (np.array([[1, 2, 3, {4}]], object), [1], r"X has dtype object, .* convert it with astype\(float\)"),
        (np.array([[1, 2, 3, 10**400]], object), [1], r"X has a number that is too large for float64"),
        ([[1, 2, 3, 4], [1, 2]], [1, 2], r"rows differ in length"),
        ("houses", [1], r"X must be a table of numbers, not str"),
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


class Foreign:
    """A table that nobody knows."""

    def __init__(self, values, names):
        self.values, self.columns = values, names

    def __array__(self, dtype=None, copy=None):
        return self.values


class Method(Foreign):
    """Its columns are asked for by a call."""

    def __init__(self, values, names):
        self.values, self.columns = values, lambda: names


class Names(Foreign):
    """Its columns have another name."""

    def __init__(self, values, names):
        self.values, self.names = values, names


def test_named_columns_are_never_read_by_position():
    X, y = table(40)
    named = dict(zip(NAMES, X.T, strict=True))
    swapped = dict(reversed(named.items()))
    made = model()
    made.fit(pd.DataFrame(named), y, epochs=3, verbose=0)
    expected = made.predict(X)
    for source in (pa.table(swapped), pa.record_batch(swapped), pl.DataFrame(swapped), pd.DataFrame(swapped)):
        np.testing.assert_array_equal(made.predict(source), expected)
    refused("X is a Foreign with named columns, which cannot be read by name", made.predict, Foreign(X, NAMES))
    refused("X is a Foreign with named columns", made.predict, Foreign(X, pd.Index(NAMES)))
    refused("X is a Method with named columns", made.predict, Method(X, NAMES))
    refused("X is a Names with named columns", made.predict, Names(X, NAMES))
    struct = pl.DataFrame(swapped).to_struct("s")
    refused(r"X, column 0 \(s\) holds several numbers in a row", made.predict, struct)
    refused(r"X is a LazyFrame, .*pass X\.collect\(\)", made.predict, pl.DataFrame(swapped).lazy())


@pytest.mark.tiny
def test_tables_of_arrow_with_equal_columns_and_equal_names():
    assert fastgd.MLP([2, 1]).predict(pa.table({"a": np.zeros(9), "b": np.zeros(9)})).shape == (9,)
    twice = pa.Table.from_arrays([pa.array([1.0, 2.0]), pa.array([1.0, 3.0])], names=["a", "a"])
    for source in (twice, twice.to_batches()[0]):
        refused("X has two columns of the same name: a", fastgd.MLP([2, 1]).predict, source)


def test_columns_of_numbers_of_any_kind_are_read():
    numbers = [decimal.Decimal("1.5"), 2, 2**70, fractions.Fraction(1, 4)]
    expected = fastgd.MLP([1, 1]).predict(np.array([[1.5], [2], [2.0**70], [0.25]]))
    for source in (
        np.array([[v] for v in numbers], object),
        [[v] for v in numbers],
        pd.DataFrame({"a": pd.Series(numbers, dtype=object)}),
        pd.DataFrame({"a": np.array([1.5, 2, 2.0**70, 0.25], np.longdouble)}),
        pd.DataFrame({"a": pd.arrays.SparseArray([1.5, 2, 2.0**70, 0.25])}),
    ):
        np.testing.assert_array_equal(fastgd.MLP([1, 1]).predict(source), expected)


class Tensor:
    """What a library's tensor does that cannot become an array."""

    dtype = "bfloat16"

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Got unsupported\nScalarType BFloat16")


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (scipy.sparse.csr_matrix(np.ones((3, 2))), r"X is a sparse matrix \(csr_matrix\): pass X\.toarray\(\)"),
        (scipy.sparse.coo_array(np.ones((3, 2))), r"X is a sparse matrix \(coo_array\): pass X\.toarray\(\)"),
        (Tensor(), r"Tensor cannot be made an array: Got unsupported ScalarType BFloat16"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", 1]}), r"X, column 1 \(b\) is object, but only numbers"),
        (pd.DataFrame({"a": [1, 2], "b": pd.Categorical([1, 2])}), r"X, column 1 \(b\) is category, but only numbers"),
        (pd.DataFrame({"a": [1, 2], "b": pd.Series([1, None], dtype=object)}), r"X, row 1, column 1 \(b\) is empty"),
    ],
    ids=["matrix", "array", "tensor", "mixed", "categories", "gap"],
)
def test_refusals_say_what_is_true(source, message):
    refused(message, fastgd.MLP([2, 1]).predict, source)


def test_a_file_that_is_no_table_stays_open(tmp_path):
    (tmp_path / "file").write_text("1,2")
    with (tmp_path / "file").open() as file:
        refused("X must be a table of numbers, not TextIOWrapper", fastgd.MLP([2, 1]).predict, file)
        assert file.read() == "1,2"
