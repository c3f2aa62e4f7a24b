"""A model in words and arrays, and back. A header counts only if its model would be described in the same words.

A file of an earlier version, without what optimizers and the like did not have then, is read all the same.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..data.encoding import Encoding
from ..data.scaling import SCALING
from ..errors import InvalidInputError
from ..kernels.records import State
from ..model.core import Core
from ..network.activations import ACTIVATIONS
from ..network.initializers import INITIALIZERS
from ..network.losses import LOSSES
from ..network.network import Network
from ..options import look_up, yes_or_no
from ..training.in_words import in_words
from ..training.optimizers import OPTIMIZERS
from ..training.schedules import SCHEDULES
from ..training.state import Pieces, Plateau, TrainingState
from . import course_file, encoders
from .tensors import Arrays

Model = TypeVar("Model", bound=Core)

FORMAT = 1
STATE = {"step": "step", "first": "velocity", "second": "squares", "average": "average"}  # in the file: in the record
PLATEAU = {"share": "factor_left", "best": "best", "waited": "waited"}  # likewise
PIECES = ("n_rows", "mean_weight", "weight", "loss", "high_loss", "loss_of_zeros", "before")  # likewise
REALS = {"float32": "F32", "float64": "F64"}
LONGEST_LABEL = 1024  # characters: an array of labels has as many for each
MOST_STEPS = 1 << 62
NO_TARGET = {"log": False, "clip": False, "has_range": False}


def described(model: Core, training_state: bool) -> tuple[dict[str, Any], Arrays]:
    """The header and the arrays of a file."""
    network, classes, kept = model.network, model.classes, model.fit_state
    header: dict[str, Any] = {
        "format": FORMAT,
        "layer_sizes": list(network.sizes),
        "activations": [activation.name for activation in network.activations],
        "loss": {"name": network.loss.name, **asdict(network.loss)},
        "dropout": list(network.dropout),
        "dtype": model.dtype.name,
        "standardize": model.standardize,
        "scaled": model.schema.scaled,
        "feature_names": None if model.feature_names is None else list(model.feature_names),
        "random_state": model.random_state,
        "classes": None,
    }
    if classes is not None:
        known = model.schema.classes_known
        header["classes"] = {"dtype": classes.dtype.str, "values": classes.tolist(), "known": known}
    arrays: Arrays = {name: getattr(model.net, name) for name in ("parameters", *SCALING)}
    encoding, encoder = model.schema.encoding, model.schema.encoder
    target = model.schema.target
    if model.target_names is not None:
        header["target_names"] = list(model.target_names)
    if network.monotone:
        header["monotone"] = list(network.monotone)
    if target.log or target.clip:
        header["target"] = {"log": target.log, "clip": target.clip, "has_range": target.range is not None}
        if target.range is not None:
            arrays["target.range"] = target.range.ravel()
    if encoding is not None:
        name = model.initializer if isinstance(model.initializer, str) else "auto"  # arrays are in the parameters
        header["encoding"] = {**asdict(encoding), "initializer": name}
    if encoder is not None:
        header["encoder"], of_encoder = encoders.described(encoder)
        arrays |= of_encoder
    if training_state and kept is not None:
        header["training"] = {
            "optimizer": in_words(kept.optimizer),
            "epoch": kept.epoch,
            "plateau": {name: repr(float(getattr(kept.plateau, field))) for name, field in PLATEAU.items()},
            "origin": kept.origin,
            "start": repr(float(kept.start)),
            "lowest": repr(float(kept.lowest)),
        }
        if kept.pieces.n_rows:
            header["training"]["pieces"] = {name: repr(float(getattr(kept.pieces, name))) for name in PIECES}
        arrays |= {f"training.{name}": getattr(kept.state, field) for name, field in STATE.items()}
        if kept.raw is not None:
            arrays["training.raw"] = kept.raw
        if kept.course is not None:
            header["training"]["course"], of_course = course_file.described(kept.course)
            arrays |= of_course
    return header, arrays


def _made(description: Any, table: Any) -> Any:
    """What was described: a loss, an optimizer or a schedule."""
    values = dict(description)
    kind = table[values.pop("name")]
    if values.keys() - {entry.name for entry in fields(kind)}:
        raise InvalidInputError(f"{kind.__name__} has numbers that are not its own")
    return kind(**{name: _made(value, SCHEDULES) if isinstance(value, dict) else value
                   for name, value in values.items()})  # fmt: skip


def rebuilt(header: dict[str, Any], arrays: Arrays, kind: type[Model]) -> Model:
    """The model that a header and arrays describe."""
    activations = header["activations"]
    model = kind(
        header["layer_sizes"],
        activation=activations[:-1],
        output_activation=activations[-1],
        loss=_made(header["loss"], LOSSES),
        initializer="zeros",
        dtype=header["dtype"],
        standardize=header["standardize"],
        feature_names=header["feature_names"],
        random_state=header["random_state"],
        dropout=header["dropout"][:-1],
        encoding=_encoding(header),
        log_target=header.get("target", NO_TARGET)["log"],
        clip_predictions=header.get("target", NO_TARGET)["clip"],
        monotone=dict(enumerate(header.get("monotone", ()))),
    )
    if "encoding" in header:
        name = header["encoding"]["initializer"]
        look_up(name, {"auto": None, **INITIALIZERS}, "initializer")
        model.initializer = name
    if "encoder" in header:
        model.take_encoder(encoders.rebuilt(header["encoder"], arrays))
    for name, array in arrays.items():
        _check_numbers(name, array)
        if not name.startswith(("training.", "encoder.", "target.")):
            getattr(model.net, name)[:] = array
    model.network.check_signs(model.net.parameters)
    model.target_names = header.get("target_names")
    schema = replace(model.schema, scaled=yes_or_no(header["scaled"], "scaled"))
    kept = header["classes"]
    if kept is not None:
        is_known = yes_or_no(kept.get("known", schema.scaled), "known")
        schema = replace(schema, classes=_classes(kept, model.network), classes_known=is_known)
    if "target.range" in arrays:
        low, high = limits = arrays["target.range"].reshape(2, -1)
        if not (low <= high).all() or np.abs(limits).max() > np.finfo(model.dtype).max:
            raise InvalidInputError("the range of its target is none")
        schema = replace(schema, target=replace(schema.target, range=limits))
    model.schema = schema
    if "training" in header:
        model.fit_state = _training(header["training"], arrays)
    again, _ = described(model, training_state=True)
    if kept and again["classes"]:
        again["classes"]["dtype"] = kept["dtype"]  # an array of labels may be wider than its labels
    given = _completed(header, again)
    wrong = [name for name in given if name not in again or _text(given[name]) != _text(again[name])]
    if wrong:
        raise InvalidInputError(f"fastgd does not write such {', '.join(wrong)}")
    return model


def _encoding(header: dict[str, Any]) -> Encoding | None:
    """The encoding that was asked for."""
    options = {name: value for name, value in header.get("encoding", {}).items() if name != "initializer"}
    return Encoding(**options) if "encoding" in header else None


def _text(words: Any) -> str:
    return json.dumps(words, sort_keys=True)


def _completed(words: Any, again: Any) -> Any:
    """What an earlier version wrote, with what it did not know yet as it is by default."""
    if isinstance(words, dict) and isinstance(again, dict):
        return again | {name: _completed(value, again.get(name)) for name, value in words.items()}
    return words


def _check_numbers(name: str, array: NDArray[Any]) -> None:
    """Numbers are finite, spreads positive (infinite for an input that never varied), squares not negative."""
    finite = ~np.isnan(array) if name == "input_std" else np.isfinite(array)
    if not finite.all() and name != course_file.HISTORY:  # a val_loss may be infinite
        raise InvalidInputError(f"there are numbers in {name} that are not finite")
    if (name.endswith("_std") and not (array > 0).all()) or (name == "training.second" and (array < 0).any()):
        raise InvalidInputError(f"there are numbers in {name} out of their range")


def _classes(kept: Any, network: Network) -> NDArray[Any]:
    """Labels of one kind, all different, and no more than the network can tell apart."""
    kind, values = re.fullmatch("[<>=|]?(?:(b)1|([iu])[1248]|(U)([0-9]{1,9}))", kept["dtype"]), kept["values"]
    most = {"classes": network.n_out, "labels": 2 if network.n_out == 1 else 0}.get(network.loss.task, 0)
    if kind is None or not isinstance(values, list):
        raise InvalidInputError("its classes are not labels")
    if not 1 <= len(values) <= most:
        raise InvalidInputError(f"{len(values)} classes do not fit the network")
    wanted = bool if kind[1] else int if kind[2] else str
    if any(type(value) is not wanted for value in values) or len(set(values)) < len(values):
        raise InvalidInputError("its classes are not different labels of one kind")
    if wanted is str and max(map(len, values)) > min(int(kind[4]), LONGEST_LABEL):
        raise InvalidInputError(f"its classes have a label of more than {kind[4]} or {LONGEST_LABEL:,} characters")
    classes = np.array(values, None if wanted is str else np.dtype(kept["dtype"]))
    if classes.tolist() != values:
        raise InvalidInputError("its classes have a label that no array can hold")
    return classes


def _training(kept: dict[str, Any], arrays: Arrays) -> TrainingState:
    """What a further training needs."""
    state = State(**{field: arrays[f"training.{name}"] for name, field in STATE.items()})
    raw = arrays.get("training.raw")
    plateau = {name: float(value) for name, value in kept["plateau"].items()}
    pieces_seen: dict[str, Any] = {name: float(value) for name, value in kept.get("pieces", {}).items()}
    training = TrainingState(
        _made(kept["optimizer"], OPTIMIZERS),
        state,
        kept["epoch"],
        Plateau(plateau["share"], plateau["best"], int(plateau["waited"])),
        kept["origin"],
        raw,
        float(kept.get("start", "nan")),
        float(kept.get("lowest", "inf")),
        Pieces(**pieces_seen),
    )
    step, best, pieces = int(state.step[0]), training.plateau.best, training.pieces
    if not all(type(number) is int for number in (training.epoch, training.origin)) or not (
        0 <= training.origin <= step < MOST_STEPS and 0 <= training.epoch < MOST_STEPS
        and 0 <= training.plateau.factor_left <= 1 and 0 <= training.plateau.waited < MOST_STEPS and best == best
        and 0 <= pieces.n_rows < MOST_STEPS and 0 < pieces.mean_weight < math.inf and 0 <= pieces.weight < math.inf
    ):  # fmt: skip
        raise InvalidInputError("the training state has numbers out of their range")
    if raw is not None and not state.average.size:
        raise InvalidInputError("the training state contradicts itself")
    if "course" in kept:
        training.course = course_file.rebuilt(kept["course"], arrays, training.epoch, step)
    return training


def promised(header: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array that a header speaks of; nothing of that length is made here."""
    activations, real = header["activations"], REALS[header["dtype"]]
    if set(activations) - set(ACTIVATIONS):
        raise InvalidInputError("it has unknown activations")
    network = Network.from_names(
        header["layer_sizes"], activations[:-1], activations[-1], _made(header["loss"], LOSSES), header["dropout"][:-1]
    )
    beside: dict[str, tuple[str, int]] = {}
    if header.get("target", NO_TARGET)["has_range"]:
        beside["target.range"] = ("F64", 2 * network.n_targets)
    if "encoder" in header:
        beside |= encoders.promised(header, network.n_in)
        network = replace(network, encoded=encoders.inputs_of(header["encoder"]))
    n, n_in, n_targets = network.n_parameters, network.inputs.n_columns, network.n_targets
    lengths = {"parameters": n, **dict(zip(SCALING, (n_in, n_in, n_targets, n_targets), strict=True))}
    if "training" not in header:
        return {**beside, **{name: (real, length) for name, length in lengths.items()}}
    optimizer = _made(header["training"]["optimizer"], OPTIMIZERS)
    kept = (*optimizer.moments(), optimizer.ema_decay is not None)
    lengths |= {f"training.{name}": n * there for name, there in zip(list(STATE)[1:], kept, strict=True)}
    lengths["training.raw"] = n
    if "course" in header["training"]:
        beside |= course_file.promised(header["training"]["course"], n, real)
    return {"training.step": ("I64", 1), **beside, **{name: (real, length) for name, length in lengths.items()}}
