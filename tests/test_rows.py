"""Rows that count more or less, rows that are held out: one objective for any batch size, told alike everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from samples import N_WAVES, fitted, refused, waves

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


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"yes": 2.0, "no": 0.0}, "leaves every row with weight 0"),
        ({"maybe": 1.0}, "names the class 'maybe', which the model does not know"),
    ],
)
def test_class_weights_that_cannot_be_used(weights, message):
    model = fastgd.MLP([1, 1], loss="binary_cross_entropy", classes=["no", "yes"])
    with pytest.raises(InvalidInputError, match=message):
        model.fit(np.zeros((3, 1)), ["no"] * 3, class_weight=weights, verbose=0)


def test_weights_whose_products_come_to_nothing():
    X, y = np.random.default_rng(0).normal(size=(40, 1)), np.arange(40) % 2
    for options, purpose in (
        ({"class_weight": {0: 0}, "sample_weight": np.where(y == 1, 0.0, 1.0)}, "learn from"),
        ({"class_weight": {0: 0}, "validation_data": (X[y == 0], y[y == 0])}, "validate with"),
    ):
        with pytest.raises(InvalidInputError, match=f"leave every row with weight 0: nothing to {purpose}"):
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


@pytest.mark.tiny
def test_splits_keep_groups_together():
    groups = np.random.default_rng(0).integers(0, 300, 1000)
    training, held_out = split_rows(1000, 0.2, [f"house {g}" for g in groups], 3)
    assert not set(groups[training]) & set(groups[held_out])
    assert sorted([*training, *held_out]) == list(range(1000))
    assert 190 <= len(held_out) <= 210
    training, held_out = split_rows(10, 0.2, None, 3)
    assert (len(training), len(held_out)) == (8, 2)
    again = split_rows(10, 0.2, None, 3)
    assert (training == again[0]).all()
    assert len({tuple(split_rows(100, 0.2, None, seed)[1]) for seed in range(5)}) == 5, "each seed has its own"
    refused("All 5 rows are one group: nothing can be held out", split_rows, 5, 0.2, ["same"] * 5, 0)
    refused("There is only 1 row", split_rows, 1, 0.5, None, 0)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh", "poisson", "quantile", "gaussian_nll"])
def test_a_weight_of_2_is_the_row_twice(loss, standardize):
    X, y = waves()
    X[20] = 1e6  # a row of weight 0, which must not even reach the scaling
    y = np.abs(y).round() if loss == "poisson" else y
    weights = np.ones(N_WAVES)
    weights[[3, 10]] = 2
    weights[20] = 0
    rows = [*[i for i in range(N_WAVES) if i != 20], 3, 10]
    options = {"epochs": 20, "batch_size": 1000, "shuffle": False, "optimizer": fastgd.SGD(0.01), "verbose": 0}

    def new():
        sizes = [3, 8, 2 if loss == "gaussian_nll" else 1]
        return fastgd.MLP(sizes, loss=loss, dtype="float64", activation="tanh", standardize=standardize)

    weighted, repeated, unweighted = new(), new(), new()
    first = weighted.fit(X, y, sample_weight=weights, **options)
    second = repeated.fit(X[rows], y[rows], **options)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(first.history["loss"], second.history["loss"], rtol=1e-9)
    assert weighted.evaluate(X, y, weights) == pytest.approx(repeated.evaluate(X[rows], y[rows]), rel=1e-8)
    unweighted.fit(X, y, **options)
    assert np.abs(unweighted.parameters - repeated.parameters).max() > 1e-5


@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 3), ("binary_cross_entropy", 1)])
def test_class_weights_are_rows_repeated(loss, n_out):
    X, y = waves()
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-2, 2])] if n_out == 3 else y > 0
    first = labels == labels[0]
    rows = np.concatenate([np.arange(N_WAVES), np.flatnonzero(first)])
    results = []
    for data, extra in (((X, labels), {"class_weight": {labels[0].item(): 2}}), ((X[rows], labels[rows]), {})):
        model = fastgd.MLP([3, 6, n_out], loss=loss, dtype="float64")
        model.fit(*data, epochs=20, batch_size=1000, shuffle=False, verbose=0, **extra)
        results.append(model.parameters)
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 3), ("binary_cross_entropy", 1)])
def test_balanced_is_the_number_of_rows_over_classes_times_rows_of_the_class(loss, n_out, device):
    X, y = waves()
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-3, 2])] if n_out == 3 else y > 2
    counts = {label: int((labels == label).sum()) for label in set(labels.tolist())}
    assert len(set(counts.values())) == len(counts) == max(n_out, 2), "all classes differ in size"

    def trained(class_weight):
        model = fastgd.MLP([3, 6, n_out], loss=loss, dtype="float64")
        history = model.fit(
            X, labels, class_weight=class_weight, validation_data=(X, labels), epochs=3, device=device, verbose=0
        )
        return model.parameters, history.history["val_loss"]

    balanced, val_loss = trained("balanced")
    formula = {label: N_WAVES / (len(counts) * count) for label, count in counts.items()}
    explicit, its_val_loss = trained(formula)
    np.testing.assert_allclose(balanced, explicit, rtol=1e-12)
    assert val_loss == pytest.approx(its_val_loss, rel=1e-12)
    for other in (None, dict.fromkeys(counts, 1.0), {label: 1 / weight for label, weight in formula.items()}):
        parameters, _ = trained(other)
        assert np.abs(parameters - balanced).max() > 1e-4, other


def test_under_plain_descent_a_batch_that_counts_nothing_moves_nothing():
    """The first batch has no weight at all, the second is one row: the weights move by that row's step alone."""
    X, y = waves()
    weights = np.zeros(N_WAVES)
    weights[-1] = 1
    model = fastgd.MLP([3, 4, 1], standardize=False, dtype="float64", activation="tanh")
    before, gradient = model.parameters.copy(), model.gradient(X[-1:], y[-1:])
    options = {"batch_size": N_WAVES - 1, "shuffle": False, "optimizer": fastgd.SGD(1e-4), "verbose": 0}
    loss = model.evaluate(X[-1:], y[-1:])["loss"]
    history = model.fit(X, y, epochs=1, sample_weight=weights, **options)
    assert history.steps == 2
    # A weight counts as a multiple of the mean weight of all rows.
    np.testing.assert_allclose(model.parameters, before - 1e-4 * N_WAVES * gradient, rtol=1e-12)
    assert history.history["loss"][0] == pytest.approx(loss, rel=1e-12)
    counting = fastgd.MLP([3, 4, 1], standardize=False, dtype="float64", activation="tanh")
    counting.fit(X, y, epochs=1, sample_weight=weights + 1e-3, **options)
    assert np.abs(counting.parameters - model.parameters).max() > 1e-6, "next to nothing is noticed"


def test_held_out_rows_are_not_trained_on():
    X, y = waves()
    model, history = fitted(X, y, validation_split=0.25)
    assert history.rows_seen == 5 * 45
    from fastgd.data.splits import split_rows

    train, test = split_rows(N_WAVES, 0.25, None, 0)
    same, _ = fitted(X[train], y[train])
    np.testing.assert_array_equal(same.parameters, model.parameters)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(X[test], y[test])["loss"])


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": -np.ones(N_WAVES)}, r"sample_weight, row 0 is -1\.0: a weight must be at least 0"),
        ({"sample_weight": np.zeros(N_WAVES)}, r"sample_weight is 0 in every row"),
        ({"sample_weight": np.full(N_WAVES, np.nan)}, r"sample_weight, row 0 is nan"),
        ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\), but there are 60 rows"),
        ({"class_weight": {1: 2}}, r"class_weight is for classes; with loss='mse' there are none"),
        ({"validation_split": 1.0}, r"validation_split must be a share"),
        ({"validation_split": 0.1, "validation_data": (1, 2)}, r"cannot both be given"),
        ({"validation_data": 3}, r"validation_data must be \(X, y\)"),
        ({"validation_data": ([[1, 2]], [1])}, r"X has 2 columns, but the network has 3 inputs"),
    ],
)
def test_options_of_fit(options, message):
    X, y = waves()
    with pytest.raises(InvalidInputError, match=message):
        fitted(X, y, **options)
