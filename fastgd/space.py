from .many.space import *  # noqa: F403  # the public name of fastgd/many/space.py
from .many.space import __all__ as __all__
from .many.space import __doc__ as __doc__
