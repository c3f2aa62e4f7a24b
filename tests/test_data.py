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

import fastgd
from fastgd.data.scaling import mean_and_std
from fastgd.data.splits import split_rows
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
        (np.array([[1, 2, 3, {4}]], object), [1], r"X has dtype object, .* convert it with astype\(float\)"),
        (np.array([[1, 2, 3, 10**400]], object), [1], r"X has a number that is too large for float64"),
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
        for weights in (np.zeros(0), np.linspace(0, 3, 1000)):
            mean, std = mean_and_std(np.full((1000, 1), constant), weights)
            assert (mean[0], std[0]) == (constant, 0.0)


@pytest.mark.tiny
def test_mean_and_std_agree_with_numpy_across_chunks(monkeypatch):
    monkeypatch.setattr("fastgd.data.arrays.CHUNK", 64)
    X = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 1e-3, 1e6] + [5, 0, -1e6]
    mean, std = mean_and_std(X, np.zeros(0))
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


# What the cast to the model's dtype takes away.

CAST = {
    "seconds within a minute": lambda u: 1.7e9 + 60 * u,
    "milliseconds as whole numbers": lambda u: 1_700_000_000_000 + (1000 * u).astype(np.int64),
    "whole numbers above 2**24": lambda u: (2**24 + (u > 0.5)).astype(np.int64),
    "unsigned numbers": lambda u: np.uint64(2**63) + (1000 * u).astype(np.uint64),
    "probabilities below float32": lambda u: 1e-46 * (1 + u),
    "next to the smallest number": lambda u: 1e-40 * (1 + u),
}


@pytest.mark.parametrize("make", CAST.values(), ids=CAST)
@pytest.mark.parametrize("as_frame", [False, pd.DataFrame, pl.DataFrame], ids=["array", "pandas", "polars"])
def test_columns_that_the_cast_makes_constant_are_told(make, as_frame):
    X, y = np.random.default_rng(0).uniform(size=(2, 60))
    columns = {"noise": X, "time": make(X)}
    source = as_frame(columns) if as_frame else np.column_stack(list(columns.values()))
    name = r" \(time\)" if as_frame else ""
    if as_frame is False and source.dtype != columns["time"].dtype and np.ptp(source[:, 1]) == 0:
        pytest.skip("NumPy has lost it before")
    with pytest.warns(PrecisionWarning, match=rf"X, column 1{name} varies by .* around .*, which float32 "):
        fastgd.MLP([2, 4, 1]).fit(source, y, epochs=1, verbose=0)


@pytest.mark.parametrize("make", CAST.values(), ids=CAST)
def test_targets_that_the_cast_makes_constant_are_told(make):
    X, u = np.random.default_rng(0).uniform(size=(2, 60))
    with pytest.warns(PrecisionWarning, match=r"y varies by .* around .*, which float32 .* use other units"):
        fastgd.MLP([1, 4, 1]).fit(X[:, None], make(u), epochs=1, verbose=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [14.62, 1.7e9 + 0.3, 1e-46, 2**24 + 1, 0])
def test_a_column_that_is_constant_in_the_source_is_not_warned_of(value):
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 1] = value
    fastgd.MLP([2, 4, 1]).fit(X, X[:, 0], sample_weight=np.linspace(0, 1, 60), epochs=1, verbose=0)
    X[50:, 1] += 10  # rows that do not count, or are held out
    weights = np.where(np.arange(60) < 50, 1.0, 0.0)
    fastgd.MLP([2, 4, 1]).fit(X, X[:, 0], sample_weight=weights, epochs=1, verbose=0)


@pytest.mark.filterwarnings("error")
def test_ordinary_columns_are_not_warned_of():
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.integers(0, 2**31, 500), 1e-30 * generator.normal(size=500), np.arange(500) + 1e5])
    fastgd.MLP([3, 4, 1]).fit(X, 1e-20 * generator.normal(size=500), epochs=1, verbose=0)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(14.62, "float32"), (100.3, "float32"), (14.63, "float64"), (1e35, "float32"), (1e200, "float64")],
)
@pytest.mark.parametrize("weight", [1e4, 1e-30, 1.0])
def test_a_constant_column_is_constant_with_any_weights(value, dtype, weight):
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.normal(size=3000), np.full(3000, value), *generator.normal(size=(8, 3000))])
    mean, std = mean_and_std(X.astype(dtype), weight * generator.uniform(0.5, 2, 3000))
    assert mean[1] == np.dtype(dtype).type(value)
    assert std[1] == 0
    assert (np.abs(np.delete(std, 1) - 1) < 0.1).all()


@pytest.mark.tiny
def test_moments_of_a_column_that_hardly_varies_are_exact():
    small = np.random.default_rng(0).normal(size=100_000)
    X = np.column_stack([1e9 + 1e-3 * small, small])
    mean, std = mean_and_std(X, np.zeros(0))
    true = (X[:, 0] - 1e9).std()
    assert std[0] == pytest.approx(true, rel=1e-6)
    assert mean[0] == pytest.approx(1e9, abs=1e-4)


# Tables of other libraries: by name or not at all.


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
    refused("holds several numbers in a row|is Struct", made.predict, struct)
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


@pytest.mark.parametrize("options", [{"standardize": False}, {"output_activation": "sigmoid"}], ids=str)
def test_what_the_cast_makes_constant_is_told_where_it_is_not_scaled(options):
    X = np.random.default_rng(0).uniform(size=(60, 1))
    with pytest.warns(PrecisionWarning, match="y varies by"):
        fastgd.MLP([1, 4, 1], **options).fit(X, 1e-46 * (1 + X[:, 0]), epochs=1, verbose=0)
