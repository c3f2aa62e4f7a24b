"""Random tables and options, made nasty on purpose and shrunk by hypothesis: properties of fit, predict and evaluate.

A table of any shape, dtype, order and stride is refused in one clear sentence, or learned from and predicted with
finite numbers, the same for the plain table of the same numbers, and is left as it was. So is it with options.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import fastgd
from fastgd.training.optimizers import OPTIMIZERS

from .judging import answer_of, complaint
from .trial import Outcome, Trial

N_IN = 3
DTYPES = "f2", "f4", "f8", ">f4", ">f8", "i1", "i8", "u2", ">i4", "?", "O", "U6"
NASTY = (
    0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 7.0, 100.0, 16777217.0, 1e-3, 1e-30, 1e-44, 5e-324, 1e-310, 1e10, 1e19, 1e30,
    3.4e38,    -3.4e38, 3.5e38, 1e160, 1e300, 1.7e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(NASTY), st.floats(), st.floats(width=32), st.integers(-(2**63), 2**64 - 1),
    st.floats(min_value=-10, max_value=10),
)  # fmt: skip
OPTIONS = st.one_of(NUMBERS, st.none(), st.booleans(), st.text(max_size=3), st.sampled_from(["auto", [], 10**30]))


def _cast(values: list[list[float]], dtype: str) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        whole = np.array(values, object if dtype == "O" else np.float64)
        return whole if dtype == "O" else whole.astype(dtype)


def _laid_out(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """The same numbers, stored in another way."""
    if layout == "read-only":
        values.flags.writeable = False
    if layout == "Fortran":
        return np.asfortranarray(values)
    if layout == "apart":
        wide = np.zeros([2 * n for n in values.shape], values.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in values.shape)]
        view[...] = values
        return view
    return np.flip(np.flip(values).copy()) if layout == "backwards" else values


@st.composite
def tables(draw: Any) -> np.ndarray[Any, Any]:
    """A table, usually of three columns, with numbers that are usually harmless."""
    n_rows = draw(st.integers(0, 12))
    n_columns = draw(st.one_of(st.just(N_IN), st.integers(1, 4)))
    cells = draw(st.one_of(st.just(st.integers(-9, 9)), st.just(NUMBERS)))
    row = st.lists(cells, min_size=n_columns, max_size=n_columns)
    values = draw(st.lists(row, min_size=n_rows, max_size=n_rows))
    shaped = _cast(values, draw(st.sampled_from(DTYPES))).reshape(n_rows, n_columns)
    return _laid_out(shaped, draw(st.sampled_from(["plain", "read-only", "Fortran", "apart", "backwards"])))


@st.composite
def problems(draw: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]:
    """A table, its targets, usually as many, and a loss."""
    X = draw(tables())
    n_rows = draw(st.one_of(st.just(len(X)), st.integers(0, 12)))
    cells = draw(st.sampled_from([st.integers(0, 1), st.integers(-9, 9), NUMBERS]))
    y = _cast([draw(st.lists(cells, min_size=n_rows, max_size=n_rows))], draw(st.sampled_from(DTYPES)))[0]
    return X, y, draw(st.sampled_from(["mse", "mae", "huber", "poisson", "binary_cross_entropy", "quantile"]))


def _held(what: str, call: Callable[[], Any]) -> Any:
    """What a call answers, None where it is refused; a promise that it breaks is an AssertionError."""
    answer = answer_of(call)
    wrong = complaint(answer, from_sklearn=False)
    assert wrong is None, f"{what} {wrong}"
    return answer.value


def tables_hold(problem: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]) -> None:
    """fit, predict and evaluate answer or refuse; the layout of memory changes no bit, and they change no input."""
    X, y, loss = problem
    before = repr((X.tolist(), y.tolist()))

    def learned(table: Any) -> fastgd.MLP:
        model = fastgd.MLP([N_IN, 2, 1], loss=loss)
        model.fit(table, y, epochs=2, batch_size=4, n_threads=1, verbose=0)
        return model

    model = _held("fit", lambda: learned(X))
    if model is not None:
        plain = _held("fit of a copy", lambda: learned(np.array(X, order="C")))
        assert plain is not None, "a copy is refused"
        assert (plain.parameters == model.parameters).all(), "a copy leads to other weights"
        predicted = _held("predict", lambda: model.predict(X))
        assert predicted is None or len(predicted) == len(X), "predictions are not as many as rows"
        _held("evaluate", lambda: model.evaluate(X, y))
    assert repr((X.tolist(), y.tolist())) == before, "the arrays have changed"


# What random options are given to.
TAKERS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    **{name: (kind, ("learning_rate", *(names))) for name, kind, names in (
        ("SGD", OPTIMIZERS["SGD"], ("momentum", "nesterov", "weight_decay", "clip_norm", "ema_decay")),
        ("Adagrad", OPTIMIZERS["Adagrad"], ("epsilon", "l1", "clip_value")),
        ("RMSprop", OPTIMIZERS["RMSprop"], ("rho", "momentum", "epsilon", "decay_biases")),
        ("Adam", OPTIMIZERS["Adam"], ("beta1", "beta2", "epsilon", "ema_decay")),
        ("AdamW", OPTIMIZERS["AdamW"], ("beta1", "beta2", "weight_decay", "clip_norm")),
        ("Cosine", fastgd.schedules.Cosine, ("steps", "final")),
        ("CosineRestarts", fastgd.schedules.CosineRestarts, ("period", "multiply", "final")),
        ("Exponential", fastgd.schedules.Exponential, ("every", "factor")),
        ("StepDecay", fastgd.schedules.StepDecay, ("every", "factor")),
        ("InverseTime", fastgd.schedules.InverseTime, ("every",)),
        ("OneCycle", fastgd.schedules.OneCycle, ("steps", "rise", "start_divisor", "final_divisor")),
    )},
    "WarmUp": (fastgd.schedules.WarmUp, ("schedule", "steps", "start")),
    "Huber": (fastgd.losses.Huber, ("delta",)),
    "Quantile": (fastgd.losses.Quantile, ("levels",)),
    "EarlyStopping": (fastgd.callbacks.EarlyStopping, ("monitor", "patience", "min_delta", "restore_best_weights")),
    "Recorder": (fastgd.callbacks.Recorder, ("most", "bins")),
}  # fmt: skip
# Numbers that ask for so much memory.
AMOUNTS = {"most", "bins"}
NEEDED = {"learning_rate": 0.1, "every": 3, "period": 3, "schedule": 0.1, "steps": 3}


@st.composite
def choices(draw: Any) -> tuple[str, dict[str, Any]]:
    """Something that takes options, and some of them, good or nasty."""
    name = draw(st.sampled_from(sorted(TAKERS)))
    names = TAKERS[name][1]
    likely = st.sampled_from([0.1, 0.5, 0.9, 1, 2, 3])
    given_options = {
        each: draw(st.one_of(likely, st.integers(0, 99) if each in AMOUNTS else OPTIONS))
        for each in names
        if draw(st.booleans()) or each in NEEDED
    }
    return name, given_options


def options_hold(choice: tuple[str, dict[str, Any]]) -> None:
    """An optimizer, a schedule, a loss or a callback with such options is refused, or trains to finite numbers."""
    name, chosen = choice
    X = np.arange(24.0).reshape(8, 3) % 7
    y = X[:, 0] - X[:, 1]

    def trained() -> Any:
        made = TAKERS[name][0](**chosen)
        outputs = len(getattr(made, "levels", (0.5,)))
        loss = made if isinstance(made, fastgd.losses.Loss) else "mse"
        model = fastgd.MLP([N_IN, 2, outputs], loss=loss)
        options: dict[str, Any] = {}
        if isinstance(made, fastgd.schedules.Schedule):
            options["optimizer"] = fastgd.SGD(learning_rate=made)
        elif isinstance(made, fastgd.callbacks.Callback):
            options["callbacks"] = [made]
        elif not isinstance(made, fastgd.losses.Loss):
            options["optimizer"] = made
        history = model.fit(X, y, epochs=4, validation_split=0.3, batch_size=3, n_threads=1, verbose=0, **options)
        return model, history.history

    _held(f"{name}({', '.join(f'{key}={value!r}' for key, value in chosen.items())})", trained)


PROPERTIES: tuple[tuple[str, Any, Callable[[Any], None]], ...] = (
    ("tables", problems(), tables_hold),
    ("options", choices(), options_hold),
)


def searched(strategy: Any, holds: Callable[[Any], None], cases: int, start: int) -> tuple[int, str | None]:
    """How many examples were tried, and the shrunk one that breaks the property, or None."""
    tried = [0]
    last: list[Any] = [None]

    @seed(start)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(strategy)
    def search(example: Any) -> None:
        tried[0] += 1
        last[0] = example
        holds(example)

    try:
        search()
    except Exception as error:  # the shrunk example is the one that was tried last
        why = re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
        return tried[0], f"{holds.__name__}({last[0]!r}): {why[:400]}"
    return tried[0], None


def nasty(cases: int, start: int) -> Outcome:
    """Look for tables and options that break a property."""
    n, failures = 0, []
    for _, strategy, holds in PROPERTIES:
        found, failure = searched(strategy, holds, max(cases // len(PROPERTIES), 1), start)
        n += found
        failures += [failure] if failure else []
    return Outcome(n, failures, "tables of 12 dtypes and 5 layouts, options of 16 kinds")


TRIALS = (
    Trial(
        "nasty-tables",
        "Random tables of any shape, dtype and layout, and random options of optimizers, schedules, losses and "
        "callbacks, are refused in one sentence or lead to finite numbers.",
        "tests/test_nasty_tables.py::test_a_few_nasty_tables_and_options",
        20_000,
        nasty,
    ),
)
