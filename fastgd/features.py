from .explain.features import *  # noqa: F403  # the public name of fastgd/explain/features.py
from .explain.features import __all__ as __all__
from .explain.features import __doc__ as __doc__
