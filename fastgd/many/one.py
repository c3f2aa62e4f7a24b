"""The training of one network among many: what `fit` does, and of it what is worth keeping."""

from __future__ import annotations

import time

from ..errors import kept_warnings
from ..training.equipment import Store
from ..training.history import History
from ..training.progress import Silent
from .records import Outcome
from .tasks import Task


def train(task: Task, store: Store, device: str, watcher: Silent) -> Outcome:
    """Train one network, as its own fit would with one thread; a KeyboardInterrupt of the watcher ends it."""
    model = task.model
    model.store = store
    history: History | None = None
    error: BaseException | None = None
    started = time.perf_counter()
    with kept_warnings() as told:
        try:
            options = task.options | task.data()
            options |= {"n_threads": 1, "device": device, "verbose": watcher}
            history = model.fit(**options)
        except KeyboardInterrupt:  # nothing was to be trained, and all are to stop
            pass
        except BaseException as failure:
            error = failure
    model.let_go()
    return Outcome(model, history, error, told, time.perf_counter() - started, task.record.callbacks)
