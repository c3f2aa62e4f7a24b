from .network.losses import *  # noqa: F403  # the public name of fastgd/network/losses.py
from .network.losses import __all__ as __all__
from .network.losses import __doc__ as __doc__
