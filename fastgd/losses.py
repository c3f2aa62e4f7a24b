"""Losses with numbers of their own; see network/losses.py."""

from .network.losses import *  # noqa: F403
from .network.losses import __all__ as __all__
