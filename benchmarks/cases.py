"""The one list of cases: what is measured, each with a sentence. It feeds pytest-benchmark and the A/B tool alike.

Cases that we expect to lose are in it, too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

BATCH_SIZES = (1, 8, 32, 128, 256, 1024, 8192)
STAGES = ("gather", "forward", "loss", "backward", "update")


class Case(NamedTuple):
    """One thing that is measured."""

    stage: str  # one of STAGES, or "epoch", "predict", "predict_row", "predict_row_compiled"
    sizes: tuple[int, ...] = (4, 64, 64, 1)
    batch_size: int = 32
    rows: int = 100_000
    dtype: str = "float32"
    activation: str = "relu"
    optimizer: str = "SGD"
    loss: str = "mse"
    sentence: str = ""
    learning_rate: float = 0.001

    @property
    def name(self) -> str:
        """Unique, and readable in a table."""
        words = [self.stage, "-".join(map(str, self.sizes)), f"b{self.batch_size}"]
        words += [self.dtype] * (self.dtype != "float32") + [self.activation] * (self.activation != "relu")
        return " ".join(words + [self.optimizer] * (self.optimizer != "SGD"))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one row: forward, and for training the gradients of weights and inputs."""
        layers = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        forward, backward = sum(layers), 2 * sum(layers) - layers[0]
        counts = {"gather": 0, "loss": 0, "update": 0, "backward": backward, "epoch": forward + backward}
        return counts.get(self.stage, forward)

    @property
    def work_rows(self) -> int:
        """How many rows one measurement goes through."""
        if self.stage in STAGES:
            return self.batch_size
        return 1 if self.stage.startswith("predict_row") else max(self.rows, self.batch_size)


HOUSES, WIDE, DIGITS, TINY = (4, 64, 64, 1), (16, 256, 256, 256, 1), (784, 512, 256, 10), (4, 8, 1)

KERNELS = [
    *(
        Case(stage, batch_size=batch, sentence=f"{stage} of one batch of {batch}, the network of the house prices")
        for stage in STAGES
        for batch in BATCH_SIZES
    ),
    *(
        Case(stage, sizes, 256, loss=loss, sentence=f"{stage} in {what}")
        for stage in ("forward", "backward")
        for sizes, loss, what in (
            (WIDE, "mse", "three layers of 256: close to a matrix product, where BLAS is at home"),
            (DIGITS, "cross_entropy", "the network of handwritten digits: BLAS is expected to win"),
            (TINY, "mse", "a tiny network, where calls cost more than arithmetic"),
        )
    ),
    *(
        Case(stage, batch_size=256, dtype="float64", sentence=f"{stage} in double precision")
        for stage in ("forward", "backward")
    ),
    *(
        Case("forward", batch_size=256, activation=name, sentence=f"forward with {name}, our own exponential")
        for name in ("tanh", "sigmoid", "gelu")
    ),
    Case("loss", DIGITS, 256, loss="cross_entropy", sentence="cross-entropy of ten classes, our own exponential"),
    *(
        Case("update", sizes, batch, loss=loss, optimizer=name, sentence=f"a step of {name} for {what}")
        for sizes, batch, loss, what in (
            (HOUSES, 32, "mse", "4,545 parameters, which stay in the second cache"),
            (DIGITS, 256, "cross_entropy", "535,818 parameters, which do not: memory traffic only"),
        )
        for name in ("momentum", "Adam")
    ),
]
EPOCHS = [
    *(
        Case(
            "epoch", batch_size=batch, rows=2_000 if batch == 1 else 20_000, sentence=f"an epoch in batches of {batch}"
        )
        for batch in BATCH_SIZES
    ),
    *(
        Case("epoch", WIDE, batch, 4_000, sentence=f"three layers of 256, batches of {batch}")
        for batch in (32, 256, 8192)
    ),
    *(
        Case("epoch", DIGITS, batch, 2_000, loss="cross_entropy", sentence=f"digits, batches of {batch}: BLAS may win")
        for batch in (32, 256, 2048)
    ),
    *(
        Case("epoch", TINY, batch, 10_000, sentence=f"a tiny network, batches of {batch}: the cost of a step")
        for batch in (8, 256)
    ),
    Case("epoch", batch_size=256, rows=20_000, dtype="float64", sentence="an epoch in double precision"),
    Case("epoch", batch_size=256, rows=20_000, activation="tanh", sentence="an epoch with tanh"),
    *(
        Case("epoch", batch_size=32, rows=20_000, optimizer=name, sentence=f"an epoch with {name}")
        for name in ("momentum", "Adam")
    ),
]
PREDICTIONS = [
    Case("predict", sentence="100,000 predictions in one call"),
    Case("predict", WIDE, sentence="100,000 predictions of three layers of 256: BLAS may win", rows=100_000),
    Case("predict_row", batch_size=1, sentence="one prediction, asked for from Python, with every check of the input"),
    Case("predict_row_compiled", batch_size=1, sentence="one prediction from the user's own compiled code"),
]
CASES = KERNELS + EPOCHS + PREDICTIONS

# What the peers train: networks that people train on tables, and two where BLAS is at home.
PEER_CASES = [
    *(Case("epoch", batch_size=batch, rows=10_000 if batch == 1 else 100_000) for batch in (1, 32, 256, 8192)),
    *(Case("epoch", WIDE, batch, 20_000) for batch in (32, 256, 8192)),
    *(Case("epoch", DIGITS, batch, 10_000, loss="cross_entropy") for batch in (32, 256, 2048)),
    *(Case("epoch", (8, 128, 128, 1), batch, 50_000, activation="tanh") for batch in (32, 256, 8192)),
    Case("epoch", TINY, 1000, 100_000),
    Case("epoch", (100, 1024, 1024, 1), 1000, 10_000),
]
