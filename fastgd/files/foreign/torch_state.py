"""The layers of a PyTorch state_dict: arrays by their names, from a dict or from a safetensors file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...data.arrays import as_array
from ...errors import InvalidInputError, ModelFileError
from ...kernels.records import Reals
from ...options import called, shortened
from .. import tensors
from ..disk import NOT_WHOLE, as_path

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
ONLY = "only Linear layers, one after the other, can be read"
OF_OTHER_LAYERS = {"running_mean": "BatchNorm", "running_var": "BatchNorm", "num_batches_tracked": "BatchNorm"}
BY_DIMENSIONS = {1: "a norm, such as LayerNorm", 3: "Conv1d", 4: "Conv2d", 5: "Conv3d"}


def layers_of(source: Any) -> list[tuple[Reals, Reals]]:
    """Weights (n_in, n_out) and biases (n_out,) of each Linear layer, in their order.

    Raises:
        InvalidInputError: something else than Linear layers, one after the other.
        ModelFileError: a file that cannot be read.
    """
    if isinstance(source, Mapping):
        state, layers = dict(source), _by_layer(source)
    elif hasattr(source, "state_dict"):
        raise InvalidInputError(f"{type(source).__name__} is a module: pass its state_dict().")
    else:
        path = as_path(source)
        state = _read(path)
        layers = dict(sorted(_by_layer(state).items(), key=lambda item: _in_order(item[0])))
        if len({re.sub("[0-9]+", "#", name) for name in layers}) > 1:
            found = shortened(", ".join(layers), 80)
            raise InvalidInputError(
                f"{called(path)} has layers without an order ({found}): pass the state_dict itself, or name them by "
                "numbers, as Sequential does."
            )
    if not layers:
        raise InvalidInputError("There is no Linear layer in this state_dict.")
    pairs = [_linear(name, {part: state[key] for part, key in keys.items()}) for name, keys in layers.items()]
    for (before, name), (one, other) in zip(pairwise(layers), pairwise(pairs), strict=True):
        if len(other[0]) != len(one[1]):
            raise InvalidInputError(
                f"{_called(name)} has {len(other[0])} inputs, but {before!r} before it {len(one[1])} outputs: {ONLY}."
            )
    return pairs


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() in PICKLES:
        raise ModelFileError(
            f"{called(path)} is a pickle, which may run code when it is read: save it in PyTorch by "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with tensors.opened(path) as file:
            tensors.index(file)  # a large file of another kind is refused before it is read
            file.seek(0)
            return load(file.read())
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{called(path)} cannot be read: {error.strerror or error}.") from error
    except (SafetensorError, *NOT_WHOLE) as error:  # KeyError: a dtype that NumPy lacks
        raise ModelFileError(
            f"{called(path)} is no safetensors file of numbers that NumPy knows ({' '.join(str(error).split())[:100]})."
        ) from error


def _by_layer(state: Mapping[Any, Any]) -> dict[str, dict[str, Any]]:
    """The keys of each layer by what they hold: "0.weight" is the weight of layer "0"."""
    layers: dict[str, dict[str, Any]] = {}
    for key in state:
        layer, _, part = str(key).rpartition(".")
        if part in OF_OTHER_LAYERS:
            raise InvalidInputError(f"{_called(layer)} is {OF_OTHER_LAYERS[part]}: {ONLY}.")
        if part not in ("weight", "bias"):
            raise InvalidInputError(f"{shortened(str(key), 80)} belongs to no Linear layer: {ONLY}.")
        layers.setdefault(layer, {})[part] = key
    return layers


def _in_order(name: str) -> list[tuple[int, str]]:
    """Names in the order of the numbers in them: 2 comes before 10."""
    parts = re.split("0*([0-9]+)", name)  # text, number, text, and so on; of two numbers the longer one is larger
    return [(len(part), part) if place % 2 else (0, part) for place, part in enumerate(parts)]


def _linear(name: str, parts: dict[str, Any]) -> tuple[Reals, Reals]:
    called = _called(name)
    if "weight" not in parts:
        raise InvalidInputError(f"{called} has a bias, but no weight: {ONLY}.")
    weight = as_array(parts["weight"], f"{called}, its weight")
    if weight.ndim != 2:
        kind = f", as has {BY_DIMENSIONS[weight.ndim]}" if weight.ndim in BY_DIMENSIONS else ""
        raise InvalidInputError(f"{called} has a weight of shape {weight.shape}{kind}: {ONLY}.")
    bias = np.zeros(len(weight), weight.dtype)
    if "bias" in parts:
        bias = as_array(parts["bias"], f"{called}, its bias")
    if bias.shape != (len(weight),):
        raise InvalidInputError(f"{called} has a weight of shape {weight.shape} and a bias of shape {bias.shape}.")
    return weight.T, bias


def _called(name: str) -> str:
    return f"state_dict: layer {shortened(repr(name), 60)}" if name else "state_dict: its only layer"
