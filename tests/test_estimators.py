"""The estimators keep scikit-learn's conventions, learn what its own networks learn, and work with what is around."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine, make_regression
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastgd
from fastgd.errors import InvalidInputError

SMALL = {"hidden_layer_sizes": (8,), "epochs": 5, "random_state": 0}
# What scikit-learn's networks are by default, in our words.
THEIRS = {
    "hidden_layer_sizes": (100,), "activation": "relu", "initializer": "glorot_uniform", "dropout": 0.0,
    "optimizer": fastgd.Adam(), "epochs": 200, "batch_size": 200, "n_iter_no_change": 10,
}  # fmt: skip
MINI_BATCH = {
    "check_sample_weight_equivalence_on_dense_data": (
        "In mini-batches a row that is repeated comes in several steps, and a weighted row in one."
    )
}


def of_the_whole_table_or_less(estimator):
    return MINI_BATCH if estimator.batch_size == 16 else {}


CHECKS = parametrize_with_checks(
    [
        fastgd.MLPRegressor(random_state=0), fastgd.MLPRegressor(random_state=0, batch_size=16),
        fastgd.MLPClassifier(random_state=0), fastgd.MLPClassifier(random_state=0, batch_size=16),
        fastgd.MLPRegressor(random_state=0, n_networks=2), fastgd.MLPClassifier(random_state=0, n_networks=2),
    ],
    expected_failed_checks=of_the_whole_table_or_less,
)  # fmt: skip
NAMES, CASES = CHECKS.args


# As a list, because scikit-learn 1.7 hands over a generator, which pytest takes with a warning.
@pytest.mark.filterwarnings("ignore:The first piece has:fastgd.errors.InputWarning")  # of 15 rows
@pytest.mark.parametrize(NAMES, list(CASES), **CHECKS.kwargs)
def test_scikit_learns_own_checks(estimator, check):
    try:
        check(estimator)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")


@pytest.mark.parametrize("name", ["check_dataframe_column_names_consistency", "check_param_validation"])
@pytest.mark.parametrize("make", [fastgd.MLPRegressor, fastgd.MLPClassifier])
def test_checks_that_scikit_learn_keeps_for_itself(make, name):
    getattr(estimator_checks, name)(make.__name__, make(epochs=5))


@pytest.fixture(scope="module")
def numbers():
    X, y = make_regression(120, 4, noise=5, random_state=0)
    return X, y


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


# The same start leads to the same network.


def starts(theirs, X, y):
    """Weights and biases that scikit-learn draws, before the first step."""
    theirs = clone(theirs).set_params(max_iter=1, learning_rate_init=1e-300).fit(X, y)
    return list(zip(theirs.coefs_, theirs.intercepts_, strict=True))


def as_theirs(X, y, their, mine, **options):
    """Both from the same start, batches in the order of the rows; the largest difference between their weights.

    Their epsilon stands beside a root that is not corrected for its start: both are next to nothing here.
    """
    theirs = their(
        hidden_layer_sizes=(7, 5), alpha=0, batch_size=30, shuffle=False, max_iter=20, random_state=1,
        n_iter_no_change=100, epsilon=1e-30,
    )  # fmt: skip
    start = starts(theirs, X, y)
    theirs.fit(X, y)
    ours = mine(
        hidden_layer_sizes=(7, 5), initializer=start, batch_size=30, shuffle=False, epochs=20, standardize=False,
        optimizer=fastgd.Adam(epsilon=1e-30), dropout=0.0, **{"activation": "relu"} | options,
    ).fit(X, y)  # fmt: skip
    pairs = zip(theirs.coefs_, (weights for weights, _ in ours.model_.get_parameters()), strict=True)
    return theirs, ours, max(np.abs(a - b).max() for a, b in pairs)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
def test_from_the_same_start_the_classifier_is_scikit_learns(iris, kind):
    X, y = iris
    X = StandardScaler().fit_transform(X)
    y = {"two classes": np.where(y == 2, "yes", "no"), "three classes": y, "labels": np.c_[y > 0, y > 1, y == 1] * 1}[
        kind
    ]
    theirs, ours, difference = as_theirs(X, y, MLPClassifier, fastgd.MLPClassifier)
    assert difference < 1e-9
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-7)
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert (ours.classes_ == theirs.classes_).all()
    if kind != "labels":  # scikit-learn adds the losses of labels up, here they are a mean
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_) == (20, 20 * 150)
    assert as_theirs(X, y, MLPClassifier, fastgd.MLPClassifier, learning_rate=0.0011)[2] > 1e-4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_from_the_same_start_the_regressor_is_scikit_learns(numbers):
    X, y = numbers
    y = y / y.std()
    theirs, ours, difference = as_theirs(X, y, MLPRegressor, fastgd.MLPRegressor)
    assert difference < 1e-9
    # Their loss is half of the squares, and so is its gradient, which Adam does not notice.
    np.testing.assert_allclose(ours.loss_curve_, np.multiply(theirs.loss_curve_, 2), rtol=1e-9)
    assert as_theirs(X, y, MLPRegressor, fastgd.MLPRegressor, activation="tanh")[2] > 1e-2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_their_alpha_is_our_weight_decay_times_the_rows_of_a_batch(iris):
    X, y = StandardScaler().fit_transform(iris[0]), iris[1]
    theirs = MLPClassifier((6,), alpha=5, batch_size=50, shuffle=False, max_iter=20, random_state=1, epsilon=1e-30)
    start = starts(theirs, X, y)
    theirs.fit(X, y)

    def apart(weight_decay):
        ours = fastgd.MLPClassifier(
            (6,), initializer=start, weight_decay=weight_decay, batch_size=50, shuffle=False, epochs=20,
            standardize=False, optimizer=fastgd.Adam(epsilon=1e-30), activation="relu", dropout=0.0,
        ).fit(X, y)  # fmt: skip
        return np.abs(ours.predict_proba(X) - theirs.predict_proba(X)).max()

    assert apart(5 / 50) < 1e-9
    assert apart(5) > 1e-3


def test_a_network_without_hidden_layer_is_linear_regression(numbers):
    X, y = numbers
    ours = fastgd.MLPRegressor((), optimizer=fastgd.SGD(learning_rate=0.3), epochs=300, batch_size=120)
    theirs = LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.fit(X, y).predict(X), theirs.predict(X), rtol=1e-6)
    assert np.abs(ours.set_params(epochs=3).fit(X, y).predict(X) - theirs.predict(X)).max() > 1


def test_the_estimator_is_fastgds_network(numbers):
    X, y = numbers
    ours = fastgd.MLPRegressor(
        (8,), epochs=5, batch_size=32, optimizer=fastgd.Adam(), activation="relu", dropout=0.0, random_state=3
    ).fit(X, y)
    model = fastgd.MLP([4, 8, 1], dtype="float64", random_state=3)
    model.fit(X, y, epochs=5, batch_size=32, optimizer=fastgd.Adam(), verbose=0)
    assert (ours.predict(X) == model.predict(X)).all()
    assert (ours.set_params(random_state=4).fit(X, y).predict(X) != model.predict(X)).any()


# What is learned.


@pytest.mark.filterwarnings("ignore:X, column 0 is 0 in every row")
@pytest.mark.parametrize("optimizer", [None, fastgd.SGD(learning_rate=0.1, momentum=0.9)])
def test_digits(optimizer):
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    model = fastgd.MLPClassifier((50,), optimizer=optimizer, epochs=40, random_state=0).fit(X[:1000], y[:1000])
    assert model.score(X[:1000], y[:1000]) > 0.95
    assert model.score(X[1000:], y[1000:]) > 0.85
    untrained = model.set_params(epochs=1, learning_rate=1e-9).fit(X[:1000], y[:1000])
    assert untrained.score(X[1000:], y[1000:]) < 0.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_as_good_as_scikit_learns_at_its_defaults(load):
    X, y = load(return_X_y=True)
    their, our, scatter = MLPClassifier, fastgd.MLPClassifier, 0.015
    if load is load_diabetes:
        y, their, our, scatter = (y - y.mean()) / y.std(), MLPRegressor, fastgd.MLPRegressor, 0.05
    theirs = cross_val_score(make_pipeline(StandardScaler(), their(random_state=0)), X, y).mean()
    assert cross_val_score(our(random_state=0), X, y).mean() > theirs - scatter
    assert cross_val_score(our(random_state=0, **THEIRS), X, y).mean() > theirs - scatter, "with their settings, too"
    assert cross_val_score(our(random_state=0, learning_rate=1e-6), X, y).mean() < theirs - scatter


def test_several_targets_and_a_column(numbers):
    X, y = numbers
    two = fastgd.MLPRegressor(epochs=100, random_state=0).fit(X, np.c_[y, -y])
    assert two.predict(X).shape == (120, 2)
    assert two.score(X, np.c_[y, -y]) > 0.9
    with pytest.warns(DataConversionWarning):
        assert fastgd.MLPRegressor(**SMALL).fit(X, y[:, None]).predict(X).shape == (120,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_that_of_the_table(numbers, dtype):
    X, y = numbers[0].astype(dtype), numbers[1]
    assert fastgd.MLPRegressor(**SMALL).fit(X, y).predict(X).dtype == dtype
    model = fastgd.MLPClassifier(**SMALL).fit(X, y > 0)
    assert {model.predict_proba(X).dtype, model.decision_function(X).dtype} == {np.dtype(dtype)}
    assert model.predict(X).dtype == bool


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2]])
def test_two_labels_or_more_for_each_row(iris, labels):
    X, y = iris
    Y = (y[:, None] >= labels).astype(int)[:, 1:] if len(labels) > 2 else np.c_[y > 0, y > 1].astype(int)
    model = fastgd.MLPClassifier(random_state=0).fit(X, Y)
    assert model.predict(X).shape == model.predict_proba(X).shape == Y.shape
    assert model.score(X, Y) > 0.9
    with pytest.raises(ValueError, match="one label in each row"):
        fastgd.MLPClassifier(class_weight="balanced").fit(X, Y)


@pytest.mark.parametrize("loss", ["mae", "huber", "log_cosh", "quantile", "poisson", fastgd.losses.Quantile(0.9)])
def test_losses(loss):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(500, 2))
    y = generator.poisson(np.exp(X[:, 0]))
    model = fastgd.MLPRegressor(loss=loss, early_stopping=True, random_state=0).fit(X, y)
    share_below = (y <= model.predict(X)).mean()
    assert share_below > 0.8 if not isinstance(loss, str) else np.corrcoef(model.predict(X), y)[0, 1] > 0.6
    assert max(model.validation_scores_) < 0  # minus the loss


def test_losses_that_predict_more_than_one_number_are_refused(numbers):
    for loss in (fastgd.losses.Quantile([0.1, 0.9]), fastgd.losses.GaussianNLL(), fastgd.losses.CrossEntropy()):
        with pytest.raises(ValueError, match=r"use fastgd\.MLP"):
            fastgd.MLPRegressor(loss=loss).fit(*numbers)


def test_weights_say_in_small_batches_what_repeated_rows_say_on_average():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(40, 1))
    y = X[:, 0] + generator.normal(size=40)
    weights = generator.integers(1, 6, size=40)

    def slope(X, y, weights, seed):
        options = {"optimizer": fastgd.SGD(learning_rate=0.02), "batch_size": 8, "standardize": False}
        model = fastgd.MLPRegressor((), epochs=60, random_state=seed, n_iter_no_change=math.inf, **options)
        model.fit(X, y, sample_weight=weights)
        return float(np.diff(model.predict([[0.0], [1.0]]))[0])

    many = range(12)
    weighted = np.mean([slope(X, y, weights, seed) for seed in many])
    repeated = np.mean([slope(np.repeat(X, weights, axis=0), np.repeat(y, weights), None, seed) for seed in many])
    plain = np.mean([slope(X, y, None, seed) for seed in many])
    assert abs(weighted - repeated) < abs(plain - repeated) / 3


def test_class_weight(iris):
    X, y = iris
    rare = np.r_[0:100, 100:110]
    X, y = X[rare][:, :2], np.where(y[rare] == 0, "a", np.where(y[rare] == 1, "b", "c"))
    plain = fastgd.MLPClassifier(random_state=0).fit(X, y)
    balanced = fastgd.MLPClassifier(class_weight="balanced", random_state=0).fit(X, y)
    assert (balanced.predict(X) == "c").sum() > (plain.predict(X) == "c").sum()
    weights = {"a": 110 / 150, "b": 110 / 150, "c": 110 / 30}
    by_hand = fastgd.MLPClassifier(class_weight=weights, random_state=0).fit(X, y)
    by_row = fastgd.MLPClassifier(random_state=0).fit(X, y, sample_weight=[weights[label] for label in y])
    for same in (by_hand, by_row):
        np.testing.assert_allclose(same.predict_proba(X), balanced.predict_proba(X), atol=1e-6)
    assert np.abs(plain.predict_proba(X) - balanced.predict_proba(X)).max() > 0.01


# Going on, and stopping.


def test_partial_fit_is_one_epoch_of_fit(numbers):
    X, y = numbers
    options = {**SMALL, "optimizer": fastgd.Adam(), "batch_size": 32, "dropout": 0.0}
    model = fastgd.MLPRegressor(**options)
    for _ in range(5):
        model.partial_fit(X, y)
    whole = fastgd.MLPRegressor(**options).fit(X, y)
    assert (model.predict(X) == whole.predict(X)).all()
    assert model.loss_curve_ == whole.loss_curve_
    assert model.n_iter_ == whole.n_iter_ == 5
    assert (model.partial_fit(X, y).predict(X) != whole.predict(X)).any()
    with pytest.raises(ValueError, match="early_stopping"):
        fastgd.MLPRegressor(early_stopping=True).partial_fit(X, y)


def test_partial_fit_of_classes_that_come_late(iris):
    X, y = iris
    model = fastgd.MLPClassifier(random_state=0, batch_size=10, learning_rate=0.01)
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(X, y)
    model.partial_fit(X[::2], y[::2], classes=[0, 1, 2])
    for _ in range(30):
        model.partial_fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    assert model.score(X, y) > 0.6
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="label 7"):
        model.partial_fit(X, np.full(150, 7))
    with pytest.raises(ValueError, match="balanced"):
        fastgd.MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


def test_warm_start_goes_on_exactly_where_it_stopped(numbers):
    X, y = numbers
    options = {**SMALL, "batch_size": 16, "optimizer": fastgd.Adam()}
    once = fastgd.MLPRegressor(**{**options, "epochs": 15}).fit(X, y)
    warm, cold = (fastgd.MLPRegressor(**options, warm_start=warm) for warm in (True, False))
    for _ in range(3):
        warm.fit(X, y)
        cold.fit(X, y)
    assert (warm.predict(X) == once.predict(X)).all()
    assert warm.loss_curve_ == once.loss_curve_
    assert (cold.predict(X) != once.predict(X)).any()
    assert (warm.n_iter_, cold.n_iter_) == (15, 5)
    with pytest.raises(ValueError, match="warm_start=False"):
        warm.set_params(hidden_layer_sizes=(9,)).fit(X, y)
    with pytest.raises(ValueError, match="3 features"):
        warm.fit(X[:, :3], y)


def test_early_stopping_keeps_the_best_epoch(iris):
    X, y = iris
    options = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 20, "learning_rate": 0.01}
    model = fastgd.MLPClassifier(**options, random_state=0).fit(X, y)
    assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_) < 200
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.85
    assert model.best_loss_ is None
    assert model.history_.ended == "callback"
    assert fastgd.MLPClassifier(random_state=0, epochs=5).fit(X, y).validation_scores_ is None
    with pytest.raises(ValueError, match="least populated class"):
        fastgd.MLPClassifier(early_stopping=True).fit(X[:101], y[:101])
    with pytest.raises(ValueError, match="validation set is too small"):
        fastgd.MLPRegressor(early_stopping=True).fit(X[:5], y[:5])


def test_validation_rows_that_are_given(numbers):
    X, y = numbers
    model = fastgd.MLPRegressor(early_stopping=True, random_state=0, epochs=500, learning_rate=0.01)
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert model.score(X[80:], y[80:]) == pytest.approx(model.best_validation_score_, abs=1e-12)
    assert model.best_validation_score_ > model.validation_scores_[0]
    weighted = clone(model).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:], sample_weight_val=np.arange(1, 41))
    score = weighted.score(X[80:], y[80:], sample_weight=np.arange(1, 41))
    assert score == pytest.approx(weighted.best_validation_score_, abs=1e-12)
    assert weighted.validation_scores_[0] != model.validation_scores_[0]
    for wrong in ({"X_val": X}, {"y_val": y}, {"sample_weight_val": y}):
        with pytest.raises(ValueError, match="belong together"):
            model.fit(X, y, **wrong)
    with pytest.raises(ValueError, match="early_stopping=True"):
        fastgd.MLPRegressor().fit(X, y, X_val=X, y_val=y)


def test_training_ends_where_the_loss_no_longer_falls(numbers):
    X, y = numbers
    options = {"tol": 0.01, "n_iter_no_change": 5, "epochs": 200, "random_state": 0}
    model = fastgd.MLPRegressor(**options).fit(X, y)
    assert 5 < model.n_iter_ < 200
    curve = np.array(model.loss_curve_)
    assert model.best_loss_ == curve.min()
    assert model.loss_ == curve[-1]
    in_cents = fastgd.MLPRegressor(**options).fit(X, 1e6 * y)  # tol is in standard deviations of the target
    assert in_cents.n_iter_ == model.n_iter_
    assert fastgd.MLPRegressor(**{**options, "tol": 0.1}).fit(X, y).n_iter_ < model.n_iter_
    assert fastgd.MLPRegressor(**{**options, "n_iter_no_change": math.inf}).fit(X, y).n_iter_ == 200


# What is around.


def test_pickle_clone_and_what_a_failed_fit_leaves(numbers):
    X, y = numbers
    model = fastgd.MLPRegressor(**SMALL, optimizer=fastgd.AdamW()).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(X) == model.predict(X)).all()
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        fresh.fit(X, np.where(X[:, 0] > 2, np.nan, y))
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    assert (fresh.fit(X, y).predict(X) == model.predict(X)).all()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_grid_search_over_threads_and_processes(numbers, backend):
    import joblib
    from sklearn.model_selection import GridSearchCV

    grid = {"learning_rate": [1e-5, 0.05], "hidden_layer_sizes": [(4,), (8, 4)]}
    with joblib.parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(fastgd.MLPRegressor(epochs=20, random_state=0), grid, cv=3).fit(*numbers)
    assert search.best_params_["learning_rate"] == 0.05
    one = GridSearchCV(fastgd.MLPRegressor(epochs=20, random_state=0), grid, cv=3).fit(*numbers)
    assert (search.cv_results_["mean_test_score"] == one.cv_results_["mean_test_score"]).all()


def test_metadata_is_routed(numbers):
    import sklearn
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    X, y = numbers
    with sklearn.config_context(enable_metadata_routing=True):
        network = fastgd.MLPRegressor(**{**SMALL, "early_stopping": True})
        network.set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scale", scaler), ("network", network)], transform_input=["X_val"])
        weights = np.arange(1, 81)
        pipeline.fit(X[:80], y[:80], sample_weight=weights, X_val=X[80:], y_val=y[80:])
        scale = StandardScaler().fit(X[:80])
        by_hand = clone(network).fit(
            scale.transform(X[:80]), y[:80], weights, X_val=scale.transform(X[80:]), y_val=y[80:]
        )
        assert pipeline[-1].validation_scores_ == by_hand.validation_scores_
        unscaled = clone(network).fit(scale.transform(X[:80]), y[:80], weights, X_val=X[80:], y_val=y[80:])
        assert unscaled.validation_scores_ != by_hand.validation_scores_
        weighed = fastgd.MLPRegressor(**SMALL).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(weighed, {"epochs": [1, 5]}, cv=2)
        search.fit(X[:80], y[:80], sample_weight=weights)
        plain = clone(search).fit(X[:80], y[:80], sample_weight=np.ones(80))
        assert (search.cv_results_["mean_test_score"] != plain.cv_results_["mean_test_score"]).all()


def test_callbacks_of_scikit_learn(numbers):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    X, y = numbers
    told = []

    class Stop:
        def setup(self, estimator, context):
            told.append("setup")

        def on_fit_task_begin(self, estimator, context):
            told.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            told.append(("end", context.task_name, fitted_estimator.score(X, y)))
            return context.task_name == "epoch" and context.task_id == 2

        def teardown(self, estimator, context):
            told.append("teardown")

    monitor = callback.ScoringMonitor(scoring="r2")
    model = fastgd.MLPRegressor(**SMALL).set_callbacks(monitor, Stop()).fit(X, y)
    assert model.n_iter_ == 3
    assert (told[0], told[-1]) == ("setup", "teardown")
    assert told[1:3] == [("begin", "fit", 0), ("begin", "epoch", 0)]
    assert told[-2] == ("end", "fit", model.score(X, y))
    scores = [score for word, name, score in (entry for entry in told if entry[0] == "end") if name == "epoch"]
    assert len(set(scores)) == 3
    logged = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    np.testing.assert_allclose(logged, scores)
    assert fastgd.MLPRegressor(**SMALL).fit(X, y).n_iter_ == 5


@pytest.fixture(scope="module")
def homes():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"size": generator.uniform(30, 200, 300), "city": generator.choice(["Lyon", "Nice"], 300)})
    frame.loc[::50, "size"] = np.nan
    price = frame["size"].fillna(100) * np.where(frame["city"] == "Nice", 6.0, 4.0)
    return frame, price


def test_columns_of_text_and_gaps_go_through_a_column_transformer(homes, no_figure_is_left):
    import matplotlib.pyplot as plt
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.inspection import PartialDependenceDisplay, permutation_importance
    from sklearn.preprocessing import OneHotEncoder

    frame, price = homes
    columns = make_column_transformer((OneHotEncoder(), ["city"]), (SimpleImputer(), ["size"]))
    pipeline = make_pipeline(columns, fastgd.MLPRegressor(random_state=0)).fit(frame, price)
    assert pipeline.score(frame, price) > 0.9
    importance = permutation_importance(pipeline, frame, price, n_repeats=2, random_state=0).importances_mean
    assert importance[0] > importance[1] > 0.05
    _, ax = plt.subplots()
    display = PartialDependenceDisplay.from_estimator(pipeline, frame.dropna(), ["size"], ax=ax)
    (curve,) = display.pd_results[0]["average"]
    assert (np.diff(curve) > 0).all()


def test_without_encoding_text_and_gaps_are_refused_with_what_helps(homes):
    frame, price = homes
    with pytest.raises(ValueError, match=r"could not convert string.*ColumnTransformer, or leave encoding='auto'"):
        fastgd.MLPRegressor(encoding=None).fit(frame, price)
    with pytest.raises(ValueError, match="imputer"):
        fastgd.MLPRegressor(encoding=None).fit(frame[["size"]], price)
    model = fastgd.MLPRegressor(**SMALL, encoding=None).fit(frame[["size"]].fillna(100), price)
    assert model.feature_names_in_ == ["size"]
    assert model.model_.feature_names == ("size",)


def test_wrong_options_are_named(numbers):
    for wrong, message in (
        ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes\[1\]"),
        ({"optimizer": "adam"}, "'optimizer'"),
        ({"activation": "logistic"}, "'activation'"),
        ({"learning_rate": 0.0}, "'learning_rate'"),
    ):
        with pytest.raises(ValueError, match=message):
            fastgd.MLPRegressor(**wrong).fit(*numbers)
    with pytest.raises(TypeError, match="max_iter"):
        fastgd.MLPRegressor(max_iter=5)


def test_rate_and_decay_are_those_of_the_optimizer(numbers):
    X, y = numbers
    optimizer = fastgd.SGD(learning_rate=0.01, momentum=0.5, weight_decay=0.1)
    inside = fastgd.MLPRegressor(**SMALL, optimizer=optimizer).fit(X, y)
    beside = fastgd.MLPRegressor(**SMALL, optimizer=fastgd.SGD(momentum=0.5), learning_rate=0.01, weight_decay=0.1)
    assert (beside.fit(X, y).predict(X) == inside.predict(X)).all()
    assert (beside.set_params(weight_decay=0.0).fit(X, y).predict(X) != inside.predict(X)).any()


# Without scikit-learn.


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_scikit_learn_there_is_one_sentence():
    hidden = "import sys; sys.modules['sklearn'] = None; import fastgd\n"
    result = run(hidden + "from fastgd import *; MLP([2, 1]); fastgd.MLPRegressor")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("fastgd.errors.InvalidInputError: MLPRegressor and MLPClassifier need 'scikit-learn>=1.7'")
    assert issubclass(InvalidInputError, ValueError)
    assert run("import fastgd; fastgd.MLPRegressor").returncode == 0


def test_scikit_learn_is_loaded_only_for_its_estimators():
    code = "import sys, fastgd; fastgd.MLP([2, 1]); print('sklearn' in sys.modules)\n"
    code += "fastgd.MLPClassifier; print('sklearn' in sys.modules, 'MLPClassifier' in dir(fastgd))"
    assert run(code).stdout.split() == ["False", "True", "True"]
