from .data.houses import *  # noqa: F403  # the public name of fastgd/data/houses.py
from .data.houses import __all__ as __all__
from .data.houses import __doc__ as __doc__
