"""What ranks must have in common before they train a network together: options, and the model that they start from."""

from __future__ import annotations

import hashlib
import pickle
import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..errors import InvalidInputError
from ..kernels import DEFAULT_DEVICE, GPU
from ..kernels.records import Net
from ..options import positive_integer, yes_or_no
from ..training.cores import allowance
from ..training.devices import AUTO, asked_device
from ..training.ranks import Ranks
from ..training.shared_steps import ONE_THREAD
from ..training.state import checked_optimizer
from .model import Model
from .rows_of_rank import RowsOfRank

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function: another one in each process


class FitOptions(NamedTuple):
    """What the user of `fit` says, beside the rows."""

    epochs: Any
    batch_size: Any
    optimizer: Any
    validation_data: Any
    validation_split: Any
    class_weight: Any
    shuffle: Any
    callbacks: Any
    n_threads: Any
    device: Any
    buffer_rows: Any
    verbose: Any

    def checked(self, device: str) -> FitOptions:
        """The same, with the device by name; the model's is `device`."""
        asked = asked_device(device if self.device is None else self.device)
        if asked == GPU:
            raise InvalidInputError(f"comm is for device={DEFAULT_DEVICE!r} or 'plain': ranks do not train on GPUs.")
        if self.validation_split:
            raise InvalidInputError(
                "validation_split cannot be used with comm: give validation_data on rank 0, which validates for all."
            )
        if self.n_threads != "auto" and allowance(self.n_threads).most != 1:
            raise InvalidInputError(f"n_threads is {self.n_threads}, but with comm {ONE_THREAD.reason}.")
        return self._replace(
            epochs=positive_integer(self.epochs, "epochs", least=0),
            batch_size=positive_integer(self.batch_size, "batch_size"),
            shuffle=yes_or_no(self.shuffle, "shuffle"),
            device=DEFAULT_DEVICE if asked == AUTO else asked,
        )


def check_batch(batch_size: int, size: int) -> None:
    """Whether so many ranks can share a batch."""
    if batch_size < size:
        raise InvalidInputError(
            f"batch_size={batch_size} is below the {size} ranks, which take their rows of a batch together: give at "
            f"least {size}."
        )


def told_options(model: Model, rows: RowsOfRank, asked: FitOptions) -> dict[str, str]:
    """What must be the same on all ranks, by the names that users know."""
    network, schema = model.network, model.schema
    told: dict[str, Any] = {
        "version of fastgd": __version__,
        "layer_sizes": list(network.sizes),
        "activation": [activation.name for activation in network.activations],
        "loss": network.loss,
        "dropout": network.dropout,
        "monotone": network.monotone,
        "dtype": model.dtype,
        "standardize": schema.standardize,
        "encoding": schema.encoding,
        "log_target": schema.target.log,
        "clip_predictions": schema.target.clip,
        "epochs": asked.epochs,
        "batch_size": asked.batch_size,
        "optimizer": "none" if asked.optimizer is None else checked_optimizer(None, asked.optimizer),
        "class_weight": asked.class_weight,
        "shuffle": asked.shuffle,
        "device": asked.device,
        "X": "a table" if rows.stream is None else "a stream",
        "sample_weight": "some" if rows.is_weighted else "none",
    }
    return {name: ADDRESS.sub("", str(value)) for name, value in told.items()}


def compare(ranks: Ranks, told: dict[str, str]) -> None:
    """Raise the same sentence on all ranks if one was told something else than rank 0."""
    all_told = ranks.meet(told)
    for rank, other in enumerate(all_told):
        for name, value in all_told[0].items():
            if other[name] != value:
                raise InvalidInputError(
                    f"rank {rank} has {name} {other[name]}, but rank 0 has {value}: all ranks must be given the same."
                )


def start_alike(model: Model, ranks: Ranks) -> None:
    """Have the model of rank 0, if they are not the same anyway."""
    if len(set(ranks.meet(_fingerprint(model)))) == 1:
        return
    schema, net, state, model.random_state = pickle.loads(ranks.done_by_first(lambda: _pickled(model)))
    if not ranks.is_first:
        model.take_over(replace(schema, device=model.device), Net(*net))
        model.fit_state = state


def _pickled(model: Model) -> bytes:
    try:
        return pickle.dumps((model.schema, model.net, model.fit_state, model.random_state))
    except Exception as error:  # a function of the user as learning rate
        raise InvalidInputError(
            f"The models of the ranks differ, and that of rank 0 cannot be sent ({error}): load the same file on each."
        ) from error


def _fingerprint(model: Model) -> bytes:
    """Equal for models that go on alike."""
    state, schema, digest = model.fit_state, model.schema, hashlib.blake2b(digest_size=16)
    arrays = [*model.net, *state.state, *([] if state.raw is None else [state.raw])] if state else model.net
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    kept = (state.epoch, state.plateau, state.origin, state.start, state.lowest) if state else ()
    names = schema.feature_names, schema.target_names, None if schema.classes is None else schema.classes.tolist()
    digest.update(repr((kept, names, schema.scaled, model.random_state)).encode())
    return digest.digest()
