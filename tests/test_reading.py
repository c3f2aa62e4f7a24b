"""Reading files: packed, through pipes, in parts, while they change; the fast way splits rows as the exact one does."""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgd.data.files import Format, read_chunks, read_placed, read_table
from fastgd.data.reading import rows, source
from fastgd.errors import InvalidInputError

N = 5000
TABLE = pl.DataFrame({
    "x": np.arange(N) / 8, "name": [f"n{k % 7}, b" if k % 5 else 'say "a"' for k in range(N)],
    "y": [k or None for k in range(N)],
})  # fmt: skip


def packed(folder, kind):
    """The table in a file of this kind."""
    path = folder / f"t.{kind}"
    content = TABLE.write_csv().encode()
    if kind == "csv":
        path.write_bytes(content)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(content))
    elif kind == "csv.zst":
        pl.LazyFrame(TABLE).sink_csv(path, compression="zstd")
    elif kind == "tsv":
        TABLE.write_csv(path, separator="\t")
    else:
        TABLE.write_parquet(path, row_group_size=700)
    return path


KINDS = ["csv", "csv.gz", "csv.zst", "tsv", "parquet"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [1000, 1 << 24])
def test_every_kind_of_file_gives_the_same_table(tmp_path, kind, piece, monkeypatch):
    monkeypatch.setattr(source, "PIECE", piece)
    monkeypatch.setattr(source, "LINES", piece // 10)
    path = packed(tmp_path, kind)
    assert read_table(path).equals(TABLE.with_columns(pl.col("y").cast(pl.Float64)))
    assert read_table(path, ["y", "name"]).columns == ["y", "name"]
    parts = list(read_chunks(path, text=["name"], numbers=["x", "y"], rows=300))
    assert pl.concat([part for _, part in parts]).equals(read_table(path))
    assert all(0 < part.height <= 300 for _, part in parts)
    first = 1 if kind == "parquet" else 2
    assert [line for places, _ in parts for line in places.numbers] == list(range(first, first + N))
    with pytest.raises(InvalidInputError, match="has no column 'z'; its columns are: x, name, y"):
        read_table(path, ["x", "z"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_through_a_pipe(tmp_path, kind):
    told = (
        "import sys; from pathlib import Path; from fastgd.data.files import *; print(read_table(Path('-'))['x'].sum())"
    )
    with subprocess.Popen(["cat", packed(tmp_path, kind)], stdout=subprocess.PIPE) as piped:
        result = subprocess.run([sys.executable, "-c", told], stdin=piped.stdout, capture_output=True, text=True)
    assert (result.stderr, float(result.stdout)) == ("", TABLE["x"].sum())


@pytest.mark.parametrize("kind", ["csv.gz", "csv.zst", "parquet"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_packed_file_that_is_not_whole(tmp_path, kind, share):
    path = packed(tmp_path, kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(InvalidInputError, match=r"not a whole (gzip|zstd|Parquet) file") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    path.write_bytes(content)
    assert read_table(path).height == N


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PIECE", 1000)
    path = packed(tmp_path, "csv")
    parts = read_chunks(path)
    next(parts)
    with path.open("a") as file:
        file.write("1,late,2\n")
    with pytest.raises(InvalidInputError, match=r"t.csv has changed while it was read: read it again when it is comp"):
        list(parts)
    assert sum(part.height for _, part in read_chunks(path)) == N + 1


def test_what_cannot_be_opened(tmp_path):
    for path, why in (
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "x" / "y", "No such"),
        (Path("x" * 300), "File name too long"),
    ):
        with pytest.raises(InvalidInputError, match=f"cannot be read: {why}"):
            read_table(path)


def test_without_polars_a_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    path = packed(tmp_path, "csv")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InvalidInputError, match=r"^Tables in files need polars: run `pip install polars`\.$"):
        read_table(path)


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y,x\n1,2,3\n")
    assert read_table(path, ["y"])["y"].to_list() == [2]
    for read in (lambda: read_table(path), lambda: read_table(path, ["x"]), lambda: list(read_chunks(path))):
        with pytest.raises(InvalidInputError, match=r"t.csv has more than one column 'x'"):
            read()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("x,y\n1,2\n3\n", "line 3 has 1 cell, but the header names 2 columns: correct the line.$"),
        ("x,y\n1,2\n3,4,5\n", "line 3 has 3 cells, but the header names 2 columns"),
        ("x,y\n1,2,3\n4\n", "line 2 has 3 cells, but the header names 2 columns"),  # as many separators as in two rows
        ("x,y\n1,2\n\n\n3\n", "line 5 has 1 cell, "),
        ('x,y\n1,"a\nb"\n\n3\n', "line 5 has 1 cell, "),
        ("x,y\n1,2\n3", "line 3 has 1 cell, but the header names 2 columns: correct the line.$"),
    ],
)
def test_rows_of_another_length(tmp_path, lines, message):
    path = tmp_path / "t.csv"
    path.write_text(lines)
    with pytest.raises(InvalidInputError, match=f"t.csv, {message}"):
        read_table(path)


def test_blank_lines_and_rows_are_no_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\n \nx,y\n\n1,a\n,\n\n  \n2,"b\n\nc"\n\n3,\n\n')
    frame = read_table(path)
    assert frame.rows() == [(1.0, "a"), (2.0, "b\n\nc"), (3.0, None)]
    assert [places.of(0) for places, _ in read_chunks(path, rows=1)] == ["line 5", "line 9", "line 13"]
    whole, (places, *others) = read_placed(path)[1], [places for places, _ in read_chunks(path)]
    assert not others
    assert [each.of(row) for each in (whole, places) for row in range(3)] == ["line 5", "line 9", "line 13"] * 2
    assert whole.at([2, 0]).of(0) == whole.at(np.array([False, False, True])).of(0) == "line 13"
    frame.write_parquet(tmp_path / "t.parquet")
    assert [read_placed(tmp_path / "t.parquet")[1].of(row) for row in range(3)] == ["row 1", "row 2", "row 3"]


@pytest.mark.parametrize("end", ["\n", "\r\n", '\n1,"a\rb"\n'])  # with a return rows are read one by one
@pytest.mark.parametrize("blank", ['"",""', '" ",', '"","\n"', " ,  "])
def test_a_row_of_empty_cells_is_none_however_it_is_written(tmp_path, blank, end):
    path = tmp_path / "t.csv"
    path.write_bytes(f'x,y\n1,a\n{blank}\n"",b{end}'.encode())
    frame = read_table(path, text=["x", "y"])
    assert frame.rows()[:2] == [("1", "a"), (None, "b")]
    assert frame.height == 2 + end.count("1")
    assert len(list(read_chunks(path, rows=1))) == frame.height


def test_a_row_that_comes_in_two_pieces_is_one(tmp_path, monkeypatch):
    content = "x,name\n" + "".join(f'{k},"a ""{k}""\nb, c"\n' for k in range(500))
    path = tmp_path / "t.csv"
    path.write_text(content)
    whole = read_table(path)
    for piece in (7, 16, 100, 1001):
        monkeypatch.setattr(source, "PIECE", piece)
        assert read_table(path, text=["name"], numbers=["x"]).equals(whole)
    assert whole["name"][499] == 'a "499"\nb, c'


CELL = st.text(alphabet='ab "\n,;1.é', max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    table=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=12), always=st.booleans(), piece=st.integers(5, 80)
)
def test_rows_are_split_as_the_standard_library_splits_them(tmp_path_factory, table, always, piece):
    """Also where quotes are written that need none, and rows are cut anywhere."""
    lines = io.StringIO()
    writer = csv.writer(lines, quoting=csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows([("one", "two", "three"), *table])
    path = tmp_path_factory.mktemp("split") / "t.csv"
    path.write_bytes(lines.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PIECE", piece)
        fmt = Format(separator=",", missing=())
        try:
            found = (
                []
                if not any(map(str.strip, sum(table, ())))
                else read_table(path, text=["one", "two", "three"], fmt=fmt).rows()
            )
        except InvalidInputError as error:
            if "opens a quote" in str(error):  # what looks like a row within a cell may be meant, or not
                return
            raise
    expected = [tuple(cell.strip(" \t") or None for cell in row) for row in table if any(map(str.strip, row))]
    assert [row for row in found if any(cell and cell.strip() for cell in row)] == expected


def test_the_fast_way_is_taken(tmp_path, monkeypatch):
    """Or the tests above would compare the exact way with itself."""
    taken = []
    monkeypatch.setattr(rows.Rows, "_one_by_one", lambda *given: taken.append(given) or pytest.fail("the exact way"))
    path = packed(tmp_path, "csv")
    assert read_table(path).height == N
    path.write_text('x,name\n1,5" pipe\n')
    with pytest.raises(pytest.fail.Exception):
        read_table(path)
    assert taken


GROWTH = """
import sys
from pathlib import Path
from fastgd.data.files import read_chunks, read_table
path = Path(sys.argv[2])
if sys.argv[1] == "chunks":
    n = sum(part.height for _, part in read_chunks(path, numbers=["x", "y"]))
else:
    n = read_table(path, text=["x", "y"]).height
print(n, *(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def _megabytes(how, path):
    """How many rows there are, and the most memory that was taken."""
    command = [sys.executable, "-c", GROWTH, how]
    if path.suffix == ".-":
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as piped:
            result = subprocess.run([*command, "-"], stdin=piped.stdout, capture_output=True, text=True)
    else:
        result = subprocess.run([*command, path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the most memory that was taken")
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.zst", "parquet", "-"])
def test_memory_is_bounded_where_a_table_is_read_in_parts(tmp_path, kind):
    few, many = 1_500_000, 6_000_000
    small, large = _written(tmp_path, kind, few), _written(tmp_path, kind, many)
    (n, before), (more, after) = _megabytes("chunks", small), _megabytes("chunks", large)
    assert (n, more) == (few, many)
    mapped = large.stat().st_size >> 20 if kind == "csv.zst" else 0  # the file counts where it is mapped
    assert after < before + 80 + mapped, "the text of the further rows has 170 MB, their numbers 72 MB"
    if kind == "csv":
        whole = [_megabytes("strings", path)[1] for path in (small, large)]
        assert whole[1] > whole[0] + 80, "what keeps all cells takes more"


def _written(folder, kind, n):
    """A large table in a file of this kind."""
    path = folder / f"{n}.{kind}"
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"x": draw.normal(size=n), "y": draw.normal(size=n)})
    if kind == "parquet":
        frame.write_parquet(path, row_group_size=200_000)
    elif kind == "csv.zst":
        frame.lazy().sink_csv(path, compression="zstd")
    else:
        frame.write_csv(path, check_extension=False)
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    return path
