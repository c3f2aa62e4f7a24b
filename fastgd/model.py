"""MLP: the face of the package. It keeps the weights and the scaling, and hands checked tables to the kernels."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import data, training
from .errors import InvalidInputError
from .history import History
from .kernels import ENGINES, engine
from .kernels.records import Loss, Net, Rows, new_workspace
from .metrics import regression_metrics
from .names import checked_names, look_up, positive_integer
from .network import Network
from .optimizers import SGD, Optimizer
from .progress import display

Reals = NDArray[Any]

PREDICT_ROWS = 1024  # rows per block of predictions by the plain engine


class MLP:
    """A dense neural network (multilayer perceptron) that learns by backpropagation and gradient descent.

    It predicts as soon as it exists, from random weights. `fit` standardises inputs and target with the mean and
    standard deviation of the first table that it sees and keeps these with the weights; predictions and errors are
    always in the units of y.

    Args:
        layer_sizes: inputs, units of each hidden layer, outputs, such as [4, 64, 64, 1].
        activation: of the hidden layers: "identity", "relu", "tanh" or "sigmoid".
        output_activation: of the last layer, one of the same.
        loss: what training makes small: "mse".
        initializer: of the weights: "he_normal", "glorot_uniform", or "auto" for what suits each activation.
        dtype: "float32" or "float64"; all arithmetic is done in it.
        standardize: whether inputs and target are scaled to mean 0 and standard deviation 1 inside the model.
        feature_names: a name for each input, for messages and data frames; taken from the first data frame if None.
        random_state: seed of the starting weights and of the order of rows; None draws one, kept as `random_state`.

    Raises:
        InvalidInputError: an option that cannot be used.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(2000, random_state=0)
        >>> model = fastgd.MLP([4, 16, 1], random_state=0)
        >>> history = model.fit(X, y, epochs=20, verbose=0)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
        >>> model.predict(X[:2]).shape
        (2,)
    """

    @checked_names
    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        output_activation: str = "identity",
        loss: str = "mse",
        initializer: str = "auto",
        dtype: str = "float32",
        standardize: bool = True,
        feature_names: Sequence[str] | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.network = Network.from_names(layer_sizes, activation, output_activation, loss)
        self.dtype = look_up(
            np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype,
            {name: np.dtype(name) for name in ("float32", "float64")},
            "dtype",
        )
        self.standardize = bool(standardize)
        self.feature_names = _checked_feature_names(feature_names, self.network.n_in)
        seed = secrets.randbits(32) if random_state is None else random_state
        self.random_state = positive_integer(seed, "random_state", least=0)
        if self.random_state >= 1 << 64:
            raise InvalidInputError(f"random_state must be below 2**64, not {random_state!r}.")
        n_in, n_out = self.network.n_in, self.network.n_out
        self._net = Net(
            parameters=self.network.starting_values(initializer, self.dtype, self.random_state),
            layers=self.network.layers(),
            input_mean=np.zeros(n_in, self.dtype),
            input_std=np.ones(n_in, self.dtype),
            target_mean=np.zeros(n_out, self.dtype),
            target_std=np.ones(n_out, self.dtype),
        )
        self._scaled = False
        self._epochs_begun = 0

    @checked_names
    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Optimizer | None = None,
        shuffle: bool = True,
        device: str = "cpu",
        verbose: str | int = "auto",
    ) -> History:
        """Train: for each batch of rows predict, measure the loss, and nudge every weight against its gradient.

        A second call goes on from the weights of the first and keeps its scaling. Ctrl-C stops the training and
        keeps what was learned; the history says so.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_out).
            epochs: passes over all rows.
            batch_size: rows per step; the last batch of an epoch may be smaller.
            optimizer: such as fastgd.SGD(learning_rate=0.05), which is the default.
            shuffle: whether each epoch has its own random order of rows.
            device: "cpu" for the compiled loops, "plain" for the same in NumPy.
            verbose: "auto" (a live bar on a terminal, a few lines elsewhere), 0 (nothing), 1 (bar), 2 (every epoch).

        Returns:
            The history: the mean loss of each epoch's batches in the units of y, and what ran.

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed.
            DivergenceError: the loss became infinite or NaN; the model keeps its last good weights.
        """
        epochs = positive_integer(epochs, "epochs", least=0)
        batch_size = positive_integer(batch_size, "batch_size")
        optimizer = SGD() if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer):
            raise InvalidInputError(f"optimizer must be one such as fastgd.SGD(learning_rate=0.05), not {optimizer!r}.")
        kernels = look_up(device, {name: name for name in ENGINES}, "device")
        shown = display(verbose)
        X_table, Y = self._table(X, y)
        if self.feature_names is None and X_table.names is not None:
            self.feature_names = X_table.names
        if self.standardize and not self._scaled:
            self._learn_scaling(X_table.values, Y)
        history = training.fit(
            self._net,
            Rows(X_table.values, Y, np.uint64(self.random_state), self._epochs_begun, bool(shuffle)),
            self._loss(),
            optimizer,
            engine(kernels),
            epochs=epochs,
            batch_size=batch_size,
            shown=shown,
        )
        self._epochs_begun += min(epochs, history.epochs + (history.stop_reason != "completed"))
        return history

    def predict(self, X: Any) -> Reals:
        """Predict: (n_rows,) for a network with one output, else (n_rows, n_out), in the units of y.

        A row's prediction has the same bits alone and among others.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        values = data.inputs(X, self.dtype, self.network.n_in, self.feature_names).values
        out = np.empty((len(values), self.network.n_out), self.dtype)
        kernels = engine("cpu")
        kernels.predict(out, self._workspace(kernels), values, self._net)
        return out[:, 0] if self.network.n_out == 1 else out

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """How wrong the predictions are: "loss", and "rmse", "mae" and "r2" (R², 1 is perfect), in the units of y.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_out).

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        table, Y = self._table(X, y)
        kernels = engine("cpu")
        loss = kernels.mean_loss(self._workspace(kernels), self._rows(table.values, Y), self._net, self._loss())
        return {"loss": float(loss), **regression_metrics(self.predict(table.values).reshape(Y.shape), Y)}

    def gradient(self, X: Any, y: Any) -> Reals:
        """The loss's gradient, (n_parameters,): every weight's share of the blame, as the mean over the rows.

        It is the gradient that training uses: of the loss with the target in standard deviations, as `fit` scales it
        (with standardize=False or before `fit`, in its own units).

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_out).

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        table, Y = self._table(X, y)
        kernels = engine("cpu")
        gradient = np.zeros_like(self._net.parameters)
        rows = self._rows(table.values, Y)
        kernels.batch_gradient(gradient, self._workspace(kernels), rows, 0, len(Y), self._net, self._loss())
        return gradient

    @property
    def parameters(self) -> Reals:
        """All weights and biases as the one flat vector that the kernels use, (n_parameters,); writing changes them."""
        return self._net.parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        vector = np.asarray(values)
        if vector.shape != self._net.parameters.shape:
            raise InvalidInputError(
                f"parameters must have shape {self._net.parameters.shape}, but {vector.shape} was given."
            )
        if vector.dtype.kind not in "fiu" or not np.isfinite(vector).all():
            raise InvalidInputError("parameters must be finite numbers.")
        self._net.parameters[:] = vector

    def get_parameters(self) -> list[tuple[Reals, Reals]]:
        """Copies of each layer's (weights (n_in, n_out), biases (n_out,))."""
        return [(weights.copy(), biases.copy()) for weights, biases in self.network.split(self._net.parameters)]

    def set_parameters(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Set all weights and biases from a list as `get_parameters` returns it.

        Raises:
            InvalidInputError: a shape that does not fit, or a value that is not finite; nothing has changed.
        """
        self.network.join(pairs, self._net.parameters)

    def __repr__(self) -> str:
        return f"<MLP {self.network}, {self.dtype}>"

    def _table(self, X: Any, y: Any) -> tuple[data.Table, Reals]:
        table = data.inputs(X, self.dtype, self.network.n_in, self.feature_names)
        return table, data.targets(y, self.dtype, self.network.n_out, len(table.values))

    def _rows(self, X: Reals, Y: Reals) -> Rows:
        return Rows(X, Y, np.uint64(self.random_state), 0, False)

    def _loss(self) -> Loss:
        return Loss(self.network.loss.code, self._net.target_std**self.network.loss.unit_power)

    def _workspace(self, kernels: Any) -> Any:
        return new_workspace(self._net, kernels.BLOCK_ROWS or PREDICT_ROWS)

    def _learn_scaling(self, X: Reals, Y: Reals) -> None:
        names = self.feature_names
        self._net.input_mean[:], self._net.input_std[:] = data.mean_and_std(X, "X", names)
        self._net.target_mean[:], self._net.target_std[:] = data.mean_and_std(Y, "y", None)
        self._scaled = True


def _checked_feature_names(names: Sequence[str] | None, n_in: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    checked = (names,) if isinstance(names, str) else tuple(map(str, names))
    if len(checked) != n_in or len(set(checked)) != n_in:
        raise InvalidInputError(f"feature_names must be {n_in} different names, not {list(checked)}.")
    return checked
