"""Random small networks train as the plain engine does in float64, but for rounding; and a small fault is found."""

from __future__ import annotations

import pytest

from fastgd.kernels.plain import losses
from trials import random_networks


def test_random_networks_train_as_the_plain_engine_does():
    assert random_networks.try_random_networks(20, seed=0).failures == []


def test_a_slope_that_is_off_by_a_thousandth_is_found(monkeypatch):
    right = losses.loss_and_delta

    def wrong(delta, *arguments):
        value = right(delta, *arguments)
        delta[:, -1] *= 1.001
        return value

    monkeypatch.setattr("fastgd.kernels.plain.training.loss_and_delta", wrong)
    found = random_networks.try_random_networks(5, seed=0).failures
    assert len(found) >= 5, "of five cases in two dtypes; Adam takes no notice of a gradient's size"
    with pytest.raises(AssertionError):
        test_random_networks_train_as_the_plain_engine_does()
