"""Data to learn from: a generated housing market whose best possible error is known.

There are four inputs a house: size (m²), bedrooms, distance to the city centre (km) and building age (years).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import checked_names, positive_integer
from . import tables

__all__ = ["HOUSE_FEATURES", "expected_price", "houses", "irreducible_error"]

HOUSE_FEATURES = ("size_m2", "bedrooms", "distance_km", "age_years")
LARGEST = 1_000_000  # of each feature: far beyond it prices would overflow
NOISE = 0.08  # standard deviation of the logarithm of a price around what the house's features explain


@checked_names
def houses(n: int = 100_000, random_state: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generate a market of n houses: inputs (n, 4) in the units of HOUSE_FEATURES, prices (n,) in euros.

    Sizes are log-normal with median 88 m² (20 to 400); bedrooms follow the size, one for each 31 m² give or take;
    distances are gamma distributed with median 5 km (0.1 to 40), and houses further out are larger; ages run from 0
    to 140 years, older towards the centre. Prices are `expected_price(X)` times log-normal noise of mean 1, rounded
    to whole euros; the median is near 380,000.

    Args:
        n: number of houses, at least 1.
        random_state: the same number gives the same houses.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(3, random_state=0)
        >>> X.shape, y.shape
        ((3, 4), (3,))
    """
    positive_integer(n, "n")
    positive_integer(random_state, "random_state", least=0)
    generator = np.random.default_rng(random_state)
    distance = np.clip(generator.gamma(2.0, 3.0, n), 0.1, 40.0).round(2)
    size = np.exp(math.log(84) + 0.009 * distance + generator.normal(0.0, 0.42, n))
    size = np.clip(size, 20.0, 400.0).round()
    bedrooms = np.clip(np.rint(size / 31 + generator.normal(0.0, 0.7, n)), 1, 9)
    age = 140 * generator.beta(1.1, 2.0 + 0.06 * distance, n)
    X = np.column_stack([size, bedrooms, distance, age.round()]).astype(np.float32)
    noise = np.exp(generator.normal(0.0, NOISE, n) - NOISE**2 / 2)
    return X, np.rint(expected_price(X) * noise).astype(np.float32)


def expected_price(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """What houses with these features cost on average, in euros: the best prediction there is.

    With size s, bedrooms b, distance d and age a::

        price = 7850 · s^0.97                            a little less per m² for large houses
                · (0.45 + 0.55 · e^(−d / 9))             falls with distance and flattens out
                · (1 + 0.0006 · (s − 90) · d / (d + 8))  further out, size counts for more
                · (1 − 0.30 · sin(π · a / 110)^2 · (1 − 0.4 · e^(−d / 3)))
                                                         bends with age: lowest at 55 years, less so in the centre,
                                                         and period houses are worth as much as new ones
                · (1 − 0.05 · |b − s / 31|)              too few or too many rooms for the size
    """
    table = tables.read(X, "X", np.dtype(np.float64), None).values
    if table.ndim != 2 or table.shape[1] != len(HOUSE_FEATURES) or not len(table):
        raise InvalidInputError(f"X must have the columns {', '.join(HOUSE_FEATURES)}, not shape {table.shape}.")
    table = tables.finished(table, "X", np.dtype(np.float64), HOUSE_FEATURES)
    if (table < 0).any() or (table > LARGEST).any():
        row, column = np.argwhere((table < 0) | (table > LARGEST))[0].tolist()
        raise InvalidInputError(
            f"X, row {row}: {HOUSE_FEATURES[column]} is {table[row, column]:g}, but houses have from 0 to {LARGEST:,}."
        )
    size, bedrooms, distance, age = table.T
    price = 7850 * size**0.97 * (0.45 + 0.55 * np.exp(-distance / 9))
    price *= 1 + 0.0006 * (size - 90) * distance / (distance + 8)
    price *= 1 - 0.30 * np.sin(np.pi * age / 110) ** 2 * (1 - 0.4 * np.exp(-distance / 3))
    price *= 1 - 0.05 * np.minimum(np.abs(bedrooms - size / 31), 6)
    return np.asarray(price)


def irreducible_error(X: NDArray[np.floating]) -> float:
    """The root mean squared error, in euros, of the best possible predictions for houses with these features.

    The variance of log-normal noise of mean 1 is e^(σ²) − 1, relative to the squared price.
    """
    return math.sqrt(math.expm1(NOISE**2) * float(np.mean(expected_price(X) ** 2)))
