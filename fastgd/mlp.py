"""MLP, the face of the package: what the core learns and measures, and what explains and keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model.pieces import Piecewise
from .network.activations import ACTIVATIONS
from .network.initializers import INITIALIZERS
from .network.losses import LOSSES
from .options import checked_names, html_table, with_names, yes_or_no

if TYPE_CHECKING:
    from .explain.health import Health
    from .explain.table import Table
    from .files.kept_file import KeptFile
    from .training.learning_rate import LearningRateSearch
    from .training.optimizers import Optimizer

# What the rooms around ask of a model: names that work as all others, but tab completion is for users.
INNER = {
    "at_rest", "become", "engine", "fit_state", "forget_table", "gradient_seen", "initializer", "kept_in", "let_go",
    "limits", "look", "loss_of", "loss_unit", "measured", "members", "net", "objective", "outputs_for", "outputs_of",
    "outputs_seen", "predictor", "schema", "store", "take_encoder", "take_over", "training_state",
    "turns", "twin",
}  # fmt: skip


class MLP(Piecewise):
    """A dense neural network (multilayer perceptron) that learns by backpropagation and gradient descent.

    It predicts as soon as it exists, from random weights. `fit` standardises inputs and target with the mean and
    standard deviation of the first table that it sees and keeps these with the weights; predictions and errors are
    always in the units of y. (A target is not scaled where the last layer has an activation with a range of its own.)

    Args:
        layer_sizes: inputs, units of each hidden layer, outputs, such as [4, 64, 64, 1].
        activation: of the hidden layers, or a list with one for each:
            {activations}.
        output_activation: of the last layer, one of the same, where the loss allows it.
        loss: what training makes small, a name or such as fastgd.losses.Huber(delta=2):
            {losses}.
        initializer: of the weights, "auto" for what suits each activation, a list of (weights, biases), or
            {initializers}.
        dtype: "float32" or "float64"; all arithmetic is done in it.
        standardize: whether inputs and target are scaled to mean 0 and standard deviation 1 inside the model.
        feature_names: a name for each input, for messages and data frames; taken from the first data frame if None.
        random_state: seed of the starting weights, the order of rows, dropout and splits; None draws one, kept as
            `random_state`.
        dropout: share of each hidden layer's outputs that training sets to zero, or a list with one for each.
        classes: the labels that the outputs stand for, in their order, such as ["no", "yes"]; by default they are
            learned from y (or its categories), and where it lacks some, from what later fits bring.
        encoding: None for columns of numbers, which are standardised; "auto" for columns of numbers, text and gaps as
            they come, each encoded as the first fit finds best; or such as fastgd.Encoding(bins=32). The first layer
            then has other inputs, and the first fit draws its weights anew.
        log_target: whether the logarithm of y is learned, which must be positive: for prices, where 10 % off weighs the
            same for small and large ones. Predictions and metrics stay in the units of y, the loss is that of log(y).
        clip_predictions: whether predictions are kept within the lowest and the highest y of the rows of the fit.
        monotone: columns of numbers with which predictions never fall (1), or never rise (-1), such as
            {"size": 1, "age": -1}, by name (then with feature_names) or number, all else being equal. It takes
            activations that rise: not silu or gelu. Of two classes the probability of the second one is meant.

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
    def find_learning_rate(
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
        lowest: float = 1e-6,
        highest: float = 10.0,
        most_steps: int = 30_000,
        n_threads: int | str = "auto",
    ) -> LearningRateSearch:
        """Find the constant learning rate with which `fit` would come to the lowest loss. Changes nothing here.

        Copies of the model are trained as `fit` would, each with a rate of its own, twice the one before. Rates far
        from the best are given up on the way, and at last some near the best are tried. This takes as long as about ten
        trainings, more where one has few steps (100 are tried with every rate), and up to 25 copies of the parameters
        and of what the optimizer remembers.

        What counts is the loss at the end: of the validation rows if there are any, else of the rows to learn from (of
        16,384 of them, where there are more). A small table may be learned by heart: then ask with validation rows.

        A model that has been fitted is searched from where it stands: the rate is one to go on with, and the reason
        says so. Ask a new model for the rate of a training from the start.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            epochs, batch_size: those of the training that the rate is for.
            optimizer: its rule, such as fastgd.Adam(), as for `fit`; its own rate or schedule is not used.
            validation_data, validation_split, sample_weight, class_weight: as for `fit`.
            lowest, highest: the range of rates.
            most_steps: the most steps that are taken with one rate; of a longer training, only the beginning is tried.
            n_threads: as for `fit`; the result has the same bits for any number.

        Returns:
            The chosen rate, the rates that were tried with the loss that each came to, and the reason.

        Raises:
            InvalidInputError: a table or option that cannot be used.
            DivergenceError: the loss blows up at every rate of the range.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> search = fastgd.MLP([4, 16, 1], random_state=0).find_learning_rate(X, y, epochs=5)
            >>> bool(0.01 < search.learning_rate < 1)
            True
        """
        from .model.rate_search import find_learning_rate

        return self.look(
            lambda model: find_learning_rate(
                model, X, y, epochs, batch_size, optimizer, validation_data, validation_split, sample_weight,
                class_weight, lowest, highest, most_steps, n_threads,
            )
        )  # fmt: skip

    @checked_names
    def blame(
        self,
        X: Any,
        y: Any,
        layer: int | str = 0,
        by: str | None = None,
        per_row: bool = False,
        sample_weight: Any = None,
        biases: bool = False,
    ) -> Table:
        """Who is to blame for the error: a layer's weights, their gradients, and how far off each is.

        The gradient is that of `gradient`, by which `nudge` moves: of scaled inputs and targets, also before the first
        `fit`, with the scaling that these rows would give. Two columns weigh it: "share", its size beside the layer's
        largest; and "gain", about what part of the error this weight alone could still take away, from 0 to 1, where 1
        is all that a network of zeros would get wrong. Gain is high where the rows agree on the direction, and 0 where
        they pull in all of them, which at most 1,000 of the rows are asked for; see fastgd.explain.gain. The severity
        has the word that both allow:

        - "way off": a share of 0.5 and a gain of 0.05 at least,
        - "slightly off": a share of 0.2 and a gain of 0.005,
        - "close": a gain of 0.0005,
        - "nothing left to blame": below it.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            layer: which layer, counted from 0; -1 is the last, "all" are all of them, in their order.
            by: "weight", or "input" to gather each input's weights: the lengths of their rows. None for "input" where
                the model encodes its tables (a column has a row of weights for each bin and level), else "weight".
            per_row: whether to add a column "per_row", (n_weights, n_rows), or (n_inputs, n_rows) of lengths: one
                gradient for each row, of its own loss. The (weighted) mean over the rows is the gradient of a weight.
            sample_weight: how much each row counts, (n_rows,).
            biases: whether to have lines for the biases, after the weights of their layer.

        Raises:
            InvalidInputError: a table or option that cannot be used, or more gradients than fit into memory.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> model = fastgd.MLP([4, 1], feature_names=["size", "rooms", "distance", "age"], random_state=0)
            >>> model.blame(X, y)["severity"]
            ['way off', 'way off', 'way off', 'way off']
        """
        from . import explain

        return self.look(lambda model: explain.blame(model, X, y, layer, by, per_row, sample_weight, biases))

    @checked_names
    def nudge(
        self,
        X: Any,
        y: Any,
        learning_rate: float | None = None,
        optimizer: Optimizer | None = None,
        layer: int | str = 0,
        sample_weight: Any = None,
        biases: bool = False,
    ) -> Table:
        """What one step on all these rows would do to a layer's weights. Changes nothing; `step` does it.

        These are the numbers that `fit` would apply with this optimizer, to the bit (with all rows in one batch and
        shuffle=False). A model that was never fitted learns its scaling from these rows first, as in `fit`.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            learning_rate: the rate of this step alone; by default the rate that the schedule has come to.
            optimizer: such as fastgd.Adam(); by default that of the last fit, with what it remembers, at first
                plain descent, fastgd.SGD().
            layer: which layer, counted from 0; -1 is the last, "all" are all of them, in their order.
            sample_weight: how much each row counts, (n_rows,).
            biases: whether to have lines for the biases, after the weights of their layer.

        Returns:
            A table of old weight, nudge, new weight and effect, in the order of the weights. The effect is a word for
            the contribution, weight times input. Above zero, a weight that grows makes a "larger contribution" (or a
            "slight increase"), one that shrinks a "smaller contribution" ("slight decrease"). Below zero, one that
            comes nearer to zero gets "weaker" ("slightly weaker"), one that goes away from it "stronger" ("slightly
            stronger"). Where two such nudges would reach zero, the direction alone counts: up is larger, down is
            smaller. One that crosses zero "changes sign". The first words are for half the layer's largest nudge on,
            those in brackets for a fifth of it, or half of the weight itself; less, or less than 0.1 % of a typical
            weight, is "barely touched".

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

        return self.look(
            lambda model: explain.nudge(model, X, y, learning_rate, optimizer, layer, sample_weight, biases)
        )

    @checked_names
    def step(
        self,
        X: Any,
        y: Any,
        learning_rate: float | None = None,
        optimizer: Optimizer | None = None,
        layer: int | str = 0,
        sample_weight: Any = None,
        biases: bool = False,
    ) -> Table:
        """Take one step on all these rows, and say what it did to a layer's weights; see `nudge`.

        An optimizer that is given is that of the next `fit`, too; a learning rate is not.

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed.
            DivergenceError: the step led to numbers that are not finite; nothing has changed.
        """
        from . import explain

        with self.turns.alone():
            return explain.step(self, X, y, learning_rate, optimizer, layer, sample_weight, biases)

    @checked_names
    def health(self, X: Any, y: Any = None, optimizer: Optimizer | None = None) -> Health:
        """Look for what keeps a network from learning: dead and saturated units, unscaled inputs.

        With y also vanishing and exploding gradients, and steps that are too bold or too timid for the weights. Each
        finding comes with its advice. With y, a model that was never fitted is looked at with the scaling that these
        rows would give it.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            optimizer: whose next step is looked at; by default that of the last fit, at first that of `fit`.

        Raises:
            InvalidInputError: a table that cannot be used.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(500, random_state=0)
            >>> model = fastgd.MLP([4, 8, 1], standardize=False, random_state=0)
            >>> [finding.kind for finding in model.health(X).findings]
            ['unscaled inputs', 'dead units']
        """
        from .explain.health import health

        return self.look(lambda model: health(model, X, y, optimizer))

    def __dir__(self) -> list[str]:
        """What tab completion shows."""
        return [name for name in super().__dir__() if name not in INNER]

    def __repr__(self) -> str:
        return f"<MLP {self.network}, {self.dtype}>"

    def _repr_html_(self) -> str:
        shapes = enumerate(zip(self.network.shapes, self.network.activations, self.network.dropout, strict=True))
        rows = [
            [str(layer), f"{n_in:,} → {n_out:,}", activation.name, f"{n_in * n_out + n_out:,}", f"{dropout:g}"]
            for layer, ((n_in, n_out), activation, dropout) in shapes
        ]
        network = f"MLP, {self.network.loss.name}, {self.dtype}, {self.network.n_parameters:,} parameters"
        return html_table(["layer", "units", "activation", "parameters", "dropout"], rows, network)

    def save(self, path: str | Path, training_state: bool = False) -> None:
        """Write the model to a file, whole or not at all; `fastgd.load` reads it.

        Args:
            path: such as "house.safetensors"; a file of that name is replaced and keeps its mode; links stay links.
            training_state: whether to keep what a further `fit` needs to go on exactly where this one stopped.

        Raises:
            ModelFileError: the file cannot be written, or the model has numbers that `load` would refuse.
        """
        from .files.disk import save

        training_state = yes_or_no(training_state, "training_state")
        self.look(lambda model: save(model, path, training_state))

    def kept_in(self, path: str | Path) -> KeptFile[MLP]:
        """The file that a training of this model is kept in."""
        from .files.kept_file import KeptFile

        return KeptFile(path, MLP)

    def export(self, path: str | Path) -> None:
        """Write the model for programs without fastgd: ONNX (.onnx), a C99 header (.h), or a script of NumPy (.py).

        Args:
            path: such as "house.onnx"; a file of that name is replaced. docs/exports.md shows how each is called.

        Raises:
            InvalidInputError, ModelFileError: what this language cannot express; a file that cannot be written.
        """
        from .files.export import export

        self.look(lambda model: export(model, path))


MLP.__doc__ = with_names(MLP.__doc__, activations=ACTIVATIONS, losses=LOSSES, initializers=INITIALIZERS)
