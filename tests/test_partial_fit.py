"""Streams that come piece by piece: the same bits as fits, yardsticks over all pieces, what is told, and how often."""

from __future__ import annotations

import dataclasses
import pickle
import signal
import threading
import warnings

import numpy as np
import pytest
from inside import memory_of, net_of
from samples import refused, waves

import fastgd
from fastgd.errors import DeadNetworkWarning, DivergenceError, DivergenceWarning, InputWarning
from fastgd.schedules import Cosine, OneCycle, ReduceOnPlateau, StepDecay, WarmUp

SIZES = (40, 7, 1, 130, 32, 33, 300)


def pieces(sizes=SIZES, seed=0):
    X, y = waves(sum(sizes), seed=seed)
    ends = np.cumsum(sizes)
    return [(X[end - n : end], y[end - n : end]) for n, end in zip(sizes, ends, strict=True)]


def state_of(model):
    """Everything that training moves."""
    memory = memory_of(model)
    return [model.parameters, *memory.state, *(() if memory.raw is None else (memory.raw,)), np.array(memory.epoch)]


def assert_same_bits(model, other):
    for mine, its in zip(state_of(model), state_of(other), strict=True):
        np.testing.assert_array_equal(mine, its)
    for mine, its in zip(net_of(model), net_of(other), strict=True):
        np.testing.assert_array_equal(mine, its)


# The same as fit.


@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": fastgd.SGD(0.02, momentum=0.9), "batch_size": 16},
        {"optimizer": fastgd.SGD(0.02), "batch_size": 1},
        {"optimizer": fastgd.Adam(StepDecay(0.01, 10, factor=0.5)), "shuffle": False},
        {"optimizer": fastgd.Adam(ReduceOnPlateau(0.01, patience=0, monitor="loss"))},
    ],
    ids=str,
)
def test_pieces_are_fits_of_one_epoch_to_the_bit(options, device):
    by_fit, by_piece = (fastgd.MLP([3, 8, 8, 1], dropout=0.1, random_state=3) for _ in range(2))
    for X, y in pieces():
        of_fit = by_fit.fit(X, y, epochs=1, verbose=0, device=device, **options)
        of_piece = by_piece.partial_fit(X, y, device=device, **options)
        assert of_fit.history == of_piece.history
        assert (of_fit.steps, of_fit.rows_seen, of_fit.device) == (of_piece.steps, of_piece.rows_seen, device)
    assert_same_bits(by_fit, by_piece)
    assert by_piece.device == device
    other = fastgd.MLP([3, 8, 8, 1], dropout=0.1, random_state=3)
    for X, y in pieces(seed=1):
        other.partial_fit(X, y, device=device, **options)
    assert (other.parameters != by_piece.parameters).any(), "the comparison can fail"


def test_the_encoding_is_that_of_the_first_piece():
    X, y = waves(600)
    table = np.column_stack([X, np.where(X[:, 0] > 0, "up", "down")]).astype(object)
    table[:, :3] = X
    by_fit, by_piece = (fastgd.MLP([4, 8, 1], encoding="auto", random_state=0) for _ in range(2))
    for part in np.split(np.arange(600), 6):
        by_fit.fit(table[part], y[part], epochs=1, verbose=0)
        by_piece.partial_fit(table[part], y[part])
    assert_same_bits(by_fit, by_piece)
    assert str(by_piece.encoder) == str(by_fit.encoder)


def test_no_order_of_rows_comes_twice_and_predictions_change_nothing():
    X, y = waves(64)
    model, asked = fastgd.MLP([3, 8, 1], random_state=0), fastgd.MLP([3, 8, 1], random_state=0)
    for call in range(4):
        model.partial_fit(X, y, batch_size=8)
        asked.partial_fit(X, y, batch_size=8)
        asked.predict(X)
        asked.evaluate(X[:5], y[:5])
        assert memory_of(model).epoch == call + 1
    assert_same_bits(model, asked)
    calm = fastgd.MLP([3, 8, 1], random_state=0)
    for _ in range(4):
        calm.partial_fit(X, y, batch_size=8, shuffle=False)
    assert (calm.parameters != model.parameters).any()


@pytest.mark.parametrize("how", ["file", "pickle", "twin"])
def test_a_stream_goes_on_in_another_process(how, tmp_path):
    parts = pieces()
    weights = [np.linspace(1, 3 + k, len(y)) for k, (_, y) in enumerate(parts)]
    whole, model = fastgd.MLP([3, 8, 1]), fastgd.MLP([3, 8, 1])
    for k, (X, y) in enumerate(parts):
        whole.partial_fit(X, y, sample_weight=weights[k])
        model.partial_fit(X, y, sample_weight=weights[k])
        if k == 2 and how == "file":
            model.save(tmp_path / "model", training_state=True)
            model = fastgd.load(tmp_path / "model")
        elif k == 2:
            model = model.twin() if how == "twin" else pickle.loads(pickle.dumps(model))
            assert memory_of(model).pieces.good == (), "copies of all weights are not taken along, or shared"
    assert_same_bits(model, whole)
    told, of_whole = (dataclasses.asdict(memory_of(one).pieces) for one in (model, whole))
    assert {**told, "good": 0} == {**of_whole, "good": 0}
    assert of_whole["n_rows"] == sum(SIZES)


# What a call is given.


def test_options_that_are_not_given_are_those_of_the_last_call():
    X, y = waves(50)
    model = fastgd.MLP([3, 4, 1])
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(0.01), device="plain", verbose=0)
    assert model.partial_fit(X, y).device == "plain"
    assert memory_of(model).optimizer == fastgd.SGD(0.01)
    assert model.partial_fit(X, y, optimizer=fastgd.Adam(0.003)).history["learning_rate"] == [0.003]
    assert model.partial_fit(X, y).history["learning_rate"] == [0.003]


@pytest.mark.parametrize("schedule", [Cosine(0.1), OneCycle(0.1), WarmUp(Cosine(0.1), 5)], ids=str)
def test_a_schedule_that_lasts_one_fit_is_refused(schedule):
    X, y = waves(50)
    model = fastgd.MLP([3, 4, 1])
    refused("without steps= lasts one fit", model.partial_fit, X, y, optimizer=fastgd.SGD(schedule))
    assert memory_of(model) is None
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(schedule), verbose=0)
    refused("without steps= lasts one fit", model.partial_fit, X, y)


def test_a_schedule_with_steps_goes_on_over_pieces():
    X, y = waves(64)
    model, rates = fastgd.MLP([3, 4, 1]), []
    for _ in range(6):
        rates += model.partial_fit(X, y, optimizer=fastgd.SGD(Cosine(0.1, steps=10))).history["learning_rate"]
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * np.minimum(np.arange(1, 13, 2) / 10, 1))), atol=1e-9)


def test_wrong_calls_are_refused_and_change_nothing():
    X, y = waves(50)
    model = fastgd.MLP([3, 4, 1], random_state=0)
    before = model.parameters.copy()
    plateau = fastgd.SGD(ReduceOnPlateau(0.1))
    refused("cannot look at 'val_loss'.*monitor='loss'", model.partial_fit, X, y, optimizer=plateau)
    refused("class_weight must be a dict", model.partial_fit, X, y, class_weight="balanced")
    refused("X is empty", model.partial_fit, X[:0], y[:0])
    refused("row 3, column 1 is nan", model.partial_fit, np.where(np.arange(150).reshape(50, 3) == 10, np.nan, X), y)
    refused("batch_size must be", model.partial_fit, X, y, batch_size=0)
    refused("`lr` belongs to the optimizer", model.partial_fit, X, y, lr=0.1)
    refused("no option `epochs`", model.partial_fit, X, y, epochs=3)
    assert (model.parameters == before).all()
    assert model.fit_state is None
    assert not model.schema.scaled


# Weights count beside all rows so far.


def steps(weights, **options):
    """How far rows of these weights, one a piece, move a model that has seen a row of weight 1."""
    model = fastgd.MLP([3, 1], standardize=False, random_state=0)
    X, y = waves(3)
    moved = []
    for row, weight in enumerate(weights):
        before = model.parameters.copy()
        given = {"sample_weight": [weight]} if weight is not None else {}
        model.partial_fit(X[:1], y[:1], optimizer=fastgd.SGD(1e-4), **given, **options)
        moved.append(float(np.abs(model.parameters - before).sum()))
        assert memory_of(model).pieces.n_rows == row + 1
    return np.array(moved) / moved[0]


def test_the_weight_of_a_single_row_counts():
    np.testing.assert_allclose(steps([1, 1, 1]), 1, rtol=2e-3)
    np.testing.assert_allclose(steps([1, 3, 2]), [1, 1.5, 1], rtol=2e-3)
    np.testing.assert_allclose(steps([None, 3, None]), [1, 1.5, 0.6], rtol=2e-3)
    np.testing.assert_allclose(steps([1e300, 3e300, 2e300]), [1, 1.5, 1], rtol=2e-3)


def test_the_class_of_a_single_row_counts():
    X = np.random.default_rng(0).normal(size=(40, 3))
    moved = {}
    for class_weight in (None, {"yes": 4.0}):
        model = fastgd.MLP([3, 1], loss="binary_cross_entropy", classes=["no", "yes"], standardize=False)
        model.partial_fit(X, np.array(["no"] * 40), class_weight=class_weight, optimizer=fastgd.SGD(1e-4))
        before = model.parameters.copy()
        model.partial_fit(X[:1], ["yes"], class_weight=class_weight)
        moved[str(class_weight)] = np.abs(model.parameters - before).sum()
    assert moved["{'yes': 4.0}"] / moved["None"] == pytest.approx(4 / (44 / 41), rel=1e-2)


def test_weights_of_one_size_are_none():
    plain, weighed = fastgd.MLP([3, 8, 1]), fastgd.MLP([3, 8, 1])
    for X, y in pieces():
        plain.partial_fit(X, y)
        weighed.partial_fit(X, y, sample_weight=np.full(len(y), 0.3))
    assert_same_bits(plain, weighed)


# The scaling, from a pass or from the first piece.


def test_a_pass_without_a_step_gives_the_scaling():
    X, y = waves(500)
    model = fastgd.MLP([3, 8, 1], random_state=0)
    start = model.parameters.copy()
    history = model.fit(X, y, epochs=0, verbose=0)
    assert history.steps == 0
    assert (model.parameters == start).all()
    scaling = model.scaling
    np.testing.assert_allclose(scaling.input_std, X.std(axis=0), rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for row in range(20):
            model.partial_fit(X[row : row + 1] * 100, y[row : row + 1], optimizer=fastgd.Adam())
        model.fit(X * 7, y, epochs=0, verbose=0)
    for name in ("input_mean", "input_std", "target_mean", "target_std"):
        np.testing.assert_array_equal(getattr(model.scaling, name), getattr(scaling, name))


@pytest.mark.parametrize(("n", "rows"), [(1, "a single row"), (10, "10 rows"), (31, "31 rows"), (32, None)])
def test_a_first_piece_of_few_rows_is_warned_of_once(n, rows):
    X, y = waves(100)
    model = fastgd.MLP([3, 8, 1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, 100 - n, n):
            model.partial_fit(X[start : start + n], y[start : start + n])
    told = [str(warning.message) for warning in caught]
    assert len(told) == (rows is not None)
    assert all(f"The first piece has {rows}:" in message and "epochs=0" in message for message in told)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastgd.MLP([3, 8, 1], standardize=False).partial_fit(X[:n], y[:n])


def test_what_does_not_vary_in_a_piece_is_normal():
    """A flag that comes late, a target that pauses, a class that comes alone: nothing is told after the first piece."""
    X, y = waves(400)
    X[:200, 1] = 0
    y[40:80] = y[40]
    model = fastgd.MLP([3, 8, 1], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 400, 40):
            model.partial_fit(X[start : start + 40], y[start : start + 40])
            assert bool(np.isinf(model.scaling.input_std[1])) == (start < 200)
    with pytest.warns(InputWarning, match="The first piece has 40 rows, all with the same y:") as caught:
        fastgd.MLP([3, 8, 1]).partial_fit(X[:40], np.full(40, 3.0))
    assert len(caught) == 1


def test_classes_come_piece_by_piece():
    X = np.random.default_rng(0).normal(size=(300, 2))
    labels = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    model = fastgd.MLP([2, 8, 3], loss="cross_entropy", random_state=0)
    with pytest.warns(InputWarning, match=r"others come later, name all of them with classes=") as caught:
        model.partial_fit(X[labels == "a"], labels[labels == "a"])
    assert len(caught) == 1
    for label in "cb":
        model.partial_fit(np.repeat(X[labels == label], 2, axis=0), np.repeat(labels[labels == label], 2))
    assert model.classes.tolist() == ["a", "c", "b"]
    for _ in range(20):
        model.partial_fit(X, labels)
    assert model.evaluate(X, labels)["accuracy"] > 0.8
    refused(
        "label 'd', which the model does not know",
        model.partial_fit,
        X,
        np.where(labels == "a", "d", labels),
    )
    ordered = fastgd.MLP([2, 8, 3], loss="cross_entropy", classes=["a", "b", "c"])
    ordered.partial_fit(X[labels == "c"], labels[labels == "c"])
    assert ordered.classes.tolist() == ["a", "b", "c"]


# What goes wrong over many pieces.


def linear(rate, n_rows, seed, calls=1000):
    """A linear model in a stream of pieces: losses, and after how many calls which warnings came, or the error."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=3)
    model, losses, told = fastgd.MLP([3, 1], random_state=seed), [], []
    first = generator.normal(size=(256, 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(first, first @ weights, epochs=0, verbose=0)
        for call in range(calls):
            X = generator.normal(size=(n_rows, 3))
            y = X @ weights + generator.normal(size=n_rows)
            try:
                losses += model.partial_fit(X, y, optimizer=fastgd.SGD(rate)).history["loss"]
            except DivergenceError as error:
                told.append((call, error))
                break
            told += [(call, warning.message) for warning in caught[len(told) :]]
    return model, losses, told


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_rows", "rate"), [(1, 0.25), (8, 0.8), (32, 1.0)])
def test_a_slow_blow_up_is_noticed(n_rows, rate, seed):
    model, losses, told = linear(rate, n_rows, seed)
    assert max(losses) > 1e6
    warned = [message for _, message in told if isinstance(message, DivergenceWarning)]
    assert 1 <= len(told) <= 2
    assert len(warned) <= 1
    for message in warned:
        assert "times what it was at first: training may be about to blow up" in str(message)
    assert np.isfinite(model.parameters).all()
    if (
        warned
    ):  # of rows that are judged together, the third lot at the latest after a loss of a hundred times the first
        first = int(np.argmax(np.array(losses) > 1000 * np.mean(losses[: 1 + 128 // n_rows])))
        assert told[0][0] <= first + 3 * 128 // n_rows


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_rows", [1, 8, 32])
@pytest.mark.parametrize("kind", ["noise", "outliers", "wild inputs", "drift", "turn", "storm"])
def test_a_stream_that_is_only_noisy_is_not_warned_of(kind, n_rows, seed):
    generator = np.random.default_rng(seed)
    model = fastgd.MLP([3, 16, 1], random_state=seed)
    first, calls = generator.normal(size=(256, 3)), 600
    model.fit(first, first.sum(axis=1), epochs=0, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in range(calls):
            X = generator.normal(size=(n_rows, 3))
            if kind == "wild inputs":
                X *= np.exp(generator.normal(size=(n_rows, 1)))
            y = X.sum(axis=1) + 0.3 * generator.normal(size=n_rows)
            if kind == "outliers":
                y += 0.3 * generator.standard_t(1.5, size=n_rows)
            if kind == "drift":
                y += call / 30
            if kind == "turn" and call > calls // 2:
                y *= -1
            if kind == "storm" and call > calls // 2:
                y += 10 * generator.standard_t(1.5, size=n_rows)
            model.partial_fit(X, y)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_rows", [1, 20, 200])
def test_a_loss_that_is_high_and_falls_is_no_blow_up(n_rows):
    """A network that is sure of the wrong class is far worse than one of zeros, and learns."""
    X = np.random.default_rng(0).normal(size=(2000, 2))
    model = fastgd.MLP([2, 1], loss="binary_cross_entropy", classes=[0, 1], random_state=0)
    model.fit(X, np.arange(2000) % 2, epochs=0, verbose=0)
    model.parameters[-1] = -20
    losses = []
    for start in range(0, 2000, n_rows):
        part = slice(start, start + n_rows)
        losses += model.partial_fit(X[part], np.ones(n_rows, int), optimizer=fastgd.SGD(0.002 * min(n_rows, 32))).loss
    assert 21 > losses[0] > losses[-1] + 2 > 12


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_rows", [1, 20])
def test_classes_one_after_the_other_are_no_blow_up(n_rows):
    X = np.random.default_rng(0).normal(size=(800, 2))
    model = fastgd.MLP([2, 8, 1], loss="binary_cross_entropy", classes=[0, 1], random_state=0)
    model.fit(X, np.arange(800) % 2, epochs=0, verbose=0)
    for label in (0, 1, 0, 1):
        for start in range(0, 800, n_rows):
            model.partial_fit(X[start : start + n_rows], np.full(n_rows, label))


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_after_a_blow_up_the_model_is_as_before_it():
    """Single calls would go back to what the call before has left: by then the loss is 10¹⁰ times what it was."""
    generator = np.random.default_rng(0)
    model = fastgd.MLP([3, 16, 1], activation="tanh", random_state=0)

    def piece(n=16):
        X = generator.normal(size=(n, 3))
        return X, X.sum(axis=1)

    model.fit(*piece(500), epochs=0, verbose=0)
    for _ in range(100):
        model.partial_fit(*piece(), optimizer=fastgd.SGD(0.02), batch_size=4)
    test = piece(500)
    before = model.evaluate(*test)["loss"]
    calls = []

    def blow_up():
        while True:
            calls.append(model.partial_fit(*piece(), optimizer=fastgd.SGD(3.0, momentum=0.5)))

    with pytest.raises(DivergenceError, match="keeps its last good weights; try a smaller"):
        blow_up()
    assert len(calls) > 1, "it took several calls"
    assert model.evaluate(*test)["loss"] < 1000 * before
    for _ in range(100):
        model.partial_fit(*piece(), optimizer=fastgd.SGD(0.02), batch_size=4)
    assert model.evaluate(*test)["loss"] < 5 * before


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_what_a_fit_in_between_has_learned_is_not_lost():
    X, y = waves(300)
    model = fastgd.MLP([3, 8, 1], random_state=0)
    model.partial_fit(X[:40], y[:40], optimizer=fastgd.SGD(0.01))
    model.fit(X, y, epochs=50, optimizer=fastgd.SGD(0.01), verbose=0)
    before = model.parameters.copy()
    with pytest.raises(DivergenceError):
        model.partial_fit(X, y, optimizer=fastgd.SGD(1e30))
    np.testing.assert_array_equal(model.parameters, before)


def test_a_dead_network_is_told_once():
    X, y = waves(400)
    model = fastgd.MLP([3, 4, 1], random_state=0)
    model.fit(X, y, epochs=0, verbose=0)
    weights, biases = model.get_parameters()[0]
    model.set_parameters([(weights, biases - 1000), *model.get_parameters()[1:]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, 400, 10):
            model.partial_fit(X[start : start + 10], y[start : start + 10], optimizer=fastgd.SGD(0.01))
    assert [warning.category for warning in caught] == [DeadNetworkWarning]


def test_ctrl_c_ends_the_loop_around_it():
    """fit returns what it has; a loop over pieces would only go on with the next one."""
    X, y = waves(20_000)
    model = fastgd.MLP([3, 64, 64, 1], random_state=0)
    model.partial_fit(X, y)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()

    def learn():
        for _ in range(10_000):
            model.partial_fit(X, y)

    with pytest.raises(KeyboardInterrupt):
        learn()
    timer.join()
    assert np.isfinite(model.predict(X)).all()
    model.partial_fit(X, y)
    assert model.evaluate(X, y)["r2"] > 0.9


# The estimators.


@pytest.mark.parametrize("n_rows", [32, 100])
def test_an_estimator_learns_from_pieces(n_rows):
    X, y = fastgd.datasets.houses(6000, random_state=0)
    model = fastgd.MLPRegressor(random_state=0)
    for start in range(0, 5000, n_rows):
        assert model.partial_fit(X[start : start + n_rows], y[start : start + n_rows]) is model
    assert model.score(X[5000:], y[5000:]) > 0.9
    n_calls = -(-5000 // n_rows)
    assert (model.n_iter_, len(model.loss_curve_), model.t_) == (n_calls, n_calls, n_calls * n_rows)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    is_dear = y > np.median(y)
    classifier = fastgd.MLPClassifier(random_state=0, class_weight={True: 2.0})
    for start in range(0, 5000, n_rows):
        classifier.partial_fit(X[start : start + n_rows], is_dear[start : start + n_rows], classes=[False, True])
    assert classifier.score(X[5000:], is_dear[5000:]) > 0.85


def test_an_estimator_goes_on_from_a_fit():
    X, y = waves(300)
    model = fastgd.MLPRegressor(random_state=0, epochs=20, early_stopping=True).fit(X, y)
    assert model.best_loss_ is None
    model.set_params(early_stopping=False).partial_fit(X[:50], y[:50])
    assert model.best_loss_ == min(model.loss_curve_)
    assert (model.n_iter_, len(model.loss_curve_)) == (21, 21)
    with pytest.raises(ValueError, match="options and table ask for"):
        model.set_params(hidden_layer_sizes=(5,)).partial_fit(X, y)
