"""Bins, normal values and positions of a column of numbers, against what is known of them."""

import numpy as np
import pytest
from scipy import stats

from fastgd.data import numbers
from fastgd.kernels.plain.encoding import place

NONE = np.zeros(0)


def sorted_values(values, weights=NONE):
    return numbers.distinct(np.asarray(values, float), weights)


def test_bins_have_equal_weight():
    values = np.random.default_rng(0).gamma(2, size=10_000)
    edges = numbers.bin_edges(*sorted_values(values), 50)
    assert edges[0] == values.min()
    assert edges[-1] == values.max()
    assert len(edges) == 51
    counts, _ = np.histogram(values, edges)
    assert counts.min() > 195
    assert counts.max() < 205


def test_few_values_are_the_edges():
    edges = numbers.bin_edges(*sorted_values([3, 1, 2, 2, 1]), 96)
    assert edges.tolist() == [1, 2, 3]


def test_an_atom_stands_apart_from_its_neighbours():
    """A capital gain is 0 for nine in ten: between 0 and the next value lies a bin of its own, on either side."""
    rest = np.random.default_rng(0).normal(0, 1000, 1000)
    found, weights = sorted_values(np.concatenate([np.zeros(9000), rest]))
    edges = numbers.bin_edges(found, weights, 32)
    place = int(np.flatnonzero(edges == 0)[0])
    assert edges[place + 1] == found[found > 0].min()
    assert edges[place - 1] == found[found < 0].max()
    assert 32 <= len(edges) <= 36  # the others have their share, which plain quantiles would not leave them
    assert len(np.unique(np.quantile(np.repeat(found, weights.astype(int)), np.linspace(0, 1, 33)))) < 8


def test_a_row_of_weight_two_counts_as_two_rows():
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=500), generator.integers(1, 4, 500).astype(float)
    repeated = np.repeat(values, weights.astype(int))
    weighted, plain = sorted_values(values, weights), sorted_values(repeated)
    np.testing.assert_array_equal(numbers.bin_edges(*weighted, 20), numbers.bin_edges(*plain, 20))
    edges = numbers.bin_edges(*weighted, 20)
    np.testing.assert_allclose(numbers.normal_values(*weighted, edges), numbers.normal_values(*plain, edges))
    once, often = numbers.bin_moments(values, weights, edges), numbers.bin_moments(repeated, NONE, edges)
    np.testing.assert_allclose(once, often)
    unweighted = numbers.bin_moments(values, NONE, edges)
    assert abs(unweighted[0] - often[0]).max() > 1e-3


def test_normal_values_are_normal():
    values = np.random.default_rng(0).lognormal(0, 2, 20_000)
    found, weights = sorted_values(values)
    edges = numbers.bin_edges(found, weights, 192)
    z = np.interp(values, edges, numbers.normal_values(found, weights, edges))
    assert stats.kstest(z, "norm").statistic < 0.005
    assert stats.kstest((values - values.mean()) / values.std(), "norm").statistic > 0.3


def test_ties_stand_in_the_middle_of_their_ranks():
    found, weights = sorted_values([0, 0, 0, 1])
    np.testing.assert_allclose(numbers.normal_values(found, weights, found), stats.norm.ppf([3 / 8, 7 / 8]))


def test_numbers_run_from_edge_to_edge():
    edges = np.array([0.0, 1.0, 3.0])
    given = np.array([-5.0, 0.0, 0.25, 1.0, 2.0, 3.0, 99.0])
    k, f = place(given, edges)
    assert (k + f).tolist() == [0, 0, 0.25, 1, 1.5, 2, 2]


@pytest.mark.parametrize("edges", [[0.0, 5e-324, 1.0], [-1e300, 0.0, 1e300], [1.0, 1.0 + 2.3e-16, 2.0]])
def test_edges_that_are_close_together_or_far_apart(edges):
    k, f = place(np.array(edges), np.array(edges))
    assert (k + f).tolist() == [0, 1, 2]


def test_moments_of_bins():
    generator = np.random.default_rng(0)
    values, edges = generator.normal(size=1000), np.linspace(-2, 2, 9)
    dense = np.clip((values[:, None] - edges[:-1]) / np.diff(edges), 0, 1)
    mean, std = numbers.bin_moments(values, NONE, edges)
    np.testing.assert_allclose(mean, dense.mean(axis=0))
    np.testing.assert_allclose(std, dense.std(axis=0))
    weights = generator.random(1000)
    mean, std = numbers.bin_moments(values, weights, edges)
    np.testing.assert_allclose(mean, np.average(dense, axis=0, weights=weights))
    np.testing.assert_allclose(std**2, np.average((dense - mean) ** 2, axis=0, weights=weights))


def telling(values, targets, most=192, weights=NONE):
    return len(numbers.telling_edges(values, weights, np.atleast_2d(targets.T).T, most)) - 1


def test_a_column_has_as_many_bins_as_tell_of_the_target():
    generator = np.random.default_rng(0)
    values, noise = generator.uniform(0, 1, 20_000), generator.normal(size=20_000)
    assert telling(values, noise) == 8
    assert telling(values, values + noise) in (8, 16)
    assert telling(values, np.sin(150 * values) + 0.1 * noise) == 192
    assert telling(values, np.sin(150 * values) + 0.1 * noise, most=64) == 64
    assert telling(values, np.sin(150 * values) + 30 * noise) == 8  # too little is left of it
    assert telling(values, np.column_stack([noise, np.sin(150 * values)])) == 192
    assert telling(values, np.full((20_000, 2), 3.0)) == 8  # a target that does not vary tells nothing


@pytest.mark.filterwarnings("error")
def test_beside_a_row_of_a_huge_weight_the_others_may_vanish():
    generator = np.random.default_rng(0)
    weights = np.ones(2000)
    weights[7] = 1e30
    assert telling(generator.uniform(0, 1, 2000), generator.normal(size=2000), weights=weights) in (8, 9)


def test_few_rows_allow_few_bins():
    generator = np.random.default_rng(0)
    values = generator.uniform(0, 1, 1000)
    assert telling(values, np.sin(9 * values) + generator.normal(size=1000)) <= 16
    assert telling(values, np.sin(9 * values) + 0.01 * generator.normal(size=1000)) >= 64


def test_weights_count_as_repeated_rows_for_the_number_of_bins():
    generator = np.random.default_rng(0)
    values, noise = generator.uniform(0, 1, 4000), generator.normal(size=4000)
    target = np.where(np.arange(4000) < 3000, noise, np.sin(150 * values))  # a quarter of the rows waves
    heavy = np.where(np.arange(4000) < 3000, 1e-6, 1.0)
    assert telling(values, target, weights=heavy) > telling(values, target)


def test_fences_leave_normal_numbers_alone_and_stop_outliers():
    generator = np.random.default_rng(0)
    for values in (generator.normal(size=10_000), generator.uniform(size=10_000), np.repeat([0.0, 1.0], 5000)):
        low, high = numbers.fences(*sorted_values(values))
        assert low < values.min()
        assert high > values.max()
    values = np.append(generator.normal(size=999), 1e6)
    assert numbers.fences(*sorted_values(values))[1] < 20
    mostly_zero = np.append(np.zeros(900), generator.uniform(0, 100, 100))
    low, high = numbers.fences(*sorted_values(mostly_zero))
    assert low < 0
    assert high > 100
    assert numbers.fences(*sorted_values(np.append(np.zeros(999), 5.0))) == (-np.inf, np.inf)


def test_fences_count_weights_as_repeated_rows():
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=300), generator.integers(1, 5, 300)
    repeated = numbers.fences(*sorted_values(np.repeat(values, weights)))
    np.testing.assert_allclose(numbers.fences(*sorted_values(values, weights.astype(float))), repeated)
