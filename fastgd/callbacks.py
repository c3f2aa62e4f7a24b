from .training.callbacks import *  # noqa: F403  # the public name of fastgd/training/callbacks.py
from .training.callbacks import __all__ as __all__
from .training.callbacks import __doc__ as __doc__
