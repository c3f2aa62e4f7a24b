"""Bins, normal values and positions of a column of numbers, against what is known of them."""

import numpy as np
import pytest
from scipy import stats

from fastgd.data import numbers

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
    np.testing.assert_allclose(numbers.normal_values(*weighted)[1], numbers.normal_values(*plain)[1])
    edges = numbers.bin_edges(*weighted, 20)
    once = numbers.bin_moments(numbers.positions(values, edges), weights, 20)
    often = numbers.bin_moments(numbers.positions(repeated, edges), NONE, 20)
    np.testing.assert_allclose(once, often)
    unweighted = numbers.bin_moments(numbers.positions(values, edges), NONE, 20)
    assert abs(unweighted[0] - often[0]).max() > 1e-3


def test_normal_values_are_normal():
    values = np.random.default_rng(0).lognormal(0, 2, 20_000)
    at, normal = numbers.normal_values(*sorted_values(values))
    assert len(at) <= numbers.MOST_QUANTILES
    z = np.interp(values, at, normal)
    assert stats.kstest(z, "norm").statistic < 0.005
    assert stats.kstest((values - values.mean()) / values.std(), "norm").statistic > 0.3
    ranks = (stats.rankdata(values) - 0.5) / len(values)
    inner = (ranks > 0.01) & (ranks < 0.99)
    np.testing.assert_allclose(z[inner], stats.norm.ppf(ranks[inner]), atol=0.01)


def test_ties_stand_in_the_middle_of_their_ranks():
    at, normal = numbers.normal_values(*sorted_values([0, 0, 0, 1]))
    np.testing.assert_allclose(normal, stats.norm.ppf([3 / 8, 7 / 8]))
    assert at.tolist() == [0, 1]


def test_positions_run_from_edge_to_edge():
    edges = np.array([0.0, 1.0, 3.0])
    given = np.array([-5.0, 0.0, 0.25, 1.0, 2.0, 3.0, 99.0])
    assert numbers.positions(given, edges).tolist() == [0, 0, 0.25, 1, 1.5, 2, 2]


@pytest.mark.parametrize("edges", [[0.0, 5e-324, 1.0], [-1.7e308, 0.0, 1.7e308], [1.0, 1.0 + 2.3e-16, 2.0]])
def test_edges_that_are_too_close_or_too_far_apart(edges):
    edges = np.unique(edges)
    places = numbers.positions(edges, edges)
    assert np.isfinite(places).all()
    assert (np.diff(places) >= 0).all()


def test_moments_of_bins():
    generator = np.random.default_rng(0)
    values, edges = generator.normal(size=1000), np.linspace(-2, 2, 9)
    places = numbers.positions(values, edges)
    dense = np.clip(places[:, None] - np.arange(8), 0, 1)
    mean, std = numbers.bin_moments(places, NONE, 8)
    np.testing.assert_allclose(mean, dense.mean(axis=0))
    np.testing.assert_allclose(std, dense.std(axis=0))
    weights = generator.random(1000)
    mean, std = numbers.bin_moments(places, weights, 8)
    np.testing.assert_allclose(mean, np.average(dense, axis=0, weights=weights))
    np.testing.assert_allclose(std**2, np.average((dense - mean) ** 2, axis=0, weights=weights))
