"""What the estimators take from scikit-learn, in one place: whoever lacks it is told once what to install."""

from __future__ import annotations

from ..errors import not_installed

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_regressor
    from sklearn.model_selection import train_test_split
    from sklearn.utils import _safe_indexing, check_random_state, column_or_1d, compute_class_weight
    from sklearn.utils._param_validation import Interval, Options, StrOptions
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        _check_y,
        _num_samples,
        check_consistent_length,
        check_is_fitted,
        validate_data,
    )
except ImportError:
    raise not_installed("MLPRegressor and MLPClassifier", "'scikit-learn>=1.7'") from None
try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: scikit-learn has callbacks from version 1.9 on."""


# Names with an underscore are those that estimators outside scikit-learn use, too: there are no public ones.
in_fit_context = _fit_context(prefer_skip_nested_validation=True)
check_partial_fit_first_call, check_sample_weight = _check_partial_fit_first_call, _check_sample_weight
check_target, num_samples, safe_indexing = _check_y, _num_samples, _safe_indexing

__all__ = [
    "BaseEstimator", "CallbackSupportMixin", "ClassifierMixin", "Interval", "Options", "RegressorMixin", "StrOptions",
    "available_if",
    "check_classification_targets", "check_consistent_length", "check_is_fitted", "check_partial_fit_first_call",
    "check_random_state", "check_sample_weight", "check_target", "column_or_1d", "compute_class_weight",
    "in_fit_context", "is_regressor", "num_samples", "safe_indexing", "train_test_split", "validate_data",
]  # fmt: skip
