"""The kernel behind calls of a user's compiled code to several networks: the mean of what each predicts."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ..machinery.compile import kernel
from ..machinery.lanes import pointer
from ..machinery.memory import on_stack, words_at
from ..machinery.nets import compiled_net, place_of_record, prediction, training
from ..machinery.packing import unpacking
from ..records import Integers
from .compiled_calls import FINE, NOT_FINITE, SEVERAL
from .inside import STACK, predict_on_stack


class Several(NamedTuple):
    """What the kernel needs besides the rows."""

    places: Integers  # (n_members,): where the records of the members lie
    shares: NDArray[np.float64]  # (n_members,) with a sum of 1
    block: int  # rows that are predicted together
    n_means: int  # outputs that are means, before as many that are standard deviations; 0: all are averaged as they are


unpacked = unpacking(Several)


@kernel(inner=True)
def predict_mean_on_stack(out, n_out, X, n_in, n_rows, words):
    """out (n_rows, n_out) = the mean of the members' predictions, summed in float64 in their order."""
    it = unpacked(words, out)
    n_members, block, wrong = it.places.shape[0], max(min(it.block, n_rows), 1), 0
    each, mean = on_stack(out, n_members * block * n_out), on_stack(pointer(it.shares, 0), n_out)
    for start in range(0, n_rows, block):
        B = min(block, n_rows - start)
        for member in range(n_members):
            one = pointer(each, member * block * n_out)
            told = predict_on_stack(one, n_out, pointer(X, start * n_in), n_in, B, words_at(it.places[member], words))
            if told > NOT_FINITE:
                return told
            wrong += told
        for row in range(B):
            into = pointer(out, (start + row) * n_out)
            for j in range(n_out):
                mean[j] = 0.0
                for member in range(n_members):
                    value = float(each[(member * block + row) * n_out + j])
                    if j >= it.n_means > 0:  # the variance of the mixture
                        apart = float(each[(member * block + row) * n_out + j - it.n_means]) - mean[j - it.n_means]
                        value = value * value + apart * apart
                    mean[j] += it.shares[member] * value
                into[j] = math.sqrt(mean[j]) if j >= it.n_means > 0 else mean[j]
    return FINE if wrong == 0 else NOT_FINITE


@kernel(inner=True)
def train_none(X, n_in, y, n_targets, n_rows, learning_rate, words):
    """A mean is not trained."""
    return np.int64(SEVERAL), math.nan


def mean_for_compiled_code(nets, shares, n_means):
    """What a user's compiled code may hold of several nets of one shape of rows and outputs."""
    first, dtype = nets[0], nets[0].parameters.dtype
    of_row = len(nets) * first.n_out * dtype.itemsize
    if of_row + 8 * first.n_out > STACK:
        raise InvalidInputError(f"compiled() is for ensembles whose predictions of a row fit into {STACK:,} bytes.")
    places = [place_of_record(net) for net in nets]
    record = Several(np.array(places), np.asarray(shares, np.float64), STACK // 4 // of_row + 1, int(n_means))
    return compiled_net(
        (predict_mean_on_stack, train_none), (prediction, training), record, np.zeros(0, dtype),
        (first.n_in, first.n_out), keep=nets,
    )  # fmt: skip
