"""One file format out and in: safetensors (arrays and a JSON header). Nothing in a file is executed.

A file is written beside its place and moved there when it is whole, so that a crash never leaves half a model.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from .errors import FastgdError, InvalidInputError, ModelFileError
from .kernels.records import State
from .losses import LOSSES, Loss
from .model import MLP
from .names import yes_or_no
from .optimizers import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule
from .training import Plateau, TrainingState

FORMAT = 1
SCALING = ("input_mean", "input_std", "target_mean", "target_std")
STATE = ("step", "first", "second", "average")


def save(model: MLP, path: str | Path, training_state: bool) -> None:
    """Write the model, and on request what a further training needs."""
    from safetensors.numpy import save as to_bytes

    header = _header(model)
    arrays = {"parameters": model.parameters, **{name: getattr(model._net, name) for name in SCALING}}
    if training_state and model._training is not None:
        kept = model._training
        header["training"] = {
            "optimizer": _described(kept.optimizer),
            "epoch": kept.epoch,
            "plateau": {name: repr(float(value)) for name, value in asdict(kept.plateau).items()},
            "origin": kept.origin,
        }
        arrays |= {f"training.{name}": getattr(kept.state, name) for name in STATE}
        if kept.raw is not None:
            arrays["training.raw"] = kept.raw
    metadata = {"fastgd": json.dumps(header, allow_nan=False)}
    write_whole(
        _as_path(path), to_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    )


def load(path: str | Path) -> MLP:
    """Read a model that `MLP.save` wrote.

    Args:
        path: the file.

    Raises:
        ModelFileError: no such file, a file of another kind, a truncated one, or one from a newer version.

    Example:
        >>> import fastgd, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "house.safetensors"
        >>> model = fastgd.MLP([4, 8, 1])
        >>> model.save(path)
        >>> bool((fastgd.load(path).parameters == model.parameters).all())
        True
    """
    header, arrays = _read(_as_path(path))
    version = header.get("format")
    if isinstance(version, bool) or version != FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, and this version of fastgd reads up to {FORMAT}: update fastgd."
        )
    try:
        return _rebuilt(header, arrays)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, FastgdError) as error:
        what = f"{type(error).__name__}: {error}" if not isinstance(error, FastgdError) else str(error)
        raise ModelFileError(f"{path} does not hold a whole model ({what}).") from error


def _as_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise ModelFileError(f"{path!r} is not the name of a file.")
    return Path(path)


def _header(model: MLP) -> dict[str, Any]:
    network, classes = model.network, model.classes
    return {
        "format": FORMAT,
        "layer_sizes": list(network.sizes),
        "activations": [activation.name for activation in network.activations],
        "loss": {"name": network.loss.name, **asdict(network.loss)},
        "dropout": list(network.dropout),
        "dtype": model.dtype.name,
        "standardize": model.standardize,
        "scaled": model._scaled,
        "feature_names": None if model.feature_names is None else list(model.feature_names),
        "random_state": model.random_state,
        "classes": None if classes is None else {"dtype": classes.dtype.str, "values": classes.tolist()},
    }


def _rebuilt(header: dict[str, Any], arrays: dict[str, Any]) -> MLP:
    activations, dropout = header["activations"], header["dropout"]
    loss = dict(header["loss"])
    model = MLP(
        header["layer_sizes"],
        activation=activations[:-1],
        output_activation=activations[-1],
        loss=_loss(loss),
        initializer="zeros",
        dtype=header["dtype"],
        standardize=header["standardize"],
        feature_names=header["feature_names"],
        random_state=header["random_state"],
        dropout=dropout[:-1],
    )
    model.parameters = arrays["parameters"]
    for name in SCALING:
        _fill(getattr(model._net, name), arrays[name], name)
    if not (model._net.input_std > 0).all() or not (model._net.target_std > 0).all():
        raise InvalidInputError("a standard deviation is not positive")
    model._scaled = yes_or_no(header["scaled"], "scaled")
    if header["classes"] is not None:
        kind = np.dtype(header["classes"]["dtype"])
        if kind.kind not in "biuU":
            raise InvalidInputError(f"classes have dtype {kind}")
        classes = np.array(header["classes"]["values"], kind)
        if model.classes is None or classes.shape != model.classes.shape:
            raise InvalidInputError(f"{classes.size} classes do not fit the network")
        model.classes = classes
    if "training" in header:
        model._training = _training(header["training"], arrays, model)
    return model


def _loss(description: dict[str, Any]) -> Loss:
    name = description.pop("name")
    return LOSSES[name](**description)


def _training(kept: dict[str, Any], arrays: dict[str, Any], model: MLP) -> TrainingState:
    optimizer = _made(kept["optimizer"], OPTIMIZERS)
    state = optimizer.new_state(model.parameters)
    for name in STATE:
        _fill(getattr(state, name), arrays[f"training.{name}"], f"training.{name}")
    plateau = kept["plateau"]
    raw = arrays.get("training.raw")
    epoch, step, origin = int(kept["epoch"]), int(state.step[0]), int(kept["origin"])
    share, best = float(plateau["share"]), float(plateau["best"])
    if not (0 <= epoch < 1 << 62 and 0 <= origin <= step and 0 <= share <= 1 and best == best):
        raise InvalidInputError("the training state has numbers out of their range")
    if (state.second < 0).any() or (raw is not None and not state.average.size):
        raise InvalidInputError("the training state contradicts itself")
    if raw is not None:
        raw = _fill(np.zeros_like(model.parameters), raw, "training.raw")
    return TrainingState(
        optimizer,
        State(*state),
        epoch,
        Plateau(share, best, int(float(plateau["waited"]))),
        origin,
        raw,
    )


def _fill(target: Any, source: Any, name: str) -> Any:
    if source.shape != target.shape or source.dtype != target.dtype or not np.isfinite(source).all():
        raise InvalidInputError(f"{name} is not {target.dtype} {target.shape} of finite numbers")
    target[:] = source
    return target


def _described(thing: Any) -> Any:
    """An optimizer or a schedule as plain JSON: its name and its numbers."""
    if isinstance(thing, Optimizer | Schedule):
        name = type(thing).__name__
        if name not in OPTIMIZERS and name not in SCHEDULES:
            raise InvalidInputError(f"A {name} of your own cannot be saved with the training state.")
        return {"name": name, **{entry.name: _described(getattr(thing, entry.name)) for entry in fields(thing)}}
    if callable(thing):
        raise InvalidInputError(
            "A learning rate that is a function cannot be saved with the training state: "
            "use one of fastgd.schedules, or save without training_state."
        )
    if isinstance(thing, bool | int | str | None):
        return thing
    return bool(thing) if isinstance(thing, np.bool_) else float(thing)


def _made(description: Any, table: Any) -> Any:
    """What `_described` described."""
    values = dict(description)
    kind = table[values.pop("name")]
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = _made(value, SCHEDULES)
    return kind(**values)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.is_dir() or not path.exists():
            raise ModelFileError(f"{path} is {'a folder' if path.is_dir() else 'not there'}: name a file.")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (SafetensorError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path} is truncated, or not a safetensors file: {error}.") from error
    if "fastgd" not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that fastgd wrote.")
    try:
        header = json.loads(metadata["fastgd"])
        if not isinstance(header, dict):
            raise TypeError
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path} has a damaged header: save the model again.") from error
    return header, arrays


def write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and move it into place.

    Raises:
        ModelFileError: the file cannot be written, or what has this name is no file, such as a device.
    """
    temporary = None
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is a folder" if path.is_dir() else "it is no file that could be replaced")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
