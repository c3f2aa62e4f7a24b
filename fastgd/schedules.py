"""Learning-rate schedules; see training/schedules.py."""

from .training.schedules import *  # noqa: F403
from .training.schedules import __all__ as __all__
