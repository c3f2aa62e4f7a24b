"""Damage that is drawn by chance: to bytes, and to JSON by its structure."""

from __future__ import annotations

import copy
import random
from typing import Any

DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1 << 31, 1 << 62, 1 << 64, -(1 << 63), 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "x", "nan", "inf", "1", "\ud800", "\x1b[2J\u202e", "\0", "<script>", "x" * 100_000, [], {}, DEEP,
    ["x"], [1], {"name": "x"}, "../../../etc/passwd", "__class__", "float64", "F64", "<U999999999", "O", "(9999,)f8",
)  # fmt: skip
BYTES = (0, 1, 10, 13, 34, 39, 44, 59, 92, 123, 127, 128, 192, 254, 255)


def damaged_bytes(rng: random.Random, content: bytes, others: tuple[bytes, ...] = ()) -> bytes:
    """Content with a few bytes flipped, set, put in, left out, repeated, cut off, or taken from elsewhere."""
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(made) + 1)
        size = rng.choice((1, 2, 4, 8, 64))
        part = bytes(made[place : place + size])
        other = rng.choice((*others, content))
        begin = rng.randrange(len(other) + 1)
        made[place : place + size] = _instead(rng, part, other[begin : begin + 8 * size], size)
        if rng.random() < 0.05:
            del made[place:]
    return bytes(made)


def _instead(rng: random.Random, part: bytes, other: bytes, size: int) -> bytes:
    """What stands in the place of a part."""
    flipped = bytes(byte ^ 1 << rng.randrange(8) for byte in part[:1]) + part[1:]
    hostile = bytes(rng.choices(BYTES, k=size))
    return rng.choice((flipped, hostile, b"", part * rng.choice((2, 3, 50)), other, rng.randbytes(size)))


def damaged_json(rng: random.Random, value: Any) -> Any:
    """A copy of JSON in which one or a few places are another value, gone, added, repeated or moved."""
    root = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder, key = rng.choice(_places(root))
        kind = rng.choice(("value", "value", "value", "number", "drop", "add", "long", "from"))
        if kind == "drop" and holder is not root:
            del holder[key]
        elif kind == "add":
            grown = holder[key]
            if isinstance(grown, dict):
                grown[rng.choice(("more", "name", "__metadata__", "0.parameters"))] = rng.choice(VALUES)
            elif isinstance(grown, list):
                grown.insert(rng.randrange(len(grown) + 1), rng.choice(VALUES))
        elif kind == "long" and isinstance(holder[key], list):
            holder[key] = holder[key] * rng.choice((2, 100, 1000))
        elif kind == "number" and type(holder[key]) is int:
            holder[key] += rng.choice((-1, 1, 1 << 20, 1 << 33, -(1 << 40)))
        elif kind == "from":
            other, place = rng.choice(_places(root))
            holder[key] = copy.deepcopy(other[place])
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return root[0]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Everything in it, each by what holds it and where."""
    found, waiting = [], [value]
    while waiting:
        holder = waiting.pop()
        inside = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, part in inside:
            found.append((holder, key))
            if isinstance(part, dict | list):
                waiting.append(part)
    return found
