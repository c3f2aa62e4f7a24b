"""MLP: the face of the package. It keeps the weights and the scaling, and hands checked tables to the kernels."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import data, labels, measures, scaling, training, unseen
from .callbacks import CallbackList, check_monitor
from .errors import InvalidInputError, NonFiniteWarning, warn
from .history import History
from .kernels import ENGINES, engine
from .kernels.records import Net, Rows
from .losses import Loss
from .measures import Measured, in_order
from .names import checked_names, is_number, look_up, positive_integer, yes_or_no
from .network import Network, finite_array
from .optimizers import SGD, Optimizer
from .progress import display
from .training import TrainingState

if TYPE_CHECKING:
    from .explain import Table
    from .finder import LearningRateSearch
    from .health import Health

Reals = NDArray[Any]


class _Scratch(NamedTuple):
    """What a prediction needs besides the rows, kept from call to call."""

    predict: Callable[..., bool]
    workspace: Any
    net: Net
    loss: Any


class MLP:
    """A dense neural network (multilayer perceptron) that learns by backpropagation and gradient descent.

    It predicts as soon as it exists, from random weights. `fit` standardises inputs and target with the mean and
    standard deviation of the first table that it sees and keeps these with the weights; predictions and errors are
    always in the units of y. (A target is not scaled where the last layer has an activation with a range of its own.)

    Args:
        layer_sizes: inputs, units of each hidden layer, outputs, such as [4, 64, 64, 1].
        activation: of the hidden layers, or a list with one for each: "identity", "relu", "leaky_relu", "elu",
            "gelu", "silu", "softplus", "tanh", "sigmoid".
        output_activation: of the last layer, one of the same, where the loss allows it.
        loss: what training makes small: "mse", "mae", "huber", "log_cosh", "quantile", "poisson",
            "binary_cross_entropy", "cross_entropy", "gaussian_nll", or such as fastgd.losses.Huber(delta=2).
        initializer: of the weights: "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal",
            "lecun_uniform", "orthogonal", "zeros", "auto" for what suits each activation, or a list of
            (weights, biases).
        dtype: "float32" or "float64"; all arithmetic is done in it.
        standardize: whether inputs and target are scaled to mean 0 and standard deviation 1 inside the model.
        feature_names: a name for each input, for messages and data frames; taken from the first data frame if None.
        random_state: seed of the starting weights, the order of rows, dropout and splits; None draws one, kept as
            `random_state`.
        dropout: share of each hidden layer's outputs that training sets to zero, or a list with one for each.
        classes: the labels that the outputs stand for, in their order, such as ["no", "yes"]; by default they are
            learned from y (or its categories), and where it lacks some, from what later fits bring.

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

    stop_training: bool = False  # a callback may set it

    @checked_names
    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str | Sequence[str] = "relu",
        output_activation: str = "identity",
        loss: str | Loss = "mse",
        initializer: str | Sequence[tuple[Any, Any]] = "auto",
        dtype: str = "float32",
        standardize: bool = True,
        feature_names: Sequence[str] | None = None,
        random_state: int | None = 0,
        dropout: float | Sequence[float] = 0.0,
        classes: Sequence[Any] | None = None,
    ) -> None:
        self.network = Network.from_names(layer_sizes, activation, output_activation, loss, dropout)
        self.dtype = look_up(
            np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype,
            {name: np.dtype(name) for name in ("float32", "float64")},
            "dtype",
        )
        self.standardize = yes_or_no(standardize, "standardize")
        self.feature_names = _checked_feature_names(feature_names, self.network.n_in)
        seed = secrets.randbits(32) if random_state is None else random_state
        self.random_state = positive_integer(seed, "random_state", least=0)
        if self.random_state >= 1 << 64:
            raise InvalidInputError(f"random_state must be below 2**64, not {random_state!r}.")
        n_in, n_targets = self.network.n_in, self.network.n_targets
        self._net = Net(
            parameters=self.network.starting_values(initializer, self.dtype, self.random_state),
            layers=self.network.layers(),
            input_mean=np.zeros(n_in, self.dtype),
            input_std=np.ones(n_in, self.dtype),
            target_mean=np.zeros(n_targets, self.dtype),
            target_std=np.ones(n_targets, self.dtype),
            dropout=np.array(self.network.dropout, self.dtype),
        )
        self.classes = self._first_classes() if classes is None else labels.declared_classes(classes, self._n_classes)
        self._scaled = False  # whether the scaling is that of a table that was trained on
        self._classes_known = classes is not None
        self._training: TrainingState | None = None
        self._scratch: list[_Scratch] = []
        self._ignores: bool | None = None  # whether there are inputs that never varied; None: nobody has looked

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": []}  # it holds addresses of this process

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_ignores": None, "_classes_known": state["_scaled"]} | state)

    @checked_names
    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Optimizer | None = None,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: dict[Any, float] | str | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Any] = (),
        n_threads: int = 1,
        device: str = "cpu",
        verbose: str | int = "auto",
    ) -> History:
        """Train: for each batch of rows predict, measure the loss, and nudge every weight against its gradient.

        A second call goes on exactly where the first one stopped: it keeps the scaling, the moments of an optimizer
        of the same kind, the position in its schedule, and the count of epochs that orders rows. Ctrl-C stops the
        training and keeps what was learned; the history says so (the next fit then begins a new epoch).

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets); labels for classes, whole numbers or text.
            epochs: passes over all rows.
            batch_size: rows per step; the last batch of an epoch may be smaller.
            optimizer: such as fastgd.Adam(learning_rate=0.001); by default that of the last fit, at first SGD().
            validation_data: (X, y) or (X, y, sample_weight) whose loss is measured after each epoch, as "val_loss".
            validation_split: share of the rows, drawn at random, that is held out for the same purpose.
            sample_weight: how much each row counts, (n_rows,), at least 0; only ratios count. A batch's loss is
                Σ weight · loss of a row, over its rows times the mean weight of all rows, so that an epoch's batches
                add up to the weighted loss of the table. (PyTorch and scikit-learn divide by the weights of the batch,
                which takes their effect away in small batches.)
            class_weight: how much each class counts, such as {"yes": 3}, times the row's own weight; "balanced" makes
                all classes of the rows to train on count the same. "val_loss" counts classes likewise, "val_accuracy"
                does not.
            shuffle: whether each epoch has its own random order of rows.
            callbacks: a list of fastgd.callbacks.Callback, such as EarlyStopping.
            n_threads: how many threads may share the work of a batch, where that is faster: from batches of 256 on, and
                for wide networks from 32. The result has the same bits for any number.
            device: "cpu" for the compiled loops, "plain" for the training loop in NumPy.
            verbose: "auto" (a live bar on a terminal, a few lines elsewhere), 0 (nothing), 1 (bar), 2 (every epoch).

        Returns:
            The history: for each epoch the mean "loss" of its batches in the units of y (without dropout's absence or
            penalties), the "learning_rate" of its last step, and with validation rows "val_loss".

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed. (A schedule that returns
                nonsense at a later step ends the training there.)
            DivergenceError: the loss became infinite or NaN; the model goes back to its last good weights.
        """
        epochs = positive_integer(epochs, "epochs", least=0)
        batch_size = positive_integer(batch_size, "batch_size")
        shuffle, n_threads = yes_or_no(shuffle, "shuffle"), positive_integer(n_threads, "n_threads")
        kernels = engine(look_up(device, {name: name for name in ENGINES}, "device"))
        state = self._training_state(optimizer)
        shown, told = display(verbose), CallbackList(callbacks, self)
        twin = self._twin()  # what a refused table must not change
        table = data.inputs(X, self.dtype, self.network.n_in, self.feature_names)
        target = twin._targets(y, len(table.values), learn=True)
        if twin.feature_names is None:
            twin.feature_names = table.names
        weights = data.row_weights(sample_weight, len(table.values))
        parts = twin._split(table.values, target, weights, validation_data, validation_split)
        chosen, (values, Y, weights), held_out = parts
        if class_weight is not None:
            by_class = twin._weights_of_classes(class_weight, Y)
            weights = measures.by_row(by_class, Y, weights, "to learn from")
            if held_out:
                in_loss = measures.by_row(by_class, held_out.Y, held_out.weights, "to validate with")
                held_out = held_out._replace(in_loss=in_loss)
        seed = np.uint64(self.random_state)
        rows = Rows(values, Y, data.mean_one(weights, self.dtype), seed, state.epoch, shuffle)
        twin._learn_scaling(rows, table, target, chosen)
        if held_out:
            unseen.tell_of_ignored(twin._net, held_out.X, "validation_data", twin.feature_names)
        names = ["loss", "learning_rate"]
        if held_out:
            names += ["val_loss"] + ["val_accuracy"] * (self.network.loss.task in ("classes", "labels"))
        told.check_monitors(names)
        plateau = state.optimizer.schedule.plateau()
        if plateau is not None:
            check_monitor(plateau.monitor, names)
        was = self._scaled, self._classes_known, self.classes, self.feature_names
        self._take_over(twin)
        if any(callback.monitor == "loss" for callback in told.early_stopping):
            seen = Measured(values, Y, target.columns(chosen), weights, weights)
            told.settled_loss = lambda: measures.loss_of(self, seen, kernels)
        self._training = state
        loss = self.network.loss.record(self._net.target_std)
        try:
            return training.fit(
                self._net,
                rows,
                loss,
                state,
                kernels,
                epochs=epochs,
                batch_size=batch_size,
                unit=self._unit(),
                n_threads=n_threads,
                shown=shown,
                callbacks=told,
                validate=measures.validation(self, held_out, kernels) if held_out else None,
            )
        except Exception:
            # If not a step was taken, or worth keeping, another table may bring a scaling of its own.
            if not state.state.step[0]:
                self._scaled, self._classes_known, self.classes, self.feature_names = was
            raise

    @checked_names
    def predict(self, X: Any) -> Reals:
        """Predict, in the units of y: (n_rows,) for a network with one output, else (n_rows, n_out).

        Classes are predicted as labels, counts as rates, and for gaussian_nll the means come first, then the standard
        deviations. A row's prediction has the same bits alone and among others. A column that did not vary while the
        model learned is ignored, with a warning where most rows differ from what it was.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.

        Raises:
            InvalidInputError: a table that cannot be used, or a row so far from those of the fit that its prediction
                is no finite number.
        """
        return self._decided(self._responses(X))

    @checked_names
    def predict_proba(self, X: Any) -> Reals:
        """Probabilities of the classes, (n_rows, n_classes) in the order of `classes`; each row adds up to 1.

        Outputs whose class has not come yet stand last. For several yes/no labels, (n_rows, n_labels): the probability
        of each.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.

        Raises:
            InvalidInputError: a table that cannot be used, or a model that does not predict classes.
        """
        if self.network.loss.task not in ("classes", "labels"):
            raise InvalidInputError(
                f"A model with loss={self.network.loss.name!r} has no probabilities: "
                "that takes 'cross_entropy' or 'binary_cross_entropy'."
            )
        out = self._responses(X)
        if self.network.loss.task == "labels" and self.network.n_out == 1:
            return np.column_stack([1 - out[:, 0], out[:, 0]])
        return out

    @checked_names
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """How wrong the predictions are: "loss", and what people compare, in the units of y.

        Regression: "rmse", "mae", "r2" (R², 1 is perfect). Classes: "accuracy", "log_loss". Quantiles: for each level
        the share of actual values below it, such as "below_0.9". All are measured in float64 against y as it is given.
        With several targets "rmse" is the root of the mean over rows and targets (scikit-learn's is the mean of each
        target's root), "mae" and "r2" are means over the targets.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used, or a row that has no finite prediction (see `predict`).
        """
        rows = self._measured(X, y, sample_weight)
        unseen.tell_of_ignored(self._net, rows.X, "X", self.feature_names)
        out, finite = self._respond(rows.X)
        if not finite:
            unseen.refuse(self._net, rows.X, out, self.feature_names)
        return measures.metrics(self, rows, out)

    @checked_names
    def gradient(self, X: Any, y: Any, sample_weight: Any = None) -> Reals:
        """The loss's gradient, (n_parameters,): every weight's share of the blame, as the mean over the rows.

        It is the gradient that training uses, without dropout and penalties: of the loss with the target in standard
        deviations, as `fit` scales it (with standardize=False or before `fit`, in its own units). For counts of a mean
        m below 1 it is √m times that of the loss in units of m, see fastgd.losses.Poisson.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        rows = self._rows(X, y, sample_weight)
        kernels, net = engine("cpu"), self._resting()
        loss = self.network.loss.record(net.target_std)
        gradients = kernels.new_gradients(net, len(rows.X))
        (workspace,) = kernels.new_workspaces(net, loss)
        kernels.batch_gradient(gradients, workspace, rows, 0, len(rows.X), net, loss)
        gradient = np.array(gradients[0])
        if not np.isfinite(gradient).all():
            unseen.tell_of_gradient(rows, self._respond(rows.X)[0])
        return gradient

    @checked_names
    def find_learning_rate(
        self,
        X: Any,
        y: Any,
        batch_size: int = 32,
        optimizer: Optimizer | None = None,
        lowest: float = 1e-6,
        highest: float = 10.0,
        steps: int = 200,
        sample_weight: Any = None,
    ) -> LearningRateSearch:
        """Find a learning rate by a range test: raise it from step to step and watch the loss. Changes nothing here.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            batch_size: rows per step, as for `fit`.
            optimizer: the rule whose rate is sought, such as fastgd.Adam(); its own rate is not used.
            lowest, highest: the range, walked in equal factors.
            steps: how many steps the walk has.
            sample_weight: how much each row counts, (n_rows,).

        Returns:
            The chosen rate, the curve of rates and losses, and the reason.

        Raises:
            InvalidInputError: a table or option that cannot be used.
        """
        from .finder import find_learning_rate

        optimizer = self._checked_optimizer(optimizer)
        batch_size = positive_integer(batch_size, "batch_size")
        twin = self._twin()
        table = data.inputs(X, self.dtype, self.network.n_in, self.feature_names)
        target = twin._targets(y, len(table.values), learn=True)
        weights = data.mean_one(data.row_weights(sample_weight, len(table.values)), self.dtype)
        rows = Rows(table.values, target.values, weights, np.uint64(self.random_state), 0, True)
        twin._learn_scaling(rows, table, target, None)
        loss = self.network.loss.record(twin._net.target_std)
        return find_learning_rate(
            twin._net,
            rows,
            loss,
            optimizer,
            twin._unit(),
            batch_size,
            lowest,
            highest,
            positive_integer(steps, "steps"),
        )

    @checked_names
    def blame(
        self,
        X: Any,
        y: Any,
        layer: int = 0,
        by: str = "weight",
        per_row: bool = False,
        sample_weight: Any = None,
    ) -> Table:
        """Who is to blame for the error: a layer's weights, their gradients, and how far off each is.

        The gradient is that of `gradient`, without biases; the severity is its share of the layer's largest: "way off"
        from a half, "slightly off" from a fifth, else "close". Before the first `fit` it is that of raw inputs and
        targets; `fit(X, y, epochs=0)` learns how they are scaled.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            layer: which layer, counted from 0; -1 is the last.
            by: "weight", or "input" to gather each input's weights: the lengths of their rows.
            per_row: whether to add a column "per_row", (n_weights, n_rows), or (n_inputs, n_rows) of lengths: one
                gradient for each row, of its own loss. The (weighted) mean over the rows is the gradient of a weight.
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table or option that cannot be used, or more gradients than fit into memory.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> model = fastgd.MLP([4, 1], feature_names=["size", "rooms", "distance", "age"], random_state=0)
            >>> len(model.blame(X, y)["gradient"])
            4
        """
        from . import explain

        return explain.blame(self, X, y, layer, by, yes_or_no(per_row, "per_row"), sample_weight)

    @checked_names
    def nudge(
        self,
        X: Any,
        y: Any,
        learning_rate: float | None = None,
        optimizer: Optimizer | None = None,
        layer: int = 0,
        sample_weight: Any = None,
    ) -> Table:
        """What one step on all these rows would do to a layer's weights. Changes nothing; `step` does it.

        These are the numbers that `fit` would apply, optimizer included, to the bit (with all rows in one batch and
        shuffle=False). A model that was never fitted learns its scaling from these rows first, as in `fit`.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            learning_rate: the rate of this step alone; by default that which the schedule has come to.
            optimizer: such as fastgd.Adam(); by default that of the last fit, with what it remembers, at first SGD().
            layer: which layer, counted from 0; -1 is the last.
            sample_weight: how much each row counts, (n_rows,).

        Returns:
            A table of old weight, nudge, new weight and effect, in the order of the weights. The effect goes by the
            nudge's share of the layer's largest, from a half and from a fifth on, and by its sign: "larger
            contribution", "slight increase", "barely touched", "slight decrease", "smaller contribution". Larger is
            meant as in +2 > −3: the weight moves up.

        Raises:
            InvalidInputError: a table or option that cannot be used.
            DivergenceError: the step leads to numbers that are not finite.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> table = fastgd.MLP([4, 1], random_state=0).nudge(X, y, learning_rate=0.1)
            >>> bool((abs(table["old"] + table["nudge"] - table["new"]) < 1e-6).all())
            True
        """
        from . import explain

        return explain.nudge(self, X, y, learning_rate, optimizer, layer, sample_weight)

    @checked_names
    def step(
        self,
        X: Any,
        y: Any,
        learning_rate: float | None = None,
        optimizer: Optimizer | None = None,
        layer: int = 0,
        sample_weight: Any = None,
    ) -> Table:
        """Take one step on all these rows, and say what it did to a layer's weights; see `nudge`.

        An optimizer that is given is that of the next `fit`, too; a learning rate is not.

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed.
            DivergenceError: the step led to numbers that are not finite; nothing has changed.
        """
        from . import explain

        return explain.step(self, X, y, learning_rate, optimizer, layer, sample_weight)

    @checked_names
    def health(self, X: Any, y: Any = None, optimizer: Optimizer | None = None) -> Health:
        """Look for what keeps a network from learning: dead and saturated units, unscaled inputs.

        With y also vanishing and exploding gradients, and steps that are too bold or too timid for the weights. Each
        finding comes with its advice. With y, a model that was never fitted is looked at with the scaling that these
        rows would give it.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            optimizer: whose next step is looked at; by default that of the last fit, at first SGD().

        Raises:
            InvalidInputError: a table that cannot be used.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> model = fastgd.MLP([4, 8, 1], standardize=False, random_state=0)
            >>> [finding.kind for finding in model.health(X).findings]
            ['unscaled inputs', 'dead units']
        """
        from .health import health

        return health(self, X, y, optimizer)

    def save(self, path: str | Path, training_state: bool = False) -> None:
        """Write the model to a file, whole or not at all; `fastgd.load` reads it.

        The file has a checksum. Links are written through, and a file that is replaced keeps its mode.

        Args:
            path: such as "house.safetensors"; a file of that name is replaced.
            training_state: whether to keep what a further `fit` needs to go on exactly where this one stopped.

        Raises:
            ModelFileError: the file cannot be written, or the model has numbers that `load` would refuse.
        """
        from .saving import save

        save(self, path, yes_or_no(training_state, "training_state"))

    @property
    def parameters(self) -> Reals:
        """All weights and biases as the one flat vector that the kernels use, (n_parameters,); writing changes them."""
        return self._net.parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        self._net.parameters[:] = finite_array(values, self._net.parameters.shape, self.dtype, "parameters")

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

    # Tables in.

    def _inputs(self, X: Any) -> Reals:
        return data.inputs(X, self.dtype, self.network.n_in, self.feature_names).values

    def _targets(self, y: Any, n_rows: int, learn: bool = False) -> data.Table:
        """y as kernels take it, and as it was given. If it is to be learned from, its classes become the model's."""
        loss, n_classes = self.network.loss, self._n_classes
        if n_classes is not None and (loss.task == "classes" or not labels.has_shares(y)):
            given = labels.labels(y, n_rows)
            assert self.classes is not None
            if learn and not self._classes_known:
                self.classes, self._classes_known = labels.first_classes(given, n_classes), True
            elif learn:
                self.classes = labels.more_classes(self.classes, given, n_classes)
            numbers = labels.class_numbers(given.values, self.classes, self.dtype)
            return data.Table(numbers, None, lambda column: numbers[:, column])
        table = data.targets(y, self.dtype, self.network.n_targets, n_rows)
        if loss.task == "labels":
            data.within(table.values, 0, 1, "binary_cross_entropy needs labels, or probabilities from 0 to 1")
        if loss.task == "counts":
            data.within(table.values, 0, np.inf, "poisson needs counts of at least 0")
        return table

    def _weights_of_classes(self, class_weight: Any, Y: Reals) -> NDArray[np.float64]:
        if self.classes is None:
            raise InvalidInputError(
                f"class_weight is for classes; with loss={self.network.loss.name!r} there are none."
            )
        return labels.class_weights(class_weight, Y, self.classes)

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        values = self._inputs(X)
        weights = data.mean_one(data.row_weights(sample_weight, len(values)), self.dtype)
        return in_order(values, self._targets(y, len(values)).values, weights)

    def _measured(self, X: Any, y: Any, sample_weight: Any, learn: bool = False) -> Measured:
        """Rows whose loss and metrics are asked for."""
        values = self._inputs(X)
        target = self._targets(y, len(values), learn)
        weights = data.row_weights(sample_weight, len(values))
        return Measured(values, target.values, target.columns(), weights, weights)

    def _rows_of_inputs(self, values: Reals) -> Rows:
        """Checked inputs alone as rows, for kernels that gather them."""
        Y = np.zeros((len(values), self.network.n_targets), self.dtype)
        Y.flags.writeable = False
        return in_order(values, Y, data.mean_one(np.zeros(0), self.dtype))

    def _split(
        self, X: Reals, target: data.Table, weights: NDArray[np.float64], given: Any, share: Any
    ) -> tuple[Any, tuple[Reals, Reals, NDArray[np.float64]], Measured | None]:
        """Numbers of the rows to train on (None: all), their inputs, targets and weights, and the rows held out."""
        if not is_number(share) or not 0 <= share < 1:
            raise InvalidInputError(f"validation_split must be a share of at least 0 and below 1, not {share!r}.")
        if given is not None and share:
            raise InvalidInputError("validation_data and validation_split cannot both be given.")
        if given is not None:
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise InvalidInputError("validation_data must be (X, y) or (X, y, sample_weight).")
            try:
                held_out = self._measured(given[0], given[1], given[2] if len(given) == 3 else None, learn=True)
            except InvalidInputError as error:
                raise InvalidInputError(f"validation_data: {error}") from error
            return None, (X, target.values, weights), held_out
        if not share:
            return None, (X, target.values, weights), None
        chosen, held = data.split_rows(len(X), float(share), None, self.random_state)
        parts = [data.rows_of(part, X, target.values, weights) for part in (chosen, held)]
        for (_, _, kept), purpose in zip(parts, ("to train on", "to validate with"), strict=True):
            if kept.size and not kept.any():
                raise InvalidInputError(
                    f"validation_split leaves only rows of weight 0 {purpose}: choose validation_data."
                )
        (values, Y, kept), train = parts[1], parts[0]
        return chosen, train, Measured(values, Y, target.columns(held), kept, kept)

    # Scaling, classes, and what a training keeps.

    @property
    def _n_classes(self) -> int | None:
        """How many classes the outputs stand for; None where they stand for no classes."""
        loss, n_out = self.network.loss, self.network.n_out
        if loss.task == "classes":
            return n_out
        return 2 if loss.task == "labels" and n_out == 1 else None

    def _first_classes(self) -> NDArray[Any] | None:
        return None if self._n_classes is None else np.arange(self._n_classes)

    def _learn_scaling(self, rows: Rows, table: data.Table, target: data.Table, chosen: Any) -> None:
        """Mean and spread of inputs and target, from the first rows that a model trains on.

        An input that does not vary is ignored (its standard deviation is infinite), until a fit in which it varies, or
        is another constant. A single row says nothing about what varies: its inputs keep their own unit.
        """
        net, kind = self._net, self.network.loss.scaling
        if self._scaled:
            self._learn_what_varies_now(rows, table, chosen)
            return
        mean, std = scaling.scales((rows.X, rows.weights), table, chosen, "X", self.feature_names, self.standardize)
        if self.standardize:
            counted = np.count_nonzero(rows.weights) if rows.weights.size else len(rows.X)
            net.input_mean[:], net.input_std[:] = mean, np.where(std > 0, std, np.inf if counted > 1 else 1)
        if kind == "none":
            return
        standardizes = self.standardize and self.network.standardizes_target
        mean, std = scaling.scales((rows.Y, rows.weights), target, chosen, "y", None, standardizes)
        if not standardizes:
            return
        if kind == "standard":
            net.target_mean[:], net.target_std[:] = mean, np.where(std > 0, std, 1)
        else:
            net.target_std[:] = np.where(mean > 0, mean, 1)

    def _learn_what_varies_now(self, rows: Rows, table: data.Table, chosen: Any) -> None:
        """The scaling of inputs that were ignored so far."""
        net = self._net
        for column in np.flatnonzero(np.isinf(net.input_std)) if self.standardize else ():
            values, before = rows.X[:, column : column + 1], net.input_mean[column]
            if (values == before).all():
                continue
            one = data.Table(values, None, lambda _, column=column: table.given(int(column)))  # type: ignore[misc]
            name = (self.feature_names[column],) if self.feature_names else None
            (mean,), (std,) = scaling.scales((values, rows.weights), one, chosen, "X", name)
            if std == 0 and mean != before:  # another constant: the two are all that is known
                mean, std = (mean + before) / 2, abs(mean - before) / 2
            if std > 0:
                net.input_mean[column], net.input_std[column] = mean, std

    def _twin(self) -> MLP:
        """The same model with scaling of its own; it shares nothing that a fit writes."""
        twin = object.__new__(MLP)
        twin.__dict__.update(self.__dict__)
        twin._net = Net(*(array.copy() for array in self._net))
        return twin

    def _take_over(self, twin: MLP) -> None:
        for mine, its in zip(self._net, twin._net, strict=True):
            mine[:] = its
        self._scratch, self._ignores = [], None
        self.classes, self._classes_known, self.feature_names = twin.classes, twin._classes_known, twin.feature_names
        self._scaled = True

    def _checked_optimizer(self, optimizer: Any) -> Optimizer:
        if optimizer is None:
            return self._training.optimizer if self._training else SGD()
        if not isinstance(optimizer, Optimizer):
            raise InvalidInputError(f"optimizer must be one such as fastgd.SGD(learning_rate=0.05), not {optimizer!r}.")
        return optimizer

    def _training_state(self, optimizer: Any) -> TrainingState:
        checked = self._checked_optimizer(optimizer)
        fresh = TrainingState(checked, checked.new_state(self._net.parameters))
        return self._training.continued_by(checked, fresh) if self._training else fresh

    # Kernels.

    def _unit(self) -> float:
        return self.network.loss.unit(self._net.target_std)

    def _resting(self) -> Net:
        """The network as it predicts: nothing is dropped."""
        return self._net._replace(dropout=np.zeros_like(self._net.dropout))

    def _responses(self, X: Any) -> Reals:
        """The last layer's responses to a table. One that is as kernels take it is looked at by the kernel alone."""
        if data.fits(X, self.dtype, self.network.n_in):
            values = X.view()
            values.flags.writeable = False
        else:
            values = self._inputs(X)
        out, finite = self._respond(values)
        if not finite:
            unseen.refuse(self._net, self._inputs(X), out, self.feature_names)
        if self._ignores is None:
            self._ignores = bool(np.isinf(self._net.input_std).any())
        if self._ignores:
            unseen.tell_of_ignored(self._net, values, "X", self.feature_names)
        return out

    def _respond(self, X: Reals) -> tuple[Reals, bool]:
        """Responses, and whether they and the scaled X are finite. Scratch is kept, and is one thread's at a time."""
        try:
            scratch = self._scratch.pop()
        except IndexError:
            kernels, net = engine("cpu"), self._resting()
            loss = self.network.loss.record(net.target_std)
            scratch = _Scratch(kernels.predict, kernels.new_workspaces(net)[0], net, loss)
        out = np.empty((len(X), self.network.n_out), self.dtype)
        finite = scratch.predict(out, scratch.workspace, X, scratch.net, scratch.loss)
        self._scratch.append(scratch)
        return out, finite

    def _chosen(self, out: Reals) -> NDArray[np.int64]:
        """The numbers of the classes that probabilities choose, (n_rows,), or of each label, (n_rows, n_labels)."""
        if self.network.loss.task == "classes":
            assert self.classes is not None
            return np.asarray(out[:, : self.classes.size].argmax(axis=1))
        chosen = (out >= 0.5).astype(np.int64)
        return chosen if self.classes is None else np.minimum(chosen[:, 0], self.classes.size - 1)

    def _decided(self, out: Reals) -> Reals:
        """Predictions from responses: labels for probabilities, one column as a vector."""
        if self.network.loss.task in ("classes", "labels"):
            chosen = self._chosen(out)
            return chosen if self.classes is None else np.asarray(self.classes[chosen])
        if self.network.loss.name == "gaussian_nll" and not out[:, self.network.n_targets :].all():
            row = int(np.argwhere(out[:, self.network.n_targets :] == 0)[0][0])
            warn(f"The standard deviation predicted for row {row} is too small for {self.dtype}: 0.", NonFiniteWarning)
        return out[:, 0] if self.network.n_out == 1 else out


def _checked_feature_names(names: Any, n_in: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    checked = tuple(map(str, names)) if isinstance(names, Sequence | np.ndarray) and not isinstance(names, str) else ()
    if len(checked) != n_in or len(set(checked)) != n_in:
        raise InvalidInputError(f"feature_names must be a list of {n_in} different names, not {names!r}.")
    return checked
