"""Files of models, ensembles and PyTorch that are damaged, or lie: a model or one sentence, for little memory."""

from __future__ import annotations

import functools
import json
import os
import pickle
import random
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd

from .hostile_mutation import damaged_bytes, damaged_json
from .hostile_watch import CANARY, Attempt, watched
from .trial import Outcome, Trial

MANY = 100_000
CONSTANT, MULTIPLE = 64 << 20, 60  # bytes, and bytes for each of the file's


class Parts(NamedTuple):
    """A safetensors file taken apart."""

    outer: dict[str, Any]
    inner: dict[str, Any]  # the header of the model; empty where it is none
    arrays: bytes

    def joined(self, text: str | None = None) -> bytes:
        """The file, without a checksum, so that it is not what refuses it."""
        outer = dict(self.outer)
        if self.inner or text is not None:
            outer["__metadata__"] = {"fastgd": json.dumps(self.inner) if text is None else text}
        head = json.dumps(outer).encode()
        return struct.pack("<Q", len(head)) + head + self.arrays


class Trap:
    """What makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (CANARY, "w")


@functools.cache
def whole() -> dict[str, bytes]:
    """Files with everything that they can hold."""
    X, y = fastgd.datasets.houses(200, random_state=0)
    names = np.array(["a", "b", "ü"])[np.digitize(y, [3e5, 5e5])]
    schedule = fastgd.schedules.WarmUp(fastgd.schedules.ReduceOnPlateau(0.01, monitor="loss"), steps=3)
    learned = fastgd.MLP([4, 3], loss="cross_entropy", feature_names=["w", "x", "y", "z"], random_state=0)
    learned.fit(X, names, epochs=1, optimizer=fastgd.Adam(schedule, ema_decay=0.9), verbose=0)
    table = {"size": X[:, 0], "kind": np.where(X[:, 1] > 3, "flat", "house"), "age": X[:, 3]}
    encoded = fastgd.MLP([3, 4, 1], encoding="auto", clip_predictions=True, random_state=0)
    encoded.fit(fastgd_table(table), y, epochs=1, verbose=0)
    plain = fastgd.MLP([4, 3, 1], random_state=0)
    plain.fit(X, y, epochs=1, verbose=0)
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        for name, model in (("learned", learned), ("encoded", encoded), ("several", fastgd.Ensemble([plain, plain]))):
            model.save(path, **({"training_state": True} if name == "learned" else {}))
            files[name] = path.read_bytes()
    state = {"0.weight": np.ones((3, 2), "<f4"), "0.bias": np.ones(3, "<f4"), "2.weight": np.ones((1, 3), "<f4")}
    from safetensors.numpy import save

    return {**files, "torch": save(state)}


def fastgd_table(columns: dict[str, Any]) -> Any:
    """A data frame."""
    import polars

    return polars.DataFrame(columns)


def apart(content: bytes) -> Parts:
    """The parts of a whole file."""
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length])
    return Parts(outer, json.loads(outer.get("__metadata__", {}).get("fastgd", "{}")), content[8 + length :])


def liars(rng: random.Random) -> tuple[str, bytes]:
    """A file that promises more than it holds, or holds far too much of something."""
    name = rng.choice([*whole()])
    parts = apart(whole()[name])
    words = parts.inner["models"][0] if name == "several" else parts.inner
    kind = rng.choice(("length", "deep", "names", "keys", "entries", "levels", "layers", "sizes", "offsets", "models"))
    if kind == "length":
        return kind, struct.pack("<Q", 1 << rng.randrange(64)) + b"{" * rng.choice((0, 1, 1000)) + whole()[name]
    if kind == "deep":
        deep = rng.choice(("[", '{"a":', '[{"name":"WarmUp","schedule":')) * MANY
        return kind, parts.joined(deep + rng.choice(("", "]" * MANY)))
    if kind == "names":
        words["feature_names"] = [f"{rng.random()}" for _ in range(MANY)]
    elif kind == "keys":
        words.update({f"k{number}": 1 for number in range(MANY)})
    elif kind == "entries":
        parts.outer.update({f"k{number}.weight": {"dtype": "F32", "shape": [0, 0], "data_offsets": [0, 0]}
                            for number in range(MANY // 4)})  # fmt: skip
    elif kind == "levels":
        levels = {"kind": "levels", "levels": [f"{k:07d}" for k in range(MANY)], "has_rare": True, "has_gaps": False}
        words["encoder"] = [{**levels, "known": None}] * 3
    elif kind == "layers":
        sizes = [rng.choice((1, 2, 4))] * (MANY // 10)
        words.update(layer_sizes=sizes, activations=["identity"] * (len(sizes) - 1), dropout=[0.0] * (len(sizes) - 1))
    elif kind == "sizes":
        words["layer_sizes"] = [1 << rng.randrange(60) for _ in words.get("layer_sizes", (1, 1))]
    elif kind == "offsets":
        entry = rng.choice([entry for key, entry in parts.outer.items() if key != "__metadata__"])
        n = 1 << rng.randrange(20, 62)
        entry.update(shape=[n], data_offsets=[0, n * 4])
    elif name == "several":
        parts.inner["models"] *= MANY // 100
        parts.inner["weights"] = [1.0] * len(parts.inner["models"])
    return f"{kind} of {name}", parts.joined()


def places(rng: random.Random, folder: Path) -> tuple[str, Path]:
    """What is no file, or leads to none."""
    kind = rng.choice(("pipe", "socket", "folder", "loop", "/dev/zero", "/dev/urandom", "/dev/null", "trap", "long"))
    path = folder / "place.safetensors"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "trap":
        path.write_bytes(pickle.dumps(Trap()))
    elif kind == "long":
        path = folder / ("x" * rng.choice((200, 256, 2000)))
    else:
        path.symlink_to(kind)
    return kind, path


def hostile_file(rng: random.Random, folder: Path) -> tuple[str, Path]:
    """A file, and what is wrong with it."""
    kind = rng.choice(("header", "header", "header", "frame", "frame", "bytes", "bytes", "liar", "place"))
    if kind == "place":
        return places(rng, folder)
    path = folder / "m.safetensors"
    if kind == "liar":
        kind, content = liars(rng)
    else:
        name = rng.choice([*whole()])
        content, parts = whole()[name], apart(whole()[name])
        if kind == "header":
            content = parts._replace(inner=damaged_json(rng, parts.inner)).joined()
        elif kind == "frame":
            outer = damaged_json(rng, {key: entry for key, entry in parts.outer.items() if key != "__metadata__"})
            content = parts._replace(outer=outer if isinstance(outer, dict) else {"x": outer}).joined()
        else:
            content = damaged_bytes(rng, content, (*whole().values(), pickle.dumps(Trap())))
        kind = f"{kind} of {name}"
    path.write_bytes(content)
    return kind, path


def model_read(rng: random.Random, folder: Path) -> Attempt:
    """A hostile file that is loaded, and shown."""
    kind, path = hostile_file(rng, folder)
    size = os.path.getsize(path) if os.path.isfile(path) else 0

    def act() -> None:
        read = fastgd.from_torch if rng.random() < (0.8 if "torch" in kind else 0.1) else fastgd.load
        model = read(path)
        shown = f"{model!r} {model._repr_html_()}"
        assert "<script" not in shown, "markup of a name reached the page"

    return Attempt(kind, act, CONSTANT + MULTIPLE * size, reads=(path,))


def hostile_models(cases: int, seed: int) -> Outcome:
    """Damaged models in children under watch."""
    return watched(f"{__name__}:model_read", cases, seed)


TRIALS = (
    Trial(
        "hostile-models",
        "A damaged or lying file of a model, an ensemble or PyTorch ends in a model or in one sentence: nothing of it "
        f"is run, nothing else is opened, and it takes at most {MULTIPLE} times its size and "
        f"{CONSTANT >> 20} MB of memory.",
        "tests/test_hostile_files.py::test_hostile_models",
        5_000,
        hostile_models,
    ),
)
