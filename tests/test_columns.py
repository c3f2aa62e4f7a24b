"""Tables of text, gaps and numbers, column by column: what they are read as, and what is refused."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastgd.data.columns import as_labels, read_columns
from fastgd.errors import InvalidInputError

TABLE = {
    "size": [50.0, None, 70.5],
    "rooms": [1, 2, None],
    "city": ["Bonn", None, "Ulm"],
    "garden": [True, False, None],
}


def shown(table):
    return [
        column.labels
        if column.numbers is None
        else [None if np.isnan(number) else number for number in column.numbers.tolist()]
        for column in table.columns
    ]


EXPECTED = [[50.0, None, 70.5], [1.0, 2.0, None], ["Bonn", None, "Ulm"], ["True", "False", None]]


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, lambda table: pa.table(table).to_batches()[0]])
def test_frames_of_all_kinds_by_name(kind):
    names = tuple(TABLE)
    assert shown(read_columns(kind(TABLE), 4, None)) == EXPECTED
    turned = {name: TABLE[name] for name in reversed(names)}
    table = read_columns(kind(turned), 4, names)
    assert table.names == names
    assert shown(table) == EXPECTED


def test_nullable_and_categorical_columns_of_pandas():
    frame = pd.DataFrame(
        {
            "rooms": pd.array([1, None, 3], "Int64"),
            "share": pd.array([0.5, None, 2], "Float32"),
            "garden": pd.array([True, None, False], "boolean"),
            "city": pd.Categorical(["Bonn", None, "Ulm"]),
            "zone": pd.Categorical([1, 2, 1]),
            "text": pd.array(["a", None, "b"], "string"),
        }
    )
    assert shown(read_columns(frame, 6, None)) == [
        [1.0, None, 3.0], [0.5, None, 2.0], ["True", None, "False"], ["Bonn", None, "Ulm"], ["1", "2", "1"],
        ["a", None, "b"],
    ]  # fmt: skip


def test_enums_and_nan_of_polars():
    frame = pl.DataFrame({"city": ["Bonn", None], "size": [float("nan"), 2.0]}, schema={"city": pl.Enum(["Bonn", "Ulm"]), "size": pl.Float64})  # fmt: skip  # noqa: E501
    assert shown(read_columns(frame, 2, None)) == [["Bonn", None], [None, 2.0]]


def test_arrays_and_lists():
    assert shown(read_columns([[1, "a"], [None, "b"]], 2, None)) == [[1.0, None], ["a", "b"]]
    assert shown(read_columns(np.array([[1.0, np.nan]]), 2, None)) == [[1.0], [None]]
    assert shown(read_columns(np.array([["x", "1"]]), 2, None)) == [["x"], ["1"]]
    assert shown(read_columns(np.ma.array([[1, 2]], mask=[[False, True]]), 2, None)) == [[1.0], [None]]
    assert shown(read_columns(np.array([[Decimal("1.5"), True]], object), 2, None)) == [[1.5], ["True"]]


def test_labels_that_come_as_numbers_read_the_same():
    (column,) = read_columns(np.array([[10115.0], [np.nan], [2.5]]), 1, None).columns
    assert as_labels(column) == ["10115", None, "2.5"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"day": pd.to_datetime(["2024-01-01"])}), "X, column 0 (day) is a date or a time: turn it into"),
        (np.array([["2024-01-01"]], "datetime64[D]"), "X, column 0 is a date or a time"),
        ([[datetime.date(2024, 1, 1)]], "X, column 0, row 0 is a date or a time"),
        (pl.DataFrame({"x": [[1, 2]]}), "X, column 0 (x) holds several values in a row"),
        (np.array([[1j]]), "X, column 0 has complex numbers"),
        ([[1], ["?"], [2]], "X, column 0 has both numbers and text; row 1 holds '?'"),
        ([[1], [10**400]], "X, column 0, row 1 is too large for float64: use other units"),
        ([[1], [Decimal("sNaN")]], "X, column 0, row 1 is sNaN: correct it"),
        ([["a"], [b"b"]], "X, column 0, row 1 is a bytes: only numbers, text and booleans"),
        (pd.DataFrame({"x": [1.0, np.inf]}), "X, column 0 (x), row 1 is inf: correct it"),
        (np.zeros((0, 1)), "X is empty"),
        (np.zeros(3), "X must be a table of rows and columns"),
        (np.zeros((3, 2)), "X has 2 columns, but the network has 1 inputs"),
    ],
)
def test_what_is_refused(X, message):
    with pytest.raises(InvalidInputError) as told:
        read_columns(X, 1, None)
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1], "c": [1]}, "lacks b and has c besides"),
        ({"a": [1]}, "lacks b"),
        ({"a": [1], "b": [1], "c": [1]}, "has c besides"),
    ],
)
def test_a_frame_with_other_names(columns, message):
    with pytest.raises(InvalidInputError, match=message):
        read_columns(pd.DataFrame(columns), 2, ("a", "b"))
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(InvalidInputError, match="two columns of the same name: a"):
        read_columns(twice, 2, ("a", "b"))
