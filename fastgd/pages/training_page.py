"""What `fastgd train --report` writes: how a training went and what came of it, with the figures of fastgd.plots.

They are drawn as SVG whose text and axes have the page's colours, so that they are read on light and on dark paper.
"""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InvalidInputError
from ..explain import features
from ..mlp import MLP
from ..options import shortened
from ..training.callbacks import Recorder
from ..training.history import History
from ..training.optimizers import Optimizer
from . import dependence, drawing, plots
from .page import Listing, Part, Picture, Scene, Text, escaped, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.2, 3.3)  # inches; with text of 10 points this is read on a phone, too
MOST_CURVES = 6  # the most important columns have a curve of partial dependence
TITLE = 40  # characters of a name in a title
ROWS_MEASURED = 10_000  # that importance is measured on, and health
STEPS_SEARCHED = 5_000  # with each rate, when a better one is looked for
INK, SOFT = "#1e293b", drawing.GREY  # become the page's own colours, see page.STYLE
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fastgd",  # the same figure is the same file
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


class Training(NamedTuple):
    """A training that is over, and the rows that it saw and did not see: (X, y)."""

    model: MLP
    history: History
    recorder: Recorder
    optimizer: Optimizer
    batch_size: int
    seen: tuple[Any, Any]
    unseen: tuple[Any, Any]
    target: str  # the name of y


def scenes(training: Training, opening: list[Part]) -> Iterator[Scene]:
    """The scenes of the page; at least one epoch is over. `opening` is what stands first."""
    yield Scene("What came of it", opening)
    yield _losses(training)
    yield _predictions(training) if training.model.classes is None else _classes(training)
    yield _columns(training)
    yield _weights(training)
    yield _surface(training)
    yield _learning_rate(training)
    yield _health(training)


def _losses(training: Training) -> Scene:
    of_held_out = training.history.history["val_loss"]
    best = int(np.argmin(of_held_out))
    when = f"at the end, with {number(of_held_out[-1])}"
    if best + 1 < len(of_held_out):
        when = f"after epoch {best + 1} of {len(of_held_out)}, with {number(of_held_out[best])}, "
        when += f"and at the end {number(of_held_out[-1])}"
    return Scene(
        "The loss of every epoch",
        [
            Text(
                "Training: the mean over the rows as they were learned from. Validation: the rows held out, after each "
                "epoch."
            ),
            _picture("Loss", lambda ax: plots.loss(training.history, ax)),
            Text(f"On the rows held out it was lowest {when}."),
        ],
    )


def _predictions(training: Training) -> Scene:
    model, (X, y), name = training.model, training.unseen, drawing.literal(training.target)

    def against(ax: Axes) -> None:
        plots.predicted_against_actual(model, X, y, ax).set(xlabel=f"actual {name}", ylabel=f"predicted {name}")

    def left(ax: Axes) -> None:
        plots.residuals(model, X, y, ax).set(xlabel=f"predicted {name}", ylabel="actual − predicted")

    return Scene(
        "On the rows held out",
        [
            Text("Perfect predictions would lie on the dashed lines; residuals should have no shape around theirs."),
            _picture("Predicted against actual", against),
            _picture("Residuals", left),
        ],
    )


def _classes(training: Training) -> Scene:
    model, (X, y) = training.model, training.unseen
    return Scene(
        "On the rows held out",
        [
            Text(
                "A line of the first picture is a class, and shows what its rows are taken for. On the dashed line of "
                "the second, probabilities come true as often as they say."
            ),
            _picture("Confusion matrix", lambda ax: plots.confusion_matrix(model, X, y, ax)),
            _picture("Reliability", lambda ax: plots.reliability(model, X, y, ax)),
        ],
    )


def _columns(training: Training) -> Scene:
    model, (X, y) = training.model, training.unseen
    few = slice(0, ROWS_MEASURED)  # the split has drawn them at random
    table = features.permutation_importance(model, X[few], y[few]) if len(X) > 1 else None
    name, error = drawing.literal(training.target), "typical error" if model.classes is None else "loss"

    def important(of: features.Importance) -> Callable[[Axes], object]:
        return lambda ax: plots.importance(of, ax).set_xlabel(f"growth of the {error}\nof {name}", loc="right")

    def dependent(curves: list[features.PartialDependence]) -> Callable[[Axes], object]:
        if len(curves) > 1:
            return lambda ax: dependence.several_outputs(ax, curves)
        label = f"predicted {name}" if model.classes is None else drawing.literal(curves[0].output)
        return lambda ax: plots.partial_dependence(curves[0], ax).set(ylabel=label)

    parts: list[Part] = []
    if table is not None:
        parts = [
            Text(f"How much the {error} ({number(table.baseline)}) grows with the values of one column shuffled:"),
            _picture("Importance of the columns", important(table)),
        ]
    order = np.argsort(-table.increase, kind="stable")[:MOST_CURVES] if table else range(model.network.n_in)
    parts.append(Text("What the network predicts, on average, as one column takes other values:"))
    shown = _shown(model, training.seen[1])
    for place in map(int, order):
        curves = [features.partial_dependence(model, training.seen[0], place, output=output) for output in shown]
        title = f"{shortened(training.target, TITLE)} by {shortened(curves[0].feature, TITLE)}"
        parts.append(_picture(title, dependent(curves)))
    return Scene("What each column does", parts)


def _shown(model: MLP, y: Any) -> Sequence[int | None]:
    """Which outputs have a curve: the one there is, the positive of two classes, of more the most frequent ones."""
    if model.classes is None or len(model.classes) <= 2:
        return [None]
    counts = np.array([np.count_nonzero(y == name) for name in model.classes])
    return sorted(map(int, np.argsort(-counts, kind="stable")[: len(drawing.COLOURS)]))


def _weights(training: Training) -> Scene:
    last = len(training.model.network.activations) - 1
    parts: list[Part] = [
        Text("Each column of an image is the histogram of one epoch: of the weights, and of what the epoch added.")
    ]
    for layer in sorted({0, last}):
        for name, draw in (("Weights", plots.weights), ("Nudges", plots.nudges)):
            title = f"{name} of layer {layer}"
            parts.append(_picture(title, lambda ax, draw=draw, layer=layer: draw(training.recorder, layer, ax)))  # type: ignore[misc]
    return Scene("Weights and nudges", parts)


def _surface(training: Training) -> Scene:
    def draw(ax: Axes) -> None:
        plots.loss_surface(training.model, *training.seen, training.recorder, ax)

    return Scene(
        "The way down",
        [
            Text(
                "The loss around the trained network, on the plane that shows most of the way that its weights took, "
                "and this way."
            ),
            _picture("Loss surface", draw),
        ],
    )


def _learning_rate(training: Training) -> Scene:
    fresh = copy.deepcopy(training.model)
    fresh.parameters = training.recorder.recorded[0].parameters
    fresh.fit_state = None
    fresh.fit(*training.seen, epochs=0, verbose=0)  # nothing is left of the training
    search = fresh.find_learning_rate(
        *training.seen, training.history.epochs, training.batch_size, training.optimizer, most_steps=STEPS_SEARCHED
    )
    used = training.history.history["learning_rate"][-1]
    parts: list[Part] = [
        Text(
            f"This training ended with a rate of {used:g}. A search among rates, each tried from the same start, "
            f"chose {search.learning_rate:.3g}. {search.reason}"
        ),
        _picture("Learning-rate finder", lambda ax: plots.learning_rate_search(search, ax)),
    ]
    return Scene("The learning rate", parts)


def _health(training: Training) -> Scene:
    X, y = (part[:ROWS_MEASURED] for part in training.seen)
    found = training.model.health(X, y)
    (header, *rows), _ = found.layers.printed()
    parts: list[Part] = [Listing(header, rows)]
    parts += [Text(repr(finding)) for finding in found.findings] or [Text("Nothing to worry about.")]
    return Scene("Health", parts)


def _picture(title: str, draw: Callable[[Axes], object]) -> Part:
    """A figure as an SVG element in the page's colours, or why there is none."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has other fonts
        figure, buffer = Figure(figsize=SIZE, layout="constrained"), io.StringIO()
        try:
            draw(figure.subplots())
        except InvalidInputError as reason:
            return Text(f"{title}: {reason}")
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata=nothing)
    text = buffer.getvalue()
    element = re.sub(r' (?:width|height)="[\d.]+pt"', "", text[text.index("<svg") :])
    element = re.sub(r' id="[a-zA-Z0-9]+_\d+"', "", element)  # figures of one page would have the same ones
    for colour, name in ((INK, "ink"), (SOFT, "soft")):
        element = element.replace(colour, f"var(--{name})")
    return Picture(title, element.replace("<svg", f'<svg role="img" aria-label="{escaped(title)}"', 1))
