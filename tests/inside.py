"""What tests see and touch behind the public face, at one place: its names may change as the package does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from fastgd.data.rows import labelled
from fastgd.kernels import cpu


def net_of(model: Any) -> Any:
    """The record of a model's parameters and scaling, as kernels take it."""
    return model.net


def memory_of(model: Any) -> Any:
    """What the model's training remembers from fit to fit; None where there was none."""
    return model.fit_state


def rows_of(model: Any, X: Any, y: Any) -> Any:
    """A table as kernels take it."""
    return labelled(model.schema, X, y, None)


def overheard(monkeypatch: Any, name: str, hear: Callable[[SimpleNamespace], Any]) -> None:
    """Have `hear` called before each call of a compiled kernel, with its arguments under their names."""
    kernel = getattr(cpu, name)
    signature = inspect.signature(kernel)

    def heard(*arguments: Any, **options: Any) -> Any:
        hear(SimpleNamespace(**signature.bind(*arguments, **options).arguments))
        return kernel(*arguments, **options)

    monkeypatch.setattr(cpu, name, heard)


def ctrl_c(call: SimpleNamespace | None = None) -> None:
    """Somebody presses Ctrl-C."""
    raise KeyboardInterrupt


def ctrl_c_in_a_step(call: SimpleNamespace) -> None:
    """Somebody presses Ctrl-C when the first step is taken; a call without rates only compiles."""
    if call.learning_rates.size:
        ctrl_c()
