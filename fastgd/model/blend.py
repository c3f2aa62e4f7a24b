"""The mean of what several networks predict, in the user's units and in float64; and the outputs that would say it.

Numbers, rates and probabilities are averaged as they are. A mean and a standard deviation are those of the mixture of
the members' distributions (Lakshminarayanan, Pritzel and Blundell 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.schema import Schema
from ..kernels.portable import log, log1p, log_sum_exp
from ..kernels.records import Net, Reals
from ..network.network import Network

Wide = NDArray[np.float64]


def blended(network: Network, outs: Sequence[Reals], weights: Wide) -> Wide:
    """The mean of predictions, each (n_rows, n_out) in the user's units, with weights that add up to 1."""
    mean = _mean([out.astype(np.float64) for out in outs], weights)
    if network.loss.name == "gaussian_nll":
        n = network.n_targets
        apart = [out[:, n:].astype(np.float64) ** 2 + (out[:, :n] - mean[:, :n]) ** 2 for out in outs]
        mean[:, n:] = np.sqrt(_mean(apart, weights))
    return mean


def blended_classes(network: Network, outputs: Sequence[Reals], weights: Wide) -> Wide:
    """Outputs as a network puts them out, whose probabilities are the mean of those of these outputs (n_rows, n_out).

    Logarithms are added up, so that a probability near 0 or 1 keeps its digits.
    """
    shares = log(weights)
    wide = [out.astype(np.float64) for out in outputs]
    if network.loss.task == "classes":
        logs = [out - log_sum_exp(out)[:, None] for out in wide]
        return log_sum_exp(np.stack([one + share for one, share in zip(logs, shares, strict=True)], axis=-1))
    of_yes, of_no = (
        log_sum_exp(
            np.stack([share - _log_1p_exp(sign * out) for out, share in zip(wide, shares, strict=True)], axis=-1)
        )
        for sign in (-1, 1)
    )
    return np.asarray(of_yes - of_no)


def outputs_behind(schema: Schema, net: Net, out: Wide) -> Wide:
    """What a network with this scaling would have put out to predict `out` (n_rows, n_out).

    Probabilities are kept away from 0 and 1, as far as float64 tells them apart.
    """
    network, mean, std = schema.network, net.target_mean.astype(np.float64), net.target_std.astype(np.float64)
    with np.errstate(all="ignore"):
        if network.loss.task in ("classes", "labels"):
            p = np.clip(out, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg)
            return np.asarray(log(p) if network.loss.task == "classes" else log(p) - log1p(-p))
        if network.loss.task == "counts":
            return np.asarray(log(out / std))
        n = network.n_targets
        if network.loss.name == "gaussian_nll":
            return np.concatenate([(out[:, :n] - mean) / std, 2 * log(out[:, n:] / std)], axis=1)
        levels = network.n_out // n
        return np.asarray((schema.target.learned(out) - np.repeat(mean, levels)) / np.repeat(std, levels))


def _log_1p_exp(x: Wide) -> Wide:
    """ln(1 + eˣ)."""
    return log_sum_exp(np.stack([np.zeros_like(x), x], axis=-1))


def _mean(values: Sequence[Wide], weights: Wide) -> Wide:
    """The weighted sum, in the order of the members, so that a row has the same bits alone and among others."""
    total = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total += value * weight
    return np.asarray(total)
