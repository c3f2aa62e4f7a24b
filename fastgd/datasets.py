"""Generated houses; see data/houses.py."""

from .data.houses import *  # noqa: F403
from .data.houses import __all__ as __all__
