from .training.schedules import *  # noqa: F403  # the public name of fastgd/training/schedules.py
from .training.schedules import __all__ as __all__
from .training.schedules import __doc__ as __doc__
