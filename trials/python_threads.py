"""Threads of one program that share models, or the machine: the bits of each are those of a run alone.

Cases take turns: networks side by side, one model that many predict with, looks at a model that is learning, attempts
to change it meanwhile, and two trainings of one model at once.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import fastgd
from fastgd.errors import BusyError
from fastgd.training import loop

from .apart import failures_apart
from .side_jobs import JOBS, bits, fit_options, new_model, pick, table
from .trial import Outcome, Trial

SECONDS = 120.0  # that a case may take, on a busy machine, with all compiling
EVENT = 30.0  # seconds in which another thread must have answered
CHUNKS = (0.0005, 0.002, 0.01)  # seconds of a chunk of steps: many rests


def all_at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What functions return that start at the same moment, each in a thread of its own; an error is an answer, too."""
    gate = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(begin, works))


def side_by_side(generator: np.random.Generator) -> str:
    """Trainings of all kinds at once."""
    jobs = [pick(generator, JOBS)(generator) for _ in range(int(pick(generator, (2, 2, 4, 8))))]
    alone = [job() for job in jobs]
    found = all_at_once(jobs)
    wrong = [number for number, (one, other) in enumerate(zip(alone, found, strict=True)) if one != other]
    return f"trainings {wrong} of {len(jobs)} side by side differ from those alone: {found}" if wrong else ""


def shared_predictions(generator: np.random.Generator) -> str:
    """One model, and many threads that predict with it."""
    model, (X, y) = new_model(generator), table(generator)
    model.fit(X, y, epochs=1, verbose=0)
    parts = [X[: int(generator.integers(1, len(X)))] for _ in range(int(pick(generator, (2, 8))))]
    alone = [bits(model.predict(part)) for part in parts]

    def often(part: Any) -> Callable[[], set[str]]:
        return lambda: {bits(model.predict(part)) for _ in range(20)}

    found = all_at_once([often(part) for part in parts])
    wrong = [number for number, (one, other) in enumerate(zip(alone, found, strict=True)) if other != {one}]
    return f"predictions of threads {wrong} differ from those alone" if wrong else ""


def steps_of(model: fastgd.MLP, X: Any, y: Any, options: dict[str, Any], rows: Any) -> set[tuple[str, str]]:
    """The parameters and predictions that a fit shows where it can rest: before it, after each step, and after it."""
    seen = set()

    def note() -> None:
        shown = model.at_rest()
        seen.add((bits(shown.parameters), bits(shown.predict(rows))))

    take = loop._train_chunk
    note()

    def chunk(*arguments: Any) -> None:
        note()
        take(*arguments)
        note()

    with patch.object(loop, "steps_at_once", lambda run, left: 1), patch.object(loop, "_train_chunk", chunk):
        model.fit(X, y, **options)
    note()
    return seen


def pickled(model: fastgd.MLP) -> Any:
    """What comes out of a pickle of it."""
    return pickle.loads(pickle.dumps(model))


def saved(model: fastgd.MLP) -> Any:
    """What comes out of a file of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path, training_state=True)
        return fastgd.load(path)


COPIES: tuple[Callable[[fastgd.MLP], Any], ...] = (copy.deepcopy, copy.copy, pickled, saved)


def looks(generator: np.random.Generator) -> str:
    """What other threads see of a model that learns: a network that one of its steps has led to."""
    model, (X, y), options = new_model(generator), table(generator), fit_options(generator)
    rows, copied = X[: int(generator.integers(1, 20))], pick(generator, COPIES)
    if generator.random() < 0.5:  # it is known, and another table comes
        model.fit(X[:100], y[:100], epochs=1, verbose=0)
    known = steps_of(copy.deepcopy(model), X, y, options, rows)
    is_over, n_readers = threading.Event(), int(pick(generator, (1, 2, 4)))

    def train() -> tuple[str, str]:
        try:
            model.fit(X, y, **options)
        finally:
            is_over.set()
        return bits(model.parameters), bits(model.predict(rows))

    def look(number: int) -> Callable[[], str]:
        def see() -> str:
            while True:
                last = is_over.is_set()
                if number % 2:
                    other = copied(model)
                    found = bits(other.parameters), bits(other.predict(rows))
                    if found not in known:
                        return f"{copied.__name__} gave a network that no step has led to"
                else:
                    of_predictions = bits(model.predict(rows))
                    of_parameters = bits(*(part for pair in model.get_parameters() for part in pair))
                    if of_predictions not in {predicted for _, predicted in known}:
                        return "predictions that no step has led to"
                    if of_parameters not in {parameters for parameters, _ in known}:
                        return "parameters that no step has led to"
                if last:
                    return ""

        return see

    found = all_at_once([train, *(look(number) for number in range(n_readers))])
    if found[0] not in known:
        return f"the fit that others looked at ended elsewhere: {found[0]}"
    return "; ".join(str(answer) for answer in found[1:] if answer)


class Asks(fastgd.callbacks.Callback):
    """Has another thread try something in the middle of a fit, and waits for what comes of it."""

    def __init__(self, attempts: Sequence[tuple[str, Callable[[], Any]]]) -> None:
        self.attempts = attempts
        self.wrong: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Let the thread try all."""
        thread = threading.Thread(target=self._try, daemon=True)
        thread.start()
        thread.join(EVENT)
        if thread.is_alive():
            self.wrong.append("another thread waits for the fit, which waits for it")

    def _try(self) -> None:
        for name, attempt in self.attempts:
            try:
                attempt()
                self.wrong.append(f"{name} was not refused")
            except BusyError as error:
                if "learning in another thread" not in str(error):
                    self.wrong.append(f"{name} was refused with {error}")
            except Exception as error:
                self.wrong.append(f"{name} ended in {error!r}")


def changes(generator: np.random.Generator) -> str:
    """What would change a model that learns is refused, and what it learns is as if nobody had tried."""
    model, (X, y), options = new_model(generator), table(generator), fit_options(generator)
    alone = copy.deepcopy(model)
    alone.fit(X, y, **options)
    zeros = np.zeros(model.parameters.size)
    pairs = [(np.zeros_like(weights), np.zeros_like(biases)) for weights, biases in model.get_parameters()]
    attempts = [
        ("fit", lambda: model.fit(X, y, epochs=1, verbose=0)),
        ("partial_fit", lambda: model.partial_fit(X[:9], y[:9])),
        ("step", lambda: model.step(X, y)),
        ("parameters", lambda: setattr(model, "parameters", zeros)),
        ("set_parameters", lambda: model.set_parameters(pairs)),
        ("device", lambda: setattr(model, "device", "plain")),
    ]
    asks = Asks([attempts[place] for place in generator.permutation(len(attempts))])
    model.fit(X, y, callbacks=[asks], **options)
    if bits(model.parameters) != bits(alone.parameters):
        asks.wrong.append("the fit ended elsewhere")
    return "; ".join(dict.fromkeys(asks.wrong))


def races(generator: np.random.Generator) -> str:
    """Two trainings of one model that begin at the same moment: one after the other, or one is refused."""
    model, (X, y) = new_model(generator), table(generator)
    options = [fit_options(generator), fit_options(generator)]
    rows = [slice(None), slice(0, 150)]

    def after(*order: int) -> str:
        other = copy.deepcopy(model)
        for number in order:
            other.fit(X[rows[number]], y[rows[number]], **options[number])
        return bits(other.parameters)

    known = {(0,): after(0), (1,): after(1), (0, 1): after(0, 1), (1, 0): after(1, 0)}

    def train(number: int) -> Callable[[], Any]:
        return lambda: model.fit(X[rows[number]], y[rows[number]], **options[number])

    found = all_at_once([train(0), train(1)])
    through = tuple(number for number, answer in enumerate(found) if not isinstance(answer, BusyError))
    errors = [answer for answer in found if isinstance(answer, Exception) and not isinstance(answer, BusyError)]
    if errors:
        return f"one of two fits ended in {errors[0]!r}"
    possible = [bits_of for order, bits_of in known.items() if tuple(sorted(order)) == through]
    return "" if bits(model.parameters) in possible else f"the weights of two fits are mixed, {through} were let in"


KINDS = (side_by_side, shared_predictions, looks, changes, races)


def case(seed: int, number: int) -> str:
    """One case; the kinds take turns."""
    generator = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    loop.CHUNK_SECONDS = float(pick(generator, CHUNKS))
    sentence = kind(generator)
    return sentence and f"{kind.__name__}: {sentence}"


def run(cases: int, seed: int) -> Outcome:
    """All cases, some hundred in each process."""
    failures = []
    for first in range(0, cases, 100):
        failures += failures_apart("trials.python_threads", seed, range(first, min(first + 100, cases)), SECONDS)
    return Outcome(cases, failures, f"{cases - len(failures):,} with the bits of a run alone, or one error")


TRIALS = (
    Trial(
        "python-threads",
        "Threads of Python that train, predict with, look at and change models at once get the bits of a run alone, "
        "a network that one step has led to, or one clear error.",
        "tests/test_shared_use.py::test_threads_of_python",
        500,
        run,
    ),
)
