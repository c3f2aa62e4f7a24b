"""A model's file taken apart and put together again, to damage it on the way."""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc

import numpy as np
from inside import memory_of, net_of

import fastgd
from fastgd.errors import ModelFileError


def trained(**options):
    X, y = fastgd.datasets.houses(200)
    model = fastgd.MLP(**{"layer_sizes": [4, 8, 1], **options})
    model.fit(X, y / y.max() if "output_activation" in options else y, epochs=1, verbose=0)
    return model, X


def parts(path):
    """A safetensors file's own header, the one of the model in it, and the bytes of the arrays."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + length])
    return outer, json.loads(outer["__metadata__"]["fastgd"]), content[8 + length :]


def assembled(path, outer, inner, arrays):
    """The other way round; without a checksum, so that it is not what refuses the file."""
    outer["__metadata__"] = {"fastgd": inner if isinstance(inner, str) else json.dumps(inner)}
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + arrays)


def with_header(path, change):
    """Rewrite the JSON header of a model's file."""
    outer, inner, arrays = parts(path)
    change(inner)
    assembled(path, outer, inner, arrays)


def stateful(path):
    """Save a model with everything that a file can hold."""
    X, y = fastgd.datasets.houses(200)
    names = np.array(["a", "b", "ü"])[np.digitize(y, [3e5, 5e5])]
    schedule = fastgd.schedules.WarmUp(fastgd.schedules.ReduceOnPlateau(0.01, monitor="loss"), steps=3)
    model = fastgd.MLP([4, 3], loss="cross_entropy", feature_names=["w", "x", "y", "z"])
    model.fit(X, names, epochs=1, optimizer=fastgd.Adam(schedule, ema_decay=0.9), verbose=0)
    model.save(path, training_state=True)
    return model


def same(one, other):
    return (
        repr(one) == repr(other)
        and all(np.array_equal(mine, its) for mine, its in zip(net_of(one), net_of(other), strict=True))
        and np.array_equal(one.classes, other.classes)
        and repr(memory_of(one)) == repr(memory_of(other))
        and (one.feature_names, one.random_state) == (other.feature_names, other.random_state)
    )


def peak(call):
    """How many bytes a call takes at most."""
    tracemalloc.start()
    try:
        with contextlib.suppress(ModelFileError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
