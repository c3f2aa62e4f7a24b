"""Streams that cannot be read, that change or break while they are: one sentence each; and what is left behind."""

from __future__ import annotations

import copy
import gzip
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from streams import NAMED, STREAMS, N, frame, read, table

import fastgd
from fastgd.data.streams import parts, spool, text_files
from fastgd.errors import InvalidInputError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files of every kind, in the folder at hand; parts of a few rows."""
    monkeypatch.setattr(parts, "PART", 1000)
    monkeypatch.setattr(text_files, "LEAST", 1)
    monkeypatch.chdir(tmp_path)
    X, y, weights = table()
    np.save("X.npy", X)
    np.save("y.npy", y)
    np.save("short.npy", y[:-1])
    np.save("wide.npy", np.c_[X, X])
    np.save("empty.npy", X[:0])
    np.save("cube.npy", X.reshape(5, 100, 3))
    np.save("number.npy", np.float64(3))
    np.save("records.npy", np.zeros(3, [("a", "f8")]))
    np.save("objects.npy", np.array([{}, []], object), allow_pickle=True)
    np.savez("both.npz", X, y)
    Path("cut.npy").write_bytes(Path("X.npy").read_bytes()[:3000])
    Path("text.npy").write_text("a,b\n1,2\n")
    whole = frame(X, y, weights)
    whole.write_parquet("t.parquet", row_group_size=100)
    whole.drop("b").write_parquet("narrow.parquet")
    whole.with_columns(c=1).write_parquet("more.parquet")
    whole.with_columns(b=pl.lit("x")).write_parquet("texts.parquet")
    whole.clear().write_parquet("none.parquet")
    Path("half.parquet").write_bytes(Path("t.parquet").read_bytes()[:-50])
    whole.write_csv("t.csv")
    whole.drop("b").write_csv("narrow.csv")
    whole.with_columns(c=1).write_csv("more.csv")
    Path("none.csv").write_text("a,b\n")
    Path("blank.csv").write_text("")
    Path("half.csv.gz").write_bytes(gzip.compress(Path("t.csv").read_bytes())[:-500])
    Path("sub").mkdir()
    return tmp_path


ROWS = np.zeros((4, 2))
WRONG = {
    "no file": (["nix.npy"], {}, "nix.npy cannot be read: No such file or directory."),
    "no parquet": (["nix.parquet"], {}, "nix.parquet cannot be read: No such file or directory."),
    "no match": (["nix*.csv"], {}, "There is no file that matches 'nix*.csv'."),
    "folder": (["sub"], {}, "sub is a folder: name its files, such as 'sub/*.parquet'."),
    "device": ([os.devnull], {}, "/dev/null is no file on a disk: pass a function that makes batches of it."),
    "folder of y": (["X.npy", "sub"], {}, "sub is a folder: name its files, such as 'sub/*.parquet'."),
    "device of y": (["X.npy", os.devnull], {},
        "/dev/null is no file on a disk: pass a function that makes batches of "
        "it."),
    "npz": (["both.npz"], {}, "both.npz is an archive of arrays: save each as a file of its own, with np.save."),
    "kinds": ([["t.csv", "X.npy"]], {}, "X.npy is of another kind than t.csv: stream files of one kind together."),
    "lengths": (["X.npy", "short.npy"], {}, "X.npy has 500 rows, but short.npy has 499: each row needs its y."),
    "one number": (["X.npy", 3], {}, "y is a int: pass an array, or the path of a .npy file."),
    "weights": (["X.npy", "y.npy", [1.0]], {},
        "X.npy has 500 rows, but sample_weight has 1: each row needs its "
        "weight."),
    "no rows": (["empty.npy"], {}, "empty.npy has no rows."),
    "cube": (["cube.npy"], {},
        "cube.npy holds an array of shape (5, 100, 3), not rows and columns: save a table of "
        "numbers."),
    "number": (["number.npy"], {},
        "number.npy holds an array of shape (), not rows and columns: save a table of "
        "numbers."),
    "records": (["records.npy"], {}, "records.npy holds records, not rows and columns: save a table of numbers."),
    "objects": (["objects.npy"], {}, "objects.npy is not a whole .npy file of numbers: "),
    "cut": (["cut.npy"], {}, "cut.npy is not a whole .npy file of numbers: mmap length is greater than file size."),
    "text": (["text.npy"], {}, "text.npy is not a whole .npy file of numbers: "),
    "widths": ([["X.npy", "wide.npy"], ["y.npy", "y.npy"]], {}, "wide.npy has rows of shape (6,), but X.npy of (3,)."),
    "one y": ([["X.npy", "X.npy"], "y.npy"], {}, "X is 2 files, so y must be as many: a list of paths, or a pattern."),
    "column": (["t.parquet"], {"target": "prise"}, "t.parquet has no column 'prise'; its columns are: id, a, b, y, w."),
    "column of text": (["t.csv"], {"target": "prise"}, "t.csv has no column 'prise'; its columns are: id, a, b, y, w."),
    "twice": (["t.csv"], {"target": "a", "columns": ["a"]},
        "The column 'a' of t.csv is asked for twice: as an input, a target or a "
        "weight."),
    "no inputs": (["t.csv"], {"target": ["id", "a", "b", "y", "w"]},
        "t.csv has no columns beside targets and weights: name inputs with "
        "columns=."),
    "lacks": ([["t.parquet", "narrow.parquet"]], {}, "narrow.parquet has no column 'b'; its columns are: id, a, y, w."),
    "besides": ([["t.parquet", "more.parquet"]], {},
        "more.parquet has columns that t.parquet has not: c; name those that are read with "
        "columns=."),
    "types": ([["t.parquet", "texts.parquet"]], {},
        "texts.parquet, column 'b' holds String, but in the first file it holds "
        "Float32."),
    "numbers": (["texts.parquet"], {"numbers": ["b"]},
        "texts.parquet, column 'b' holds String, not numbers: convert it "
        "first."),
    "parquet without rows": (["none.parquet"], {}, "none.parquet has columns but no rows."),
    "half": (["half.parquet"], {}, "half.parquet is not a whole Parquet file: "),
    "half of a packed one": (["half.csv.gz"], {}, "half.csv.gz is not a whole gzip file: Compressed file ended"),
    "lacks in text": ([["t.csv", "narrow.csv"]], {}, "narrow.csv has no column 'b'; its columns are: id, a, y, w."),
    "besides in text": ([["t.csv", "more.csv"]], {},
        "more.csv has columns that t.csv has not: c; name those that are read with "
        "columns=."),
    "blank": (["blank.csv"], {}, "blank.csv is empty."),
    "y of a table": (["t.csv", "y.npy"], {},
        "The targets of Parquet and CSV files are one of their columns: name it with "
        "target=."),
    "weights of a table": (["t.csv", None, [1.0]], {},
        "The weights of Parquet and CSV files are one of their columns: give its "
        "name."),
    "target of arrays": (["X.npy"], {"target": "y"}, "target is for Parquet and CSV files: leave it out here."),
    "target of batches": ([iter([])], {"target": "y"}, "target is for Parquet and CSV files: leave it out here."),
    "separator": (["t.parquet"], {"separator": ";"}, "separator is for CSV files: leave it out here."),
    "name": (["t.csv"], {"columns": "ab"}, "columns must be a list of names such as ['ab'], not 'ab'."),
    "spool": (["t.csv"], {"spool": "nowhere"}, "spool must be True, False or a folder that exists, not 'nowhere'."),
    "buffer": (["t.csv"], {"buffer_rows": 0}, "buffer_rows must be a whole number of at least 1, not 0."),
    "option": (["t.csv"], {"seperator": ";"}, "`seperator` is called `separator`."),
    "y of batches": ([iter([]), [1]], {},
        "The batches of a stream are (X, y) or (X, y, weights): leave y and sample_weight "
        "out."),
    "frame": ([pl.DataFrame({"a": [1]})], {},
        "A stream is made of paths, arrays, batches or a function, but this is a DataFrame: pass a "
        "table that is in memory as it is."),
    "nothing": ([3], {},
        "A stream is made of paths, arrays, batches or a function, but this is a int: pass a table "
        "that is in memory as it is."),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_stream_is_one_sentence(case):
    given, options, expected = WRONG[case]
    with pytest.raises(InvalidInputError, match=f"^{re.escape(expected)}") as error:
        fastgd.Stream(*given, **options)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


PASSES = {
    "no rows": (lambda: "none.csv", "none.csv has a header line but no rows."),
    "no batches": (lambda: [], "the list gave no batches."),
    "rows only": (lambda: iter([(ROWS[:0], ROWS[:0, 0])]), "the list_iterator gave only batches without rows."),
    "width": (lambda: [(ROWS, ROWS), (ROWS[:, :1], ROWS)],
        "batch 1 of the list has 1 column, but the batches before have 2 "
        "columns."),
    "names": (
        lambda: iter([pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]})]),
        "batch 1 of the list_iterator has the columns b, but the batches before have the columns a.",
    ),
    "without y": (lambda: [(ROWS, ROWS), (ROWS, None)], "batch 1 of the list has no y, but the batches before have y."),
    "with weights": (lambda: [(ROWS, ROWS), (ROWS, ROWS, ROWS)],
        "batch 1 of the list has weights, but the batches before have no "
        "weights."),
    "lengths": (lambda: [(ROWS, ROWS[:3])], "batch 0 of the list: X has 4 rows, but y 3."),
    "weights": (lambda: [(ROWS, ROWS, [1.0])], "batch 0 of the list: X has 4 rows, but weights 1."),
    "entries": (lambda: [(ROWS, ROWS, ROWS, ROWS)],
        "batch 0 of the list has 4 entries: give (X, y), (X, y, weights) or "
        "X."),
    "number": (lambda: iter([(ROWS, ROWS), 3]), "batch 1 of the list_iterator: X is a int, not a table of rows."),
    "text": (lambda: iter(["ab"]), "batch 0 of the list_iterator: X is a str, not a table of rows."),
    "function": (lambda: lambda: 3, "<lambda>() must give an iterable of batches such as (X, y), but gave a int."),
}  # fmt: skip


@pytest.mark.parametrize("case", PASSES)
def test_what_breaks_in_a_pass_is_one_sentence(case):
    made, expected = PASSES[case]
    stream = fastgd.Stream(made())
    with pytest.raises(InvalidInputError, match=f"^{re.escape(expected)}"):
        list(stream.source.batches(None, 10))


def test_an_iterator_is_read_once():
    stream = fastgd.Stream((ROWS, ROWS) for _ in range(3))
    assert stream.source.is_one_pass
    assert len(list(stream.source.batches(None, 10))) == 3
    with pytest.raises(InvalidInputError, match="the generator can be read only once, and has been read: pass a func"):
        list(stream.source.batches(None, 10))


def test_a_function_makes_a_new_iterator_each_time():
    same = iter([(ROWS, ROWS)])
    stream = fastgd.Stream(lambda: same)
    list(stream.source.batches(None, 10))
    with pytest.raises(
        InvalidInputError, match="gave batches in the first pass, but none in pass 2: it must make a new"
    ):
        list(stream.source.batches(None, 10))


def test_too_many_processes_are_one_sentence():
    with pytest.raises(
        InvalidInputError, match="X has 4 rows, fewer than the 5 processes that share it: start 4 at most"
    ):
        fastgd.Stream(ROWS).share(0, 5)
    with pytest.raises(InvalidInputError, match="the list gave no batch for process 2 of 3: give 3 batches at least"):
        list(fastgd.Stream([(ROWS, ROWS)] * 2).share(2, 3).source.batches(None, 10))
    Path("two.csv").write_text("a\n1\n2\n")
    with pytest.raises(InvalidInputError, match=r"two\.csv has fewer rows than the 3 processes that share it"):
        list(fastgd.Stream("two.csv").share(0, 3).source.batches(None, 10))


def test_errors_of_users_come_through():
    def made():
        yield ROWS, ROWS
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost") as error:
        list(fastgd.Stream(made).source.batches(None, 10))
    assert error.value.__notes__ == ["This came from made(), when it was asked for batch 1 of pass 1."]


# What happens to files while they are read.


def _change(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


@pytest.mark.parametrize("change", [_change, os.remove])
@pytest.mark.parametrize("name", ["X.npy", "t.parquet", "t.csv"])
def test_a_file_that_changes_between_parts(name, change):
    stream = fastgd.Stream(name)
    assert len(list(stream.source.batches(None, 50))) >= 10
    batches = stream.source.batches(None, 50)
    next(batches)
    if name == "t.csv":  # the copy is read on, but no pass begins
        assert len(list(batches)) >= 9
        batches = stream.source.batches(None, 50)
    change(name)
    expected = ": .* has changed since its stream was made" if change is _change else " cannot be read: No such file"
    place = "" if name == "t.csv" else r", rows \d+ to \d+"
    with pytest.raises(InvalidInputError, match=f"^{re.escape(name)}{place}{expected}"):
        list(batches)


def test_text_that_is_cut_short_in_the_first_pass(monkeypatch):
    from fastgd.data.reading import source

    monkeypatch.setattr(source, "PIECE", 500)
    stream = fastgd.Stream("t.csv")
    batches = stream.source.batches(None, 10)
    next(batches)
    _change("t.csv")
    with pytest.raises(InvalidInputError, match=r"t\.csv"):
        list(batches)
    assert stream.source.n_parts is None


def test_a_file_that_ends_between_the_look_and_the_read(monkeypatch):
    stream = fastgd.Stream("X.npy")
    rows = len(next(stream.source.batches([0], 100)).X)
    monkeypatch.setattr("fastgd.data.streams.state.FileState.check", lambda *_: None)
    _change("X.npy")
    place = rf"^X\.npy, rows {rows * 4} to {rows * 5 - 1}: the file ends before them: write it anew\.$"
    with pytest.raises(InvalidInputError, match=place):
        list(stream.source.batches([0, 4], 100))


def test_a_parquet_file_that_ends_between_the_look_and_the_read(monkeypatch):
    stream = fastgd.Stream("t.parquet")
    rows = len(next(stream.source.batches([0], 100)).X)
    monkeypatch.setattr("fastgd.data.streams.state.FileState.check", lambda *_: None)
    pl.read_parquet("t.parquet").head(rows + 1).write_parquet("t.parquet")
    place = rf"^t\.parquet, rows {rows + 1} to {rows * 2}: the file ends before them: write it anew\.$"
    with pytest.raises(InvalidInputError, match=place):
        list(stream.source.batches([0, 1], 100))


def test_a_parquet_file_whose_rows_are_damaged():
    content = bytearray(Path("t.parquet").read_bytes())
    stream = fastgd.Stream("t.parquet")
    middle = len(content) // 2
    content[middle - 200 : middle + 200] = bytes(400)
    state = os.stat("t.parquet")
    with open("t.parquet", "r+b") as file:
        file.write(content)
    os.utime("t.parquet", ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(InvalidInputError, match=r"t\.parquet, rows \d+ to \d+ is not part of a whole Parquet file: "):
        list(stream.source.batches(None, 100))


def test_a_mapping_that_is_cut_short_does_not_end_the_process():
    code = (
        "import numpy as np, fastgd, os\n"
        "np.save('big.npy', np.zeros((1 << 18, 8)))\n"
        "stream = fastgd.Stream(np.load('big.npy', mmap_mode=MODE), buffer_rows=1000)\n"
        "batches = stream.source.batches(None, 1000)\n"
        "next(batches)\n"
        "os.truncate('big.npy', 100_000)\n"
        "if LOOK:\n"
        "    try: list(batches)\n"
        "    except fastgd.errors.InvalidInputError as error: print(error)\n"
        "else: print(sum(table.sum() for table in [stream.source.tables[0].X._table]))\n"
    )
    for mode in "'r'", "'r+'":
        found = _run(code.replace("MODE", mode).replace("LOOK", "True"))
        assert "has changed since its stream was made" in found.stdout, found
    assert _run(code.replace("MODE", "'r'").replace("LOOK", "False")).returncode < 0  # by SIGBUS: the test can fail


def test_a_mapping_may_be_written():
    mapped = np.lib.format.open_memmap("X.npy", "r+")
    stream = fastgd.Stream(mapped, buffer_rows=16)
    batches = stream.source.batches(None, 10)
    next(batches)
    mapped[-1] = 7
    mapped.flush()
    os.utime("X.npy")
    assert (list(batches)[-1].X == 7).all()


# The copy of text.


def _run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_the_copy_is_removed_with_the_stream():
    stream = fastgd.Stream("t.csv", spool="sub")
    read_once = list(stream.source.batches(None, 100))
    (copy,) = Path("sub").iterdir()
    assert len(list(copy.iterdir())) == stream.source.n_parts > 4
    assert len(read_once) == stream.source.n_parts
    assert oct(copy.stat().st_mode)[-3:] == "700"
    del stream
    assert list(Path("sub").iterdir()) == []


def test_the_copy_is_removed_after_errors():
    with open("t.csv", "a") as file:
        file.write("1,2,x,4,5\n")
    stream = fastgd.Stream("t.csv", spool="sub", numbers=["b"])
    for _ in range(2):
        with pytest.raises(InvalidInputError, match=r"t\.csv, line 502, column 'b' holds 'x', which is not") as error:
            list(stream.source.batches(None, 100))
        assert list(Path("sub").iterdir()) == []
        assert error.value.__traceback__ is not None  # whoever keeps the error keeps all that was being read
    batches = fastgd.Stream("narrow.csv", spool="sub").source.batches(None, 100)
    next(batches)
    assert len(list(Path("sub").iterdir())) == 1
    batches.close()
    assert list(Path("sub").iterdir()) == []


def test_the_copy_is_removed_when_python_ends():
    code = "import fastgd, os\ns = fastgd.Stream('t.csv', spool='sub')\nlist(s.source.batches(None, 9))\n"
    code += "print(os.listdir('sub'))\n"
    for more in ("", "raise SystemExit(3)", "1 / 0"):
        assert "fastgd-stream-" in _run(code + more).stdout
        assert list(Path("sub").iterdir()) == []


def test_a_child_does_not_remove_the_copy_of_its_parent():
    stream = fastgd.Stream("t.csv", spool="sub")
    list(stream.source.batches(None, 100))
    (copy,) = Path("sub").iterdir()
    spool._remove(copy, os.getpid() + 1)
    assert copy.exists()


def test_who_gets_a_copy_of_the_stream_reads_the_text_itself():
    stream = fastgd.Stream("t.csv", spool="sub")
    rows = [len(batch.X) for batch in stream.source.batches(None, 100)]
    others = [copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    del stream
    assert list(Path("sub").iterdir()) == []
    for other in others:
        for _ in range(2):
            assert sum(len(batch.X) for batch in other.source.batches(None, 100)) == sum(rows)
    assert len(list(Path("sub").iterdir())) == 2


def test_a_disk_that_is_full_is_one_sentence(monkeypatch):
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda _: SimpleNamespace(free=300 << 20))
    assert list(fastgd.Stream("t.csv", spool="sub").source.batches(None, 100))
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda _: SimpleNamespace(free=255 << 20))
    expected = (
        "t.csv cannot be copied for later passes, because 255 MB are free in sub, of which some are left to others: "
        "name another folder with spool=, or read the text in each pass with spool=False."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(expected)}$"):
        list(fastgd.Stream("t.csv", spool="sub").source.batches(None, 100))
    assert list(Path("sub").iterdir()) == []


def test_a_copy_that_is_gone_is_one_sentence():
    stream = fastgd.Stream("t.csv", spool="sub")
    list(stream.source.batches(None, 100))
    for path in Path("sub").rglob("*.arrows"):
        path.unlink()
    with pytest.raises(
        InvalidInputError, match=r"^The copy of t\.csv in sub.* cannot be read: .*; make the stream anew\.$"
    ):
        list(stream.source.batches([1], 100))


def test_every_kind_is_tested_here():
    assert {"npy", "parquet", "csv", "memmap"} < set(STREAMS)
    assert read(fastgd.Stream("t.csv", **NAMED).source)[0].shape == (N, 3)
