"""Streams of every kind give the rows of the table: in every order, cut as is asked, shared among processes."""

from __future__ import annotations

import io
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import NAMED, STREAMS, N, frame, pieces, read, table

import fastgd
from fastgd.data.streams import arrays, parts, text_files
from fastgd.errors import InvalidInputError


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of a few rows."""
    monkeypatch.setattr(parts, "PART", 1000)
    monkeypatch.setattr(text_files, "LEAST", 1)


def is_same(read_table, rows=slice(None)):
    """Whether this is the table, or these rows of it, to the bit."""
    return all(np.array_equal(a, b[rows]) for a, b in zip(read_table, table(), strict=False))


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("most", [7, 64, 10**9])
def test_every_kind_gives_the_table(tmp_path, kind, most):
    stream = STREAMS[kind](tmp_path, *table())
    for _ in range(1 if stream.source.is_one_pass else 3):
        X, y, weights, _ = read(stream.source, None, most)
        assert is_same((X, y, weights))
    is_counted = kind not in ("batches", "function", "frames")
    assert stream.source.n_rows == (N if is_counted else None)
    assert ("500 rows" in repr(stream)) == is_counted
    assert stream.source.is_fixed == is_counted


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind not in ("batches", "function", "frames")])
def test_parts_come_in_the_order_that_is_asked(tmp_path, kind):
    source = STREAMS[kind](tmp_path, *table()).source
    if source.n_parts is None:
        read(source)
    if kind == "csv without a copy":
        assert source.n_parts is None
        return
    assert source.n_parts > 4
    order = np.random.default_rng(1).permutation(source.n_parts)
    X, y, weights, _ = read(source, order, 5)
    rows = X[:, 0].astype(int)
    assert not is_same((X, y, weights))
    assert sorted(rows) == list(range(N))
    assert is_same((X, y, weights), rows)
    one = read(source, [int(order[0])])[0]
    assert np.array_equal(one, X[: len(one)])


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind != "frames"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_shares_are_a_partition(tmp_path, kind, size):
    stream = STREAMS[kind](tmp_path, *table())
    shares = [stream.share(rank, size).source for rank in range(size)]
    found = [read(share)[0][:, 0].astype(int) for share in shares]
    assert sorted(np.concatenate(found)) == list(range(N))
    assert all(share.n_rows in (None, len(rows)) for share, rows in zip(shares, found, strict=True))
    if shares[0].is_fixed:
        assert max(map(len, found)) - min(map(len, found)) <= N / size / 2
        again = [read(share)[0][:, 0].astype(int) for share in shares]  # a share of text files has a copy of its own
        assert all(map(np.array_equal, found, again))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), rows=st.integers(1, 20), size=st.integers(1, 5),
    most=st.integers(1, 30), seed=st.integers(0, 9),
)  # fmt: skip
def test_parts_of_any_tables(sizes, rows, size, most, seed):
    X = np.arange(sum(sizes), dtype=float).reshape(-1, 1)
    ends = np.cumsum([0, *sizes])
    whole = parts.Parts([
        fastgd.Stream(X[first:last], X[first:last, 0]).source.tables[0] for first, last in pairwise(ends)
    ]).sized(rows * parts.PER_BUFFER)  # fmt: skip
    if len(X) < size:
        with pytest.raises(InvalidInputError, match=f"fewer than the {size} processes"):
            whole.share(0, size)
        return
    rng, found = np.random.default_rng(seed), []
    for rank in range(size):
        share = whole.share(rank, size)
        found.append([b.X[:, 0] for b in share.batches(list(rng.permutation(share.n_parts)), most)])
        assert sum(map(len, found[-1])) == share.n_rows > 0
        assert all(0 < len(part) <= most for part in found[-1])
    everything = [part for own in found for part in own]
    assert np.array_equal(np.sort(np.concatenate(everything)), X[:, 0])


def test_a_buffer_holds_sixteen_parts(monkeypatch):
    monkeypatch.undo()
    X = np.zeros((100_000, 10))
    assert fastgd.Stream(X, buffer_rows=16_000).source.n_parts == 100
    assert fastgd.Stream(X).source.n_parts == 1  # up to 131,072 rows, which is less than 16 MB
    assert fastgd.Stream(np.zeros((100_000, 100))).source.n_parts == 7  # 16,384 rows, which divide groups of 65,536
    assert fastgd.Stream(np.zeros((100, 1 << 18))).source.n_parts == 13  # 16 MB each


def test_messages_name_rows_and_lines(tmp_path):
    X, y, weights = table()
    np.save(tmp_path / "X.npy", X)
    batch = next(fastgd.Stream(tmp_path / "X.npy", y).source.batches([2], 10))
    first = int(batch.X[0, 0])
    assert (batch.first, batch.where) == (first, f"{tmp_path}/X.npy, rows {first} to {first + 9}")
    assert batch.at(3) == f"{tmp_path}/X.npy, row {first + 3}"
    frame(X, y, weights).write_parquet(tmp_path / "t.parquet")
    batch = list(fastgd.Stream(tmp_path / "t.parquet", columns=["a"]).source.batches([0], 10))[1]
    assert batch.where.endswith("t.parquet, rows 11 to 20")
    assert batch.at(0).endswith("t.parquet, row 11")
    batch = list(fastgd.Stream(pieces(X, y)).source.batches(None, 50))[3]
    assert (batch.where, batch.at(2)) == ("batch 1", "batch 1, row 52")


def test_lines_are_right_where_rows_take_several(tmp_path):
    (tmp_path / "t.csv").write_text('x,s\n0,"a\nb"\n\n1,c\n\n\n2,"d\n\ne"\n3,f\n')
    stream = fastgd.Stream(tmp_path / "t.csv", spool=tmp_path)
    for _ in range(2):
        batches = list(stream.source.batches(None, 2))
        assert [batch.at(row) for batch in batches for row in range(2)] == [
            f"{tmp_path}/t.csv, line {line}" for line in (2, 5, 8, 11)
        ]
    assert stream.source.n_parts == 1


def test_what_columns_hold_is_found_once(tmp_path):
    lines = [f"{k},{k % 5:03},{'' if k % 3 else k},{'x' if k % 2 else ''}" for k in range(N)]
    (tmp_path / "a.csv").write_text("\n".join(["n,code,gaps,s", *lines[:300]]))
    (tmp_path / "b.csv").write_text(
        "\n".join(["s,n,code,gaps", *(",".join(np.roll(line.split(","), 1)) for line in lines[300:])])
    )
    whole = pl.DataFrame({
        "n": [float(k) for k in range(N)], "code": [f"{k % 5:03}" for k in range(N)],
        "gaps": [None if k % 3 else float(k) for k in range(N)], "s": ["x" if k % 2 else None for k in range(N)],
    })  # fmt: skip
    for spool in (True, False):
        stream = fastgd.Stream(tmp_path / "?.csv", spool=spool)
        for _ in range(2):
            assert pl.concat([batch.X for batch in stream.source.batches(None, 100)]).equals(whole)
    with (tmp_path / "b.csv").open("a") as file:
        file.write("\nx,300,001,many\n")
    expected = (
        r"b\.csv, line 202, column 'gaps' holds 'many', which is not a number: correct it, or drop the line, or read"
    )
    with pytest.raises(InvalidInputError, match=expected):
        read(fastgd.Stream(tmp_path / "?.csv", target="n", sample_weight="gaps").source)
    stream = fastgd.Stream(tmp_path / "?.csv", text=["gaps"], target=["n", "code"])
    batch = next(stream.source.batches(None, 10))
    assert batch.X.schema == {"gaps": pl.String, "s": pl.String}
    assert batch.y.columns == ["n", "code"]


def test_the_first_file_says_what_columns_hold(tmp_path):
    (tmp_path / "a.csv").write_text("s,x\nab,1\n")
    (tmp_path / "b.csv").write_text("s,x\n12,2\n")
    for _ in range(2):
        found = [batch.X.rows() for batch in fastgd.Stream(tmp_path / "?.csv").source.batches(None, 10)]
        assert found == [[("ab", 1.0)], [("12", 2.0)]]


def test_blank_lines_say_nothing_of_columns(tmp_path, monkeypatch):
    monkeypatch.setattr("fastgd.data.reading.source.PIECE", 10)
    (tmp_path / "t.csv").write_text("s,long_name\n" + "\n" * 50 + "ab,1\ncd,2\n")
    batches = list(fastgd.Stream(tmp_path / "t.csv").source.batches(None, 10))
    assert [row for batch in batches for row in batch.X.rows()] == [("ab", 1.0), ("cd", 2.0)]
    assert batches[0].at(0).endswith("line 52")


def test_parquet_columns_are_as_they_are_but_for_text(tmp_path):
    pl.DataFrame({"code": [1, 2], "x": [1.5, None], "y": ["a", "b"]}).write_parquet(tmp_path / "t.parquet")
    batch = next(fastgd.Stream(tmp_path / "t.parquet", target="y", text=["code"]).source.batches(None, 10))
    assert batch.X.to_dict(as_series=False) == {"code": ["1", "2"], "x": [1.5, None]}
    assert batch.y.to_list() == ["a", "b"]
    assert batch.weights is None


def test_numbers_of_other_kinds_are_read_as_they_are(tmp_path):
    for dtype in (">f8", "int8", "bool", "U3"):
        X = np.arange(12).reshape(4, 3).astype(dtype)
        np.save(tmp_path / "X.npy", X)
        found = next(fastgd.Stream(tmp_path / "X.npy", list("abcd")).source.batches(None, 10))
        assert np.array_equal(found.X, X)
        assert found.X.dtype == dtype
        assert found.y == list("abcd")


class Slow(io.FileIO):
    """A file that gives a few bytes at a time, as those of a network may."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:7])


def test_files_may_give_less_than_is_asked(tmp_path, monkeypatch):
    X, _, _ = table()
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setattr(arrays, "open", lambda path, *_, **__: Slow(path), raising=False)
    assert np.array_equal(next(fastgd.Stream(tmp_path / "X.npy").source.batches([1], N)).X, X[64:128])


def test_rows_of_mappings_are_copied(tmp_path):
    source = STREAMS["memmap"](tmp_path, *table()).source
    batch = next(source.batches(None, 10))
    assert type(batch.X) is type(batch.y) is np.ndarray
    assert not np.shares_memory(batch.X, source.tables[0].X._table)


def test_loaders_give_lists_and_empty_batches():
    X, y, _ = table(10)
    given = [[X[:4], y[:4]], (X[:0], y[:0]), [X[4:], y[4:]]]
    batches = list(fastgd.Stream(given).source.batches(None, 100))
    assert [len(batch.X) for batch in batches] == [4, 6]
    assert [batch.where for batch in batches] == ["batch 0", "batch 2"]
    alone = list(fastgd.Stream(iter([X.tolist(), X.tolist()])).source.batches(None, 7))
    assert [len(batch.X) for batch in alone] == [7, 3, 7, 3]
    assert alone[0].y is None


def test_one_pass_makes_no_copy(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    (tmp_path / "t.csv").write_text("x,y\n1,2\n3,4\n")
    stream = fastgd.Stream(tmp_path / "t.csv", target="y", spool=folder)
    list(stream.once().source.batches(None, 10))
    assert list(folder.iterdir()) == []
    list(stream.source.batches(None, 10))
    assert len(list(folder.iterdir())) == 1
    assert stream.once().source is stream.source  # there is a copy: it is read


def test_another_buffer_keeps_the_copy():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        frame(*table()).write_csv(path)
        stream = fastgd.Stream(path, **NAMED)
        small = stream.buffered(32)
        assert small.buffer_rows == 32
        assert is_same(read(small.source))
        assert small.source.n_parts == N / 2
        assert small.buffered(64).source is small.source
