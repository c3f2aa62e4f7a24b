"""Intervals hold what they promise, on rows and groups that nothing was learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from model_files import with_header

import fastgd
from fastgd.errors import InvalidInputError, ModelFileError


def fitted(X, y, sizes=(4, 16, 1), n=3, epochs=10, **options):
    models = [fastgd.MLP(list(sizes), random_state=k, **options) for k in range(n)]
    for model in models:
        model.fit(X, y, epochs=epochs, verbose=0, n_threads=1)
    return fastgd.Ensemble(models)


@pytest.fixture(scope="module")
def market():
    return fastgd.datasets.houses(12_000, random_state=3)


def parts(market):
    X, y = market
    return (X[:4000], y[:4000]), (X[4000:8000], y[4000:8000]), (X[8000:], y[8000:])


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.98])
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((4, 16, 1), {}),
        ((4, 16, 1), {"log_target": True}),
        ((4, 16, 2), {"loss": "gaussian_nll"}),
        ((4, 16, 2), {"loss": fastgd.losses.Quantile([0.1, 0.9])}),
    ],
)
def test_they_hold_the_share_that_was_asked_for(market, sizes, options, coverage):
    learned, held_out, new = parts(market)
    ensemble = fitted(*learned, sizes=sizes, **options).calibrate(*held_out)
    low, high = ensemble.predict_interval(new[0], coverage).T
    inside = ((low <= new[1]) & (new[1] <= high)).mean()
    assert abs(inside - coverage) < 0.025  # 4,000 rows and 4,000 to calibrate: three standard errors
    assert (low <= high).all()
    by_the_rows_learned = fitted(*learned, sizes=sizes, **options).calibrate(held_out[0], held_out[1] + 100_000)
    low, high = by_the_rows_learned.predict_interval(new[0], coverage).T
    assert abs(((low <= new[1]) & (new[1] <= high)).mean() - coverage) > 0.01  # other rows make other intervals


def test_several_targets_have_intervals_of_their_own(market):
    (X, y), held_out, new = parts(market)
    y, y_held, y_new = (np.column_stack([of, of / 1000]) for of in (y, held_out[1], new[1]))
    ends = fitted(X, y, sizes=(4, 16, 2)).calibrate(held_out[0], y_held).predict_interval(new[0])
    assert ends.shape == (4000, 2, 2)
    inside = ((ends[:, :, 0] <= y_new) & (y_new <= ends[:, :, 1])).mean(axis=0)
    assert np.abs(inside - 0.9).max() < 0.025


def test_groups_count_as_one():
    random = np.random.default_rng(0)
    units = np.repeat(np.arange(30), 50)
    X, apart = random.normal(size=(1500, 2)), random.normal(size=30)[units]
    y = X[:, 0] + apart  # all rows of a unit are off by the same
    ensemble = fitted(X, X[:, 0], sizes=(2, 1), n=1)
    narrow, wide = (ensemble.calibrate(X, y, groups).predict_interval(X, 0.9) for groups in (None, units))
    assert (wide[:, 1] - wide[:, 0] > narrow[:, 1] - narrow[:, 0]).all()
    with pytest.raises(
        InvalidInputError, match=r"coverage=0.99 takes at least 99 groups to calibrate with; there are 30"
    ):
        ensemble.predict_interval(X, 0.99)
    fastgd.Ensemble(ensemble.members).calibrate(X, y).predict_interval(X, 0.99)  # 1,500 rows would do


def linear(slope):
    """A network that predicts slope · x."""
    network = fastgd.MLP([1, 1], standardize=False)
    network.set_parameters([([[slope]], [0.0])])
    return network


def test_they_are_wider_where_the_networks_are_apart():
    random = np.random.default_rng(0)
    X = random.uniform(0.1, 10, (4000, 1))
    y = X[:, 0] * (1 + random.normal(size=4000))
    ensemble = fastgd.Ensemble([linear(0.5), linear(1.5)])  # they are apart by x, as the noise is
    ends = ensemble.calibrate(X[:2000], y[:2000]).predict_interval(X[2000:])
    alike = fastgd.Ensemble([linear(1.0)]).calibrate(X[:2000], y[:2000]).predict_interval(X[2000:])
    far = X[2000:, 0] > 8
    for found, is_fair in ((ends, True), (alike, False)):
        inside = (found[:, 0] <= y[2000:]) & (y[2000:] <= found[:, 1])
        assert abs(inside.mean() - 0.9) < 0.03
        assert (abs(inside[far].mean() - 0.9) < 0.05) == is_fair
    np.testing.assert_allclose(np.ptp(alike, axis=1), np.ptp(alike[0]), rtol=1e-5)  # one network is never apart


def test_the_rank_is_that_of_split_conformal_prediction():
    """With n rows the interval reaches to the score of rank ⌈coverage (n + 1)⌉ (Vovk, Gammerman and Shafer 2005)."""
    X = np.zeros((99, 1)) + np.arange(99)[:, None] % 7
    ensemble = fastgd.Ensemble([linear(0.0)]).calibrate(X, np.arange(1, 100.0))
    for coverage, reach in ((0.9, 90), (0.5, 50), (0.99, 99), (0.01, 1)):
        np.testing.assert_allclose(ensemble.predict_interval(X[:1], coverage), [[-reach, reach]], rtol=1e-9)


def test_what_cannot_be_answered_is_one_sentence(market):
    (X, y), held_out, _ = parts(market)
    ensemble = fitted(X, y, n=1, epochs=1)
    with pytest.raises(InvalidInputError, match="call calibrate"):
        ensemble.predict_interval(X)
    with pytest.raises(InvalidInputError, match="at least 20 rows"):
        ensemble.calibrate(X[:10], y[:10])
    with pytest.raises(InvalidInputError, match="at least 20 groups"):
        ensemble.calibrate(X, y, groups=np.arange(len(X)) % 10)
    with pytest.raises(InvalidInputError, match="groups has shape"):
        ensemble.calibrate(X, y, groups=[1, 2])
    for coverage in (0, 1, 90, "0.9", None):
        with pytest.raises(InvalidInputError, match="coverage must be a share between 0 and 1"):
            ensemble.calibrate(*held_out).predict_interval(X, coverage)
    classes = fitted(X, (y > 4e5).astype(int), loss="binary_cross_entropy", n=1, epochs=1)
    with pytest.raises(InvalidInputError, match="Intervals are for numbers"):
        classes.calibrate(X, (y > 4e5).astype(int))


def test_evaluate_tells_how_many_are_inside_and_how_wide_they_are(market):
    learned, held_out, (X, y) = parts(market)
    ensemble = fitted(*learned)
    assert "inside_0.9" not in ensemble.evaluate(X, y)
    low, high = ensemble.calibrate(*held_out).predict_interval(X).T
    told = ensemble.evaluate(X, y)
    assert told["inside_0.9"] == pytest.approx(((low <= y) & (y <= high)).mean())
    assert told["width_0.9"] == pytest.approx((high - low).mean())
    frame = ensemble.predict_interval(pd.DataFrame(X, columns=list("abcd")), as_frame=True)
    np.testing.assert_array_equal(frame.to_numpy(), np.column_stack([low, high]))
    assert list(frame) == ["low", "high"]


@pytest.mark.parametrize(
    "change",
    [
        lambda words: words.update(groups=5000),
        lambda words: words.update(rows=3999),
        lambda words: words.update(targets=2),
        lambda words: words.update(groups=0),
        lambda words: words.pop("groups"),
    ],
)
def test_a_file_keeps_them(tmp_path, market, change):
    learned, held_out, (X, _) = parts(market)
    ensemble = fitted(*learned, epochs=1).calibrate(*held_out)
    ensemble.save(tmp_path / "m")
    np.testing.assert_array_equal(fastgd.load(tmp_path / "m").predict_interval(X), ensemble.predict_interval(X))
    with_header(tmp_path / "m", lambda header: change(header["calibration"]))
    with pytest.raises(ModelFileError, match="does not hold a whole model"):
        fastgd.load(tmp_path / "m")
