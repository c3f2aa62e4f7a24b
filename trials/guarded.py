"""Arrays that end, or begin, at a page that nobody may touch: a kernel that goes one entry too far ends its process.

What is read alone lies in pages that cannot be written to, so that a kernel that changes its inputs ends it as well.
An array lies as its dtype asks and no better: on 4 or 8 bytes.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

BEFORE, AFTER = "before", "after"  # on which side of an array the forbidden page is
SIDES = (AFTER, BEFORE)
PAGE = mmap.PAGESIZE
NOTHING, READ, WRITE = 0, 1, 2  # PROT_NONE, PROT_READ, PROT_WRITE, the same on Linux and macOS
UNUSED = 2  # references to the memory of pages without an array: the record's, and that of the call that counts them
MOST_KEPT = 64 * PAGE
MAKERS = ("zeros", "empty", "ones", "full", "array", "arange", "concatenate", "fromiter", "zeros_like", "empty_like")


def mapped(value: Any, change: Callable[[Any, str], Any], path: str = "", seen: dict[int, Any] | None = None) -> Any:
    """A value with change(array, path) for each of its arrays, those in records, lists and dicts included.

    The path of an array says where it is, such as "net.parameters". One that is there twice is changed once.
    """
    seen = {} if seen is None else seen
    if isinstance(value, np.ndarray):
        if id(value) not in seen:
            seen[id(value)] = change(value, path)
        return seen[id(value)]
    if isinstance(value, dict):
        return {name: mapped(part, change, name, seen) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = zip(value._fields, value, strict=True)
        return type(value)(*(mapped(part, change, f"{path}.{name}", seen) for name, part in parts))
    if isinstance(value, list | tuple):
        return type(value)(mapped(part, change, path, seen) for part in value)
    return value


def unavailable() -> str:
    """Why pages cannot be forbidden here; "" where they can."""
    known = sys.platform.startswith("linux") or sys.platform == "darwin"
    return "" if known else f"{sys.platform} has no mprotect: pages cannot be forbidden."


class Pages(NamedTuple):
    """Pages in memory, of which the first and the last are forbidden."""

    memory: mmap.mmap
    address: int
    size: int  # bytes between them
    is_written: bool


class Fence:
    """Makes guarded copies, and counts them. What no array uses any more serves again: new pages take longer."""

    def __init__(self, side: str) -> None:
        self.side, self.n_arrays = side, 0
        self.given: list[Pages] = []
        self.spare: dict[tuple[int, bool], list[Pages]] = defaultdict(list)
        self.mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        self.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

    def guarded(self, array: Any, written: bool = True) -> Any:
        """A copy in pages of its own, of which those beside it are forbidden; not `written`: it can only be read.

        Whether NumPy takes it for writable stays as it is: for Numba that is part of its type.
        """
        self.n_arrays += 1
        pages = self._pages(-(-array.nbytes // PAGE) * PAGE, written)
        start = PAGE if self.side == BEFORE else PAGE + pages.size - array.nbytes
        is_turned = array.flags.f_contiguous and not array.flags.c_contiguous
        copy: Any = np.ndarray(array.shape, array.dtype, pages.memory, start, order="F" if is_turned else "C")
        copy[...] = array
        if not written:
            self._allow(pages.address + PAGE, pages.size, READ)
        copy.flags.writeable = array.flags.writeable
        return copy

    def collect(self) -> None:
        """Take back the pages that no array uses any more."""
        given, self.given = self.given, []
        for pages in given:
            if sys.getrefcount(pages.memory) > UNUSED:
                self.given.append(pages)
            elif pages.size <= MOST_KEPT:
                self.spare[pages.size, pages.is_written].append(pages)

    def _pages(self, size: int, written: bool) -> Pages:
        spare = self.spare[size, written]
        pages = spare.pop() if spare else self._new_pages(size, written)
        if not written:
            self._allow(pages.address + PAGE, size, READ | WRITE)
        self.given.append(pages)
        return pages

    def _new_pages(self, size: int, written: bool) -> Pages:
        memory = mmap.mmap(-1, size + 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)
        address = np.frombuffer(memory, np.uint8).ctypes.data
        for forbidden in (address, address + PAGE + size):
            self._allow(forbidden, PAGE, NOTHING)
        return Pages(memory, address, size, written)

    def _allow(self, address: int, size: int, access: int) -> None:
        if size and self.mprotect(address, size, access):
            raise OSError(ctypes.get_errno(), "mprotect")

    @contextmanager
    def around(self, modules: Iterable[ModuleType]) -> Iterator[None]:
        """Meanwhile, arrays that these modules make are guarded, too: scratch that nobody passes."""
        makers = {"np": self.numpy, "aligned_zeros": self.numpy.zeros}
        before = [(vars(module), name) for module in modules for name in makers if name in vars(module)]
        kept = [names[name] for names, name in before]
        try:
            for names, name in before:
                names[name] = makers[name]
            yield
        finally:
            for (names, name), value in zip(before, kept, strict=True):
                names[name] = value

    @cached_property
    def numpy(self) -> Any:
        """NumPy, whose makers of arrays guard them."""
        numpy = ModuleType("numpy")
        vars(numpy).update({**vars(np), **{name: self._guarding(getattr(np, name)) for name in MAKERS}})
        return numpy

    def _guarding(self, maker: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **options: Any) -> Any:
            return self.guarded(maker(*arguments, **options))

        return made
