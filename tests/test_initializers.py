"""Starting weights have the variance that their name promises."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastgd.MLP([3, 4, 1], initializer=[(1, 2)]), r"2 layers, but 1 pairs"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


@pytest.mark.parametrize("kind", ["he", "glorot", "lecun"])
def test_initializers(kind):
    variance = {"he": 2 / 300, "glorot": 2 / 500, "lecun": 1 / 300}[kind]
    for shape in ("normal", "uniform"):
        weights, biases = fastgd.MLP([300, 200], initializer=f"{kind}_{shape}", dtype="float64").get_parameters()[0]
        assert weights.var() == pytest.approx(variance, rel=0.03)
        assert (biases == 0).all()
        assert (np.abs(weights).max() < 2 * variance**0.5) == (shape == "uniform")


def test_orthogonal_zero_and_given_weights():
    for sizes in ([7, 4], [4, 7]):
        weights, _ = fastgd.MLP(sizes, initializer="orthogonal", dtype="float64").get_parameters()[0]
        square = weights.T @ weights if sizes[0] > sizes[1] else weights @ weights.T
        np.testing.assert_allclose(square, np.eye(4), atol=1e-12)
    assert (fastgd.MLP([3, 2], initializer="zeros").parameters == 0).all()
    given = [(np.arange(6).reshape(3, 2), [7, 8])]
    assert fastgd.MLP([3, 2], initializer=given).parameters.tolist() == [0, 1, 2, 3, 4, 5, 7, 8]


@pytest.mark.tiny
def test_starting_weights_keep_the_size_of_a_signal():
    for activation, variance in (("relu", 2 / 200), ("tanh", 2 / 300)):
        (weights, biases), _ = fastgd.MLP([200, 100, 1], activation=activation).get_parameters()
        assert weights.var() == pytest.approx(variance, rel=0.05)
        assert (biases == 0).all()
    unseeded = fastgd.MLP([4, 1], random_state=None)
    assert (fastgd.MLP([4, 1], random_state=unseeded.random_state).parameters == unseeded.parameters).all()
