"""Charts of trainings and models; see pages/plots.py."""

from .pages.plots import *  # noqa: F403
from .pages.plots import __all__ as __all__
