"""Hostile files and names: a few cases of trials/hostile_*.py, whether the watch sees, and what has been found."""

from __future__ import annotations

import io
import os
import shutil
import struct
from pathlib import Path

import hostile_doubles
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import peak
from safetensors.numpy import save_file
from shell import run

import fastgd
from fastgd.data.files import Format, read_chunks, read_table
from fastgd.data.reading import exact, rows, source
from fastgd.data.reading.dialect import SAMPLE, Dialect, check_columns
from fastgd.data.reading.rows import Rows
from fastgd.data.streams.columns import wanted
from fastgd.errors import InvalidInputError, ModelFileError, printable
from fastgd.files.exports.c_header import _in_comment
from fastgd.files.exports.numpy_script import _quoted
from trials import hostile_commands as commands
from trials import hostile_models as models
from trials import hostile_names as names
from trials import hostile_tables as tables
from trials.hostile_watch import UNSEEN, faults_of, watched

HOSTILE = Path(__file__).parent / "hostile"

linux = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux has /proc/self/clear_refs")


@linux
def test_hostile_models():
    found = models.hostile_models(40, 7)
    assert (found.cases, found.failures) == (40, [])


@linux
def test_hostile_tables():
    found = tables.hostile_tables(20, 7)
    assert (found.cases, found.failures) == (20, [])


@linux
def test_hostile_names():
    found = names.hostile_names(3, 7)
    assert (found.cases, found.failures) == (3, [])


@linux
def test_hostile_commands():
    found = commands.hostile_commands(4, 7)
    assert (found.cases, found.failures) == (4, [])


@linux
@pytest.mark.parametrize("kind", hostile_doubles.KINDS)
def test_the_watch_sees(kind, watch):
    told = [failure for failure in watch if f", {kind}: " in failure]
    assert [hostile_doubles.TOLD[kind] in failure for failure in told] == [True] * (kind in hostile_doubles.TOLD)


@pytest.fixture(scope="module")
def watch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        return watched("hostile_doubles:does", len(hostile_doubles.KINDS), 0, seconds=3).failures


# What was found.


@pytest.mark.parametrize(
    "name", ["a*.parquet", "t?.parquet", "[a].parquet", "~/t.parquet", "~.parquet", "http:/x.parquet"]
)
@pytest.mark.parametrize("kind", ["parquet", "zst"])
def test_the_name_of_a_file_is_no_pattern_and_no_address(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = (tmp_path / name).relative_to(tmp_path)
    for other in ("ab.parquet", "tb.parquet", "a.parquet", "home/t.parquet"):
        os.makedirs(os.path.dirname(tmp_path / other), exist_ok=True)
        pl.DataFrame({"x": [9.0]}).write_parquet(tmp_path / other)
    path.parent.mkdir(exist_ok=True, parents=True)
    content = io.BytesIO()
    if kind == "zst":
        pl.LazyFrame({"x": [1.0, 2.0]}).sink_csv(content, compression="zstd")
    else:
        pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(content)
    path.write_bytes(content.getvalue())
    assert read_table(path, numbers=["x"])["x"].to_list() == [1, 2]
    assert [x for _, frame in read_chunks(path, numbers=["x"]) for x in frame["x"]] == [1, 2]
    streamed = fastgd.Stream(str(path), spool=False).source.batches(None, 10)
    assert [x for batch in streamed for x in batch.X["x"].to_list()] == [1, 2]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_name_of_a_column_is_no_pattern(tmp_path, kind):
    path, model = tmp_path / f"t.{kind}", tmp_path / "m"
    frame = pl.DataFrame({"y": np.arange(60.0) % 11, "*": np.arange(60.0) % 7, "z": [f"n{k % 3}" for k in range(60)]})
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    streamed = fastgd.Stream(path, target=["y"], columns=["*"]).source.batches(None, 100)
    assert [(batch.X.columns, batch.y.columns) for batch in streamed] == [(["*"], ["y"])]
    assert read_table(path, ["z", "*"]).columns == ["z", "*"]
    assert [part.columns for _, part in read_chunks(path, ["*", "y"])] == [["*", "y"]]
    for more in ([], ["--buffer-rows", 32]):
        given = ["--target", "y", "--epochs", 1, "--hidden", 2, "--save", model, "--overwrite", *more]
        assert run("train", path, *given).exit_code == 0
        assert fastgd.load(model).feature_names == ("*", "z")
        for command in (["predict", model, path, "--key", "*"], ["evaluate", model, path], ["explain", model, path]):
            assert run(*command).exit_code == 0
    frame = frame.rename({"z": "^y.*$"})
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    for read in (read_table, lambda path: list(read_chunks(path)), lambda path: fastgd.Stream(path, target="y")):
        with pytest.raises(InvalidInputError, match=r"a column '\^y\.\*\$', which polars would take for a pattern"):
            read(path)


def test_a_parquet_file_that_is_standard_input_itself(tmp_path, monkeypatch):
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(tmp_path / "t")
    with open(tmp_path / "t", encoding="latin-1") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert read_table(Path("-"))["x"].to_list() == [1, 2]


def test_a_name_that_is_not_in_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.parquet")
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(tmp_path / "t")
    os.replace(tmp_path / "t", path)
    assert read_table(path)["x"].to_list() == [1, 2]


def test_where_the_library_panics_there_is_a_sentence():
    path = HOSTILE / "panic.parquet"
    with pytest.raises(pl.exceptions.PanicException):
        pl.read_parquet(path)
    for read in (read_table, lambda path: list(read_chunks(path)),
                 lambda path: list(fastgd.Stream(path).source.batches(None, 9))):  # fmt: skip
        with pytest.raises(
            InvalidInputError, match=r"panic\.parquet.* (is not (part of )?a whole Parquet file: |has columns but no)"
        ) as error:
            read(path)
        assert faults_of(str(error.value)) == ""


def test_blank_lines_are_counted_and_not_kept():
    def pieces():
        yield from (b"\n" * 10_000 for _ in range(300))
        yield b"x,y\n1,2\n3\n"

    def read():
        with pytest.raises(InvalidInputError, match="line 3000003 has 1 cell"):
            list(Rows("t", pieces(), Format(), ()).blocks())

    assert peak(read) < 1 << 20


def test_a_long_header_is_read_to_its_end(tmp_path):
    columns = [f"{number:0100}" for number in range(700)]
    (tmp_path / "t.csv").write_text(f"{','.join(columns)}\n{','.join('1' * 700)}\n")
    assert len(",".join(columns)) > SAMPLE
    assert read_table(tmp_path / "t.csv").columns == columns


def test_columns_are_looked_up_and_not_searched_for():
    compared = [0]

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared[0] += 1
            return str(self) == str(other)

    header, asked = ([Name(f"c{number}") for number in range(1000)] for _ in range(2))
    check_columns("t", header, asked)
    Dialect("t", ",", ".", tuple(header)).places(asked)
    wanted("t", header, asked, None, None)
    assert compared[0] < 20_000


def test_a_table_of_too_many_columns_or_too_long_rows(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text('x,y\n1,"a\n' + 'b","c\n' * 100 + '"\n')
    for name, value, message in (
        ("MOST_COLUMNS", 1, "2 columns, and at most 1"),
        ("LONGEST_LINE", 50, "a row of more"),
    ):
        monkeypatch.setattr(source, "PIECE", 64)
        monkeypatch.setattr(rows, name, value)
        with pytest.raises(InvalidInputError, match=message):
            read_table(path)
        monkeypatch.undo()


def test_a_long_row_of_quotes_takes_no_multiple_of_its_memory():
    text = '"' * 1_000_001
    assert peak(lambda: exact._fault("t", ",", 1, text)) < 10 * len(text)


@pytest.mark.parametrize("encoding", ["rot13", "zlib_codec", "undefined", "\udcff", "a\0b"])
def test_what_is_no_encoding_of_text(tmp_path, encoding):
    (tmp_path / "t.csv").write_text("x\n1\n")
    with pytest.raises(InvalidInputError, match="There is no encoding"):
        read_table(tmp_path / "t.csv", fmt=Format(encoding=encoding))


@pytest.mark.parametrize("option", [{"separator": "\udcff"}, {"missing": ("\ud800",)}])
def test_options_with_half_a_character(option):
    with pytest.raises(InvalidInputError, match=r"\\ud"):
        Format(**option)


@pytest.mark.parametrize("dtype", ["M8[s]", "V8", "V0", "S0", "i8,i8"])
def test_arrays_of_what_is_neither_number_nor_text(tmp_path, dtype):
    path = tmp_path / "t.npy"
    head = (
        f"{{'descr': {np.lib.format.dtype_to_descr(np.dtype(dtype))!r}, 'fortran_order': False, 'shape': (3, 1), }}\n"
    )
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(48))
    with pytest.raises(InvalidInputError, match="not rows and columns: save a table of numbers"):
        fastgd.Stream(path)


def test_an_archive_that_is_called_an_array(tmp_path):
    np.savez(tmp_path / "t.npz", a=np.ones(3))
    shutil.move(tmp_path / "t.npz", tmp_path / "t.npy")
    with pytest.raises(InvalidInputError, match="is an archive of arrays"):
        fastgd.Stream(tmp_path / "t.npy")


@pytest.mark.parametrize("names", [("9" * 5000, "8"), ("²", "1"), ("007", "08")])
def test_layers_with_odd_numbers(tmp_path, names):
    state = {f"{name}.weight": np.full((1, 1), place + 2.0) for place, name in enumerate(names)}
    save_file(state, tmp_path / "m.safetensors")
    if names[0] == "²":
        with pytest.raises(InvalidInputError, match="layers without an order"):
            fastgd.from_torch(tmp_path / "m.safetensors")
        return
    first = fastgd.from_torch(tmp_path / "m.safetensors").get_parameters()[0][0]
    assert first == (3 if len(names[0]) > 1000 else 2)


def test_no_pipe_is_taken_for_weights(tmp_path):
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="is a device, a pipe or a socket"):
        fastgd.from_torch(tmp_path / "m.safetensors")


def test_a_label_with_half_a_character_is_in_no_onnx_file(tmp_path):
    pytest.importorskip("onnx")
    model = fastgd.MLP([1, 2], loss="cross_entropy", classes=["a", "b\ud800"])
    with pytest.raises(InvalidInputError, match="has half a character: rename"):
        model.export(tmp_path / "m.onnx")


def test_messages_and_warnings_are_one_harmless_line():
    error = ModelFileError("a\nb\x1b[2J\u202e \udcff")
    assert str(error) == r"a\nb\x1b[2J\u202e \udcff"
    with pytest.warns(fastgd.errors.InputWarning, match=r"a\\nb"):
        fastgd.errors.warn("a\nb", fastgd.errors.InputWarning)


@pytest.mark.parametrize("of_numbers", [True, False])
def test_a_curve_is_told_of_a_column_with_escape_codes(tmp_path, of_numbers):
    path, name = tmp_path / "t.csv", "a\x1b[2J\x07"
    values = np.arange(40) * 7 % 11 if of_numbers else [f"\x9b{k % 3}" for k in range(40)]
    pl.DataFrame({name: values, "b": np.arange(40) % 7, "y": np.arange(40.0)}).write_csv(path)
    assert run("train", path, "--target", "y", "--epochs", 1, "--hidden", 2, "--save", tmp_path / "m").exit_code == 0
    told = run("explain", tmp_path / "m", path, "--column", name)
    assert told.exit_code == 0
    names.check_shown(told.output)


def test_no_trigraph_is_left_where_question_marks_meet():
    assert "??" not in _in_comment("???/????")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_bytes(content)
    told = "it was read."
    try:
        read_table(path)
    except InvalidInputError as error:
        told = str(error)
    assert faults_of(told) == ""


@settings(max_examples=100, deadline=None)
@given(text=st.text("ab*/?\\\"'\n\r\0\x1b\u202eé{}<\ud800", max_size=30))
def test_any_name_stays_in_its_comment(text):
    names.check_c(f"/* {_in_comment(text)} */ int x;")
    names.check_python(f'"""{_quoted(text)}"""\nx = {text!r}\n')
    assert UNSEEN.search(printable(text)) is None


def test_what_becomes_code_or_markup_is_noticed():
    for check, text in (
        (names.check_c, "/* x */ CANARY(); /* */"), (names.check_c, '"a" " b'), (names.check_c, "/* ?\x3f/ */"),
        (names.check_c, "/* a */ b */"), (names.check_python, "x = CANARY()"), (names.check_page, "<script>x</script>"),
        (names.check_page, '<svg onload="x">'), (names.check_page, "<img src=x>"), (names.check_shown, "a\x1b[2J"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(text)
