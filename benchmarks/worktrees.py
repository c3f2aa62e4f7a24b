"""Where the base revision lies while it is measured: a worktree in a temporary folder.

Both go with the run, whatever happens to it; what a killed run could not remove, the next one does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .tool import ToolError

PREFIX = "fastgd-ab-"


def git(*arguments: str, cwd: Path) -> str:
    """What git answers; its complaint is the user's."""
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=cwd, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise ToolError("There is no program git on the PATH, which fetches the base revision.") from None
    if result.returncode:
        raise ToolError(f"git {arguments[0]}: {(result.stderr.strip().splitlines() or ['failed'])[-1]}")
    return result.stdout.strip()


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """For everything that a run writes; its name says which process it belongs to."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


class BaseTree:
    """A revision, checked out as a worktree in a folder, and gone afterwards, whatever happens."""

    def __init__(self, revision: str, repository: Path, folder: Path) -> None:
        self.revision, self.repository, self.tree = revision, repository, folder / "base"

    def __enter__(self) -> Path:
        try:
            git("rev-parse", "--git-dir", cwd=self.repository)
        except ToolError as failure:
            if "not a git repository" not in str(failure):
                raise
            raise ToolError(f"{self.repository} is in no git repository, so there is nothing to compare.") from None
        try:
            commit = git("rev-parse", "--verify", "--quiet", f"{self.revision}^{{commit}}", cwd=self.repository)
        except ToolError:
            raise ToolError(f"There is no revision {self.revision!r} in {self.repository}.") from None
        remove_leftovers(self.repository)
        try:
            git("worktree", "add", "--detach", "--force", str(self.tree), commit, cwd=self.repository)
        except BaseException:
            self.__exit__()
            raise
        return self.tree

    def __exit__(self, *error: object) -> None:
        remove_worktree(self.tree, self.repository)


def remove_worktree(tree: Path, repository: Path) -> None:
    """Whatever is in it, and whether or not it is still there. A second --force is for one that is half made."""
    with contextlib.suppress(ToolError):
        git("worktree", "remove", "--force", "--force", str(tree), cwd=repository)
    shutil.rmtree(tree, ignore_errors=True)


def remove_leftovers(repository: Path) -> None:
    """Remove what killed runs have left: worktrees of this repository, and temporary folders."""
    for line in git("worktree", "list", "--porcelain", cwd=repository).splitlines():
        tree = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and left_over(tree.parent):
            remove_worktree(tree, repository)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def left_over(folder: Path) -> bool:
    """Whether a run's folder belongs to a process that is no longer alive."""
    owner = re.match(rf"{PREFIX}(\d+)-", folder.name)
    if owner is None or os.name != "posix":  # elsewhere there is no harmless way to ask
        return False
    try:
        os.kill(int(owner[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it is another user's
        return False
    return False
