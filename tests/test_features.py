"""Permutation importance and partial dependence, against models whose answers are known and against scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from samples import FEATURES, houses

import fastgd
from fastgd.errors import InvalidInputError
from fastgd.explain import features
from fastgd.features import partial_dependence, permutation_importance

WEIGHTS = np.array([3.0, -1.0, 0.0, 0.5])
CONSTANT = 10.0


def linear(weights=WEIGHTS, constant=CONSTANT, dtype="float64", **options):
    """A network that is X @ weights + constant; weights (n_in,) or (n_in, n_out)."""
    table = np.asarray(weights).reshape(len(weights), -1)
    pairs = [(table, np.full(table.shape[1], constant))]
    return fastgd.MLP([*table.shape], initializer=pairs, standardize=False, dtype=dtype, **options)


def normal(n=2000, noise=0.0):
    """Independent columns of mean 0 and variance 1, and what the linear network predicts, with noise."""
    generator = np.random.default_rng(5)
    X = generator.normal(size=(n, 4))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, X @ WEIGHTS + CONSTANT + noise * generator.normal(size=n)


def trained(n=400, names=FEATURES):
    model = fastgd.MLP([4, 12, 1], feature_names=names)
    X, y = houses(n)
    model.fit(X, y, epochs=15, verbose=0)
    return model, X, y


def classes(output="cross_entropy"):
    """Three kinds of flowers, or one against the others, of which only the first two columns tell anything."""
    generator = np.random.default_rng(2)
    X = generator.normal(size=(300, 3))
    kinds = np.array(["a", "b", "c"])[(X[:, 0] > 0) * 1 + (X[:, 0] + 0.3 * X[:, 1] > 1)]
    if output == "cross_entropy":
        model = fastgd.MLP([3, 8, 3], loss=output)
    else:
        model, kinds = fastgd.MLP([3, 8, 1], loss=output), np.where(kinds == "a", "no", "yes")
    model.fit(X, kinds, epochs=30, verbose=0)
    return model, X, kinds


# Permutation importance.


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_linear_model_follows_the_formula(noise):
    X, y = normal(noise=noise)
    found = permutation_importance(linear(), X, y, repeats=30)
    # Shuffled, x becomes x': the mean of (w (x' − x) + e)² is 2 w² var(x) + e² for e that x tells nothing about.
    growth = (found.baseline + found.increase) ** 2 - found.baseline**2
    error = y - linear().predict(X)
    expected = 2 * WEIGHTS**2 + 2 * WEIGHTS * (error[:, None] * X).mean(axis=0)
    # The two sums over n rows that shuffling moves, of x x' and of e x', have deviations of 1/√n and std(e)/√n.
    deviation = 2 * np.hypot(WEIGHTS**2, WEIGHTS * error.std()) / np.sqrt(len(X) * 30)
    # The square of a mean of errors is less than the mean of their squares, by their variance.
    assert (np.abs(growth + found.spread**2 - expected) <= 4 * deviation).all()
    assert (np.abs(growth[[0, 1, 3]] - 1.2 * expected[[0, 1, 3]]) > 4 * deviation[[0, 1, 3]]).all(), "a wrong 2 shows"
    assert found.unit_of == "rmse"


def test_an_unused_column_does_not_matter_and_a_used_one_does():
    X, y = normal()
    found = permutation_importance(linear(), X, y)
    assert found.increase[2] == 0 == found.spread[2]
    assert (found.increase[[0, 1, 3]] > 0.3).all()
    learned = fastgd.MLP([4, 16, 1])
    learned.fit(X, y, epochs=20, verbose=0)
    found = permutation_importance(learned, X, y)
    assert abs(found.increase[2]) < 0.02 * found.increase[0]
    assert found.increase[3] > 10 * abs(found.increase[2])


def test_several_outputs_are_a_mean_over_them():
    X, _ = normal()
    weights = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    model = linear(weights)
    found = permutation_importance(model, X, model.predict(X), repeats=20)
    np.testing.assert_allclose(found.increase, [1, 2, 0, 0], rtol=0.03)  # √(½ · 2 w²)


@pytest.mark.parametrize(
    ("loss", "n_out", "name"),
    [
        ("mse", 1, "rmse"),
        ("mae", 1, "rmse"),
        ("poisson", 1, "rmse"),
        ("gaussian_nll", 2, "rmse"),
        (fastgd.losses.Quantile([0.1, 0.9]), 2, "loss"),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_baseline_is_that_of_evaluate(loss, n_out, name, weighted, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 150)  # the last block is smaller, and one has no weight at all
    X, y = houses(400)
    weights = np.repeat([1.0, 0.0, 3.0], [150, 150, 100]) if weighted else None
    model = fastgd.MLP([4, 8, n_out], loss=loss)
    model.fit(X, y, epochs=20, verbose=0)
    found = permutation_importance(model, X, y, sample_weight=weights)
    assert found.unit_of == name
    assert found.baseline == pytest.approx(model.evaluate(X, y, weights)[name], rel=1e-6)
    assert found.features[int(found.increase.argmax())] == "input 0"


def test_weights_of_rows_count():
    X, y = normal(600)
    y[300:] += 100 * X[300:, 1]  # rows that need other weights
    doubled = permutation_importance(linear(), X[:300], y[:300])
    weighted = permutation_importance(linear(), X, y, sample_weight=np.repeat([2.0, 0.0], 300))
    assert doubled.baseline == pytest.approx(0, abs=1e-9)
    assert weighted.baseline == pytest.approx(0, abs=1e-9)
    assert permutation_importance(linear(), X, y).baseline > 50
    np.testing.assert_allclose(weighted.increase, doubled.increase, rtol=0.15, atol=1e-9)


def test_blocks_do_not_matter(monkeypatch):
    model, X, y = trained()
    whole = permutation_importance(model, X, y)
    monkeypatch.setattr(features, "BLOCK", 7)
    np.testing.assert_allclose(permutation_importance(model, X, y).increase, whole.increase, rtol=1e-9)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_classes_are_measured_by_their_loss(loss):
    model, X, kinds = classes(loss)
    found = permutation_importance(model, X, kinds)
    assert found.unit_of == "loss"
    assert found.baseline == pytest.approx(model.evaluate(X, kinds)["loss"], rel=1e-6)
    assert found.increase.argmax() == 0
    assert abs(found.increase[2]) < 0.1 * found.increase[0]


def test_the_same_seed_gives_the_same_numbers():
    model, X, y = trained()
    first, again = (permutation_importance(model, X, y, random_state=3) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    assert (permutation_importance(model, X, y, random_state=4).increase != first.increase).all()
    assert (permutation_importance(model, X, y, repeats=1).spread == 0).all()


def test_scikit_learn_finds_the_same():
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import permutation_importance as of_scikit_learn

    model, X, y = trained()

    class Estimator(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return model.predict(X)

    theirs = of_scikit_learn(Estimator(), X, y, scoring="neg_root_mean_squared_error", n_repeats=20, random_state=0)
    ours = permutation_importance(model, X, y, repeats=20)
    assert (np.argsort(ours.increase) == np.argsort(theirs.importances_mean)).all()
    deviation = np.hypot(ours.spread, theirs.importances_std) / np.sqrt(20)
    assert (np.abs(ours.increase - theirs.importances_mean) < 5 * deviation).all()
    np.testing.assert_allclose(ours.spread, theirs.importances_std, rtol=1.0)


# Partial dependence.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_of_a_linear_model_it_is_the_line(dtype):
    X, _ = normal()
    X += 2.0
    model, used = linear(dtype=dtype), X[np.linspace(0, len(X) - 1, 1000).round().astype(int)]
    for column, weight in enumerate(WEIGHTS):
        found = partial_dependence(model, X, column)
        others = used @ WEIGHTS - weight * used[:, column] + CONSTANT
        line = weight * found.values.astype(np.float64)
        scale = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(found.predictions, line + others.mean(), atol=scale)
        np.testing.assert_allclose(found.low, line + np.quantile(others, 0.1), atol=scale)
        np.testing.assert_allclose(found.high, line + np.quantile(others, 0.9), atol=scale)
        assert found.values.dtype == dtype


def additive(first, second):
    return np.abs(first) - 0.5 * np.maximum(second - 0.3, 0)


def test_of_a_sum_of_functions_it_is_one_of_them():
    hidden = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([0.0, 0.0, -0.3])
    pairs = [hidden, (np.array([[1.0], [1.0], [-0.5]]), np.zeros(1))]
    model = fastgd.MLP([2, 3, 1], initializer=pairs, standardize=False, dtype="float64")
    X = np.random.default_rng(1).normal(size=(700, 2))
    np.testing.assert_allclose(model.predict(X), additive(*X.T), atol=1e-12)
    for column, component in enumerate([np.abs, lambda x: additive(0, x)]):
        found = partial_dependence(model, X, column)
        rest = found.predictions - component(found.values)
        np.testing.assert_allclose(rest, rest[0], atol=1e-12)
        assert np.ptp(found.predictions) > 0.5, "it is no constant itself"


def test_of_a_learned_model_in_the_units_of_the_user():
    model, X, y = trained(2000)
    found = partial_dependence(model, X, "Size")
    assert 20 <= found.values.min() < found.values.max() <= 400, "square metres"
    assert (np.diff(found.predictions) > 0).all()
    assert (found.low < found.predictions).all()
    assert (found.predictions < found.high).all()
    assert y.min() < found.predictions.min() < found.predictions.max() < y.max(), "euros"


def test_values_are_observed_ones():
    model, X, _ = trained(3000)
    rooms = partial_dependence(model, X, "Bedrooms")
    assert rooms.values.tolist() == np.unique(X[:, 1]).tolist()
    sizes = partial_dependence(model, X, "Size", grid=25).values
    assert len(sizes) <= 25
    assert set(sizes.tolist()) <= set(X[:, 0].tolist())
    np.testing.assert_allclose(sizes[[0, -1]], np.quantile(X[:, 0], [0.01, 0.99]), atol=1)
    median = partial_dependence(model, X, "Size", grid=3).values[1]
    assert median == pytest.approx(np.median(X[:, 0]), abs=1)
    assert len(partial_dependence(model, np.ones((5, 4)), 0).values) == 1


def test_rows_are_spread_over_the_table():
    X = np.zeros((4001, 2))
    X[:, 1] = np.arange(4001)
    found = partial_dependence(linear([1.0, 1.0], 0.0), X, 0)
    assert found.predictions[0] == pytest.approx(2000, abs=1), "not the first thousand rows"


def test_outputs_and_probabilities():
    X, _ = normal()
    model = linear(np.array([[1.0, 5.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]]))
    for output, slope in ((0, 1.0), (1, 5.0), (-1, 5.0)):
        found = partial_dependence(model, X, 0, output=output)
        np.testing.assert_allclose(np.diff(found.predictions), slope * np.diff(found.values), atol=1e-9)
    assert found.output == "output 1"
    model, X, _ = classes()
    by_kind = [partial_dependence(model, X, 0, output=kind) for kind in range(3)]
    np.testing.assert_allclose(sum(found.predictions for found in by_kind), 1, atol=1e-6)
    assert by_kind[0].predictions[0] > 0.9 > 0.1 > by_kind[0].predictions[-1]
    assert [found.output for found in by_kind] == [f"probability of {kind}" for kind in "abc"]
    by_name = partial_dependence(model, X, 0, output="c")
    assert by_name.to_dict() == by_kind[2].to_dict()
    with pytest.raises(InvalidInputError, match="There is no class 'd'; there are: a, b, c"):
        partial_dependence(model, X, 0, output="d")
    model, X, _ = classes("binary_cross_entropy")
    found = partial_dependence(model, X, 0, output=1)
    assert found.output == "probability of yes"
    assert found.predictions[0] < 0.1 < 0.9 < found.predictions[-1]
    labels = fastgd.MLP([4, 2], loss="binary_cross_entropy", standardize=False)
    assert partial_dependence(labels, houses()[0], 0, output=1).output == "probability of label 1"


# Tables and names.


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_are_matched_by_name(library):
    frames = pytest.importorskip(library)
    model, X, y = trained()
    turned = frames.DataFrame({name: X[:, place] for place, name in reversed(list(enumerate(FEATURES)))})
    before = turned.to_numpy().copy()
    assert permutation_importance(model, turned, y).to_dict() == permutation_importance(model, X, y).to_dict()
    by_name = partial_dependence(model, turned, "Building age")
    assert by_name.to_dict() == partial_dependence(model, X, 3).to_dict()
    assert by_name.feature == "Building age"
    assert (turned.to_numpy() == before).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_table_and_the_model_are_left_alone(dtype):
    model, X, y = trained()
    X = X.astype(dtype)
    before, parameters = X.copy(), model.parameters.copy()
    permutation_importance(model, X, y)
    partial_dependence(model, X, 0)
    np.testing.assert_array_equal(X, before)
    assert X.flags.writeable
    assert (model.parameters == parameters).all()


def test_names_are_those_of_the_model():
    X, y = houses()
    assert permutation_importance(fastgd.MLP([4, 1], standardize=False), X, y).features == [
        f"input {i}" for i in range(4)
    ]
    assert (
        permutation_importance(fastgd.MLP([4, 1], feature_names=FEATURES, standardize=False), X, y).features == FEATURES
    )
    assert partial_dependence(fastgd.MLP([4, 1], standardize=False), X, "input 2").feature == "input 2"
    assert partial_dependence(fastgd.MLP([4, 1], standardize=False), X, np.int64(-1)).feature == "input 3"


# Text.


def test_what_is_printed():
    model, X, y = trained()
    found = permutation_importance(model, X, y)
    lines = repr(found).splitlines()
    assert lines[0].startswith(f"The rmse is {found.baseline:,.0f};")
    printed = [line.split("  ")[0] for line in lines[4:]]
    assert printed == [FEATURES[place] for place in np.argsort(-found.increase)]
    assert "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["features"] == FEATURES
    assert json.loads(json.dumps(partial_dependence(model, X, 0).to_dict()))["feature"] == "Size"


def test_what_is_printed_stays_within_80_columns():
    generator = np.random.default_rng(0)
    X, names = generator.normal(size=(50, 30)), [f"{'a very long name of a column ' * 4}{i}" for i in range(30)]
    for scale in (1e-30, 1.0, 123456.789, 1e11, 1e30):
        model = linear(scale * generator.normal(size=30), feature_names=names)
        found, curve = permutation_importance(model, X, np.zeros(50)), partial_dependence(model, X, 7)
        for text in (repr(found), repr(curve)):
            assert max(map(len, text.splitlines())) <= 80
        assert "… and 10 more" in repr(found)
        shown = [line.split("  ")[0] for line in repr(found).splitlines()[4:-1]]
        assert len(set(shown)) == 20, "long names differ at their ends"
        assert "(20 of 40 values)" in repr(curve)
        assert len(repr(curve).splitlines()) == 24


# Mistakes.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y: permutation_importance(m, X, y, repeats=0), "repeats must be a whole number of at least 1"),
        (lambda m, X, y: permutation_importance(m, X, y, random_state=None), "random_state must be a whole number"),
        (lambda m, X, y: permutation_importance(m, X, y, n_repeats=3), "`n_repeats` is called `repeats`"),
        (lambda m, X, y: permutation_importance(m, X[:1], y[:1]), "X has 1 row, but values can only be shuffled"),
        (lambda m, X, y: permutation_importance(m, X, y[:-1]), "X and y have different lengths"),
        (lambda m, X, y: permutation_importance(m, X[:, :3], y), "X has 3 columns, but the network has 4 inputs"),
        (
            lambda m, X, y: permutation_importance(X, y, m),
            "model must be a fastgd.MLP or a fastgd.Ensemble, not ndarray",
        ),
        (
            lambda m, X, y: partial_dependence(None, X, 0),
            "model must be a fastgd.MLP or a fastgd.Ensemble, not NoneType",
        ),
        (lambda m, X, y: partial_dependence(m, X, "Sise"), "There is no feature 'Sise'.*Did you mean 'Size'"),
        (lambda m, X, y: partial_dependence(m, X, 4), "feature must be a name, or a whole number from 0 to 3, not 4"),
        (lambda m, X, y: partial_dependence(m, X, 1.0), "feature must be a name, or a whole number from 0 to 3"),
        (lambda m, X, y: partial_dependence(m, X, True), "feature must be a name, or a whole number from 0 to 3"),
        (lambda m, X, y: partial_dependence(m, X, 0, grid=1), "grid must be a whole number of at least 2, not 1"),
        (lambda m, X, y: partial_dependence(m, X, 0, output=1), "output must be a whole number from 0 to 0, not 1"),
        (lambda m, X, y: partial_dependence(m, X[:0], 0), "X is empty"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(InvalidInputError, match=message) as caught:
        call(fastgd.MLP([4, 3, 1], feature_names=FEATURES, standardize=False), *houses())
    assert "\n" not in str(caught.value)


def test_a_model_that_was_never_fitted():
    X, y = houses()
    for call in (lambda model: permutation_importance(model, X, y), lambda model: partial_dependence(model, X, 0)):
        with pytest.raises(InvalidInputError, match="never been fitted, so that no column means anything to it"):
            call(fastgd.MLP([4, 3, 1]))


@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_of_two_classes_the_positive_one_is_shown_as_scikit_learn_does(loss, n_out):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.inspection import partial_dependence as of_scikit_learn

    _, X, kinds = classes("binary_cross_entropy")
    model = fastgd.MLP([3, 8, n_out], loss=loss)
    model.fit(X, kinds, epochs=5, verbose=0)

    class Estimator(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            return model.predict_proba(X)

    shown, first, second = (partial_dependence(model, X, 0, output=output) for output in (None, 0, 1))
    assert shown.to_dict() == second.to_dict() == partial_dependence(model, X, 0, output="yes").to_dict()
    assert shown.output == "probability of yes" != first.output
    options = {"custom_values": {0: shown.values}, "method": "brute", "kind": "average"}
    theirs = of_scikit_learn(Estimator().fit(X, kinds), X, [0], **options)["average"][0]
    np.testing.assert_allclose(shown.predictions, theirs, atol=1e-6)
    assert np.abs(first.predictions - theirs).max() > 0.1


@pytest.mark.filterwarnings("ignore:y has 2 classes")
def test_of_several_outputs_it_must_be_said_which():
    model, X, _ = classes()
    with pytest.raises(InvalidInputError, match=r"Say which of 3 outputs, with output=0 to 2, or a class: a, b, c\.$"):
        partial_dependence(model, X, 0)
    for two in ({}, {"loss": "binary_cross_entropy"}):
        with pytest.raises(InvalidInputError, match=r"Say which of 2 outputs, with output=0 to 1\.$"):
            partial_dependence(fastgd.MLP([3, 2], standardize=False, **two), X, 0)
    later = fastgd.MLP([3, 3], loss="cross_entropy")
    later.fit(X, np.where(X[:, 0] > 0, "yes", "no"), epochs=1, verbose=0)
    assert partial_dependence(later, X, 0).output == "probability of yes"
