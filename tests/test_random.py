"""The order of rows: a permutation, the same on every engine, different in every epoch, and fair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from fastgd.kernels import cpu, plain


def order_of(kernels, n, epoch=0, seed=5, first=0, count=None, shuffle=True):
    order = np.zeros(n - first if count is None else count, np.int64)
    kernels.row_order(order, first, n, np.uint64(seed), epoch, shuffle)
    return order


@pytest.mark.tiny
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 16, 17, 63, 100])
def test_a_permutation_on_both_engines(n):
    for epoch in range(3):
        order = order_of(cpu, n, epoch)
        assert sorted(order) == list(range(n))
        assert (order == order_of(plain, n, epoch)).all()


def test_a_large_permutation():
    order = order_of(cpu, 100_003)
    assert (np.sort(order) == np.arange(100_003)).all()
    assert (order == order_of(plain, 100_003)).all()
    assert abs(np.corrcoef(order, np.arange(100_003))[0, 1]) < 0.02
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("shuffle", [True, False])
def test_any_part_can_be_had_alone(kernels, shuffle):
    whole = order_of(kernels, 50, shuffle=shuffle)
    assert (order_of(kernels, 50, first=20, count=7, shuffle=shuffle) == whole[20:27]).all()
    assert (whole[20:27] != whole[:7]).any()


@pytest.mark.tiny
def test_seed_and_epoch_change_the_order_and_no_shuffle_keeps_it():
    first = order_of(cpu, 50)
    assert (order_of(cpu, 50, epoch=1) != first).any()
    assert (order_of(cpu, 50, seed=6) != first).any()
    assert (order_of(cpu, 50, seed=5 + 2**40) != first).any()
    assert (order_of(cpu, 50, shuffle=False) == np.arange(50)).all()


@pytest.mark.parametrize("n", [3, 5, 12, 30])
def test_every_row_comes_to_every_place_equally_often(n):
    epochs = 4000
    counts = np.zeros((n, n))
    for epoch in range(epochs):
        counts[np.arange(n), order_of(cpu, n, epoch)] += 1
    expected = epochs / n
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < chi2.ppf(1 - 1e-6, (n - 1) ** 2)
    lazy = np.eye(n) * epochs  # the control: an order that never changes
    assert ((lazy - expected) ** 2 / expected).sum() > chi2.ppf(1 - 1e-6, (n - 1) ** 2)
