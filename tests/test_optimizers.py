"""Optimizers: which options they refuse. Their numbers are in test_golden and test_updates."""

from __future__ import annotations

import pytest

import fastgd
from fastgd.errors import InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "0.1", True, None])
def test_learning_rates(rate):
    with pytest.raises(InvalidInputError, match="learning_rate must be a positive number"):
        fastgd.SGD(learning_rate=rate)


@pytest.mark.tiny
def test_a_wrong_name_of_the_learning_rate():
    with pytest.raises(InvalidInputError, match="`lr` is called `learning_rate`"):
        fastgd.SGD(lr=0.1)
    assert fastgd.SGD(0.1) == fastgd.SGD(learning_rate=0.1)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastgd.SGD(momentum=1.0), r"momentum must be a number of at least 0 and below 1"),
        (lambda: fastgd.SGD(nesterov=True), r"nesterov looks ahead along the momentum"),
        (lambda: fastgd.Adam(beta2=1.5), r"beta2 must be a number"),
        (lambda: fastgd.Adam(weight_decay=-1), r"weight_decay must be a number of at least 0, not -1"),
        (lambda: fastgd.SGD(clip_norm=0), r"clip_norm must be a number above 0"),
        (lambda: fastgd.SGD(l2=0.1), r"`l2` is called `weight_decay`"),
        (lambda: fastgd.SGD(10**400), r"learning_rate must be a positive number"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
