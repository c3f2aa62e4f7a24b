"""The whole story of learning, scene by scene, on the generated houses: what `fastgd demo` tells.

Each scene computes what it shows: the numbers are those of the kernels that train.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..data.houses import HOUSE_FEATURES, houses, irreducible_error
from ..errors import DivergenceError, TrainingWarning
from ..explain import learning_rates
from ..explain.blame import BLAMED
from ..explain.effects import RULE
from ..mlp import MLP
from ..training.history import COMPLETED, History
from ..training.optimizers import SGD, Adam, AdamW, Optimizer
from .page import Chart, Line, Listing, Part, Scene, Text
from .prices import described, euros, priced, share

FEATURES = ["size", "bedrooms", "distance", "age"]
FEW = 32  # houses of the first scenes: one small batch
RATE = 0.15  # well chosen for the network of four weights
RATES = (0.6, 0.002, RATE)  # too high, too low, well chosen
GOOD_RATE = 0.05  # for the network of two layers of 64
MOST_TRIES = 5  # trainings, each after one that has diverged
ASKED = 1000  # houses by which weights are blamed
PLAIN = "plain descent"
DIVERGED = (
    "What diverged overshot: each step was longer than the one before, until the numbers ended. A smaller learning "
    "rate would have kept it in the valley."
)
WORSE = "It is worse than before: its steps overshot. Try a smaller learning rate."
OTHERS_LOSE = (
    "A rule that does worse here need not be a worse rule: each wants a learning rate of its own, and five epochs are "
    "a short budget."
)


class StoryOptions(NamedTuple):
    """What the story is told with."""

    houses: int  # to train on
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    train: Callable[[MLP, Any, Any, Optimizer], Any]  # fits the last network, where someone may watch


def scenes(options: StoryOptions) -> Iterator[Scene]:
    """The scenes, each computed when it is asked for."""
    X, y = houses(options.houses + 10_000, random_state=options.seed)
    seen, unseen = (X[: options.houses], y[: options.houses]), (X[options.houses :], y[options.houses :])
    small = MLP([4, 1], feature_names=FEATURES, random_state=options.seed + 1)
    few = X[:FEW], y[:FEW]
    _fit(small, *few, epochs=0)  # the scaling of these houses; nothing is learned
    house = int(np.argmax(np.abs(small.predict(few[0]) - few[1])))
    yield _wrong(small, *few, house)
    yield _loss(small, *few)
    yield _blame(small, *few)
    yield _nudge(small, *few)
    yield _after_one_step(small, *few, house)
    yield _three_rates(small, *few, house)
    yield _batches(options, seen, unseen)
    yield _optimizers(options, seen, unseen)
    yield from _trained(options, seen, unseen)


def _wrong(model: MLP, X: Any, y: Any, house: int) -> Scene:
    predicted = float(model.predict(X)[house])
    return Scene(
        "Every network starts completely wrong",
        [
            Text(f"A house of {described(X[house])}."),
            Text(f"A network with {X.shape[1]} random weights, one for each of these, predicts its price:"),
            Text(f"predicted {euros(predicted)}   actual {euros(y[house])}   error {euros(predicted - y[house])}"),
            Text(f"Of {len(X)} houses, it is about this one that it is most wrong."),
        ],
    )


def _loss(model: MLP, X: Any, y: Any) -> Scene:
    measured = model.evaluate(X, y)
    return Scene(
        "One number for how wrong",
        [
            Text(f"The loss is the mean of the squared errors, here over {len(X)} houses: {measured['loss']:.4g}."),
            Text(f"Its root is the typical error: {euros(measured['rmse'])}."),
        ],
    )


def _blame(model: MLP, X: Any, y: Any) -> Scene:
    table = model.blame(X, y)
    shown = ("weight", "value", "gradient", "share", "gain", "severity")
    rows = [
        [name, f"{value:+.2f}", f"{gradient:+.2f}", f"{share:.0%}", f"{gain:.0%}", severity]
        for name, value, gradient, share, gain, severity in zip(*(table[column] for column in shown), strict=True)
    ]
    return Scene(
        "Who is to blame",
        [
            Text("The gradient of a weight says how the loss grows with it: its share of the blame."),
            Listing(["weight of", "value", "gradient", "of largest", "gain", ""], rows),
            Text(
                "Gain is about what part of the error this weight alone could take away. It is high where the houses "
                "agree on the direction; once nearly nothing can be gained, nothing is left to blame."
            ),
        ],
    )


def _nudge(model: MLP, X: Any, y: Any) -> Scene:
    table = model.nudge(X, y, learning_rate=RATE)
    rows = [
        [name, f"{old:+.2f}", f"{nudge:+.2f}", f"{new:+.2f}", effect]
        for name, old, nudge, new, effect in zip(*(table[c] for c in table.columns), strict=True)
    ]
    return Scene(
        "A nudge for every weight",
        [
            Text(f"Each weight moves against its gradient: by −learning rate × gradient, with a rate of {RATE}."),
            Listing(["weight of", "old", "nudge", "new", "effect"], rows),
            Text(f"The effect is on the contribution, weight × input. {RULE}"),
        ],
    )


def _after_one_step(model: MLP, X: Any, y: Any, house: int) -> Scene:
    trial = copy.deepcopy(model)
    before = float(model.predict(X)[house])
    trial.step(X, y, learning_rate=RATE)
    after = float(trial.predict(X)[house])
    losses = model.evaluate(X, y)["loss"], trial.evaluate(X, y)["loss"]
    return Scene(
        "After one step",
        [
            Text(f"The house from above: {euros(before)} before, {euros(after)} after, {euros(y[house])} actually."),
            Text(f"The loss: {losses[0]:.4g} before, {losses[1]:.4g} after. Then the same again, and again."),
        ],
    )


def _three_rates(model: MLP, X: Any, y: Any, house: int) -> Scene:
    parts: list[Part] = [
        Text("How large a step? Three copies of the network, 40 epochs of one step each, the price of that house:")
    ]
    for regime in learning_rates(model, X, y, RATES, steps=40, row=house):
        steps = list(range(len(regime.predictions)))
        actual = regime.actual
        parts.append(
            Chart(
                f"Learning rate {regime.learning_rate:g}: {regime.verdict}",
                "step",
                "predicted price, EUR",
                [Line("predicted", steps, regime.predictions.tolist())],
                ("actual", actual),
                low=min(0.0, float(regime.predictions[0])),
                high=max(2.5 * actual, float(regime.predictions[0])),
            )
        )
        parts.append(Text(regime.reason))
    return Scene("Too high, too low, well chosen", parts)


def _batches(options: StoryOptions, seen: Any, unseen: Any) -> Scene:
    rows: list[list[str]] = []
    errors = {0: _network(options).evaluate(unseen[0], unseen[1])["rmse"]}  # without a step
    sizes = (FEW, 256, len(seen[0]))
    for size in sizes:
        model = _network(options)
        try:
            history = _fit(model, *seen, epochs=1, batch_size=size, optimizer=SGD(options.learning_rate))
            errors[size] = _measured(model, history, unseen)["rmse"]
        except DivergenceError as error:
            rows.append([f"{size:,}", f"{error.step:,}", "", "diverged"])
            continue
        rows.append([f"{size:,}", f"{history.steps:,}", f"{1000 * history.seconds:.1f} ms", euros(errors[size])])
    best = min(errors, key=errors.__getitem__)
    return Scene(
        "Small batches",
        [
            Text(
                f"A real network now: 4 inputs, two layers of 64, 4,545 weights. One look at each of {len(seen[0]):,} "
                "houses; a step after each batch of this size:"
            ),
            Listing(["houses a step", "steps", "time", "typical error on unseen ones"], rows),
            *([Text(DIVERGED)] if len(errors) <= len(sizes) else []),
            *([Text(f"Here steps after every {best:,} houses came furthest.")] if best else []),
        ],
    )


def _optimizers(options: StoryOptions, seen: Any, unseen: Any) -> Scene:
    few = slice(0, min(10_000, options.houses))
    optimizers: dict[str, Optimizer] = {
        PLAIN: SGD(options.learning_rate),
        "momentum 0.9": SGD(options.learning_rate, momentum=0.9),
        "adaptive rates (Adam)": Adam(0.003),
        "Adam with weight decay": AdamW(learning_rate=0.003, weight_decay=0.1),
    }
    rows, lines = [], []
    for name, optimizer in optimizers.items():
        model = _network(options)
        try:
            history = _fit(
                model, seen[0][few], seen[1][few], epochs=5, batch_size=256, optimizer=optimizer, validation_data=unseen
            )
            measured = _measured(model, history, unseen)
        except DivergenceError as error:
            rows.append([name, f"diverged at step {error.step:,}", ""])
            continue
        length = float(np.linalg.norm(model.parameters))
        rows.append([name, euros(measured["rmse"]), f"{length:.1f}"])
        lines.append(Line(name, [1, 2, 3, 4, 5], np.sqrt(history.history["val_loss"]).tolist()))
    best = min(lines, key=lambda line: line.y[-1]).name
    return Scene(
        "Past cliffs and plateaus",
        [
            Text("Losses have cliffs and plateaus. The same budget, 5 epochs in batches of 256; four ways to step:"),
            Listing(["", "typical error", "length of the weights"], rows),
            Chart("Typical error on unseen houses", "epoch", "EUR", lines, low=0.0),
            Text(f"Here it was {best} that came furthest."),
            *([Text(DIVERGED)] if len(lines) < len(optimizers) else []),
            *([Text(OTHERS_LOSE)] if best == PLAIN else []),
        ],
    )


def _trained(options: StoryOptions, seen: Any, unseen: Any) -> Iterator[Scene]:
    rate, with_rate = options.learning_rate, ""
    for tries_left in reversed(range(MOST_TRIES)):
        model = _network(options)
        untrained = model.evaluate(unseen[0], unseen[1]), _blamed(model, *seen)
        times = f"{options.epochs} time{'s' if options.epochs > 1 else ''} over"
        opening = f"Training on {options.houses:,} houses, {options.batch_size:,} at a time, {times}{with_rate}:"
        yield Scene("The whole training" + (", again" if with_rate else ""), [Text(opening)])
        try:
            history = options.train(model, seen[0], seen[1], SGD(learning_rate=rate))
            after = _measured(model, history, unseen)
        except DivergenceError as error:
            smaller = error.learning_rate if error.learning_rate > 0 else GOOD_RATE
            yield _divergence(error, rate, model, unseen, smaller if tries_left else None)
            rate, with_rate = smaller, f", with a learning rate of {smaller:.3g}"
        else:
            yield _what_it_has_learned(model, history, untrained, after, seen, unseen)
            return


def _divergence(error: DivergenceError, rate: float, model: MLP, unseen: Any, smaller: float | None) -> Scene:
    """A training that has blown up, in plain words; `smaller` is the rate that is tried next."""
    what, kept = (
        f"After step {error.step:,} the predictions are no longer numbers.",
        "The network is of no use any more.",
    )
    if model.outputs_of(unseen[0])[1]:
        what, errors = f"In step {error.step:,} the loss is no longer a number.", model.evaluate(unseen[0], unseen[1])
        kept = f"The network has gone back to its last good weights, with a typical error of {euros(errors['rmse'])}."
    before = f" Shortly before, the loss was {error.loss_before:.4g}." if math.isfinite(error.loss_before) else ""
    again = "" if smaller is None else f" Now from the start again, with a rate of {smaller:.3g}."
    jumps = (
        f" With a learning rate of {rate:.3g} a step jumps over the valley to where it is steeper still, so that the "
        "next one is even longer, until the numbers end. That is what a rate that is too high does."
    )
    return Scene("It diverges", [Text(what + before + jumps), Text(kept + again)])


def _what_it_has_learned(
    model: MLP, history: History, untrained: Any, after: dict[str, float], seen: Any, unseen: Any
) -> Scene:
    (before, blamed_before), worse = untrained, after["loss"] > untrained[0]["loss"]
    floor = irreducible_error(unseen[0])
    table = [
        [when, f"{m['loss']:.4g}", euros(m["rmse"]), share(m["r2"])]
        for when, m in (("before", before), ("after", after))
    ]
    table.append(["best possible", f"{floor**2:.4g}", euros(floor), f"{1 - floor**2 / unseen[1].var():.3f}"])
    losses = history.history["loss"]
    to_blame: list[Part] = []
    if not worse:  # what has overshot far has no gradient that is a number
        blamed = _blamed(model, *seen)
        to_blame = [
            Text(f"Of its {model.parameters.size:,} weights and biases, so many are to blame for what is wrong:"),
            Listing(
                ["", "before", "after"], [[word, f"{blamed_before[word]:,}", f"{blamed[word]:,}"] for word in BLAMED]
            ),
        ]
    return Scene(
        f"On {len(unseen[0]):,} houses that it has never seen",
        [
            Listing(["", "loss (mean squared error)", "typical error (root)", "R²"], table),
            *([Text(WORSE)] if worse else []),
            Chart(
                "Loss after each epoch", "epoch", "mean squared error",
                [Line("loss", list(range(1, len(losses) + 1)), losses)], ("best possible", floor**2), low=0.0,
            ),
            *to_blame,
            Text("Ten of the houses, with prices in EUR:"),
            priced(model, unseen[0][:10], unseen[1][:10]),
            Text(
                f"{history.rows_seen:,} rows in {history.seconds:.3f} s of training: "
                f"{history.rows_per_second:,.0f} rows/s."
            ),
        ],
    )  # fmt: skip


def _network(options: StoryOptions) -> MLP:
    return MLP([4, 64, 64, 1], feature_names=HOUSE_FEATURES, random_state=options.seed)


def _blamed(model: MLP, X: Any, y: Any) -> dict[str, int]:
    """How many weights and biases each word of blame is for, by some of the houses."""
    words = model.blame(X[:ASKED], y[:ASKED], layer="all", biases=True)["severity"]
    return {word: words.count(word) for word in BLAMED}


def _fit(model: MLP, X: Any, y: Any, **options: Any) -> History:
    """A training whose numbers are told, so that it must be whole: Ctrl-C ends the story."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # what came of it is told
        history = model.fit(X, y, verbose=0, **options)
    if history.ended != COMPLETED:
        raise KeyboardInterrupt
    return history


def _measured(model: MLP, history: History, unseen: Any) -> dict[str, float]:
    """How good it is; it has diverged, too, if its very last steps blew up, after which no loss was measured."""
    if not model.outputs_of(unseen[0])[1]:
        error = DivergenceError("The predictions are no longer finite numbers.")
        error.step, error.loss_before = history.steps, history.history["loss"][-1]
        raise error
    return model.evaluate(unseen[0], unseen[1])
