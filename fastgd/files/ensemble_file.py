"""Several models as one, in words and arrays: each model as in a file of its own, its arrays after its number."""

from __future__ import annotations

from typing import Any, TypeVar

from ..errors import InvalidInputError
from ..model.core import Core
from ..model.mean import Mean
from . import model_file
from .tensors import Arrays

Whole = TypeVar("Whole", bound=Mean)

FORMAT = 2


def described(ensemble: Mean) -> tuple[dict[str, Any], Arrays]:
    """The header and the arrays of a file."""
    parts = [model_file.described(member, training_state=False) for member in ensemble.members]
    header = {"format": FORMAT, "models": [words for words, _ in parts], "weights": list(ensemble.weights)}
    return header, {_name(k, name): array for k, (_, arrays) in enumerate(parts) for name, array in arrays.items()}


def promised(header: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The kind and the length of each array."""
    return {
        _name(k, name): kind
        for k, words in enumerate(header["models"])
        for name, kind in model_file.promised(words).items()
    }


def rebuilt(header: dict[str, Any], arrays: Arrays, kind: type[Core], whole: type[Whole]) -> Whole:
    """The models that a header and arrays describe, as one."""
    if set(header) != {"format", "models", "weights"} or not isinstance(header["models"], list):
        raise InvalidInputError("its models are not described in full")
    members = []
    for k, words in enumerate(header["models"]):
        start = _name(k, "")
        own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        if words["format"] != model_file.FORMAT or "training" in words:
            raise InvalidInputError(f"model {k} is of another format")
        members.append(model_file.rebuilt(words, own, kind))
    return whole(members, header["weights"])


def _name(number: int, name: str) -> str:
    return f"{number}.{name}"
