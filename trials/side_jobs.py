"""What the trials of threads and processes train: small networks of every kind, and the bits that come of them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastgd

SIZES = ([4, 16, 1], [4, 64, 64, 1], [4, 33, 17, 1], [4, 256, 1])
OPTIMIZERS = (
    lambda: None,
    lambda: fastgd.SGD(0.02, clip_norm=1.0),
    lambda: fastgd.SGD(0.01, momentum=0.9, clip_norm=1.0, ema_decay=0.9),
    lambda: fastgd.Adam(0.002),
    lambda: fastgd.RMSprop(0.001),
    lambda: fastgd.Adagrad(0.01, clip_norm=1.0),
)
N_THREADS = (1, 2, 4)
Table = tuple[NDArray[Any], NDArray[Any]]


def table(generator: np.random.Generator) -> Table:
    """Some rows to learn from."""
    X = generator.normal(size=(int(generator.integers(200, 1500)), 4))
    return X, X @ np.array([1.0, -2.0, 0.5, 3.0]) + np.sin(3 * X[:, 0])


def pick(generator: np.random.Generator, choices: Any) -> Any:
    """One of them."""
    return choices[int(generator.integers(len(choices)))]


def bits(*arrays: Any) -> str:
    """A short name of what arrays hold."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def new_model(generator: np.random.Generator) -> fastgd.MLP:
    """A network that has learned nothing yet."""
    return fastgd.MLP(
        pick(generator, SIZES),
        activation=pick(generator, ("relu", "tanh", "gelu")),
        dtype=pick(generator, ("float32", "float64")),
        random_state=int(generator.integers(1 << 30)),
    )


def fit_options(generator: np.random.Generator) -> dict[str, Any]:
    """Options of a fit that takes some milliseconds."""
    return {
        "epochs": int(generator.integers(1, 6)),
        "batch_size": int(pick(generator, (16, 64, 256, 1024))),
        "optimizer": pick(generator, OPTIMIZERS)(),
        "n_threads": int(pick(generator, N_THREADS)),
        "verbose": 0,
    }


def fit_job(generator: np.random.Generator) -> Callable[[], str]:
    """A fit, as a function that returns its bits."""
    model, (X, y), options = new_model(generator), table(generator), fit_options(generator)

    def run() -> str:
        own = fastgd.MLP(
            list(model.network.sizes), activation=model.network.activations[0].name, dtype=str(model.dtype),
            random_state=model.random_state,
        )  # fmt: skip
        own.fit(X, y, **options)
        return bits(own.parameters, own.predict(X[:7]))

    return run


def many_job(generator: np.random.Generator) -> Callable[[], str]:
    """A fit_many."""
    (X, y), options, seed = table(generator), fit_options(generator), int(generator.integers(1 << 30))

    def run() -> str:
        specs = [{"layer_sizes": [4, width, 1], "random_state": seed} for width in (3, 8, 17)]
        records = fastgd.fit_many(specs, X, y, **options)
        return bits(*(record.model.parameters for record in records if record.model is not None))

    return run


def estimator_job(generator: np.random.Generator) -> Callable[[], str]:
    """An estimator's fit."""
    (X, y), seed = table(generator), int(generator.integers(1 << 30))

    def run() -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fastgd.MLPRegressor(hidden_layer_sizes=(8,), epochs=3, random_state=seed, verbose=0).fit(X, y)
            return bits(found.predict(X[:50]))

    return run


def compiled_job(generator: np.random.Generator) -> Callable[[], str]:
    """Steps that a caller of compiled loops asks for."""
    (X, y), seed = table(generator), int(generator.integers(1 << 30))
    inputs, targets = X.astype(np.float32), y.astype(np.float32).reshape(-1, 1)

    def run() -> str:
        model = fastgd.MLP([4, 16, 1], standardize=False, random_state=seed)
        net, out = model.compiled(), np.zeros((len(inputs), 1), np.float32)
        for _ in range(5):
            fastgd.train_batch(net, inputs[:64], targets[:64], 1e-3)
        fastgd.predict_rows(net, inputs, out)
        return bits(model.parameters, out)

    return run


JOBS = (fit_job, fit_job, fit_job, many_job, estimator_job, compiled_job)
