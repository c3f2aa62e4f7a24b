"""Several models as one, in words and arrays: each model as in a file of its own, its arrays after its number."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ..errors import InvalidInputError
from ..model.core import Core
from ..model.intervals import Calibration
from ..model.mean import Mean
from ..options import positive_integer
from . import model_file
from .tensors import Arrays

Whole = TypeVar("Whole", bound=Mean)

FORMAT = 2


def described(ensemble: Mean) -> tuple[dict[str, Any], Arrays]:
    """The header and the arrays of a file."""
    parts = [
        member.look(lambda model: model_file.described(model.twin(), training_state=False))
        for member in ensemble.members
    ]
    header = {"format": FORMAT, "models": [words for words, _ in parts], "weights": list(ensemble.weights)}
    held = {_name(k, name): array for k, (_, arrays) in enumerate(parts) for name, array in arrays.items()}
    found = ensemble.calibration
    if found is not None:
        n_rows, n_targets = found.scores.shape
        header["calibration"] = {"rows": n_rows, "targets": n_targets, "groups": found.n_groups}
        held |= {"calibration.scores": found.scores.ravel(), "calibration.scale": found.scale.ravel()}
    return header, held


def promised(header: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array."""
    beside = {}
    if "calibration" in header:
        n_rows, n_targets = (positive_integer(header["calibration"][name], name) for name in ("rows", "targets"))
        beside = {"calibration.scores": ("F64", n_rows * n_targets), "calibration.scale": ("F64", 2 * n_targets)}
    return beside | {
        _name(k, name): kind
        for k, words in enumerate(header["models"])
        for name, kind in model_file.promised(words).items()
    }


def rebuilt(header: dict[str, Any], arrays: Arrays, kind: type[Core], whole: type[Whole]) -> Whole:
    """The models that a header and arrays describe, as one."""
    if set(header) - {"calibration"} != {"format", "models", "weights"} or not isinstance(header["models"], list):
        raise InvalidInputError("its models are not described in full")
    members, of_members = [], _by_member(arrays)
    for k, words in enumerate(header["models"]):
        own = of_members.get(str(k), {})
        if words["format"] != model_file.FORMAT or "training" in words:
            raise InvalidInputError(f"model {k} is of another format")
        members.append(model_file.rebuilt(words, own, kind))
    ensemble = whole(members, header["weights"])
    if "calibration" in header:
        ensemble.calibration = _calibration(header["calibration"], arrays, ensemble.network.n_targets)
    return ensemble


def _calibration(words: dict[str, Any], arrays: Arrays, n_targets: int) -> Calibration:
    scores, scale = (arrays[f"calibration.{name}"].reshape(-1, n_targets) for name in ("scores", "scale"))
    found = Calibration(scores, scale, positive_integer(words["groups"], "groups"))
    is_whole = words == {"rows": len(scores), "targets": n_targets, "groups": found.n_groups}
    if (
        not is_whole
        or found.n_groups > len(scores)
        or not np.isfinite(scores).all()
        or (np.diff(scores, axis=0) < 0).any()
    ):
        raise InvalidInputError("its calibration contradicts itself")
    if not (np.isfinite(scale).all() and (scale[0] > 0).all() and (scale[1] >= 0).all()):
        raise InvalidInputError("its calibration has numbers out of their range")
    return found


def _by_member(arrays: Arrays) -> dict[str, Arrays]:
    """The arrays of each member; looked for anew for each of them, they would take the square of the time."""
    found: dict[str, Arrays] = {}
    for name, array in arrays.items():
        number, _, own = name.partition(".")
        found.setdefault(number, {})[own] = array
    return found


def _name(number: int, name: str) -> str:
    return f"{number}.{name}"
