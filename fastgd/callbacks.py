"""Callbacks: what a user wants to happen between epochs, such as stopping early.

The public name of fastgd/training/callbacks.py and checkpoint.py.
"""

from .training.callbacks import Callback, EarlyStopping, Logs, Recorded, Recorder, Spread
from .training.checkpoint import Checkpoint

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Logs", "Recorded", "Recorder", "Spread"]
