"""What a model is: its network with scaling and parameters, its schema, what its training keeps, and its device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from ..data.encoder import Encoder
from ..data.encoding import Encoding, as_encoding
from ..data.monotone import checked_monotone
from ..data.schema import Schema, checked_column_names, new_schema
from ..data.target import checked_target
from ..kernels import DEFAULT_DEVICE, engine, missing
from ..kernels.records import LossRecord, Net, Reals
from ..network.losses import Loss
from ..network.network import Network, finite_array
from ..options import checked_names, real_dtype, seed, yes_or_no
from ..training.devices import named_device
from ..training.equipment import Store
from ..training.state import TrainingState
from ..training.turns import Turns
from .predictor import Predictor
from .scaling import Scaling, scaling_of

Method = TypeVar("Method", bound=Callable[..., Any])
T = TypeVar("T")


def alone(method: Method) -> Method:
    """Let a method have the model for itself, as a training does."""

    @functools.wraps(method)
    def with_model(self: Model, *args: Any, **options: Any) -> Any:
        with self.turns.alone(trains=True):
            return method(self, *args, **options)

    return with_model  # type: ignore[return-value]


def _frozen(array: Reals) -> Reals:
    """What may be read, but not written."""
    view = array.view()
    view.flags.writeable = False
    return view


class Model:
    """What is kept from call to call.

    Attributes:
        network: the architecture.
        net: parameters and scaling as kernels take them.
        schema: what is known of its tables.
        fit_state: what a further fit needs to go on; None before the first.
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
        encoding: str | Encoding | None = None,
        log_target: bool = False,
        clip_predictions: bool = False,
        monotone: Mapping[Any, int] | None = None,
    ) -> None:
        network = Network.from_names(layer_sizes, activation, output_activation, loss, dropout)
        names = checked_column_names(feature_names, network.n_in)
        self.network = replace(network, monotone=checked_monotone(monotone, network, names))
        self.dtype = real_dtype(dtype)
        self.random_state = seed(random_state)
        self.net = self.network.new_net(initializer, self.dtype, self.random_state)
        self.initializer = initializer  # of weights that the first fit makes, where tables are encoded
        log, clip = yes_or_no(log_target, "log_target"), yes_or_no(clip_predictions, "clip_predictions")
        self.schema = new_schema(
            self.network, self.dtype, yes_or_no(standardize, "standardize"), names, classes,
            as_encoding(encoding), checked_target(self.network, log, clip),
        )  # fmt: skip
        self.fit_state: TrainingState | None = None
        self._device = DEFAULT_DEVICE
        self._predictor: Predictor | None = None
        self._objective: LossRecord | None = None
        self._limits: Reals | None = None  # of predictions, where compiled code holds them
        self.store, self.turns = Store(), Turns()

    def __getstate__(self) -> dict[str, Any]:
        # A copy, because others may change the arrays before they are written; locks belong to this process.
        return self.look(lambda model: {**model.twin().__dict__, "turns": None})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.turns = Turns()
        if missing(self._device):  # it comes from a machine with a GPU, and predicts without one, too
            self.device = DEFAULT_DEVICE

    @property
    def parameters(self) -> Reals:
        """All weights and biases as the one flat vector that the kernels use, (n_parameters,); writing changes them.

        They are in the units of `get_parameters`. While the model learns in another thread it is a copy, read-only.
        """
        return self.look(lambda model: model.net.parameters if model is self else _frozen(model.net.parameters))

    @parameters.setter
    def parameters(self, values: Any) -> None:
        checked = finite_array(values, self.net.parameters.shape, self.dtype, "parameters")
        self.network.check_signs(checked)
        with self.turns.alone(), self.turns.changing():
            self.net.parameters[:] = checked

    def get_parameters(self) -> list[tuple[Reals, Reals]]:
        """Copies of each layer's (weights (n_in, n_out), biases (n_out,)).

        They are in the units of the network. Once fitted that is, unless standardize=False, standard deviations: the
        first layer's weights belong to inputs of mean 0 and standard deviation 1, and the last layer's lead to outputs
        in standard deviations of the target. `scaling` has the numbers, and shows how to predict by hand.
        """
        return self.look(
            lambda model: [
                (weights.copy(), biases.copy()) for weights, biases in model.network.split(model.net.parameters)
            ]
        )

    def set_parameters(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        """Set all weights and biases from a list as `get_parameters` returns it, in the same units.

        Raises:
            InvalidInputError: a shape that does not fit, or a value that is not finite; nothing has changed.
        """
        with self.turns.alone():
            values = self.net.parameters.copy()
            self.network.join(pairs, values)
            self.parameters = values

    @property
    def scaling(self) -> Scaling:
        """What stands between the user's units and the network's: means and standard deviations, printed as a table.

        Copies of what the model has now, read-only and in its dtype: input_mean, input_std, target_mean, target_std.
        help(type(model.scaling)) says how outputs become predictions for each loss, with an example.
        """
        return self.look(lambda model: scaling_of(model.net, model.schema))

    @property
    def encoding(self) -> Encoding | None:
        """How tables are to be encoded, as it was asked for; None: they are numbers, and stay as they are."""
        return self.schema.encoding

    @property
    def encoder(self) -> Encoder | None:
        """What the first fit has learned of each column, printed as a table; None before it, and without encoding."""
        learned = self.schema.encoder
        return None if learned is None else replace(learned, names=self.feature_names)

    @property
    def standardize(self) -> bool:
        """Whether inputs and target are scaled to mean 0 and standard deviation 1 inside the model."""
        return self.schema.standardize

    @property
    def device(self) -> str:
        """Where the model learns, predicts, measures and explains: "cpu", "plain" or "cuda".

        One that was on a GPU and is loaded, or unpickled, where there is none is on the "cpu" then.
        """
        return self._device

    @device.setter
    def device(self, name: str) -> None:
        device = named_device(name)
        if device != self._device:
            with self.turns.alone():
                self._device, self._predictor = device, None
                self.schema = replace(self.schema, device=device)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """A name for each input, as it was given or as the first data frame had it."""
        return self.schema.feature_names

    @feature_names.setter
    def feature_names(self, names: Any) -> None:
        self.schema = replace(self.schema, feature_names=checked_column_names(names, self.network.n_in))

    @property
    def target_names(self) -> tuple[str, ...] | None:
        """A name for each column of y, as the first series or data frame had it; None where none is known."""
        return self.schema.target_names

    @target_names.setter
    def target_names(self, names: Any) -> None:
        checked = checked_column_names(names, self.network.n_targets, "target_names")
        self.schema = replace(self.schema, target_names=checked)

    @property
    def classes(self) -> NDArray[Any] | None:
        """The labels that the outputs stand for, in their order; None where they stand for no classes."""
        return self.schema.classes

    @property
    def members(self) -> tuple[Self, ...]:
        """The model itself, as whatever looks at several models asks for it."""
        return (self,)

    @property
    def engine(self) -> ModuleType:
        """The kernels of the model's device."""
        return engine(self.device)

    @property
    def objective(self) -> LossRecord:
        """The loss as kernels take it."""
        if self._objective is None:
            self._objective = self.network.loss.record(self.net.target_std)
        return self._objective

    @property
    def loss_unit(self) -> float:
        """How large a loss of 1 in standard units is in the user's units."""
        return self.network.loss.largest_unit(self.net.target_std)

    def __copy__(self) -> Self:
        return self.look(lambda model: model.twin())  # two models that shared their weights would train the same ones

    def twin(self) -> Self:
        """A model that is the same, and learns on its own; a deep copy would take as long as some steps."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        other.net = Net(*(array.copy() for array in self.net))
        other.fit_state = None if self.fit_state is None else self.fit_state.copy()
        other._predictor, other._objective, other._limits, other.turns = None, None, None, Turns()
        return other

    def at_rest(self) -> Self:
        """A copy, as it would be if a training that is under way ended here."""
        other = self.twin()
        if other.fit_state is not None:
            other.fit_state.show_average(other.net.parameters)
        return other

    def look(self, see: Callable[[Self], T]) -> T:
        """What is seen of the model, or of a copy where another thread changes it; see training/turns.py."""
        seen: T = self.turns.look(self, see)
        return seen

    def become(self, other: Model) -> None:
        """Be what another model of the same network has come to."""
        with self.turns.changing():
            self.take_over(other.schema, other.net)
            self.fit_state, self.device = other.fit_state, other.device

    def forget_table(self, before: Model | None, schema: Schema, device: str) -> None:
        """After a fit without a step worth keeping: another table may bring a scaling of its own.

        `before` is the model as it was, where its weights are new ones; else its schema and its device say enough.
        """
        if before:
            self.become(before)
        else:
            self.take_over(schema, self.net)
            self.device = device

    def take_over(self, schema: Schema, net: Net) -> None:
        """Have the schema and the scaling that a fit has learned, or all of another model's net.

        Where it has learned how tables are encoded, the network is another one.
        """
        if schema.network is not self.network:
            self.network, self.net = schema.network, Net(*(array.copy() for array in net))
            self.store = self.store.fresh()
        for mine, its in zip(self.net, net, strict=True):
            if mine is not its:
                mine[:] = its
                self._predictor = self._objective = None
        if schema.target is not self.schema.target:
            self._predictor = None
            if self._limits is not None:
                self._limits[:] = schema.target.limits(self.network.n_out, self.dtype)
        self.schema = schema

    def take_encoder(self, encoder: Encoder) -> None:
        """Read tables through this encoder, with weights of 0 where that takes others."""
        schema, net = replace(self.schema, encoder=encoder), self.net
        if encoder.inputs != self.network.inputs:
            schema = replace(schema, network=replace(self.network, encoded=encoder.inputs))
            net = schema.network.new_net("zeros", self.dtype, self.random_state)._replace(**encoder.bins(self.dtype))
        self.take_over(schema, net)

    def let_go(self) -> None:
        """Drop scratch, which a further call makes again: what is left is the network and what its optimizer knows."""
        self.store, self._predictor = Store(), None

    def limits(self) -> Reals:
        """Lowest and highest prediction, (2, n_out), in an array that later fits change."""
        if self._limits is None:
            self._limits = self.schema.target.limits(self.network.n_out, self.dtype)
        return self._limits

    def predictor(self) -> Predictor:
        """Predictions by the model's engine, as it is now."""
        if self._predictor is None:
            self._predictor = Predictor(self.engine, self.net, self.objective, self.schema.target)
        return self._predictor
