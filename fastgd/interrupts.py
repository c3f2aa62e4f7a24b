"""Ctrl-C: an interrupt that some other code has swallowed is not lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """Remembers Ctrl-C from where `with` begins, and raises KeyboardInterrupt as Python does.

    An exception that is raised in a destructor, or in foreign code that catches all, vanishes; `check` raises it again.
    Outside of the main thread, or where somebody else handles the signal, it does nothing.
    """

    def __enter__(self) -> Interrupts:
        self.seen = False
        self.installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self.installed:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *error: Any) -> None:
        if self.installed and signal.getsignal(signal.SIGINT) == self._hear:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        signal.default_int_handler(number, frame)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one that nobody has answered."""
        if self.seen:
            raise KeyboardInterrupt

    def answered(self) -> None:
        """The interrupt has been dealt with."""
        self.seen = False
