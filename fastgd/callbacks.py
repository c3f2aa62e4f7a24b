"""What a user wants to happen between epochs; see training/callbacks.py."""

from .training.callbacks import *  # noqa: F403
from .training.callbacks import __all__ as __all__
