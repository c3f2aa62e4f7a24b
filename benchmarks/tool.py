"""What the command-line tools share: a mistake is one sentence, and a signal leaves nothing behind."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class ToolError(Exception):
    """What the user is told in one sentence."""


class Parser(argparse.ArgumentParser):
    """Options whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def guarded(name: str, run: Callable[[], int]) -> int:
    """What `run` returns; or 2, and one line on standard error, if it is ended by a mistake, an error or a signal."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    signals = [getattr(signal, each) for each in names if hasattr(signal, each)]
    signals = [each for each in signals if signal.getsignal(each) != signal.SIG_IGN]  # as nohup wants it

    def stop(*_: Any) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not break off the cleaning up
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in signals}
    try:
        return run()
    except ToolError as failure:
        message = str(failure)
    except KeyboardInterrupt:
        message = "interrupted"
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    print(f"{name}: {message}", file=sys.stderr)
    return 2
