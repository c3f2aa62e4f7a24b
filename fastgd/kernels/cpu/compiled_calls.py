"""What a user's own compiled code calls: a row or some rows predicted, a step taken, by the kernels in inside.py.

The loops below become part of the user's machine code: they check sizes, call a kernel by its address, and raise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ..machinery.compile import kernel
from ..machinery.nets import (
    CompiledNet,
    Wanted,
    call_prediction,
    call_training,
    check_arrays,
    check_number,
    check_types,
    in_compiled_code,
)

# What kernels answer.
FINE, NOT_FINITE, WRONG_INPUTS, WRONG_OUTPUTS, WRONG_TARGETS, OUT_OF_RANGE, BUSY, NO_RATE, UNTRAINABLE, SEVERAL = range(
    10
)


@kernel(merge=True)
def refuse(told):
    """Raise what an answer means."""
    if told == WRONG_INPUTS:
        raise InvalidInputError("The rows have another number of columns than the net has inputs, net.n_in.")
    if told == WRONG_OUTPUTS:
        raise InvalidInputError("out has another number of columns than the net has outputs, net.n_out.")
    if told == WRONG_TARGETS:
        raise InvalidInputError("y has another number of columns than the net has targets.")
    if told == OUT_OF_RANGE:
        raise InvalidInputError(
            "y has a value that the loss does not take: classes are whole numbers below net.n_out, "
            "labels are between 0 and 1, counts at least 0."
        )
    if told == BUSY:
        raise InvalidInputError("Two threads train one net at once: give each a model of its own.")
    if told == NO_RATE:
        raise InvalidInputError("learning_rate must be a finite number of at least 0.")
    if told == UNTRAINABLE:
        raise InvalidInputError("train_batch does not take a model with log_target: give it the logarithms of y.")
    if told == SEVERAL:
        raise InvalidInputError("train_batch takes the net of one model, not of an ensemble: train its members.")


def row_loop(net, x, out):
    """x → out."""
    told = call_prediction(net, out, out.size, x, x.size, 1)
    if told > NOT_FINITE:
        out[:] = np.nan  # where an error gets lost, as in a thread of prange, no number may look like a prediction
        refuse(told)
    return told == FINE


def rows_loop(net, X, out):
    """X → out."""
    if X.shape[0] != out.shape[0]:
        out[:] = np.nan
        raise InvalidInputError("X and out have different numbers of rows.")
    told = call_prediction(net, out, out.shape[1], X, X.shape[1], X.shape[0])
    if told > NOT_FINITE:
        out[:] = np.nan
        refuse(told)
    return told == FINE


def batch_loop(net, X, y, learning_rate):
    """One step; returns the loss."""
    n = X.shape[0]
    if n == 0 or y.shape[0] != n:
        raise InvalidInputError("X and y must have as many rows, at least one.")
    told, loss = call_training(net, X, X.shape[1], y, y.size // n, n, float(learning_rate))
    if told > NOT_FINITE:
        refuse(told)
    return loss


def predict_row(net: CompiledNet, x: NDArray[Any], out: NDArray[Any]) -> bool:
    """Predict one row, from compiled code or from Python: out = what the model puts out for x.

    Both are in the user's units, with the bits of `model.predict`, or `predict_proba` for classes (with one output, the
    probability of the second class). Nothing is allocated, and several threads may call it with one net at once.

    Args:
        net: what `model.compiled()` returned, passed to compiled code as an argument.
        x: the inputs, (n_in,), contiguous, in the dtype of the model.
        out: written, (n_out,), likewise.

    Returns:
        Whether all inputs and all predictions are finite numbers.

    Raises:
        InvalidInputError: an array of another length. `out` is NaN then.

    Example:
        >>> import fastgd, numba, numpy as np
        >>> X, y = fastgd.datasets.houses(500, random_state=0)
        >>> model = fastgd.MLP([4, 8, 1], random_state=0)
        >>> history = model.fit(X, y, epochs=5, verbose=0)
        >>> @numba.njit
        ... def dearest(net, X):
        ...     best, price = 0, np.empty(net.n_out, X.dtype)
        ...     highest = -np.inf
        ...     for row in range(len(X)):
        ...         fastgd.predict_row(net, X[row], price)
        ...         if price[0] > highest:
        ...             best, highest = row, price[0]
        ...     return best
        >>> X = X.astype(np.float32)
        >>> bool(dearest(model.compiled(), X) == model.predict(X).argmax())
        True
    """
    check_arrays("predict_row", ROW, net, x, out)
    return bool(row_from_python(net, x, out))


def predict_rows(net: CompiledNet, X: NDArray[Any], out: NDArray[Any]) -> bool:
    """Predict many rows: as `predict_row`, in a fifth of the time a row (4-64-64-1).

    Args:
        net: what `model.compiled()` returned.
        X: the inputs, (n_rows, n_in), contiguous, in the dtype of the model.
        out: written, (n_rows, n_out), likewise.

    Returns:
        Whether all inputs and all predictions are finite numbers.

    Raises:
        InvalidInputError: arrays whose shapes do not fit. `out` is NaN then.
    """
    check_arrays("predict_rows", ROWS, net, X, out)
    return bool(rows_from_python(net, X, out))


def train_batch(net: CompiledNet, X: NDArray[Any], y: NDArray[Any], learning_rate: float) -> float:
    """Take one step of plain descent on some rows: the model's own parameters change, with the bits of `fit`.

    The gradient is the mean over the rows, of the loss with its target scaled as `fit` scales it. Scaling stays as it
    is. One thread at a time may train a net; predictions by others meanwhile see some weights before and some after the
    step.

    Args:
        net: what `model.compiled()` returned.
        X: inputs, (n_rows, n_in), contiguous, in the dtype of the model.
        y: actual values, (n_rows,) or (n_rows, n_targets), in the same dtype; classes by their number in
            `model.classes`.
        learning_rate: of this step, at least 0.

    Returns:
        The loss of these rows before the step, in the user's units. Where it or an input is no finite number, it is
        NaN, and no step was taken.

    Raises:
        InvalidInputError: arrays whose shapes do not fit, a class that there is not, a rate below 0 or not finite,
            another thread that trains.
    """
    check_arrays("train_batch", BATCH, net, X, y)
    check_number("train_batch", "learning_rate", learning_rate)
    return float(batch_from_python(net, X, y, float(learning_rate)))


ROW = Wanted("x", (1,)), Wanted("out", (1,), is_written=True)
ROWS = Wanted("X", (2,)), Wanted("out", (2,), is_written=True)
BATCH = Wanted("X", (2,)), Wanted("y", (1, 2))
row_from_python, rows_from_python, batch_from_python = (kernel()(loop) for loop in (row_loop, rows_loop, batch_loop))


@in_compiled_code(predict_row)
def _compile_row(net, x, out):
    check_types("predict_row", ROW, net, x, out)
    return row_loop


@in_compiled_code(predict_rows)
def _compile_rows(net, X, out):
    check_types("predict_rows", ROWS, net, X, out)
    return rows_loop


@in_compiled_code(train_batch)
def _compile_batch(net, X, y, learning_rate):
    check_types("train_batch", BATCH, net, X, y, numbers={"learning_rate": learning_rate})
    return batch_loop
