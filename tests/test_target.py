"""Logarithms of the target, and predictions that stay within its range."""

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError, ModelFileError
from fastgd.pages.drawing import predictions

X = np.random.default_rng(0).uniform(-1, 1, (400, 2))
PRICE = np.exp(X @ [2.0, 1.0] + 3)


def test_the_logarithm_is_what_is_learned():
    logged = fastgd.MLP([2, 1], log_target=True, dtype="float64")
    by_hand = fastgd.MLP([2, 1], dtype="float64")
    a = logged.fit(X, PRICE, epochs=5, verbose=0)
    b = by_hand.fit(X, np.log(PRICE), epochs=5, verbose=0)
    assert a.history["loss"] == b.history["loss"]
    np.testing.assert_array_equal(logged.parameters, by_hand.parameters)
    np.testing.assert_allclose(logged.predict(X), np.exp(by_hand.predict(X)))
    assert logged.evaluate(X, PRICE)["loss"] == pytest.approx(by_hand.evaluate(X, np.log(PRICE))["loss"])
    wrong = logged.predict(X) - PRICE
    assert logged.evaluate(X, PRICE)["rmse"] == pytest.approx(np.sqrt((wrong**2).mean()))
    np.testing.assert_array_equal(logged.gradient(X, PRICE), by_hand.gradient(X, np.log(PRICE)))


def test_quantiles_of_a_logarithm_are_quantiles():
    model = fastgd.MLP([2, 8, 2], loss=fastgd.losses.Quantile([0.1, 0.9]), log_target=True)
    noisy = PRICE * np.exp(np.random.default_rng(1).normal(0, 0.3, 400))
    model.fit(X, noisy, epochs=100, optimizer=fastgd.Adam(0.01), verbose=0)
    measured = model.evaluate(X, noisy)
    assert 0.05 < measured["below_0.1"] < 0.15
    assert 0.85 < measured["below_0.9"] < 0.95


@pytest.mark.parametrize("bad", [0.0, -3.0])
def test_only_positive_values_have_a_logarithm(bad):
    y = PRICE.copy()
    y[7] = bad
    model = fastgd.MLP([2, 1], log_target=True)
    with pytest.raises(InvalidInputError, match=f"y, row 7 is {bad:g}: log_target needs positive values"):
        model.fit(X, y, verbose=0)
    model.fit(X, PRICE, epochs=1, verbose=0)
    with pytest.raises(InvalidInputError, match="row 7"):
        model.evaluate(X, y)


@pytest.mark.parametrize("log_target", [False, True])
def test_predictions_stay_within_the_range_of_the_fit(log_target):
    options = {"log_target": log_target, "random_state": 0}
    free, clipped = (fastgd.MLP([2, 4, 1], clip_predictions=clip, **options) for clip in (False, True))
    for model in (free, clipped):
        model.fit(X, PRICE, epochs=20, verbose=0)
    far = X * 5
    assert free.predict(far).max() > PRICE.max() * 1.2
    low, high = np.float32([PRICE.min(), PRICE.max()])
    np.testing.assert_array_equal(clipped.predict(far), free.predict(far).clip(low, high))
    assert clipped.evaluate(far, PRICE)["rmse"] < free.evaluate(far, PRICE)["rmse"]
    clipped.fit(X, PRICE * 2, epochs=1, verbose=0)  # a further fit widens the range
    assert clipped.schema.target.range[1] == 2 * PRICE.max()
    assert clipped.schema.target.range[0] == PRICE.min()


def test_several_targets_have_ranges_of_their_own():
    Y = np.column_stack([PRICE, -PRICE])
    model = fastgd.MLP([2, 4, 2], clip_predictions=True)
    model.fit(X, Y, epochs=5, verbose=0)
    out = model.predict(X * 50)
    assert out[:, 0].min() >= np.float32(PRICE.min())
    assert out[:, 1].max() <= np.float32(-PRICE.min())


def test_plots_show_the_target_as_it_was_given():
    model = fastgd.MLP([2, 8, 1], log_target=True)
    model.fit(X, PRICE, epochs=20, verbose=0)
    predicted, actual, _ = predictions(model, X, PRICE)
    np.testing.assert_array_equal(actual[:, 0], PRICE)
    np.testing.assert_array_equal(predicted[:, 0], model.predict(X))


@pytest.mark.parametrize("low", [np.inf, 1e300])
def test_a_file_with_a_range_that_cannot_be(tmp_path, low):
    model = fastgd.MLP([2, 1], clip_predictions=True)
    model.fit(X, PRICE, epochs=1, verbose=0)
    model.schema.target.range[0] = low
    with pytest.raises(ModelFileError, match="range"):
        model.save(tmp_path / "m")
