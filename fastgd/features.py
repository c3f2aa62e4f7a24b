"""Which features matter, and what each one does; see explain/features.py."""

from .explain.features import *  # noqa: F403
from .explain.features import __all__ as __all__
