"""Means and deviations of columns, and what the cast to the model's dtype takes away from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import fastgd
from fastgd.data.scaling import mean_and_std
from fastgd.errors import InputWarning, PrecisionWarning


def model(**options):
    return fastgd.MLP([4, 3, 1], **options)


def table(n=6):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 4)), generator.normal(size=n)


@pytest.mark.tiny
def test_constant_columns():
    X, _ = table()
    X[:, 1] = 0.1
    made = model()
    with pytest.warns(InputWarning, match=r"^y is 7 in every row: there is nothing to learn of it\.$"):
        made.fit(X, np.full(6, 7.0), epochs=3, verbose=0)
    assert np.isfinite(made.predict(X)).all()
    for constant in (0.1, 1e20, 0.0, -3e-30):
        for weights in (np.zeros(0), np.linspace(0, 3, 1000)):
            mean, std = mean_and_std(np.full((1000, 1), constant), weights)
            assert (mean[0], std[0]) == (constant, 0.0)


def test_a_target_of_several_that_does_not_vary_is_told_by_its_number():
    X, y = table()
    several = fastgd.MLP([X.shape[1], 4, 2], random_state=0)
    with pytest.warns(InputWarning, match=r"^y, column 1 is 0\.5 in every row"):
        several.fit(X, np.column_stack([y, np.full(len(y), 0.5)]), epochs=1, verbose=0)
    fastgd.MLP([X.shape[1], 4, 2]).fit(X[:1], [[1.0, 0.5]], epochs=1, verbose=0)  # one row says nothing about it


@pytest.mark.tiny
def test_mean_and_std_agree_with_numpy_across_chunks(monkeypatch):
    monkeypatch.setattr("fastgd.data.arrays.CHUNK", 64)
    X = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 1e-3, 1e6] + [5, 0, -1e6]
    mean, std = mean_and_std(X, np.zeros(0))
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, X.std(axis=0), rtol=1e-12)


@pytest.mark.tiny
@pytest.mark.parametrize("n_targets", [1, 3])
def test_inputs_and_targets_are_scaled_by_their_moments(n_targets):
    X, Y = table(50)[0], np.random.default_rng(1).normal(size=(50, n_targets)) * 5 + 100
    made = fastgd.MLP([4, 3, n_targets])
    made.fit(X, Y if n_targets > 1 else Y[:, 0], epochs=1, verbose=0)
    found, close = made.scaling, {"rtol": 1e-5}
    np.testing.assert_allclose(found.input_mean, X.mean(axis=0), **close)
    np.testing.assert_allclose(found.input_std, X.std(axis=0), **close)
    np.testing.assert_allclose(found.target_mean, Y.mean(axis=0), **close)
    np.testing.assert_allclose(found.target_std, Y.std(axis=0), **close)


def test_a_column_that_the_dtype_cannot_resolve_is_warned_of():
    X, y = table(50)
    X[:, 1] = 1_600_000_000 + np.arange(50) * 100
    with pytest.warns(PrecisionWarning, match=r"X, column 1 varies by 1\.44e\+03 around 1\.6e\+09, which float32"):
        model().fit(X, y, epochs=1, verbose=0)
    model(dtype="float64").fit(X, y, epochs=1, verbose=0)


CAST = {
    "seconds within a minute": lambda u: 1.7e9 + 60 * u,
    "milliseconds as whole numbers": lambda u: 1_700_000_000_000 + (1000 * u).astype(np.int64),
    "whole numbers above 2**24": lambda u: (2**24 + (u > 0.5)).astype(np.int64),
    "unsigned numbers": lambda u: np.uint64(2**63) + (1000 * u).astype(np.uint64),
    "probabilities below float32": lambda u: 1e-46 * (1 + u),
    "next to the smallest number": lambda u: 1e-40 * (1 + u),
}


@pytest.mark.parametrize("make", CAST.values(), ids=CAST)
@pytest.mark.parametrize("as_frame", [False, pd.DataFrame, pl.DataFrame], ids=["array", "pandas", "polars"])
def test_columns_that_the_cast_makes_constant_are_told(make, as_frame):
    X, y = np.random.default_rng(0).uniform(size=(2, 60))
    columns = {"noise": X, "time": make(X)}
    source = as_frame(columns) if as_frame else np.column_stack(list(columns.values()))
    name = r" \(time\)" if as_frame else ""
    if as_frame is False and source.dtype != columns["time"].dtype and np.ptp(source[:, 1]) == 0:
        pytest.skip("NumPy has lost it before")
    with pytest.warns(PrecisionWarning, match=rf"X, column 1{name} varies by .* around .*, which float32 "):
        fastgd.MLP([2, 4, 1]).fit(source, y, epochs=1, verbose=0)


@pytest.mark.parametrize("make", CAST.values(), ids=CAST)
def test_targets_that_the_cast_makes_constant_are_told(make):
    X, u = np.random.default_rng(0).uniform(size=(2, 60))
    with pytest.warns(PrecisionWarning, match=r"y varies by .* around .*, which float32 .* use other units"):
        fastgd.MLP([1, 4, 1]).fit(X[:, None], make(u), epochs=1, verbose=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [14.62, 1.7e9 + 0.3, 1e-46, 2**24 + 1, 0])
def test_a_column_that_is_constant_in_the_source_is_not_warned_of(value):
    X = np.random.default_rng(0).normal(size=(60, 2))
    X[:, 1] = value
    fastgd.MLP([2, 4, 1]).fit(X, X[:, 0], sample_weight=np.linspace(0, 1, 60), epochs=1, verbose=0)
    X[50:, 1] += 10  # rows that do not count, or are held out
    weights = np.where(np.arange(60) < 50, 1.0, 0.0)
    fastgd.MLP([2, 4, 1]).fit(X, X[:, 0], sample_weight=weights, epochs=1, verbose=0)


@pytest.mark.filterwarnings("error")
def test_ordinary_columns_are_not_warned_of():
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.integers(0, 2**31, 500), 1e-30 * generator.normal(size=500), np.arange(500) + 1e5])
    fastgd.MLP([3, 4, 1]).fit(X, 1e-20 * generator.normal(size=500), epochs=1, verbose=0)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("value", "dtype"),
    [(14.62, "float32"), (100.3, "float32"), (14.63, "float64"), (1e35, "float32"), (1e200, "float64")],
)
@pytest.mark.parametrize("weight", [1e4, 1e-30, 1.0])
def test_a_constant_column_is_constant_with_any_weights(value, dtype, weight):
    generator = np.random.default_rng(0)
    X = np.column_stack([generator.normal(size=3000), np.full(3000, value), *generator.normal(size=(8, 3000))])
    mean, std = mean_and_std(X.astype(dtype), weight * generator.uniform(0.5, 2, 3000))
    assert mean[1] == np.dtype(dtype).type(value)
    assert std[1] == 0
    assert (np.abs(np.delete(std, 1) - 1) < 0.1).all()


@pytest.mark.tiny
def test_moments_of_a_column_that_hardly_varies_are_exact():
    small = np.random.default_rng(0).normal(size=100_000)
    X = np.column_stack([1e9 + 1e-3 * small, small])
    mean, std = mean_and_std(X, np.zeros(0))
    true = (X[:, 0] - 1e9).std()
    assert std[0] == pytest.approx(true, rel=1e-6)
    assert mean[0] == pytest.approx(1e9, abs=1e-4)


@pytest.mark.parametrize("options", [{"standardize": False}, {"output_activation": "sigmoid"}], ids=str)
def test_what_the_cast_makes_constant_is_told_where_it_is_not_scaled(options):
    X = np.random.default_rng(0).uniform(size=(60, 1))
    with pytest.warns(PrecisionWarning, match="y varies by"):
        fastgd.MLP([1, 4, 1], **options).fit(X, 1e-46 * (1 + X[:, 0]), epochs=1, verbose=0)


@pytest.mark.parametrize("constant", [False, True])
def test_what_has_been_learned_of_a_column_stays(constant):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 3))
    X[:, 2] *= not constant
    model = fastgd.MLP([3, 1])
    model.fit(X, X[:, 0], epochs=0, verbose=0)
    before = model.scaling
    model.fit(5 * X + 3, 2 * X[:, 0] + 1, epochs=0, verbose=0)
    after = model.scaling
    assert (after.input_std[:2] == before.input_std[:2]).all()
    assert (after.input_mean[:2] == before.input_mean[:2]).all()
    assert (after.target_mean, after.target_std) == (before.target_mean, before.target_std)
    other = fastgd.MLP([3, 1])
    other.fit(5 * X + 3, 2 * X[:, 0] + 1, epochs=0, verbose=0)
    assert (other.scaling.input_std[:2] != before.input_std[:2]).all()
