"""Pictures of a training and of what it led to, drawn into matplotlib axes, which come back for titles and limits.

Nothing is shown or saved here: plt.show(), ax.figure.savefig(…) and a tight layout are the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.rows import labelled, sample
from ..errors import InvalidInputError
from ..explain import surface
from ..options import checked_names, positive_integer
from . import dependence, drawing
from .class_plots import confusion_matrix, reliability
from .search_plot import search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ..explain.features import Importance, PartialDependence
    from ..explain.rates import Regime
    from ..mlp import MLP
    from ..training.callbacks import Recorder
    from ..training.history import History
    from ..training.learning_rate import LearningRateSearch

__all__ = [
    "confusion_matrix", "importance", "learning_rate_search", "learning_rates", "loss", "loss_surface", "nudges",
    "partial_dependence", "predicted_against_actual", "reliability", "residuals", "search", "weights",
]  # fmt: skip


@checked_names
def loss(history: History, ax: Axes | None = None) -> Axes:
    """Draw the loss of every epoch, and of the validation rows where there were any.

    The scale is logarithmic where the losses are positive and span more than a factor of 5.

    Args:
        history: what `fit` returned.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a history without an epoch, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> history = fastgd.MLP([4, 1]).fit(X, y, epochs=5, validation_split=0.2, verbose=0)
        >>> [line.get_label() for line in fastgd.plots.loss(history).lines]
        ['training', 'validation']
    """
    drawing.check_has(history, ("history",), "history must be what fit returned")
    losses, of_held_out = (history.history.get(name, []) for name in ("loss", "val_loss"))
    if not losses:
        raise InvalidInputError("The history has no epoch to draw: fit for at least one.")
    return drawing.curves(drawing.axes(ax), losses, of_held_out)


@checked_names
def predicted_against_actual(model: MLP, X: Any, y: Any, ax: Axes | None = None) -> Axes:
    """Draw a dot for each row, predicted value over actual value, and the diagonal of perfect predictions.

    Of more than 10,000 rows 10,000 are drawn at random, always the same. A model of quantiles shows the one nearest to
    the median, gaussian_nll its means, and several targets have a colour each.

    Args:
        model: an MLP that predicts numbers.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,) or (n_rows, n_targets).
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a table that cannot be used, a model of classes, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> model = fastgd.MLP([4, 8, 1])
        >>> history = model.fit(X, y, verbose=0)
        >>> fastgd.plots.predicted_against_actual(model, X, y).get_xlabel()
        'actual value (units of y)'
    """
    predicted, actual, called = drawing.predictions(model, X, y)
    name = drawing.name_of(y)
    ax = drawing.dots(drawing.axes(ax), actual, predicted, f"actual {name}", f"{called} {name}")
    corner = float(actual[0, 0])
    return drawing.guide(ax, (corner, corner), slope=1)


@checked_names
def residuals(model: MLP, X: Any, y: Any, ax: Axes | None = None) -> Axes:
    """Draw a dot for each row: how far the actual value is above the predicted one, over the predicted one.

    A good model leaves a cloud around 0 without a shape. Rows, targets and models are treated as by
    `predicted_against_actual`.

    Args:
        model: an MLP that predicts numbers.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,) or (n_rows, n_targets).
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a table that cannot be used, a model of classes, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> model = fastgd.MLP([4, 8, 1])
        >>> history = model.fit(X, y, verbose=0)
        >>> fastgd.plots.residuals(model, X, y).get_ylabel()
        'actual − predicted value (units of y)'
    """
    predicted, actual, called = drawing.predictions(model, X, y)
    name = drawing.name_of(y)
    ax = drawing.axes(ax)
    drawing.dots(ax, predicted, actual - predicted, f"{called} {name}", f"actual − {called} {name}")
    return drawing.guide(ax, (float(predicted[0, 0]), 0.0), slope=0)


@checked_names
def weights(recorder: Recorder, layer: int = 0, ax: Axes | None = None) -> Axes:
    """Draw how a layer's weights were spread after each recorded epoch: a column of the image is a histogram.

    Args:
        recorder: the Recorder that was among fit's callbacks.
        layer: which layer, counted from 0; -1 is the last.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a recorder without an epoch, no such layer, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> recorder = fastgd.callbacks.Recorder()
        >>> history = fastgd.MLP([4, 8, 1]).fit(X, y, callbacks=[recorder], verbose=0)
        >>> fastgd.plots.weights(recorder, layer=0).get_ylabel()
        'weights of layer 0'
    """
    return drawing.histograms(recorder, "weights", layer, ax)


@checked_names
def nudges(recorder: Recorder, layer: int = 0, ax: Axes | None = None) -> Axes:
    """Draw how the nudges of a layer's weights were spread in each recorded epoch: new weights minus old weights.

    Where they shrink or grow by more than a factor of 5, the scale is logarithmic beyond a small width around 0.

    Args:
        recorder: the Recorder that was among fit's callbacks.
        layer: which layer, counted from 0; -1 is the last.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: a recorder without an epoch, no such layer, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> recorder = fastgd.callbacks.Recorder()
        >>> history = fastgd.MLP([4, 8, 1]).fit(X, y, callbacks=[recorder], verbose=0)
        >>> fastgd.plots.nudges(recorder, layer=-1).get_ylabel()
        'nudges of layer 1'
    """
    return drawing.histograms(recorder, "nudges", layer, ax)


@checked_names
def loss_surface(model: MLP, X: Any, y: Any, recorder: Recorder, ax: Axes | None = None, points: int = 25) -> Axes:
    """Draw the loss around the model's parameters, on the plane that shows most of its training's path, and the path.

    The plane goes through the parameters that the model has now, along the two main directions of the recorded
    parameters (PCA). The path is what is seen of it from above: parameters off the plane have another loss than the
    colour below them. Labels say how much of the movement each direction holds. Of more than 1,024 rows 1,024 are
    used, drawn at random, always the same; each of the points² losses takes one pass over them.

    Args:
        model: the MLP after its training.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,) or (n_rows, n_targets).
        recorder: the Recorder that was among fit's callbacks.
        ax: matplotlib axes to draw into; a new figure if None.
        points: where the loss is measured along each direction, at least 3.

    Raises:
        InvalidInputError: a recorder without an epoch or of another network, a table that cannot be used, or there is
            no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> model, recorder = fastgd.MLP([4, 8, 1]), fastgd.callbacks.Recorder()
        >>> history = model.fit(X, y, callbacks=[recorder], verbose=0)
        >>> ax = fastgd.plots.loss_surface(model, X, y, recorder, points=5)
        >>> len(ax.lines[0].get_xdata()) == len(recorder.recorded)
        True
    """
    drawing.check_model(model)
    points = positive_integer(points, "points", least=3)
    plane = surface.plane_of(model, drawing.recorded_by(recorder))
    rows = sample(labelled(model.schema, X, y, None), surface.ROWS_OF_A_SURFACE)
    ax = drawing.axes(ax)
    across, up = surface.grid_around(plane.path, points)
    losses = surface.losses_on(plane, across, up, model, rows)
    drawing.ground(ax, across, up, losses, drawing.name_of_loss(model))
    return drawing.route(ax, plane.path, plane.shares)


@checked_names
def learning_rate_search(search: LearningRateSearch, ax: Axes | None = None) -> Axes:
    """Draw the loss that each learning rate of a search came to, and the rate that was chosen.

    Rates that were left behind were given up early, and have had fewer epochs.

    Args:
        search: what `model.find_learning_rate` returned.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: no such search, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> search = fastgd.MLP([4, 8, 1]).find_learning_rate(X, y, epochs=5)
        >>> fastgd.plots.learning_rate_search(search).get_xscale()
        'log'
    """
    needed = ("rates", "losses", "epochs", "learning_rate")
    drawing.check_has(search, needed, "search must be what model.find_learning_rate returned")
    return drawing.rates_tried(drawing.axes(ax), search)


@checked_names
def learning_rates(regimes: Sequence[Regime] | Regime, ax: Axes | None = None) -> Axes:
    """Draw the loss after each step of copies with different learning rates, each with its verdict.

    The scale is logarithmic where the losses are positive and span more than a factor of 5. A loss that climbs far
    above the first one leaves the frame, so that the others are seen, and a line ends where its rate blew up.

    Args:
        regimes: what `fastgd.explain.learning_rates` returned.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: another record or an empty list, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> regimes = fastgd.explain.learning_rates(fastgd.MLP([4, 1], random_state=1), X, y, [0.002, 0.15])
        >>> [text.get_text() for text in fastgd.plots.learning_rates(regimes).get_legend().get_texts()]
        ['0.002: too low', '0.15: well chosen']
    """
    several: list[Any] = list(regimes) if isinstance(regimes, list | tuple) else [regimes]
    if not several:
        raise InvalidInputError("There is no learning rate to draw: the list is empty.")
    for regime in several:
        needed = ("learning_rate", "verdict", "losses")
        drawing.check_has(regime, needed, "regimes must be what fastgd.explain.learning_rates returned")
    return drawing.rates_side_by_side(drawing.axes(ax), several)


@checked_names
def importance(table: Importance, ax: Axes | None = None) -> Axes:
    """Draw how much the error grows with each column shuffled, the most important on top, and the spread of that.

    Of more than 30 columns the 30 most important are drawn.

    Args:
        table: what `fastgd.features.permutation_importance` returned.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: another record or an empty one, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> model = fastgd.MLP([4, 8, 1], feature_names=["size", "rooms", "distance", "age"])
        >>> history = model.fit(X, y, verbose=0)
        >>> table = fastgd.features.permutation_importance(model, X, y)
        >>> sorted(label.get_text() for label in fastgd.plots.importance(table).get_yticklabels())
        ['age', 'distance', 'rooms', 'size']
    """
    drawing.check_has(table, ("features", "increase", "spread", "unit_of"), "table must be a record of importance")
    if not len(table.features):
        raise InvalidInputError("The record of importance has no feature to draw.")
    return drawing.bars(drawing.axes(ax), table)


@checked_names
def partial_dependence(curve: PartialDependence, ax: Axes | None = None) -> Axes:
    """Draw the mean prediction over the values of one feature, and the band that holds most rows' predictions.

    Labels have a dot each, with a bar in place of the band.

    Args:
        curve: what `fastgd.features.partial_dependence` returned.
        ax: matplotlib axes to draw into; a new figure if None.

    Raises:
        InvalidInputError: another record or an empty one, or there is no matplotlib.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> model = fastgd.MLP([4, 8, 1], feature_names=["size", "rooms", "distance", "age"])
        >>> history = model.fit(X, y, verbose=0)
        >>> curve = fastgd.features.partial_dependence(model, X, "distance")
        >>> fastgd.plots.partial_dependence(curve).get_xlabel()
        'distance'
    """
    needed = ("feature", "values", "predictions", "low", "high")
    drawing.check_has(curve, needed, "curve must be a record of partial dependence")
    if not len(curve.values):
        raise InvalidInputError("The record of partial dependence has no value to draw.")
    return dependence.one_output(drawing.axes(ax), curve)
