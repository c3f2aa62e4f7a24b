"""Networks of other libraries as models: a PyTorch state_dict, and scikit-learn's MLP. Neither library is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .files.foreign.found import Found
from .files.foreign.sklearn_network import network_of
from .files.foreign.torch_state import layers_of
from .mlp import MLP
from .network.losses import Loss
from .options import checked_names

__all__ = ["from_sklearn", "from_torch"]


@checked_names
def from_torch(
    source: Mapping[str, Any] | str | Path,
    activation: str | Sequence[str] = "relu",
    output_activation: str = "identity",
    loss: str | Loss = "mse",
    classes: Sequence[Any] | None = None,
    feature_names: Sequence[str] | None = None,
) -> MLP:
    """A model with the weights of a PyTorch Sequential of Linear layers; it can be trained on, saved and exported.

    A state_dict holds weights alone, so that activations and loss are named here. Those of PyTorch have the same
    formulas, but for GELU: nn.GELU() is the exact one by default, and "gelu" here is nn.GELU(approximate="tanh"). Of a
    network with the exact one each unit differs by up to 0.00047, and predictions by what later layers make of that:
    train it with approximate="tanh", or compare them. What PyTorch was given, scaled or not, is what this model is
    given: it has standardize=False.

    Args:
        source: the state_dict, with tensors or arrays (n_out, n_in), or the path of a safetensors file of it. Pickles
            (.pt, .pth) are refused, because they may run code.
        activation: of the hidden layers, or a list with one for each.
        output_activation: of the last layer.
        loss: what the outputs mean, and what a further training makes small, as for fastgd.MLP: "cross_entropy" and
            "binary_cross_entropy" where they are logits.
        classes: the labels that the outputs stand for, in their order.
        feature_names: a name for each input.

    Raises:
        InvalidInputError: other layers than Linear ones, or options that do not fit.
        ModelFileError: a file that cannot be read.

    Example:
        >>> import fastgd, numpy as np
        >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3))}
        >>> fastgd.from_torch(state, activation="tanh").predict([[0.5, -0.5]])
        array([0.])
    """
    return _made(Found(layers_of(source), activation, output_activation, loss, classes, feature_names))


def from_sklearn(estimator: Any) -> MLP:
    """A model that predicts what a fitted MLPRegressor or MLPClassifier of scikit-learn does; it can be trained on.

    Args:
        estimator: the estimator; of a pipeline its last step, whose input is then scaled as the pipeline does.

    Raises:
        InvalidInputError: another estimator, or one that has not been fitted.

    Example:
        >>> import fastgd
        >>> from sklearn.neural_network import MLPRegressor
        >>> X, y = fastgd.datasets.houses(200, random_state=0)
        >>> theirs = MLPRegressor(random_state=0).partial_fit(X, y)
        >>> ours = fastgd.from_sklearn(theirs)
        >>> bool((abs(ours.predict(X) - theirs.predict(X)) < 1e-6 * abs(y).max()).all())
        True
    """
    return _made(network_of(estimator))


def _made(found: Found) -> MLP:
    model = MLP(
        found.layer_sizes,
        activation=found.activation,
        output_activation=found.output_activation,
        loss=found.loss,
        dtype=found.dtype,
        initializer="zeros",
        standardize=False,
        feature_names=found.feature_names,
        classes=found.classes,
    )
    model.set_parameters(found.pairs)
    return model
