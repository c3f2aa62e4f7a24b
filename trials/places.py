"""Disks that are tiny and folders that nobody may write to, seen by one process only and gone with it.

Linux gives them to every user who may have a namespace of his own; others are told why there are none.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

NEW_MOUNTS, NEW_USER = 0x20000, 0x10000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18


def apart() -> str:
    """Give this process mounts of its own; call it before a thread starts. Returns why it has none, or nothing."""
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if os.geteuid() == 0:
            _checked(system.unshare(NEW_MOUNTS))
        else:
            user, group = os.geteuid(), os.getegid()
            _checked(system.unshare(NEW_MOUNTS | NEW_USER))
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        _mount("none", "/", None, PRIVATE | RECURSIVE)
    except (OSError, AttributeError) as error:
        return f"no mounts of its own for this process: {error}"
    return ""


def tiny_disk(folder: Path, size: int, files: int) -> None:
    """An empty disk of so many bytes and files."""
    _mount("fastgd-trial", str(folder), "tmpfs", 0, f"size={size},nr_inodes={files}")


def close_folder(folder: Path) -> None:
    """Nobody may write to a folder any more, not even root."""
    _mount(str(folder), str(folder), None, BIND | RECURSIVE)
    _mount("none", str(folder), None, BIND | REMOUNT | READ_ONLY)


def _mount(what: str, where: str, kind: str | None, flags: int, options: str = "") -> None:
    system = ctypes.CDLL(None, use_errno=True)
    _checked(
        system.mount(what.encode(), where.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())
    )


def _checked(told: int) -> None:
    if told:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
