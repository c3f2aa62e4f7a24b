"""An optimizer, with its schedule, as plain JSON: what a file holds of it, and what is compared."""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule


def in_words(thing: Any) -> Any:
    """Its name and its numbers.

    Raises:
        InvalidInputError: an optimizer or a schedule of the user's own, which no file can hold.
    """
    if isinstance(thing, Optimizer | Schedule):
        name = type(thing).__name__
        if type(thing) not in (OPTIMIZERS.get(name), SCHEDULES.get(name)):
            raise InvalidInputError(f"A {name} of your own cannot be saved with the training state.")
        return {"name": name, **{entry.name: in_words(getattr(thing, entry.name)) for entry in fields(thing)}}
    if callable(thing):
        raise InvalidInputError(
            "A learning rate that is a function cannot be saved with the training state: "
            "use one of fastgd.schedules, or save without training_state."
        )
    if isinstance(thing, bool | str | None):
        return thing
    if isinstance(thing, np.bool_):
        return bool(thing)
    return int(thing) if isinstance(thing, Integral) else float(thing)
