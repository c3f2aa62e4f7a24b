"""Kernels on arrays of more than 2³¹ entries: an index of 32 bits would point elsewhere.

Such an array repeats a few rows, see periodic.py, and so must the answers; where rows are taken here and there, the
answers are those of the same rows in a small table. Each kernel is tried whose loops walk a whole table or a whole
array of that size; what is left of the others works on blocks of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.kernels import engine, net_for_compiled_code
from fastgd.kernels.records import Codes, LossRecord, Net, Rows, read_only, resting, taken
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.network import Network
from fastgd.training.optimizers import SGD

from .guarded import unavailable
from .periodic import PERIOD, periodic
from .trial import Outcome, Trial

WIDTH = 64  # columns, and outputs
N_ROWS = (1 << 31) // WIDTH + 77
LAST = 500  # rows at the end of the table that training takes


class Table(NamedTuple):
    """A network of one layer, and rows for it: PERIOD of them, and as many as there are entries."""

    net: Net
    loss: LossRecord
    X: Any  # (PERIOD, WIDTH)
    Y: Any
    rows: Rows  # N_ROWS
    seed: int

    def far(self, values: Any) -> Any:
        """N_ROWS of these rows."""
        return periodic(N_ROWS, values)

    def out(self) -> Any:
        """N_ROWS of zeros."""
        return self.far(np.zeros_like(self.X))


def table(dtype: str, seed: int) -> Table:
    """Random rows and a random network."""
    generator, real = np.random.default_rng(seed), np.dtype(dtype)
    network = Network.from_names([WIDTH, WIDTH], "tanh")
    net = network.new_net("glorot_uniform", real, seed)
    X, Y = (generator.normal(size=(PERIOD, WIDTH)).astype(real) for _ in range(2))
    far_X, far_Y = read_only(periodic(N_ROWS, X)), read_only(periodic(N_ROWS, Y))
    rows = Rows(far_X, far_Y, np.zeros(0, real), np.uint64(seed), 0, False)
    return Table(net, network.loss.record(net.target_std), X, Y, rows, seed)


Answer = tuple[Any, Any]  # what is compared: of the far rows, and of the near ones


def _repeats(far: Any, near: Any) -> Answer:
    """All that the last rows and the first ones say; what was written to one was written to all."""
    return np.concatenate([far[:PERIOD], far[-LAST:]]), np.concatenate(
        [near, near[np.arange(N_ROWS - LAST, N_ROWS) % PERIOD]]
    )


def gather(it: Table) -> Answer:
    """Rows of the end."""
    numbers, answers = np.arange(N_ROWS - LAST, N_ROWS), []
    for rows, order in ((it.rows, numbers), (taken(it.rows, numbers), np.arange(LAST))):
        x, y, w = np.zeros((LAST, WIDTH), it.X.dtype), np.zeros((LAST, WIDTH), it.X.dtype), np.zeros(LAST, it.X.dtype)
        engine("cpu").gather(x, y, w, rows, order, it.net)
        answers.append(np.hstack([x, y, w[:, None]]))
    return answers[0], answers[1]


def gradient(it: Table) -> Answer:
    """The gradient of shuffled rows from all over the table."""
    loops, order, answers = engine("cpu"), np.zeros(LAST, np.int64), []
    rows = it.rows._replace(shuffle=True)
    loops.row_order(order, N_ROWS - LAST, N_ROWS, rows.seed, rows.epoch, True)
    for these, place in ((rows, N_ROWS - LAST), (taken(rows, order), 0)):
        gradients = loops.new_gradients(it.net, LAST)
        (workspace,) = loops.new_workspaces(it.net, it.loss, SGD().rule(), LAST)
        value = loops.batch_gradient(gradients, workspace, these, place, LAST, it.net, it.loss)
        answers.append(np.append(gradients[0], value))
    return answers[0], answers[1]


def train(it: Table) -> Answer:
    """Steps on rows of the end, then on single ones."""
    loops, rule, answers = engine("cpu"), SGD().rule(), []
    for these, place in ((it.rows, N_ROWS - LAST), (taken(it.rows, np.arange(N_ROWS - LAST, N_ROWS)), 0)):
        net = it.net._replace(parameters=it.net.parameters.copy())
        state, sums = SGD().new_state(net.parameters), np.zeros(2)
        for batch_size in (50, 1):
            rates, workspaces = np.full(5, 0.01), loops.new_workspaces(net, it.loss, rule, batch_size)
            gradients = loops.new_gradients(net, batch_size)
            loops.train(net, state, gradients, workspaces, sums, these, place, batch_size, rates, it.loss, rule)
        answers.append(np.append(net.parameters, sums))
    return answers[0], answers[1]


def predict(it: Table) -> Answer:
    """All rows."""
    loops, net, answers = engine("cpu"), resting(it.net), []
    for X, out in ((it.rows.X, it.out()), (read_only(it.X), np.zeros_like(it.X))):
        loops.predict(out, loops.new_workspaces(net)[0], X, net, it.loss)
        answers.append(out)
    return _repeats(*answers)


def predict_rows(it: Table) -> Answer:
    """All rows, from compiled code."""
    none = np.zeros((0, WIDTH), it.X.dtype)
    net = net_for_compiled_code(it.net, it.loss, 1.0, (-np.inf, np.inf), none, False, False, it.seed)
    answers = []
    for X, out in ((it.far(it.X), it.out()), (it.X, np.zeros_like(it.X))):
        fastgd.predict_rows(net, X, out)
        answers.append(out)
    return _repeats(*answers)


def encode(it: Table) -> Answer:
    """A table of numbers with bins, half of them, and without."""
    generator, numbers = np.random.default_rng(it.seed), np.arange(WIDTH)
    columns = np.full((WIDTH, 4), -1, np.int64)
    columns[:, 0], columns[:, 2:] = numbers, 0
    columns[: WIDTH // 2, 1], columns[: WIDTH // 2, 3] = WIDTH + numbers[: WIDTH // 2], 4
    columns[WIDTH // 2 :, 1] = WIDTH + numbers[WIDTH // 2 :]
    zeros = np.zeros(WIDTH)
    codes = Codes(columns, np.sort(generator.normal(size=5)), generator.normal(size=5), zeros, zeros - 1, zeros + 1)
    answers, X = [], it.X.astype(np.float64)
    for given, n in ((it.far(X), N_ROWS), (X, PERIOD)):
        out = np.zeros((PERIOD, 2 * WIDTH), it.X.dtype)
        out = periodic(n, out) if n > PERIOD else out
        engine("cpu").encode(out, given, codes)
        answers.append(out)
    return _repeats(*answers)


def dense(it: Table) -> Answer:
    """Sums of all rows."""
    weights, biases = it.X[:WIDTH].copy(), it.Y[0].copy()
    answers = []
    for x, out in ((it.far(it.X), it.out()), (it.X, np.zeros_like(it.X))):
        engine("cpu").dense(out, x, weights, biases)
        answers.append(out)
    return _repeats(*answers)


def activate(it: Table) -> Answer:
    """relu, which changes nothing where it is used again."""
    answers, code = [it.far(it.X), it.X.copy()], ACTIVATIONS["relu"].code
    for a in answers:
        engine("cpu").activate(a, code)
    return _repeats(*answers)


def loss_and_delta(it: Table) -> Answer:
    """The gradient in all outputs."""
    answers = []
    for predicted, y, delta, n in (
        (it.far(it.X), it.far(it.Y), it.out(), N_ROWS),
        (it.X, it.Y, np.zeros_like(it.X), PERIOD),
    ):
        w = np.ones(n, it.X.dtype)
        engine("cpu").loss_and_delta(delta, predicted, y, w, 1.0, it.loss)
        answers.append(delta)
    return _repeats(*answers)


def clip(it: Table) -> Answer:
    """Every entry of a gradient bounded, which changes nothing the second time."""
    answers, rule = [it.far(it.X), it.X.copy()], SGD(clip_value=0.3).rule()
    for gradient in answers:
        engine("cpu").clip(gradient.reshape(-1), rule)
    return _repeats(*answers)


TRIED: tuple[Callable[[Table], Answer], ...] = (
    gather, gradient, train, clip, activate, loss_and_delta, dense, predict, predict_rows, encode,
)  # fmt: skip


def run(cases: int, seed: int) -> Outcome:
    """The trial."""
    why, failures = unavailable(), []
    if why:
        return Outcome(0, [], f"skipped: {why}")
    tried = [(kernel, dtype) for kernel in TRIED for dtype in ("float32", "float64")][:cases]
    for kernel, dtype in tried:
        far, near = kernel(table(dtype, seed))
        if far.tobytes() != near.tobytes():
            failures.append(f"{kernel.__name__} of {N_ROWS * WIDTH:,} entries in {dtype}, seed {seed}, has other bits.")
    return Outcome(len(tried), failures, f"{N_ROWS * WIDTH:,} entries, 2³¹ + {N_ROWS * WIDTH - (1 << 31):,}")


TRIALS = (
    Trial(
        "far-elements",
        "Tables and arrays of more than 2³¹ entries are read and written where they should be.",
        "tests/test_far_elements.py::test_entries_beyond_two_to_the_31_are_found",
        2 * len(TRIED),
        run,
    ),
)
