"""Which features matter, and what each one does: permutation importance and partial dependence, in the user's units.

Both only look at predictions, so that they change neither the model nor the table.
"""

from __future__ import annotations

import html
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.rows import Measured, measured
from ..errors import InvalidInputError
from ..kernels.records import Reals
from ..model.answers import probabilities
from ..model.core import Core
from ..model.mean import Mean
from ..network.losses import Quantile
from ..options import checked_names, look_up, positive_integer, shortened, shown
from .members import Setting, outputs
from .table import SHOWN, Table, input_names

__all__ = ["Importance", "PartialDependence", "partial_dependence", "permutation_importance"]

BLOCK = 8192  # rows that are copied and measured together


@dataclass(frozen=True)
class Importance:
    """How much the error grows when the values of one column are shuffled; it prints with the largest first.

    Attributes:
        features: the names of the columns, in the order of the table.
        increase: how much larger the error is, the mean over the repeats, (n_features,); about 0 or below: not needed.
        spread: the standard deviation over the repeats, (n_features,).
        baseline: the error with nothing shuffled.
        unit_of: which error: "rmse" or "loss", as `MLP.evaluate` names it.
    """

    features: list[str]
    increase: NDArray[np.float64]
    spread: NDArray[np.float64]
    baseline: float
    unit_of: str

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and text, ready for JSON."""
        return _plain(self)

    def _title(self) -> str:
        return f"The {self.unit_of} is {_figure(self.baseline)}; with the values of one column shuffled it grows by:"

    def _table(self) -> Table:
        order = np.argsort(-self.increase, kind="stable")
        names = [self.features[place] for place in order]
        numbers = {"increase": self.increase[order], "spread": self.spread[order]}
        return Table({"feature": names, **_figures(numbers)})

    def __repr__(self) -> str:
        return f"{self._title()}\n\n{self._table()!r}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self._title())}</p>{self._table()._repr_html_()}"


@dataclass(frozen=True)
class PartialDependence:
    """What the model predicts, on average over the rows, if one column has a given value in all of them.

    Attributes:
        feature: the name of the column.
        values: the values that it was set to, ascending, (n_values,); labels where it has labels.
        predictions: the mean prediction for each, (n_values,).
        low: the prediction that a tenth of the rows stay below, (n_values,).
        high: the prediction that a tenth of the rows are above, (n_values,).
        output: what is predicted: "prediction", "output 1", or such as "probability of yes".
    """

    feature: str
    values: NDArray[Any]
    predictions: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    output: str = "prediction"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and text, ready for JSON."""
        return _plain(self)

    def _told(self) -> tuple[str, Table]:
        n = len(self.values)
        shown = np.linspace(0, n - 1, min(n, SHOWN)).round().astype(np.int64)
        columns = {"value": self.values, "mean": self.predictions, "10 %": self.low, "90 %": self.high}
        table = Table(_figures({name: numbers[shown] for name, numbers in columns.items()}))
        some = f" ({SHOWN} of {n:,} values)" if n > SHOWN else ""
        return f"{shortened(f'{self.output} by {self.feature}', 78 - len(some))}{some}:", table

    def __repr__(self) -> str:
        title, table = self._told()
        return f"{title}\n\n{table!r}"

    def _repr_html_(self) -> str:
        title, table = self._told()
        return f"<p>{html.escape(title)}</p>{table._repr_html_()}"


@checked_names
def permutation_importance(
    model: Core | Mean, X: Any, y: Any, repeats: int = 5, sample_weight: Any = None, random_state: int = 0
) -> Importance:
    """How much the error grows when the values of one column are shuffled among the rows.

    The error is the "rmse" of `MLP.evaluate`, in the units of y; for classes, labels and quantiles the "loss". Rows
    that the model has not seen tell what it really needs. Of columns that say the same, each alone looks less important
    than it is. A column is shuffled as it is in X, whatever the model encodes it as, gaps included. All columns are
    shuffled in the same orders; the same random_state gives the same numbers, and more repeats begin with the same
    orders. X is not changed, and only a block of its rows is copied at a time. For a sum of independent columns the
    mean squared error grows by 2 w² var(x).
    Sources: Breiman 2001; Fisher, Rudin and Dominici 2019.

    Args:
        model: the model to look at, or a fastgd.Ensemble.
        X: inputs, (n_rows, n_in) numbers or a data frame, at least 2 rows.
        y: actual values, (n_rows,) or (n_rows, n_targets).
        repeats: how often each column is shuffled.
        sample_weight: how much each row counts in the error, (n_rows,).
        random_state: seed of the orders.

    Raises:
        InvalidInputError: a table or option that cannot be used.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(2000, random_state=0)
        >>> model = fastgd.MLP([4, 16, 1], feature_names=["size", "rooms", "distance", "age"], random_state=0)
        >>> history = model.fit(X, y, epochs=20, verbose=0)
        >>> importance = fastgd.features.permutation_importance(model, X, y)
        >>> importance.features[importance.increase.argmax()], importance.unit_of
        ('size', 'rmse')
    """
    _check_model(model)
    repeats = positive_integer(repeats, "repeats")
    generator = np.random.default_rng(positive_integer(random_state, "random_state", least=0))
    rows = [measured(member.schema, X, y, sample_weight) for member in model.members]
    n_rows, n_in = len(rows[0].X), model.network.n_in
    if n_rows < 2:
        raise InvalidInputError("X has 1 row, but values can only be shuffled among at least 2.")
    outputs(model, [of_member.X for of_member in rows])
    name = _error_name(model)
    baseline = _error(model, name, rows)
    growth = np.empty((n_in, repeats))
    for repeat in range(repeats):
        order = generator.permutation(n_rows)
        for column in range(n_in):
            growth[column, repeat] = _error(model, name, rows, column, order) - baseline
    return Importance(input_names(model, 0), growth.mean(axis=1), growth.std(axis=1), baseline, name)


@checked_names
def partial_dependence(
    model: Core | Mean, X: Any, feature: str | int, grid: int = 40, output: int | str | None = None
) -> PartialDependence:
    """What the model predicts, on average over the rows, as one column runs over its observed values.

    For each value the column is set to it in all rows, the others stay as they are. If columns go together, that makes
    rows that do not occur, for which predictions are guesses. At most 1,000 rows are used, evenly spaced over the
    table. The values are all distinct ones of the column if there are at most `grid`, else `grid` of its observed
    values, from the quantile of 1 % to that of 99 % in equal steps (equal ones count once); of labels the most frequent
    ones. Gaps are no values: rows that have one get a value like all others.
    Source: Friedman 2001.

    Args:
        model: the model to look at, or a fastgd.Ensemble.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        feature: a name, or the number of a column, counted from 0.
        grid: the most values to try, at least 2.
        output: which output, counted from 0; for classes and labels the column of `MLP.predict_proba`, or a class that
            is text. None for the only output, or of two classes the second, which is the positive one; of several
            outputs or more classes it must be said which.

    Returns:
        Values in the units of X, and predictions in the units of y; for classes and labels probabilities.

    Raises:
        InvalidInputError: a table, a name or an option that cannot be used.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(2000, random_state=0)
        >>> model = fastgd.MLP([4, 16, 1], feature_names=["size", "rooms", "distance", "age"], random_state=0)
        >>> history = model.fit(X, y, epochs=20, verbose=0)
        >>> by_size = fastgd.features.partial_dependence(model, X, "size")
        >>> bool(by_size.predictions[0] < by_size.predictions[-1])
        True
    """
    _check_model(model)
    grid = positive_integer(grid, "grid", least=2)
    column, schema = _column(feature, input_names(model, 0)), model.schema
    values = _grid(schema.observed(X, column), grid)
    seen = [Setting(member.schema, X, column, values) for member in model.members]
    n_outputs = _predicted(model, [of_member.changed[:1] for of_member in seen]).shape[1]
    place_of = _output(model, output, n_outputs)
    means, tenths = np.empty(len(values)), np.empty((2, len(values)))
    for place in range(len(values)):
        predictions = _predicted(model, [of_member.at(place) for of_member in seen])[:, place_of].astype(np.float64)
        means[place], tenths[:, place] = predictions.mean(), np.quantile(predictions, [0.1, 0.9])
    name, meaning = input_names(model, 0)[column], _meaning(model, place_of, n_outputs)
    return PartialDependence(name, values, means, tenths[0], tenths[1], meaning)


def _error_name(model: Core | Mean) -> str:
    """Which number of `MLP.evaluate` is looked at."""
    loss = model.network.loss
    return "loss" if loss.task in ("classes", "labels") or isinstance(loss, Quantile) else "rmse"


def _error(
    model: Core | Mean, name: str, rows: list[Measured], column: int = 0, order: NDArray[np.int64] | None = None
) -> float:
    """The error, with the values of a column in another order if there is one: from the sums of blocks."""
    total = weight = 0.0
    members = zip(model.members, rows, strict=True)
    for blocks in zip(*(_blocks(of, member.schema.columns_of(column), order) for member, of in members), strict=True):
        weights = blocks[0].weights
        part = float(weights.sum(dtype=np.float64)) if weights.size else len(blocks[0].X)
        if part == 0:
            continue  # rows that do not count have no mean
        mean = _mean_square(model, blocks) if name == "rmse" else model.loss_of(*blocks)
        total, weight = total + part * mean, weight + part
    return float(np.sqrt(total / weight)) if name == "rmse" else total / weight


def _blocks(rows: Measured, columns: Sequence[int], order: NDArray[np.int64] | None) -> Iterator[Measured]:
    for start in range(0, len(rows.X), BLOCK):
        part = slice(start, start + BLOCK)
        X = rows.X[part]
        if order is not None:
            X = X.copy()
            for column in columns:
                X[:, column] = rows.X[order[part], column]
            X.flags.writeable = False
        weights = rows.weights[part]
        yield Measured(X, rows.Y[part], rows.actual[part], weights, weights)


def _mean_square(model: Core | Mean, blocks: Sequence[Measured]) -> float:
    """The mean squared error over rows and outputs."""
    out, actual, weights = model.outputs_of(*(rows.X for rows in blocks))[0], blocks[0].actual, blocks[0].weights
    error = np.subtract(out[:, : model.network.n_targets], actual, dtype=np.float64)
    return float(np.average((error**2).mean(axis=1), weights=weights if weights.size else None))


def _predicted(model: Core | Mean, values: Sequence[Reals]) -> Reals:
    """Predictions for checked inputs; probabilities for classes and labels."""
    return probabilities(model.network, outputs(model, values))


def _meaning(model: Core | Mean, output: int, n_outputs: int) -> str:
    """What an output stands for, in words."""
    if model.network.loss.task in ("classes", "labels"):
        known = [] if model.classes is None else list(model.classes)
        return f"probability of {known[output] if output < len(known) else f'label {output}'}"
    return "prediction" if n_outputs == 1 else f"output {output}"


def _grid(column: NDArray[Any], most: int) -> NDArray[Any]:
    """The values to try, ascending: all that occur, or `most` of them from the quantile of 1 % to that of 99 %.

    Of labels the most frequent ones.
    """
    ordered = np.sort(column)
    distinct, counts = np.unique(ordered, return_counts=True)
    if len(distinct) <= most:
        return distinct
    if column.dtype.kind == "U":
        return np.sort(distinct[np.argsort(-counts, kind="stable")[:most]])
    return np.unique(ordered[np.rint(np.linspace(0.01, 0.99, most) * (len(ordered) - 1)).astype(np.int64)])


def _check_model(model: Any) -> None:
    if isinstance(model, Mean):
        return  # of fitted models only
    if not isinstance(model, Core):
        inner = ": pass its model_" if isinstance(getattr(model, "model_", None), Core | Mean) else ""
        raise InvalidInputError(f"model must be a fastgd.MLP or a fastgd.Ensemble, not {type(model).__name__}{inner}.")
    if (model.standardize or model.schema.encoding is not None) and not model.schema.scaled:
        raise InvalidInputError("The model has never been fitted, so that no column means anything to it: call fit.")


def _column(feature: Any, names: Sequence[str]) -> int:
    if isinstance(feature, str):
        return look_up(feature, {name: place for place, name in enumerate(names)}, "feature")
    return _number_below(feature, len(names), "feature must be a name, or")


def _output(model: Core | Mean, output: Any, n_outputs: int) -> int:
    known = [] if model.classes is None else [str(name) for name in model.classes]
    if output is None:
        if len(known) == 2 or n_outputs == 1:
            return max(len(known) - 1, 0)
        names = f", or a class: {shortened(', '.join(known), 60)}" if known else ""
        raise InvalidInputError(f"Say which of {n_outputs} outputs, with output=0 to {n_outputs - 1}{names}.")
    if isinstance(output, str) and model.classes is not None:
        return look_up(output, {name: place for place, name in enumerate(known)}, "class")
    return _number_below(output, n_outputs, "output must be")


def _number_below(value: Any, n: int, what: str) -> int:
    """`value` as a place from 0 to n − 1, or an error; -1 is the last, as in lists."""
    try:
        number = operator.index(value)
    except TypeError:
        number = n
    if isinstance(value, bool) or not -n <= number < n:
        raise InvalidInputError(f"{what} a whole number from 0 to {n - 1}, not {shown(value)}.")
    return number % n


def _plain(result: Importance | PartialDependence) -> dict[str, Any]:
    fields = asdict(result)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}


def _figure(number: Any) -> str:
    return f"{number:,.0f}" if 1e4 <= abs(number) < 1e12 else f"{number:.5g}"


def _figures(columns: Mapping[str, NDArray[Any]]) -> dict[str, list[str]]:
    """Numbers as text, the right ends below each other and below that of their name; labels as they are."""
    return {
        name: numbers.tolist() if numbers.dtype.kind == "U" else _right([name, *map(_figure, numbers)])[1:]
        for name, numbers in columns.items()
    }


def _right(cells: list[str]) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]
