"""One file format out and in: safetensors (arrays and a JSON header). Nothing in a file is executed.

Nothing in a file is believed either. What the header promises is compared with the arrays that are there before any
memory is taken, and a checksum covers the header and every array. It stands beside the header, where the first version
of format 1 does not look; a file without it is read all the same.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ModelFileError
from ..model.core import Core
from ..model.mean import Mean
from ..options import called, shortened, shown
from . import ensemble_file, model_file, tensors
from .atomic import write_whole
from .ensemble_file import Whole
from .model_file import Model
from .tensors import Arrays

NEWEST = ensemble_file.FORMAT
NOT_WHOLE = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def save(model: Core, path: str | Path, training_state: bool) -> None:
    """Write a model, and on request what a further training needs."""
    _write(path, *model_file.described(model, training_state))


def save_ensemble(ensemble: Mean, path: str | Path) -> None:
    """Write several models as one."""
    _write(path, *ensemble_file.described(ensemble))


def _write(path: str | Path, header: dict[str, Any], arrays: Arrays) -> None:
    from safetensors.numpy import save as to_bytes

    path = as_path(path)
    try:
        text = json.dumps(header, allow_nan=False)
        _rebuilt(json.loads(text), arrays, Core, Mean)
    except NOT_WHOLE as error:
        why = _why(error)
        advice = "save it without training_state" if "training" in why else "change that first"
        raise ModelFileError(
            f"{called(path)} cannot be written, because this model could not be loaded again ({why}): {advice}."
        ) from error
    metadata = {"fastgd": text, "checksum": tensors.checksum(text, arrays)}
    content = to_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    write_whole(path, tensors.in_order(content))


def read(path: str | Path, kind: type[Model], whole: type[Whole]) -> Model | Whole:
    """Read what was written, as one of these kinds; see fastgd.load."""
    path = as_path(path)
    try:
        with tensors.opened(path) as file:
            return _read(file, path, kind, whole)
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(f"{called(path)} cannot be read: {error.strerror or error}.") from error


def as_path(path: Any) -> Path:
    try:
        name = os.fspath(path)
        os.fsencode(name)
    except (TypeError, ValueError):  # ValueError: half a character
        name = "\0"
    if not isinstance(name, str) or "\0" in name:
        raise ModelFileError(f"{shown(path)} is not the name of a file.")
    return Path(name)


def _read(file: BinaryIO, path: Path, kind: type[Model], whole: type[Whole]) -> Model | Whole:
    """The model, or the models, in a file."""
    try:
        metadata, entries = tensors.index(file)
    except NOT_WHOLE as error:
        raise ModelFileError(f"{called(path)} is truncated, or not a safetensors file ({_why(error)}).") from error
    if "fastgd" not in metadata:
        raise ModelFileError(f"{called(path)} is a safetensors file, but not one that fastgd wrote.")
    try:
        header = tensors.parsed(metadata["fastgd"])
        if type(header["format"]) is not int or header["format"] < 1 or metadata.keys() - {"fastgd", "checksum"}:
            raise ValueError
    except NOT_WHOLE as error:
        raise ModelFileError(f"{called(path)} has a damaged header: save the model again.") from error
    if header["format"] > NEWEST:
        raise ModelFileError(
            f"{called(path)} has format {header['format']}, and this version of fastgd reads up to {NEWEST}: update "
            "fastgd."
        )
    try:
        arrays = tensors.read(file, entries, _promised(header))
        model = _rebuilt(header, arrays, kind, whole)
    except NOT_WHOLE as error:
        raise ModelFileError(f"{called(path)} does not hold a whole model ({_why(error)}).") from error
    checksum = tensors.checksum(metadata["fastgd"], arrays)
    if metadata.get("checksum", checksum) != checksum:
        raise ModelFileError(
            f"{called(path)} was damaged: its checksum is not that of its content; save the model again."
        )
    return model


def _why(error: BaseException) -> str:
    what = str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"
    return shortened(" ".join(what.split()).rstrip("."), 300)


def _promised(header: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array that a header speaks of; nothing of that length is made here."""
    if header["format"] == NEWEST:
        return ensemble_file.promised(header)
    return model_file.promised(header)


def _rebuilt(header: dict[str, Any], arrays: Arrays, kind: type[Model], whole: type[Whole]) -> Model | Whole:
    if header["format"] == NEWEST:
        return ensemble_file.rebuilt(header, arrays, kind, whole)
    return model_file.rebuilt(header, arrays, kind)
