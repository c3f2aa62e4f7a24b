"""Weights of rows and classes: one objective for any batch size, told by history, validation and evaluate alike."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.data.rows import mean_one, row_weights
from fastgd.data.splits import split_rows
from fastgd.errors import InvalidInputError

N = 50


def table(n=N):
    generator = np.random.default_rng(3)
    X = generator.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + generator.normal(size=n), generator.uniform(0.01, 10, n)


def linear(**options):
    return fastgd.MLP([3, 1], dtype="float64", standardize=False, random_state=0, **options)


def descended(X, y, weights, batch_size, rate, scale):
    """A linear model after one epoch in order; scale(batch) is what the sum of a batch's weighted gradients is over."""
    w, b = (part.astype(np.float64) for part in linear().get_parameters()[0])
    w = w[:, 0].copy()
    for start in range(0, len(X), batch_size):
        rows = slice(start, start + batch_size)
        error = 2 * (X[rows] @ w + b - y[rows]) * weights[rows] / scale(weights[rows])
        w, b = w - rate * X[rows].T @ error, b - rate * error.sum()
    return np.r_[w, b]


@pytest.mark.tiny
@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, N])
def test_a_batch_is_divided_by_its_rows_and_the_mean_weight_of_all(batch_size, device):
    X, y, weights = table()
    model = linear()
    options = {"epochs": 1, "batch_size": batch_size, "shuffle": False, "optimizer": fastgd.SGD(0.01), "verbose": 0}
    model.fit(X, y, sample_weight=weights, device=device, **options)
    mean = weights.mean()
    expected = descended(X, y, weights, batch_size, 0.01, lambda batch: len(batch) * mean)
    np.testing.assert_allclose(model.parameters, expected, rtol=1e-10)
    by_batch = descended(X, y, weights, batch_size, 0.01, np.sum)
    assert (np.abs(expected - by_batch).max() < 1e-9) == (batch_size == N), "the two differ but for a full batch"


@pytest.mark.parametrize("batch_size", [1, 8, 32, 256])
def test_weights_of_classes_reach_their_optimum_at_any_batch_size(batch_size):
    generator = np.random.default_rng(1)
    X, y = 1e-3 * generator.normal(size=(2000, 1)), (generator.random(2000) < 0.03).astype(int)
    weights = np.where(y == 1, 32.0, 1.0)
    model = fastgd.MLP([1, 1], loss="binary_cross_entropy")
    # A rate for so many steps: large weights make large steps.
    optimizer = fastgd.SGD(fastgd.schedules.Cosine(0.002 * min(batch_size, 50)))
    model.fit(X, y, class_weight={1: 32.0}, epochs=60, batch_size=batch_size, optimizer=optimizer, verbose=0)
    wanted = (weights * y).sum() / weights.sum()
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(wanted, abs=0.03)


def test_exposures_keep_the_total_at_batch_1():
    generator = np.random.default_rng(2)
    X, exposure = generator.normal(size=(2000, 2)), generator.uniform(0.1, 10, 2000)
    counts = generator.poisson(exposure * np.exp(0.3 * X[:, 0]))
    model = fastgd.MLP([2, 1], loss="poisson", dtype="float64")
    optimizer = fastgd.SGD(fastgd.schedules.Cosine(0.01))
    model.fit(X, counts / exposure, sample_weight=exposure, epochs=20, batch_size=1, optimizer=optimizer, verbose=0)
    assert (model.predict(X) * exposure).sum() == pytest.approx(counts.sum(), rel=0.03)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7, N])
@pytest.mark.parametrize("weight", [0.1, 1, 3.7e5])
def test_equal_weights_change_no_bit(batch_size, dtype, weight):
    X, y, _ = table()

    def trained(weights):
        model = fastgd.MLP([3, 8, 1], dtype=dtype)
        model.fit(X, y, sample_weight=weights, epochs=2, batch_size=batch_size, verbose=0)
        return model.parameters

    np.testing.assert_array_equal(trained(np.full(N, weight)), trained(None))


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("batch_size", [1, 7, N])
def test_history_validation_and_evaluate_tell_the_same_loss(batch_size, device):
    X, y, weights = table()
    model = fastgd.MLP([3, 8, 1], dtype="float64")
    still = fastgd.SGD(1e-300)
    history = model.fit(
        X, y, sample_weight=weights, validation_data=(X, y, 5 * weights), epochs=1, batch_size=batch_size,
        optimizer=still, device=device, verbose=0,
    ).history  # fmt: skip
    expected = np.average((model.predict(X) - y) ** 2, weights=weights)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-9)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-9)
    assert model.evaluate(X, y, 1e-9 * weights)["loss"] == pytest.approx(expected, rel=1e-9)
    assert abs(np.mean((model.predict(X) - y) ** 2) - expected) > 1e-3 * expected


@pytest.mark.tiny
@pytest.mark.parametrize("factor", [1e-300, 1e-60, 1.0, 1e60, 1e300])
def test_only_ratios_of_weights_count(factor):
    weights = row_weights(np.array([1.0, 2.0, 0.0, 5.0]) * factor, 4)
    np.testing.assert_allclose(mean_one(weights, np.dtype("float32")), [0.5, 1.0, 0.0, 2.5], rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_batches_of_rows_that_hardly_count_do_no_harm():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(20_000, 3))
    y, age = X @ [1.0, 2.0, 3.0], np.arange(20_000)
    for weights in (0.995**age, 0.995 ** age[::-1]):
        model = fastgd.MLP([3, 8, 1])
        # The rate is small because the heaviest rows count a hundred times as much as the mean.
        options = {"shuffle": False, "epochs": 5, "optimizer": fastgd.SGD(5e-4), "verbose": 0}
        losses = model.fit(X, y, sample_weight=weights, **options).history["loss"]
        assert losses[-1] < 0.5 * losses[0]


def test_balanced_counts_the_rows_to_train_on():
    X, y, _ = table(400)
    labels = (y > 1.5).astype(int)
    chosen, _ = split_rows(400, 0.4, None, 0)
    counts = np.bincount(labels[chosen])
    explicit = {label: len(chosen) / (2 * counts[label]) for label in (0, 1)}
    of_all = np.bincount(labels)
    assert counts[1] / counts[0] != of_all[1] / of_all[0]

    def trained(class_weight):
        model = fastgd.MLP([3, 4, 1], loss="binary_cross_entropy", dtype="float64")
        model.fit(X, labels, class_weight=class_weight, validation_split=0.4, epochs=3, verbose=0)
        return model.parameters

    np.testing.assert_allclose(trained("balanced"), trained(explicit), rtol=1e-12)
    shares = {label: 400 / (2 * of_all[label]) for label in (0, 1)}
    assert np.abs(trained(shares) - trained(explicit)).max() > 1e-6


def test_validation_counts_classes_in_the_loss_but_not_in_the_accuracy():
    X, y, weights = table(200)
    labels = np.where(y > 1, "yes", "no")
    model = fastgd.MLP([3, 4, 1], loss="binary_cross_entropy", dtype="float64")
    history = model.fit(
        X, labels, class_weight={"yes": 9.0}, validation_data=(X, labels, weights), epochs=2, verbose=0
    ).history
    plain = model.evaluate(X, labels, weights)
    assert history["val_accuracy"][-1] == plain["accuracy"]
    by_class = model.evaluate(X, labels, weights * np.where(labels == "yes", 9.0, 1.0))
    assert history["val_loss"][-1] == pytest.approx(by_class["loss"], rel=1e-12)
    assert history["val_loss"][-1] != pytest.approx(plain["loss"], rel=1e-3)


@pytest.mark.parametrize("weights", [{"yes": 2.0, "no": 0.0}, {"maybe": 1.0}])
def test_class_weights_that_cannot_be_used(weights):
    model = fastgd.MLP([1, 1], loss="binary_cross_entropy", classes=["no", "yes"])
    with pytest.raises(InvalidInputError, match=r"leaves every row with weight 0|names the class 'maybe'"):
        model.fit(np.zeros((3, 1)), ["no"] * 3, class_weight=weights, verbose=0)


def test_weights_whose_products_come_to_nothing():
    X, y = np.random.default_rng(0).normal(size=(40, 1)), np.arange(40) % 2
    for options in (
        {"class_weight": {0: 0}, "sample_weight": np.where(y == 1, 0.0, 1.0)},
        {"class_weight": {0: 0}, "validation_data": (X[y == 0], y[y == 0])},
    ):
        with pytest.raises(
            InvalidInputError, match=r"leave every row with weight 0: nothing to (learn from|validate with)"
        ):
            fastgd.MLP([1, 1], loss="binary_cross_entropy").fit(X, y, verbose=0, **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_products_of_weights_are_ratios_too(size):
    X, y = np.random.default_rng(0).normal(size=(40, 1)), np.arange(40) % 2
    weights = np.random.default_rng(1).uniform(size=40)

    def trained(factor):
        model = fastgd.MLP([1, 4, 1], loss="binary_cross_entropy", random_state=0)
        model.fit(X, y, class_weight={0: factor, 1: 3 * factor}, sample_weight=factor * weights, epochs=3, verbose=0)
        return model.parameters

    np.testing.assert_allclose(trained(size), trained(1.0), rtol=1e-5)
