from .pages.plots import *  # noqa: F403  # the public name of fastgd/pages/plots.py
from .pages.plots import __all__ as __all__
from .pages.plots import __doc__ as __doc__
