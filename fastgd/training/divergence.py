"""A training that blows up: how it is noticed, and what the user reads. A network that dies is a matter of death.py.

`run` is the training that is looked at, see run.py. Losses are in standard units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import BlowUpWarning, DivergenceError, DivergenceWarning, warn
from ..kernels.codes import BIASES, N_OUT, OUTPUTS, WEIGHTS
from ..kernels.records import Reals, Rows
from .death import FEW_ROWS, look_at_few, tell_if_dead
from .run import Run


@dataclass(frozen=True)
class Limits:
    """When a training has gone wrong, and how hard a better rate is looked for."""

    # times the loss at the start: steps with this loss are warned about
    worrying: float = 10.0
    # part of the loss of a network of zeros: the loss at the start counts as at least this much, because a network that
    # fits perfectly may become ten times worse without any harm
    least_start: float = 0.1
    # times the lowest loss of a chunk: a chunk with this loss is not gone back to
    out_of_range: float = 100.0
    # rates: how many are tried after a blow-up, each a tenth of the one before
    tries: int = 16
    # rate: the first of them is at most a tenth of this
    highest_rate: float = 10.0
    # steps: how many a rate is tried for, at most and at least
    trial_steps: int = 200
    least_trial_steps: int = 10
    # multiply-adds of a forward pass: what these steps may cost; their batches are made smaller for it
    trial_work: float = 2e10
    # part of the loss: a rate works if the loss falls by this much
    better: float = 1e-3
    # weight, where rows have 1 on average: a chunk of less says nothing
    least_weight: float = 1e-6
    # rows, or half an epoch if that is less: so many are judged together, because a few steps may have a high loss in
    # a training that goes well, and how many steps make a chunk depends on how busy the machine is
    least_rows: float = 1000.0
    # times the mean weight: a row with this weight is named in the error
    heavy: float = 10.0
    # standard units: inputs with this mean or spread are named in the error
    unscaled: float = 10.0


LIMITS = Limits()


def note_start(run: Run) -> None:
    """Remember the loss before the first fit, the yardstick of all that follow."""
    if math.isnan(run.training.start) and run.n_rows >= FEW_ROWS <= len(run.probe.X):
        run.training.start = run.start


def look_at_the_end(run: Run) -> None:
    """Warn if the last steps have blown up, which no later ones have seen, or have left a network that is dead."""
    loss, is_flat = look_at_few(run, run.feed.at_hand)
    with np.errstate(all="ignore"):
        if not (loss < math.inf and _is_harmless(run, loss)) and not run.is_warned:
            _tell_if_blown_up(run)
        if is_flat:
            tell_if_dead(run, run.feed.at_hand, *_others_at_hand(run))


def _others_at_hand(run: Run) -> list[Rows]:
    """The rows that the last steps were taken on, where the feed has not all rows at hand."""
    last, kept = run.portion.rows, run.feed.at_hand
    return [] if last.X is kept.X else [last]


def _tell_if_blown_up(run: Run) -> None:
    """Warn if the loss after the last step is worrying."""
    mean = run.probed(run.net)
    if is_high(run.start, mean) and _is_worrying(run, mean):
        loss, start = mean * run.job.loss_unit, run.start * run.job.loss_unit
        warn(
            f"After the last step the loss is {loss:.3g}, from {start:.3g} at first: the training has blown "
            "up. Start again from a new model, with a smaller learning rate.",
            DivergenceWarning,
        )


def _is_harmless(run: Run, mean: float) -> bool:
    """Whether a loss is so near the lowest of this model that nobody needs to know what it was at first."""
    lowest = run.training.lowest
    return math.isfinite(lowest) and mean <= lowest + abs(lowest)


def look_at_chunk(run: Run, place: int, rates: Reals, n_taken: int, before: Reals) -> None:
    """After a chunk from this place on: keep it, or raise the error of a training that has blown up.

    `before` are the run's sums at its start.
    """
    blown_up = n_taken < len(rates) or not run.is_finite()
    layer = first_bad_layer(run, place + n_taken * run.batch_size) if blown_up else None
    loss, weight = (run.sums - before).tolist()
    run.note_steps()
    if blown_up or not math.isfinite(run.sums[0]):
        run.restore(run.last_good)
        if weight and math.isfinite(loss):
            run.last_loss = loss / weight
            note(run, loss / weight, "rose in a few steps to", ".", BlowUpWarning)
        raise diverged(run, float(rates[min(n_taken, len(rates) - 1)]), layer)
    (run.job.judge or judge)(run, loss, weight, float(rates[-1]))


def judge(run: Run, loss: float, weight: float, rate: float) -> None:
    """Keep the chunk's start as good unless its loss has left the range of the ones before: it may be diverging."""
    if weight < LIMITS.least_weight:
        return
    mean = run.last_loss = loss / weight
    run.unjudged += loss, weight
    if run.unjudged[1] >= min(LIMITS.least_rows, run.n_rows / 2):
        then = f": training may be about to blow up; try a smaller learning rate, such as {rate / 10:.2g}."
        note(run, float(run.unjudged[0] / run.unjudged[1]), "is", then)
        run.unjudged[:] = 0
    keep_if_good(run, mean)
    if run.n_rows >= FEW_ROWS:
        run.training.lowest = min(run.training.lowest, mean)


def keep_if_good(run: Run, mean: float) -> None:
    """Keep the start of a chunk as what is gone back to, unless its loss has left the range of those before."""
    if mean - run.lowest < LIMITS.out_of_range * max(abs(run.lowest), 1e-300) or run.lowest == math.inf:
        run.last_good = run.chunk_start
    run.lowest = min(run.lowest, mean)


def note(
    run: Run, mean: float, has_come_to: str, then: str, category: type[DivergenceWarning] = DivergenceWarning
) -> None:
    """Warn once if the mean loss of some steps is worrying."""
    if run.is_warned or _is_harmless(run, mean):
        return
    if is_high(run.start, mean) and _is_worrying(run, mean):
        run.is_warned = True
        much = how_much(run, run.start, mean)
        warn(f"In epoch {run.history.epochs + 1} the loss {has_come_to} {much}{then}", category)


def is_high(start: float, mean: float) -> bool:
    """Whether a loss is ten times that at the start."""
    return mean - start > (LIMITS.worrying - 1) * abs(start)


def how_much(run: Run, start: float, mean: float) -> str:
    """In words, what a loss is beside that at the start."""
    if start > 0:  # the negative logarithm of a likelihood may be below
        return f"{mean / start:.3g} times what it was at first"
    return f"{mean * run.job.loss_unit:.3g}, from {start * run.job.loss_unit:.3g} at first"


def loss_of_zeros(run: Run) -> float:
    """What a network of zeros gets wrong."""
    return run.probed(run.net._replace(parameters=np.zeros_like(run.net.parameters)))


def _is_worrying(run: Run, mean: float) -> bool:
    """Whether a loss ten times the first one is more than what a network of zeros makes of it."""
    return mean - run.start > (LIMITS.worrying - 1) * LIMITS.least_start * abs(loss_of_zeros(run))


def first_bad_layer(run: Run, place: int) -> int:
    """The first layer whose weights, or whose outputs for the rows from `place` on, are not finite."""
    net, workspace, n_rows = run.net, run.workspaces[0], len(run.rows.X)
    B = min(len(workspace.order), n_rows - min(place, n_rows - 1))
    order = workspace.order[:B]
    run.job.engine.row_order(
        order, n_rows - B if place >= n_rows else place, n_rows, run.rows.seed, run.rows.epoch, run.rows.shuffle
    )
    with np.errstate(all="ignore"):
        run.job.engine.gather(workspace.x[:B], workspace.y[:B], workspace.w[:B], run.rows, order, net)
        run.job.engine.forward(workspace, B, run.rows.seed, run.rows.epoch, net)
    for index, layer in enumerate(net.layers):
        first, last = B * layer[OUTPUTS], B * (layer[OUTPUTS] + layer[N_OUT])
        weights = net.parameters[layer[WEIGHTS] : layer[BIASES] + layer[N_OUT]]
        if not (np.isfinite(weights).all() and np.isfinite(workspace.activations[first:last]).all()):
            return index
    return len(net.layers) - 1  # its outputs are numbers still, but too large for the loss


def diverged(run: Run, rate: float, layer: int | None) -> DivergenceError:
    """The error for a step at this rate that led to numbers that are not finite, first in this layer."""
    where = f"step {run.history.steps} (epoch {run.history.epochs + 1}"
    where += f", layer {layer})" if layer is not None else ")"
    before = run.last_loss * run.job.loss_unit
    better = _rate_to_try(run, rate)
    if not math.isfinite(run.probed(run.net)):
        what = "these weights give no finite loss for these rows, which no learning rate mends. "
        advice = "Start again from a new model."
    else:
        earlier = f" (it was {before:.4g} shortly before)" if math.isfinite(before) else ""
        what = f"the loss is no longer a finite number{earlier}. The model keeps its last good weights; "
        clipped = math.isfinite(run.rule.clip_norm) or math.isfinite(run.rule.clip_value)
        advice = f"try a smaller learning rate, such as {better:.3g} instead of {rate:.3g}"
        advice += "." if clipped else ", or clip_norm=1.0 in the optimizer."
        if math.isnan(better):
            advice = "no smaller learning rate was found that trains them on: start again from a new model."
    error = DivergenceError(f"Training diverged at {where}: {what}{advice}{_about_inputs(run)}")
    error.step, error.layer, error.loss_before, error.learning_rate = run.history.steps, layer, before, better
    return error


def _rate_to_try(run: Run, rate: float) -> float:
    """The first tenth of a rate, or tenth of that, whose steps from the good weights go well; NaN if none does."""
    rows = max(int(LIMITS.trial_work / run.net.parameters.size), LIMITS.least_trial_steps)
    batch_size = min(run.batch_size, rows // LIMITS.least_trial_steps)
    n_steps = min(LIMITS.trial_steps, rows // batch_size)
    before, harmless = run.probed(run.net), math.nan
    try:
        for tenths in range(LIMITS.tries if math.isfinite(before) else 0):
            tried = min(rate / 10, LIMITS.highest_rate) / 10**tenths
            run.restore(run.last_good)
            after = run.probed(run.net) if _takes(run, n_steps, batch_size, tried) else math.inf
            if after < before - LIMITS.better * abs(before):
                return float(tried)
            if math.isnan(harmless) and after <= before + LIMITS.better * abs(before):
                harmless = float(tried)
    except KeyboardInterrupt:
        pass  # the error that this is for ends the training anyway
    finally:
        run.restore(run.last_good)
    return harmless


def _takes(run: Run, n_steps: int, batch_size: int, rate: float) -> bool:
    """Whether all numbers stay finite for this many steps at a rate."""
    per_epoch = math.ceil(run.portion.n_rows / batch_size)
    while n_steps > 0:
        count = min(n_steps, per_epoch)
        n_taken = run.take_steps(0, np.full(count, rate), len(run.workspaces), np.zeros(2), batch_size)
        if n_taken < count or not np.isfinite(run.net.parameters).all():
            return False
        n_steps -= count
    return True


def _about_inputs(run: Run) -> str:
    """What is to be said of rows that weigh much, or of inputs that reach the network far from mean 0 and spread 1."""
    if run.rows.weights.size and run.rows.weights.max() > LIMITS.heavy:
        return f" The heaviest row counts {run.rows.weights.max():.3g} times the mean, and takes a step as much longer."
    dense = slice(len(run.net.input_mean) - len(run.net.lookups))  # positions have no scale
    mean, std = run.net.input_mean[dense], run.net.input_std[dense]
    with np.errstate(all="ignore"):
        x = (run.probe.X[:, dense].astype(np.float64) - mean) / std
        if not ((np.abs(x.mean(axis=0)) > LIMITS.unscaled).any() or (x.std(axis=0) > LIMITS.unscaled).any()):
            return ""
    if (mean == 0).all() and (std == 1).all():
        return " Its inputs are far from mean 0 and spread 1: scale them."
    return " These rows are far from those, or from the weights of rows, that the model learned its scaling from."
