"""A comparison leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trees import copied

from benchmarks import (
    worktrees,
)
from benchmarks.tool import ToolError


@pytest.fixture
def repository(tmp_path):
    """A small git repository of the package and the benchmarks, with a kernel that has been changed since."""
    folder = copied(tmp_path / "repository")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    with (folder / "fastgd" / "kernels" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    return folder


def worktrees_of(repository):
    out = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def test_a_worktree_comes_and_goes(repository, tmp_path):
    with worktrees.BaseTree("HEAD", repository, tmp_path) as tree:
        assert (tree / "fastgd" / "__init__.py").exists()
        assert len(worktrees_of(repository)) == 2
        (tree / "left over").write_text("dirt")
    assert not tree.exists()
    assert len(worktrees_of(repository)) == 1
    with pytest.raises(RuntimeError), worktrees.BaseTree("HEAD", repository, tmp_path):
        raise RuntimeError
    assert len(worktrees_of(repository)) == 1
    with (
        pytest.raises(ToolError, match="There is no revision 'nowhere'"),
        worktrees.BaseTree("nowhere", repository, tmp_path),
    ):
        pass
    assert len(worktrees_of(repository)) == 1


def test_without_git_or_outside_a_repository(tmp_path, monkeypatch):
    (tmp_path / "bare").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with (
        pytest.raises(ToolError, match="bare is in no git repository"),
        worktrees.BaseTree("HEAD", tmp_path / "bare", tmp_path),
    ):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ToolError, match="There is no program git"),
        worktrees.BaseTree("HEAD", tmp_path / "bare", tmp_path),
    ):
        pass


def ended_while_measuring(repository, temporary, command, how):
    """Send a signal to a comparison that is at work; returns its exit code and what it said."""
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=repository, env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not any(path.read_text() for path in temporary.glob(f"{worktrees.PREFIX}*/*/cases")):
        assert process.poll() is None
        time.sleep(0.01)
    assert len(worktrees_of(repository)) == 2
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    return process.returncode, error


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
@pytest.mark.parametrize(
    ("command", "how"),
    [
        (["benchmarks/ab.py", "--base", "HEAD"], "SIGTERM"),
        (["-m", "fastgd.command.cli", "bench", "--against", "HEAD"], "SIGINT"),
    ],
)
def test_a_signal_leaves_nothing_behind(repository, tmp_path, command, how):
    temporary = tmp_path / "temporary"
    ended = ended_while_measuring(repository, temporary, command, signal.Signals[how])
    assert ended == (2, "ab: interrupted\n")
    assert len(worktrees_of(repository)) == 1
    assert not list(temporary.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_what_a_killed_run_left_is_removed_by_the_next(repository, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    command = ["benchmarks/ab.py", "--base", "HEAD"]
    assert ended_while_measuring(repository, temporary, command, signal.SIGKILL) == (-signal.SIGKILL, "")
    (left,) = temporary.iterdir()
    (left / "base" / "left over").write_text("dirt")
    running = temporary / f"{worktrees.PREFIX}{os.getpid()}-other"
    running.mkdir()
    monkeypatch.setattr(worktrees.tempfile, "tempdir", str(temporary))
    with worktrees.temporary_folder() as name, worktrees.BaseTree("HEAD", repository, Path(name)):
        assert sorted(temporary.iterdir()) == sorted([running, Path(name)])
        assert len(worktrees_of(repository)) == 2
    assert len(worktrees_of(repository)) == 1
