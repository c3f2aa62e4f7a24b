"""Several models as the user's own compiled code may hold their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from ..kernels import mean_for_compiled_code
from .compiled import compiled
from .mean import Mean

if TYPE_CHECKING:
    from ..kernels.machinery.nets import CompiledNet


def compiled_mean(several: Mean) -> CompiledNet:
    """The net of several models: the mean of what they predict."""
    kinds = sorted({str(member.dtype) for member in several.members})
    if len(kinds) > 1:
        raise InvalidInputError(f"compiled() is for members of one dtype, but they have {' and '.join(kinds)}.")
    nets = tuple(map(compiled, several.members))
    mixture = several.network.n_targets if several.network.loss.name == "gaussian_nll" else 0
    mean: CompiledNet = mean_for_compiled_code(nets, several.shares, mixture)
    return mean
