"""The next of something, found by another thread while this one works on what came before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
GRACE = 5.0  # seconds that the other thread has to stop


def ahead(items: Iterator[T], stop: Callable[[], None] = lambda: None) -> Generator[T, None, None]:
    """The items of an iterator, the next of which is asked for when one is handed out.

    Errors come where the item would have come. Where nobody wants more, `stop` is called, which may make the search
    for the next item end early.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    found: SimpleQueue[tuple[T, ...] | BaseException] = SimpleQueue()  # an item, nothing at the end, or an error

    def search() -> None:
        while wanted.get():
            try:
                found.put(tuple(islice(items, 1)))
            except BaseException as error:
                found.put(error)

    thread = threading.Thread(target=search, name="fastgd-read", daemon=True)
    try:
        thread.start()  # in here, because Ctrl-C may come while it starts, and left alone it would wait for ever
        wanted.put(True)
        while answer := found.get():
            if isinstance(answer, BaseException):
                raise answer
            wanted.put(True)
            yield answer[0]
    finally:
        try:
            stop()
        finally:
            wanted.put(False)
        if thread.is_alive():
            thread.join(GRACE)  # a daemon: what a user's function waits for may never come
