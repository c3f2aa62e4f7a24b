"""What `fit`, `predict` and `evaluate` take for a stream, and what stays a table."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastgd
from fastgd.data.streams import stream as streams
from fastgd.data.streams.batches import Batches
from fastgd.data.streams.parts import Parts
from fastgd.data.streams.stream import as_stream
from fastgd.errors import InvalidInputError

X = np.arange(8.0).reshape(4, 2)


class Loader:
    """An iterable that knows its length, as loaders of PyTorch do."""

    def __iter__(self):
        return iter([[X, X[:, 0]]])

    def __len__(self):
        return 1


class OnDevice:
    """An array on a GPU, as far as can be seen from here."""

    __cuda_array_interface__ = None

    def __iter__(self):
        return iter(X)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A file of each kind, in the folder at hand."""
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", X)
    frame = pl.DataFrame(X, schema=["a", "b"])
    for name in ("t.parquet", "u.PQ"):
        frame.write_parquet(name)
    for name in ("t.csv", "t.tsv", "t.txt", "two.dots.csv"):
        frame.write_csv(name)
    frame.lazy().sink_csv("t.csv.zst", compression="zstd")


TABLES = {
    "array": X, "list": X.tolist(), "tuple": tuple(X), "rows": [(1.0, 2.0), (3.0, 4.0)], "words": [("a", 2.0)],
    "arrays": [*X], "numbers": [np.float32(1), np.float32(2)], "deep": [(np.float32(1), np.float32(2))],
    "empty": [], "text": "abc", "path": Path("t.json"), "dictionary": {"a": [1]}, "deque": deque([[1, 2]]),
    "range": range(3),
    "pandas": pd.DataFrame(X), "series": pd.Series([1.0]), "polars": pl.DataFrame(X), "lazy": pl.LazyFrame(X),
    "polars series": pl.Series([1.0]), "arrow": pa.table({"a": [1]}), "masked": np.ma.array(X), "device": OnDevice(),
    "nothing": None, "number": 3, "bytes": b"abc", "set": {1, 2}, "strings": ["a", "b"],
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_stay_tables(kind):
    assert as_stream(TABLES[kind], None, None, None) is None
    assert as_stream(TABLES[kind], [1.0], [1.0], None) is None


@pytest.mark.parametrize(
    "made",
    [
        "X.npy",
        "t.parquet",
        "u.PQ",
        "t.csv",
        "t.tsv",
        "t.txt",
        "two.dots.csv",
        "t.csv.zst",
        "t*.csv",
        ["t.csv", "t.csv"],
    ],
)
def test_paths_are_streams(made):
    stream = as_stream(made, None, None, None)
    assert sum(len(batch.X) for batch in stream.source.batches(None, 3)) in (4, 8)
    if isinstance(made, str):
        assert repr(as_stream(Path(made), None, None, 100)) == repr(fastgd.Stream(Path(made)))


@pytest.mark.parametrize(
    "made",
    [
        lambda: iter([(X, X)]), lambda: ((X, X) for _ in range(2)), lambda: [(X, X[:, 0])], Loader,
        lambda: [(pl.DataFrame(X), X)], lambda: [(X.tolist(), [1] * 4)], lambda: lambda: [X],
        lambda: map(np.asarray, [X]), lambda: Loader().__iter__,
    ],
)  # fmt: skip
def test_batches_are_streams(made):
    stream = as_stream(made(), None, None, None)
    assert isinstance(stream.source, Batches)
    assert len(next(stream.source.batches(None, 10)).X) == 4


def test_lists_of_batches_are_tables_where_y_is_given():
    assert as_stream([(X, X)], [1.0], None, None) is None


def test_mappings_are_streams_where_they_are_large(monkeypatch):
    mapped = np.load("X.npy", mmap_mode="r")
    assert as_stream(mapped, X[:, 0], None, None) is None
    monkeypatch.setattr(streams, "BUFFER", X.nbytes)
    assert as_stream(mapped, X[:, 0], None, None) is None
    monkeypatch.setattr(streams, "BUFFER", X.nbytes - 1)
    stream = as_stream(mapped, X[:, 0], None, None)
    assert isinstance(stream.source, Parts)
    assert next(stream.source.batches(None, 10)).y.tolist() == X[:, 0].tolist()


def test_a_buffer_makes_arrays_a_stream():
    for table in (X, np.load("X.npy", mmap_mode="r")):
        stream = as_stream(table, X[:, 0], X[:, 1], 32)
        assert (stream.buffer_rows, stream.source.n_rows) == (32, 4)
        assert [w for batch in stream.source.batches(None, 10) for w in batch.weights] == X[:, 1].tolist()
    with pytest.raises(InvalidInputError, match=re.escape("X is a table in memory (DataFrame): leave it out.")):
        as_stream(pl.DataFrame(X), None, None, 32)
    with pytest.raises(InvalidInputError, match="buffer_rows must be a whole number of at least 1, not 0"):
        as_stream(X, X, None, 0)


def test_a_stream_is_what_it_is():
    stream = fastgd.Stream("t.csv")
    assert as_stream(stream, None, None, None) is stream
    assert as_stream(stream, None, None, 99).buffer_rows == 99
    assert stream.buffer_rows is None
    assert as_stream(stream, None, None, None, once=True).source.folder is None
    assert as_stream("t.csv", None, None, None, once=True).source.folder is None
    for given, what in (([1], None), "y"), ((None, [1]), "sample_weight"):
        with pytest.raises(InvalidInputError, match=f"{what} belongs to the stream: give it to fastgd.Stream"):
            as_stream(stream, *given, None)


def test_what_streams_say_of_themselves():
    assert repr(fastgd.Stream("X.npy")) == "fastgd.Stream(X.npy: 4 rows)"
    assert repr(fastgd.Stream(["t.csv", "t.csv"])) == "fastgd.Stream(t.csv and 1 more file: not counted yet)"
    assert repr(fastgd.Stream(X)) == "fastgd.Stream(X: 4 rows)"
    assert repr(fastgd.Stream(iter([]))) == "fastgd.Stream(the list_iterator: read once)"
    assert repr(fastgd.Stream(Loader())) == "fastgd.Stream(the Loader: not counted yet)"
