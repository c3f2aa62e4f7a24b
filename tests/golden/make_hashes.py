"""Write hashes.json: the bits that four small trainings end with, on any processor with fused multiply-adds.

    python tests/golden/make_hashes.py

It prints what has changed. A change of bits is a change of results: say in the changelog why it was made.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

import fastgd

PATH = Path(__file__).with_name("hashes.json")

# name of the case: layers, optimizer, options of the network
CASES = {
    "relu, SGD": ([4, 33, 5, 1], fastgd.SGD(0.125), {}),
    "tanh, Adam": ([4, 33, 5, 1], fastgd.Adam(0.0078125), {"activation": "tanh"}),
    "gelu, RMSprop, dropout": ([4, 20, 1], fastgd.RMSprop(0.0078125), {"activation": "gelu", "dropout": 0.25}),
    "cross-entropy, AdamW": ([4, 20, 3], fastgd.AdamW(0.0078125), {"activation": "silu", "loss": "cross_entropy"}),
}


def trained(case: str) -> np.ndarray:
    """The parameters after two epochs."""
    X, y = fastgd.datasets.houses(500, random_state=1)
    X = (X - [90, 3, 6, 45]).astype(np.float32) / np.float32(64)  # exact: no mean or logarithm of any library comes in
    y = (y / np.float32(2**19)).astype(np.float32)
    sizes, optimizer, options = CASES[case]
    model = fastgd.MLP(sizes, standardize=False, initializer="zeros", **options)
    p = np.arange(model.parameters.size)
    model.parameters = ((p * 37) % 101 - 50) / 128
    target = np.digitize(y, [0.5, 0.75]) if "cross" in case else y
    model.fit(X, target, epochs=2, batch_size=48, optimizer=optimizer, verbose=0)
    return model.parameters


def hash_of(parameters: np.ndarray) -> str:
    """The first 16 digits of the hash of their bits."""
    return hashlib.sha256(parameters.tobytes()).hexdigest()[:16]


def written() -> dict[str, str]:
    """The hashes in the file."""
    return json.loads(PATH.read_text(encoding="utf-8"))


if __name__ == "__main__":
    before = written() if PATH.exists() else {}
    now = {case: hash_of(trained(case)) for case in CASES}
    for case in sorted(before.keys() | now.keys()):
        if before.get(case) != now.get(case):
            print(f"{case}: was {before.get(case, 'not there')}, is {now.get(case, 'no more')}")
    if before == now:
        print("Nothing has changed.")
    PATH.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
