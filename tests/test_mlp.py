"""MLP: options of the network, what it prints, and the public names of the package."""

from __future__ import annotations

import pytest

import fastgd
from fastgd.errors import InvalidInputError


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_sizes": [4]}, r"at least the number of inputs and of outputs"),
        ({"layer_sizes": [4, 0, 1]}, r"layer_sizes\[1\] must be a whole number of at least 1, not 0"),
        ({"layer_sizes": [4, -8, 1]}, r"layer_sizes\[1\] .* not -8"),
        ({"layer_sizes": [4, 2.5, 1]}, r"layer_sizes\[1\] .* not 2\.5"),
        ({"layer_sizes": 4}, r"must be a list such as \[4, 64, 64, 1\]"),
        ({"activation": "relux"}, r"no activation 'relux'; there are: identity, relu, .* Did you mean 'relu'\?"),
        ({"output_activation": "softmax"}, r"no activation 'softmax'"),
        ({"loss": "MSE"}, r"no loss 'MSE'; there are: mse"),
        ({"initializer": "kaiming"}, r"no initializer 'kaiming'; there are: auto, he_normal"),
        ({"dtype": "float16"}, r"no dtype 'float16'; there are: float32, float64"),
        ({"random_state": -1}, r"random_state must be a whole number of at least 0"),
        ({"random_state": 2**64}, r"below 2\*\*64"),
        ({"feature_names": ["a", "b"]}, r"feature_names must be a list of 4 different names"),
        ({"seed": 3}, r"`seed` is called `random_state`\."),
        ({"sizes": [4, 1]}, r"`sizes` is called `layer_sizes`\."),
        ({"colour": 3}, r"no option `colour`; the options are: layer_sizes, activation"),
    ],
)
def test_options_of_the_network(options, message):
    with pytest.raises(InvalidInputError, match=message):
        fastgd.MLP(**({"layer_sizes": [4, 1]} | options))


@pytest.mark.tiny
def test_it_prints_itself():
    assert repr(fastgd.MLP([4, 64, 64, 1])) == (
        "<MLP 4-64-64-1 (relu, identity output, mse, 4,545 parameters), float32>"
    )
    assert repr(fastgd.MLP([4, 1])) == "<MLP 4-1 (identity output, mse, 5 parameters), float32>"


def test_public_names():
    assert {"MLP", "SGD", "Adam", "load", "datasets", "losses", "schedules", "callbacks"} <= set(fastgd.__all__)
    for name in fastgd.__all__:
        assert getattr(fastgd, name) is not None
        assert name in dir(fastgd)
    with pytest.raises(AttributeError, match="no attribute 'perceptron'"):
        fastgd.perceptron  # noqa: B018


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fastgd.MLP([3, 4, 1], standardize="no"), r"standardize must be True or False"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
