"""A full disk is one sentence with the name of what cannot be written; the old file stays, and nothing beside it."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastgd
from fastgd.data.files import read_table
from fastgd.data.streams import spool
from fastgd.errors import InvalidInputError, ModelFileError
from fastgd.files import disk
from fastgd.files.atomic import write_whole
from trials.full_disks import WAYS, Bench, full_disks

QUICK = ("model", "state", "ensemble", "export.h", "page", "table.csv.gz", "table.parquet", "example.csv")


def test_a_full_disk_is_one_sentence_and_the_old_file():
    outcome = full_disks(32, seed=0, names=QUICK)
    assert outcome.failures == []
    assert outcome.cases in (16, 32), "a disk of its own is not given to every process, a limit is"


def in_place(path, content):
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror}.") from error


def silent(path, content):
    with contextlib.suppress(ModelFileError):
        write_whole(path, content)


@pytest.mark.parametrize(("broken", "message"), [(in_place, "the old file is not"), (silent, "nothing is said")])
def test_a_writer_that_breaks_the_promise_is_found(tmp_path, monkeypatch, broken, message):
    bench = Bench(tmp_path, WAYS[1], ["model"])
    assert [bench.case(number, seed=0) for number in range(6)] == [None] * 6
    monkeypatch.setattr(disk, "write_whole", broken)
    found = [bench.case(number, seed=0) for number in range(6)]
    assert any(message in (sentence or "") for sentence in found), found


@contextlib.contextmanager
def room_for(size):
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1.5,2.25\n" * 20_000)
    return tmp_path / "t.csv"


def test_a_stream_whose_copy_finds_no_room_is_one_sentence_and_leaves_nothing(table, tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "KEPT_FREE", 0)
    (tmp_path / "copies").mkdir()
    for size in (0, 1, 5_000, 100_000):
        stream = fastgd.Stream(table, spool=tmp_path / "copies")
        with room_for(size), pytest.raises(InvalidInputError, match=r"t\.csv cannot be copied.*copies.*: name another"):
            list(stream.source.batches(None, 1000))
        del stream
        gc.collect()
        assert os.listdir(tmp_path / "copies") == []


def test_a_stream_where_the_system_has_no_folder_for_its_copy(table, monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with pytest.raises(InvalidInputError, match=r"no folder for it .*: name one with spool=, or read the text"):
        fastgd.Stream(table)
    fastgd.Stream(table, spool=False)


def test_a_pipe_that_cannot_be_kept_is_told_apart_from_one_that_cannot_be_read(tmp_path, monkeypatch):
    pl = pytest.importorskip("polars")
    packed = io.BytesIO()
    pl.DataFrame({"a": range(20_000)}).write_parquet(packed, compression="uncompressed")
    for size, told in ((0, "File too large"), (10_000, "File too large"), (1 << 30, "")):
        packed.seek(0)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=packed))
        with room_for(size):
            if told:
                message = f"standard input comes through a pipe .* cannot be written: {told}; set TMPDIR"
                with pytest.raises(InvalidInputError, match=message):
                    read_table(Path("-"))
            else:
                assert len(read_table(Path("-"))) == 20_000
