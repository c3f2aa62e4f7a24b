"""Writing a file: whole or not at all, where the user said, with the owner and mode that it had."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from model_files import trained

import fastgd
from fastgd.errors import ModelFileError
from fastgd.files import atomic, begun


@pytest.mark.parametrize("step", ["open", "fdopen", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt("Ctrl-C")], ids=repr)
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, step, failure):
    model, X = trained()
    path = tmp_path / "m"
    model.save(path)
    before = path.read_bytes()
    model.fit(X, X[:, 0], epochs=1, verbose=0)
    done = getattr(os, step)

    def failing(*arguments, **options):
        if step == "open":
            os.close(done(*arguments, **options))
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, step, failing)
        told = (KeyboardInterrupt, "Ctrl-C")
        if isinstance(failure, OSError):
            told = (ModelFileError, "m cannot be written: No space left")
        with pytest.raises(told[0], match=told[1]):
            model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]
    with pytest.raises(ModelFileError, match="cannot be written: No such file"):
        model.save(tmp_path / "nowhere" / "m")


def test_a_temporary_name_that_is_taken_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(begun.secrets, "token_hex", lambda n: "taken")
    (tmp_path / ".fastgd-taken").write_text("somebody's")
    with pytest.raises(ModelFileError, match="File exists"):
        fastgd.MLP([2, 1]).save(tmp_path / "m")
    assert (tmp_path / ".fastgd-taken").read_text() == "somebody's"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "m"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    for _ in range(2):
        fastgd.MLP([2, 1]).save(tmp_path / name)
        fastgd.load(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(ModelFileError, match="name too long"):
        fastgd.MLP([2, 1]).save(tmp_path / ("x" + "x" * 255))


def test_links_are_written_through(tmp_path):
    model, _ = trained()
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    target, link, chain, folder = tmp_path / "there/m", tmp_path / "here/link", tmp_path / "chain", tmp_path / "folder"
    link.symlink_to("../there/m")
    chain.symlink_to("here/link")
    folder.symlink_to("there")
    for number, path in enumerate((link, chain, folder / "m", link)):  # the first one leads nowhere yet
        model.random_state = number
        model.save(path)
        assert fastgd.load(target).random_state == number
    assert [os.readlink(path) for path in (link, chain, folder)] == ["../there/m", "here/link", "there"]
    assert not target.is_symlink()
    assert [os.listdir(tmp_path / name) for name in ("here", "there")] == [["link"], ["m"]]
    (tmp_path / "nowhere").symlink_to("none/m")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in (("nowhere", "No such file"), ("loop", "Too many levels of symbolic links")):
        with pytest.raises(ModelFileError, match=message):
            model.save(tmp_path / name)
        assert (tmp_path / name).is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o777])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path, model = tmp_path / "m", fastgd.MLP([2, 1])
    path.write_bytes(b"")
    path.chmod(mode)
    (tmp_path / "link").symlink_to("m")
    model.save(path)
    model.save(tmp_path / "link")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_keeps_its_owner(tmp_path, monkeypatch):
    path, asked = tmp_path / "m", []
    path.write_bytes(b"")
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    owner = path.stat().st_uid, path.stat().st_gid
    fastgd.MLP([2, 1]).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == owner

    def forbidden(*arguments):
        asked.append(arguments)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", forbidden)
    fastgd.MLP([2, 1]).save(path)
    assert asked
    fastgd.load(path)


def test_a_new_file_has_the_mode_that_the_system_gives(tmp_path):
    code = (
        "import os, sys, fastgd\n"
        "os.umask(0o026)\n"
        "def refuse(mask): raise AssertionError('the mask of all threads')\n"
        "os.umask = refuse\n"
        "fastgd.MLP([2, 1]).save(sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], check=True)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


WRITE = """
import sys
from pathlib import Path
from fastgd.files.atomic import write_whole
print("before")
write_whole(Path(sys.argv[1]), bytes(range(256)) * 1000)
print("after")
"""


PRINTED = b"before\n" + bytes(range(256)) * 1000 + b"after\n"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link"])
def test_an_open_descriptor_is_written_through(tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    before, run = os.readlink("/dev/stdout"), [sys.executable, "-c", WRITE, str(tmp_path / name)]
    assert subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout == PRINTED
    with open(tmp_path / "page", "wb") as page:
        subprocess.run(run, stdout=page, check=True)
    assert (tmp_path / "page").read_bytes() == PRINTED
    assert os.readlink("/dev/stdout") == before
    assert sorted(os.listdir(tmp_path)) == ["link", "page"]


def test_a_pipe_that_does_not_wait_gets_everything():
    code = "import os, sys\nos.set_blocking(3, False)\n" + WRITE
    source, sink = os.pipe()
    program = f"import os; os.dup2({sink}, 3)\n{code}" if sink != 3 else code
    with subprocess.Popen([sys.executable, "-c", program, "/dev/fd/3"], pass_fds=[sink], stdout=subprocess.DEVNULL):
        os.close(sink)
        with open(source, "rb") as file:
            assert file.read() == bytes(range(256)) * 1000


def test_descriptors_that_nothing_can_be_written_to(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with open(tmp_path / "file", "rb") as file:
        for place in (f"/dev/fd/{file.fileno()}", "/dev/fd/987654", "/proc/self/fd/987654"):
            with pytest.raises(ModelFileError, match="cannot be written: Bad file descriptor"):
                atomic.write_whole(Path(place), b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_devices_get_the_bytes_and_stay_devices(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    for place in ("/dev/null", tmp_path / "link"):
        fastgd.MLP([2, 1]).save(place)
        assert Path(place).is_char_device()
    if os.path.exists("/dev/full"):
        with pytest.raises(ModelFileError, match="/dev/full cannot be written: No space left on device"):
            fastgd.MLP([2, 1]).save("/dev/full")
        assert Path("/dev/full").is_char_device()


def test_a_name_that_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        places = [(tmp_path / name, "no file that could be replaced") for name in ("pipe", "link", "socket")]
        with contextlib.suppress(OSError):  # where that is forbidden, there are three
            os.mknod(tmp_path / "block", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
            places.append((tmp_path / "block", "no file that could be replaced"))
        before = {path: path.lstat().st_mode for path, _ in places}
        for place, message in [*places, (tmp_path, "it is a folder"), (tmp_path / "folder", "it is a folder")]:
            with pytest.raises(ModelFileError, match=message):
                fastgd.MLP([2, 1]).save(place)
        assert {path: path.lstat().st_mode for path, _ in places} == before
    assert (tmp_path / "pipe").is_fifo()
