"""A process that is killed while it saves leaves the old file or the new one, and nothing that stays for ever."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import fastgd
from fastgd.files import begun
from trials.killed_saves import killed_saves

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked for each case")
LEFT = ".fastgd-0123456789abcdef"


def test_a_killed_save_leaves_the_old_or_the_new_file():
    outcome = killed_saves(24, seed=0)
    assert (outcome.cases, outcome.failures) == (24, [])


@pytest.mark.parametrize(
    ("broken", "message"), [("in place", "the file is n"), ("never cleans up", "files are left over")]
)
def test_a_writer_that_breaks_the_promise_is_found(broken, message):
    found = killed_saves(14, seed=0, broken=broken).failures
    assert any(message in sentence for sentence in found), found


def test_only_what_nobody_writes_any_more_is_removed(tmp_path):
    """Another process holds the first file; the second is a leftover, and the others have names of their own."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom fastgd.files.atomic import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as file:\n"
        "    file.write(b'all'); print(flush=True); sys.stdin.read()\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "other")]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writing:
        writing.stdout.readline()
        (held,) = os.listdir(tmp_path)
        (tmp_path / LEFT).write_bytes(b"half")
        kept = [f"{LEFT}0", f"x{LEFT}", LEFT.upper(), ".fastgd-"]
        for name in kept:
            (tmp_path / name).write_bytes(b"")
        (tmp_path / ".fastgd-0000000000000000").symlink_to("x" + LEFT)
        os.mkfifo(tmp_path / ".fastgd-1111111111111111")
        os.mkdir(tmp_path / ".fastgd-2222222222222222")
        fastgd.MLP([2, 1]).save(tmp_path / "m")
        assert {held, "m", "x" + LEFT, ".fastgd-0000000000000000", ".fastgd-2222222222222222"} <= set(
            os.listdir(tmp_path)
        )
        assert {LEFT} & set(os.listdir(tmp_path)) == set()
        assert set(kept) <= set(os.listdir(tmp_path))
    assert (tmp_path / "other").read_bytes() == b"all"


def test_a_leftover_that_may_only_be_read_is_removed(tmp_path):
    (tmp_path / LEFT).write_bytes(b"half")
    (tmp_path / LEFT).chmod(0o444)
    fastgd.MLP([2, 1]).save(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]


def test_a_new_file_that_was_taken_for_a_leftover_is_begun_anew(tmp_path, monkeypatch):
    """Between its beginning and its lock another save may come."""
    lock, taken = begun.fcntl.flock, []

    def late(handle, operation):
        if not taken:
            (path,) = tmp_path.glob(".fastgd-*")
            path.unlink()
            taken.append(path)
        lock(handle, operation)

    monkeypatch.setattr(begun.fcntl, "flock", late)
    fastgd.MLP([2, 1]).save(tmp_path / "m")
    assert taken
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize(
    "refusal", [OSError(95, "Operation not supported"), OSError(37, "No locks available")], ids=str
)
def test_a_disk_without_locks_is_written_to_and_not_cleaned(tmp_path, monkeypatch, refusal):
    def refuse(handle, operation):
        raise refusal

    (tmp_path / LEFT).write_bytes(b"may be another process's")
    monkeypatch.setattr(begun.fcntl, "flock", refuse)
    fastgd.MLP([2, 1]).save(tmp_path / "m")
    assert sorted(os.listdir(tmp_path)) == [LEFT, "m"]
