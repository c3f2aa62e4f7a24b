"""Every error and warning that a user can meet. Each says what is wrong, where, and what to do next.

They are one family below `FastgdError`, and each is also the built-in class that a user would catch anyway.
"""


class FastgdError(Exception):
    """The base of all errors of this package."""


class InvalidInputError(FastgdError, ValueError):
    """A table, an option or a name that cannot be used; the message names the row and the column where it can."""


class DivergenceError(FastgdError, ArithmeticError):
    """Training blew up: the loss is no longer a finite number."""


class FastgdWarning(UserWarning):
    """The base of all warnings of this package."""


class CacheWarning(FastgdWarning):
    """Compiled kernels could not be kept on disk."""


class PrecisionWarning(FastgdWarning):
    """A column varies by less than the model's dtype can resolve around its mean."""
