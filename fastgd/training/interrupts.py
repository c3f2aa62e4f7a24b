"""Ctrl-C: an interrupt that some other code would swallow is not lost."""

from __future__ import annotations

import _thread
import signal
import threading
from types import FrameType
from typing import Any

# Where exceptions vanish: in destructors, in what weak references call (that of threading's own set), and in what LLVM
# calls while it hands over machine code.
SWALLOWING = ("__del__", "_remove", "_raw_object_cache_notify", "_raw_object_cache_getbuffer")
LATER = 0.01  # seconds after which one is raised that would have vanished


class Interrupts:
    """Remembers Ctrl-C from `listen` to the end of `with`, and raises KeyboardInterrupt as Python does.

    Where the exception would vanish it is raised a moment later; `check` raises it again if foreign code has caught it.
    Outside of the main thread, or where somebody else handles the signal, it does nothing. To listen takes as long as
    some steps, so that what is over in a moment does not ask for it.
    """

    def __enter__(self) -> Interrupts:
        self.seen, self.active, self.installed = False, True, False
        return self

    def listen(self) -> None:
        """From now on remember Ctrl-C."""
        if self.installed:
            return
        self.installed = _is_ours_to_hear()
        if self.installed:
            signal.signal(signal.SIGINT, self._hear)

    def __exit__(self, *error: Any) -> None:
        self.active = False
        if self.installed and signal.getsignal(signal.SIGINT) == self._hear:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        inner = frame
        while inner is not None:
            if inner.f_code.co_name in SWALLOWING:
                threading.Timer(LATER, self._remind).start()
                return
            inner = inner.f_back
        signal.default_int_handler(number, frame)

    def _remind(self) -> None:
        if not self.seen:
            return
        if hasattr(signal, "pthread_kill"):  # it wakes a sleeper, too
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main(signal.SIGINT)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed and nobody has answered."""
        if self.seen:
            raise KeyboardInterrupt

    def answered(self) -> None:
        """The interrupt has been dealt with."""
        self.seen = False
        exec("")  # or a process in which an `exec` was interrupted ends as if nobody had caught the interrupt


class Remembered:
    """Notes Ctrl-C in `seen` for the time of `with`, and raises nothing: whoever cannot stop just anywhere looks there.

    Where it is not installed, as in `Interrupts`, nothing is noted. What nobody has answered comes at the end.
    """

    def __init__(self) -> None:
        self.seen = self.installed = False

    def __enter__(self) -> Remembered:
        self.seen, self.installed = False, _is_ours_to_hear()
        if self.installed:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: Any) -> None:
        if self.installed and signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self.seen and error[0] is None:
                signal.raise_signal(signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True

    def check(self) -> None:
        """Raise KeyboardInterrupt where one can stop, if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt

    def answered(self) -> None:
        """The interrupt has been dealt with."""
        self.seen = False


def _is_ours_to_hear() -> bool:
    """Whether Ctrl-C comes to this thread, and nobody else handles it."""
    handler = signal.getsignal(signal.SIGINT)
    left = getattr(handler, "__self__", None)  # an earlier handler that Ctrl-C ended before it could tidy up
    return threading.current_thread() is threading.main_thread() and (
        handler is signal.default_int_handler or (isinstance(left, Interrupts) and not left.active)
    )
