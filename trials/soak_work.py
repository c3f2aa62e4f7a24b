"""What a soak does: small operations of every kind, each drawn from a seed and a number alone.

An operation is a function of a `Place`: random numbers of its own, a folder of its own that is removed afterwards, and
the network that lives through the whole soak. It raises AssertionError where a promise is broken, and lets no error
through that it has not asked for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import fastgd
from fastgd.errors import DivergenceError, FastgdError, InvalidInputError

from .soak_place import Place, any_task, fitted, network, optimizer, table


def trains(place: Place) -> None:
    """Learns, predicts and measures; validation, dropout and early stopping now and then."""
    loss, n_out = any_task(place)
    model, X, y = fitted(place, loss, n_out, dropout=float(place.random.choice([0, 0.3])))
    stopping = fastgd.callbacks.EarlyStopping(patience=2)
    history = model.fit(
        X, y, epochs=3, validation_split=0.2, callbacks=[stopping], optimizer=optimizer(place), verbose=0
    )
    assert history.ended in ("completed", "callback"), history.ended
    assert np.isfinite(model.predict(X).astype(np.float64)).all(), "predictions that are not finite"
    assert np.isfinite(list(model.evaluate(X, y).values())).all(), "measures that are not finite"


def streams(place: Place) -> None:
    """Learns from batches, from .npy files, and from a CSV file of which a copy is made on disk."""
    X, y = table(place)
    kind = place.random.integers(3)
    if kind == 0:
        source: Any = [(X[first : first + 70], y[first : first + 70]) for first in range(0, len(X), 70)]
    elif kind == 1:
        np.save(place.folder / "X.npy", X)
        np.save(place.folder / "y.npy", y)
        source = fastgd.Stream(place.folder / "X.npy", place.folder / "y.npy")
    else:
        rows = "".join(f"{a},{b},{c},{d},{e}\n" for (a, b, c, d), e in zip(X.tolist(), y.tolist(), strict=True))
        (place.folder / "t.csv").write_text(f"a,b,c,d,y\n{rows}", encoding="utf-8")
        source = fastgd.Stream(place.folder / "t.csv", target="y")
    model = network(place)
    model.fit(
        source, epochs=2, buffer_rows=int(place.random.integers(100, 4000)), optimizer=optimizer(place), verbose=0
    )
    assert np.isfinite(list(model.evaluate(source).values())).all(), "measures that are not finite"


def pieces(place: Place) -> None:
    """The network that lives on takes in some pieces more; nobody starts it anew unless it diverges."""
    X, y = table(place)
    if not place.old:
        place.old.append(fastgd.MLP([4, 24, 1], random_state=0))
    try:
        for first in range(0, len(X), 50):
            place.old[0].partial_fit(X[first : first + 50], y[first : first + 50])
    except DivergenceError:
        place.old.clear()
        raise
    assert np.isfinite(place.old[0].predict(X)).all(), "predictions that are not finite"


def saves(place: Place) -> None:
    """Keeps a model and reads it again: the same bits, also after one epoch more of both."""
    model, X, y = fitted(place, *any_task(place))
    path = place.folder / "model.safetensors"
    model.save(path, training_state=True)
    again: Any = fastgd.load(path)
    assert np.array_equal(model.predict(X), again.predict(X)), "a loaded model predicts other bits"
    for one in (model, again):
        one.fit(X, y, epochs=1, verbose=0)
    assert np.array_equal(model.parameters, again.parameters), "a loaded model goes on to other bits"


def predicts(place: Place) -> None:
    """Several threads ask one model at once; each row has the bits that it has alone."""
    model, X, _ = fitted(place, *any_task(place))
    expected = model.predict(X)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: model.predict(X), range(8)))
    assert all(np.array_equal(one, expected) for one in found), "threads were given other predictions"
    assert np.array_equal(model.predict(X[5:6]), expected[5:6]), "a row alone has other bits"


def beside(place: Place) -> None:
    """Different models learn in two threads at once; the same seeds give the same bits."""
    X, y = table(place)

    def one(seed: int) -> Any:
        model = fastgd.MLP([4, 32, 1], random_state=seed)
        model.fit(X, y, epochs=2, n_threads=2, verbose=0)
        return model.parameters

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(one, [1, 2, 1, 2]))
    assert np.array_equal(found[0], found[2]), "the same seed gave other bits"
    assert np.array_equal(found[1], found[3]), "the same seed gave other bits"


def many(place: Place) -> None:
    """Networks side by side, one of which diverges; then the mean of the others."""
    X, y = table(place)
    specs = [{"layer_sizes": [4, 8, 1], "random_state": number} for number in range(4)]
    hopeless = {"layer_sizes": [4, 8, 1], "optimizer": fastgd.SGD(1e9)}
    records = fastgd.fit_many([*specs, hopeless], X, y, epochs=2, n_threads=2, verbose=0)
    assert isinstance(records[-1].error, DivergenceError), "a hopeless rate went unnoticed"
    models: list[Any] = [record.model for record in records[:-1]]
    whole = fastgd.Ensemble(models)
    whole.save(place.folder / "whole.safetensors")
    assert np.array_equal(fastgd.load(place.folder / "whole.safetensors").predict(X), whole.predict(X))


def explains(place: Place) -> None:
    """Blame, nudges, health, importance, dependence, and a search for a learning rate."""
    model, X, y = fitted(place)
    model.blame(X, y, layer="all")
    model.nudge(X, y)
    str(model.health(X, y))
    fastgd.features.permutation_importance(model, X[:200], y[:200])
    fastgd.features.partial_dependence(model, X[:200], 1)
    if place.random.integers(4) == 0:
        model.find_learning_rate(X, y, epochs=1, most_steps=50)


def exports(place: Place) -> None:
    """Writes a model for C and for NumPy, and reads tables with text and gaps."""
    model, _, _ = fitted(place)
    for name in ("model.h", "model.py"):
        model.export(place.folder / name)
        assert (place.folder / name).stat().st_size > 500, f"{name} is empty"
    X, y = table(place)
    rows = [[float(a), None if b > 1 else float(b), "uvw"[int(abs(c)) % 3]] for a, b, c, _ in X]
    encoded = fastgd.MLP([3, 8, 1], encoding="auto", random_state=0)
    encoded.fit(rows, y, epochs=1, verbose=0)
    assert np.isfinite(encoded.predict(rows)).all(), "predictions that are not finite"


def refuses(place: Place) -> None:
    """Says no to what cannot be used, and still predicts after a training that blew up."""
    model, X, y = fitted(place)
    wrong = X.copy()
    wrong[3, 2] = np.nan
    huge = [4, 400_000, 400_000, 1]
    calls: list[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[], Any]]] = [
        (InvalidInputError, lambda: model.fit(wrong, y, verbose=0)),
        (InvalidInputError, lambda: model.predict(X[:, :3])),
        (InvalidInputError, lambda: fastgd.MLP([4, 8, 1], activation="none of them")),
        (FastgdError, lambda: fastgd.load(place.folder / "nothing.safetensors")),
        ((FastgdError, MemoryError), lambda: fastgd.MLP(huge)),
        (DivergenceError, lambda: model.fit(X, y * 1e3, epochs=50, optimizer=fastgd.SGD(1e12), verbose=0)),
    ]
    for expected, call in calls:
        try:
            call()
        except expected:
            continue
        raise AssertionError(f"no {expected} where there should be one")
    assert np.isfinite(model.predict(X)).all(), "a training that failed has left a model that does not predict"


def _soon(place: Place) -> threading.Thread:
    """A thread that presses Ctrl-C a moment after it was started."""
    moment = float(place.random.uniform(0.0, 0.15))

    def press() -> None:
        time.sleep(moment)
        os.kill(os.getpid(), signal.SIGINT)

    return threading.Thread(target=press)


def cancels(place: Place) -> None:
    """Ctrl-C, for real, while a network, many of them, or a stream is learned; afterwards all goes on."""
    X, y = table(place)
    model = fastgd.MLP([4, 32, 1], random_state=0)
    kind = place.random.integers(3)
    batches = [(X[first : first + 70], y[first : first + 70]) for first in range(0, len(X), 70)]
    specs = [{"layer_sizes": [4, 16, 1], "random_state": number} for number in range(3)]
    endless: dict[str, Any] = {"epochs": 1_000_000, "verbose": 0, "optimizer": fastgd.SGD(1e-4)}
    presses = _soon(place)
    try:
        presses.start()
        if kind == 0:
            ended = model.fit(X, y, n_threads=int(place.random.integers(1, 3)), **endless).ended
            assert ended == "interrupted", f"a fit that was interrupted ended as {ended!r}"
        elif kind == 1:
            records = fastgd.fit_many(specs, X, y, n_threads=2, **endless)
            assert all(record.error is None for record in records), "Ctrl-C became an error of a network"
        else:
            model.fit(batches, buffer_rows=300, **endless)
    except KeyboardInterrupt:
        pass  # it came before anything was learned
    finally:
        presses.join()
    history = model.fit(X, y, epochs=1, verbose=0)
    assert history.ended == "completed", f"the next fit ended as {history.ended!r}"
    assert np.isfinite(model.predict(X)).all(), "predictions that are not finite"


SAVING = """
import sys, fastgd
model = fastgd.MLP([4, 64, 64, 1], random_state=0)
number = 0
while True:
    number += 1
    model.parameters = model.parameters * 0 + number
    model.save(sys.argv[1])
    if number == 1:
        print("saving", flush=True)
"""


def kills(place: Place) -> None:
    """A process that saves over and over is killed; what stands there is a whole model."""
    path = place.folder / "model.safetensors"
    child = subprocess.Popen([sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "saving\n", "the child did not come to save"
        time.sleep(float(place.random.uniform(0.0, 0.1)))
    finally:
        child.kill()
        child.communicate()
    found: Any = fastgd.load(path)
    parameters = found.parameters
    assert (parameters == parameters[0]).all(), "half of one model and half of another"


# What is done how often: a process that starts takes a second, all else some hundredths.
KINDS: dict[Callable[[Place], None], int] = {
    trains: 8, streams: 5, pieces: 8, saves: 5, predicts: 5, beside: 3, many: 4, explains: 3, exports: 3, refuses: 3,
    cancels: 4, kills: 1,
}  # fmt: skip
