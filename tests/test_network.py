"""Networks that cannot be made are refused with one sentence."""

from __future__ import annotations

import pytest

import fastgd
from fastgd.errors import InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastgd.MLP([3, 4, 1], activation=["relu", "tanh"]), r"activation has 2 entries, .* 1 hidden layers"),
        (lambda: fastgd.MLP([3, 4, 1], activation=["swish"]), r"no activation 'swish'; there are: identity, relu"),
        (lambda: fastgd.MLP([3, 4, 1], dropout=1.0), r"dropout must be a share of at least 0 and below 1, not 1.0"),
        (lambda: fastgd.MLP([3, 4, 1], dropout=[-0.1]), r"dropout must be a share"),
        (lambda: fastgd.MLP([3, 4, 1], dropout="half"), r"dropout must be a share"),
        (lambda: fastgd.MLP([4, 10**12, 1]), r"layer_sizes ask for .* parameters; at most"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
