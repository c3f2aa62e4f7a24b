"""Workers of hostile cases that do what no input may bring about, one after the other: the watch has to see each."""

from __future__ import annotations

import faulthandler
import os
import pickle
import random
import time
from pathlib import Path

import numpy as np

from fastgd.errors import InvalidInputError
from trials.hostile_models import Trap
from trials.hostile_watch import Attempt


def raises():
    raise KeyError("raw")


def babbles():
    error = InvalidInputError()
    error.args = ("two\nlines",)
    raise error


DONE = {
    "nothing": lambda: None, "a sentence": lambda: (_ for _ in ()).throw(InvalidInputError("It is so.")), "raw": raises,
    "babble": babbles, "other file": lambda: Path("other").read_bytes(), "write": lambda: Path("new").write_text("x"),
    "remove": lambda: os.remove("other"), "program": lambda: os.system("true"), "memory": lambda: np.ones(9 << 20),
    "promise": lambda: np.empty(1 << 40, np.uint8), "pickle": lambda: pickle.loads(pickle.dumps(Trap())),
    "wrong": lambda: Path("/proc/self/status").read_text().index("\0"), "crash": faulthandler._sigsegv,
    "sleep": lambda: time.sleep(60), "after": lambda: None,
}  # fmt: skip
TOLD = {
    "raw": "KeyError: 'raw'", "babble": "no sentence", "other file": "open of '", "write": "for writing",
    "remove": "os.remove of", "program": "os.system of", "memory": "it grew by", "promise": "MemoryError",
    "pickle": "code of the file was run", "wrong": "ValueError", "crash": "the process ended with -11",
    "sleep": "it took more than 3 s",
}  # fmt: skip
KINDS = [*DONE]
DRAWS = {random.Random(f"0/{number}").random(): kind for number, kind in enumerate(KINDS)}


def does(rng, folder):
    """The attempt of the case whose generator this is."""
    (folder / "other").write_text("x")
    kind = DRAWS[rng.random()]
    return Attempt(kind, DONE[kind], 32 << 20)
