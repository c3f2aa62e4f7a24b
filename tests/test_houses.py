"""The generated market looks like one, and its best possible error is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from fastgd import datasets
from fastgd.errors import InvalidInputError


def test_a_market():
    X, y = datasets.houses(100_000, random_state=0)
    size, bedrooms, distance, age = X.T.astype(float)
    assert X.shape == (100_000, 4)
    assert y.shape == (100_000,)
    assert abs(np.median(y) - 380_000) < 5_000
    assert y.min() > 20_000
    assert size.mean() > np.median(size) * 1.05, "sizes are skewed"
    assert np.corrcoef(size, bedrooms)[0, 1] > 0.8
    assert set(np.unique(bedrooms)) <= set(range(1, 10))
    assert size.min() >= 20
    assert (distance.min(), distance.max()) == pytest.approx((0.1, 40), abs=0.5)
    assert age.min() >= 0


def test_price_falls_with_distance_and_bends_with_age():
    def price(size=90, bedrooms=3, distance=5, age=20):
        return datasets.expected_price(np.array([[size, bedrooms, distance, age]]))[0]

    assert price(distance=1) > price(distance=5) > price(distance=15)
    assert price(age=0) > price(age=55) < price(age=110)
    assert price(size=180) / price(size=90) < price(size=180, distance=20) / price(size=90, distance=20)
    assert price(age=55, distance=0.2) / price(age=0, distance=0.2) > price(age=55) / price(age=0)
    assert price(bedrooms=3) > price(bedrooms=6)
    # by hand: 7850 · 90^0.97 = 617,280; · (0.45 + 0.55 · 0.573753) = 472,567; size 90: · 1;
    # · (1 − 0.3 · 0.292293 · 0.924450) = 434,260; · (1 − 0.05 · 0.096774) = 432,159
    assert price() == pytest.approx(432_159, rel=1e-4)


def test_the_irreducible_error():
    X, y = datasets.houses(100_000, random_state=3)
    error = np.sqrt(np.mean((datasets.expected_price(X) - y) ** 2))
    assert error == pytest.approx(datasets.irreducible_error(X), rel=0.02)
    assert abs(np.mean(datasets.expected_price(X) - y)) < 500


def test_repeatable():
    X, y = datasets.houses(50, random_state=1)
    again, prices = datasets.houses(50, random_state=1)
    assert (again == X).all()
    assert (y == prices).all()
    assert (datasets.houses(50, random_state=2)[0] != X).any()


def test_bad_input():
    for arguments, message in (
        ({"n": 0}, "n must be a whole number of at least 1, not 0"),
        ({"n": 2.5}, "n must be a whole number of at least 1, not 2.5"),
        ({"random_state": -1}, "random_state must be a whole number of at least 0"),
        ({"seed": 1}, "`seed` is called `random_state`"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            datasets.houses(**arguments)
    with pytest.raises(InvalidInputError, match="must have the columns size_m2"):
        datasets.expected_price(np.zeros((3, 2)))
