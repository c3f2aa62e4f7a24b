"""What networks on workers do in tests, in modules that the processes of workers can import."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np

import fastgd


class Waits(fastgd.callbacks.Callback):
    """The first time, it says in a file which process has it, and waits to be killed."""

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and not Path(self.path).exists():
            written = Path(f"{self.path}.{os.getpid()}")
            written.write_text(str(os.getpid()))
            written.rename(self.path)
            time.sleep(60)


class Kills(fastgd.callbacks.Callback):
    """It kills the process that trains it, whenever it is trained."""

    def on_epoch_end(self, epoch, logs=None):
        os.kill(os.getpid(), signal.SIGKILL)


class Locked(fastgd.callbacks.Callback):
    """It can be copied, but not pickled."""

    def __init__(self):
        self.lock = threading.Lock()

    def __deepcopy__(self, memo):
        return type(self)()


class Notes(fastgd.callbacks.Callback):
    """It keeps losses, and the name of the process."""

    def on_train_begin(self, logs=None):
        self.process, self.losses = os.getpid(), []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])


def kill_who_waits(path):
    """Kill, from a thread, the process that writes its number to this file."""

    def kill():
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(int(Path(path).read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def same(records, others):
    """Records are the same to the bit, but for the time that they took."""
    assert len(records) == len(others)
    for one, other in zip(records, others, strict=True):
        assert (one.number, one.ended, one.warnings) == (other.number, other.ended, other.warnings)
        assert (type(one.error), str(one.error)) == (type(other.error), str(other.error))
        assert one.spec is not None
        assert one.spec.keys() == other.spec.keys()
        np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
        assert (one.history is None) == (other.history is None)
        if one.history is not None:
            mine, its = one.history.to_dict(), other.history.to_dict()
            np.testing.assert_equal(*({**told, "seconds": 0} for told in (mine, its)))
        assert [type(callback) for callback in one.callbacks] == [type(callback) for callback in other.callbacks]


class UnreadableError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} {other}")


class RaisesUnreadable(fastgd.callbacks.Callback):
    """Ends its training with such an error."""

    def on_epoch_end(self, epoch, logs=None):
        raise UnreadableError(1, 2)
