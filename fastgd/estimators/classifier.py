"""The classifier: two classes, several, or several yes/no labels for each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..kernels.portable import log
from ..kernels.records import Reals
from ..mlp import MLP
from ..model import unseen
from ..model.blend import blended_classes
from ..options import says
from ..training.callbacks import Logs
from ..training.recipe import Recipe
from .choices import goes_on_alone
from .documentation import documented
from .estimator import Estimator
from .library import (
    ClassifierMixin,
    StrOptions,
    available_if,
    check_classification_targets,
    check_partial_fit_first_call,
    compute_class_weight,
    in_fit_context,
)
from .tables import readable, real_dtype_of


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierMixin, Estimator):
    """A neural network for classes, as an estimator of scikit-learn; fastgd.MLP has the same network without it.

    Labels are text or whole numbers. A table of 0 and 1 as y, (n_rows, n_labels), is several labels for each row.

    Args:
        {options}
        class_weight: how much each class counts, such as {"yes": 3}, times the row's own weight; "balanced" makes all
            classes count the same.

    Attributes:
        classes_: the labels in ascending order.
        {attributes}

    The validation score is the accuracy; for several labels it is that of all labels together.

    Raises:
        InvalidInputError: there is no scikit-learn of version 1.7 or newer.

    Example:
        >>> import fastgd
        >>> X, price = fastgd.datasets.houses(1000, random_state=0)
        >>> is_dear = price > 500_000
        >>> model = fastgd.MLPClassifier(random_state=0).fit(X[:800], is_dear[:800])
        >>> model.score(X[800:], is_dear[800:]) > 0.9
        True
    """

    class_weight: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Estimator._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    @available_if(goes_on_alone)
    @in_fit_context
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from a piece of a stream: one pass over its rows, from where the last call stopped.

        The number of rows to come is not known: where nothing else is given there are two hidden layers of 96 without
        dropout, 32 rows a step, and the optimizer of `fit` of fastgd.MLP, whose rate is constant. The scaling, and how
        columns are encoded, is that of the first piece.

        Args:
            X: inputs, (n_rows, n_in).
            y: labels, (n_rows,), or 0 and 1, (n_rows, n_labels).
            classes: all labels that will ever come; needed in the first call, unless y has a column for each.
            sample_weight: how much each row counts, (n_rows,), beside the rows of all pieces so far.

        Raises:
            ValueError: a table or an option that cannot be used.
            DivergenceError: the loss became infinite or NaN.
        """
        if says(self.class_weight, "balanced"):
            raise ValueError(
                "class_weight='balanced' is not for partial_fit, which does not see all rows: give a dict, such as of "
                "sklearn.utils.compute_class_weight('balanced', classes=classes, y=y)."
            )
        X, y = self._checked(X, y, reset=not self.__sklearn_is_fitted__())
        with readable("y"):
            check_classification_targets(y)
        if y.ndim == 2:
            self.classes_ = np.arange(y.shape[1])
        else:
            with readable("classes"):
                check_partial_fit_first_call(self, classes)
        return self._learn_piece(X, y, sample_weight)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row, (n_rows,); 0 or 1 for each of several, (n_rows, n_labels).

        Args:
            X: inputs, (n_rows, n_in).

        Raises:
            ValueError: a table that cannot be used.
        """
        probabilities = self.predict_proba(X)
        if self._has_several_labels():
            return (probabilities > 0.5).astype(np.int64)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Reals:
        """Probabilities, (n_rows, n_classes) in the order of `classes_`; for several labels that of each.

        Args:
            X: inputs, (n_rows, n_in).

        Raises:
            ValueError: a table that cannot be used.
        """
        model = self._fitted()
        X = self._numbers(X, reset=False)
        found: Reals = model.predict_proba(X)
        found = found.astype(real_dtype_of(X), copy=False)
        # A float32 network's probabilities add up to 1 with its precision; scikit-learn asks for that of X.
        return found if self._has_several_labels() else found / found.sum(axis=1, keepdims=True)

    def decision_function(self, X: Any) -> Reals:
        """The network's sums before they become probabilities, which do not round to 0 and 1.

        (n_rows,) for two classes, above 0 for the second; else one for each class or label.

        Args:
            X: inputs, (n_rows, n_in).

        Raises:
            ValueError: a table that cannot be used.
        """
        model = self._fitted()
        X = self._numbers(X, reset=False)
        of_members = [_outputs_as_they_are(member, X) for member in model.members]
        outputs = of_members[0]
        if len(of_members) > 1:
            outputs = blended_classes(model.network, of_members, model.shares).astype(outputs.dtype)
        return outputs[:, 0] if model.network.n_out == 1 else outputs

    def predict_log_proba(self, X: Any) -> Reals:
        """Logarithms of `predict_proba`, −inf for 0."""
        with np.errstate(divide="ignore"):
            return log(self.predict_proba(X))

    def _has_several_labels(self) -> bool:
        network = self.model_.network
        return bool(network.loss.name == "binary_cross_entropy" and network.n_out > 1)

    def _meet(self, y: Any, weights: Any) -> None:
        with readable("y"):
            check_classification_targets(y)
        self.classes_ = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
        counted = np.unique(y if weights is None else y[weights > 0])
        if counted.size < 2:
            raise ValueError(f"MLPClassifier needs two classes, but y has one class: {counted[0]}.")

    def _network(self, X: Any, y: Any, recipe: Recipe, seed: int | None, encoding: Any) -> MLP:
        n_classes, several = len(self.classes_), y.ndim == 2
        n_out, loss = (n_classes, "cross_entropy") if n_classes > 2 else (1, "binary_cross_entropy")
        if several:
            n_out, loss = n_classes, "binary_cross_entropy"
        classes = None if several else self.classes_
        return self._mlp(X, n_out, recipe, seed, encoding=encoding, loss=loss, classes=classes)

    def _weights_of_classes(self, y: Any, weights: Any) -> dict[Any, float] | None:
        if self.class_weight is None:
            return None
        if y.ndim == 2:
            raise ValueError("class_weight is for one label in each row, but y has several.")
        numbers = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weights)
        return dict(zip(self.classes_.tolist(), numbers.tolist(), strict=True))

    def _score_of(self, held_out: Any) -> Callable[[Any, Logs], float]:
        if held_out is None:
            return super()._score_of(held_out)
        return lambda model, logs: logs["val_accuracy"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _outputs_as_they_are(model: MLP, X: Any) -> Reals:
    """A network's sums before they become probabilities."""
    values = model.schema.inputs(X).values
    outputs, finite = model.predictor().outputs_as_they_are(values)
    if not finite:
        unseen.refuse(model.net, values, outputs, model.schema)
    return outputs


MLPClassifier.__doc__ = documented(MLPClassifier.__doc__)
