"""Trainings that blow up: what is told, which rate is recommended, and what stays as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from inside import memory_of
from samples import houses, waves

import fastgd
from fastgd.callbacks import EarlyStopping
from fastgd.errors import DivergenceError, DivergenceWarning
from fastgd.training import divergence
from fastgd.training.divergence import judge


def stream(parts=30, n=300):
    """A table that is sorted by a column of large numbers: the scaling is learned from its lowest rows."""
    X = np.random.default_rng(2).normal(size=(n, 3))
    X = X[np.argsort(X[:, 0])] * [1000, 1, 1]
    return [(X[part], 2 * X[part, 0]) for part in np.array_split(np.arange(n), parts)]


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_a_blow_up_over_many_short_fits_is_warned_of(device):
    model, seen, losses = fastgd.MLP([3, 16, 1], random_state=0), [], []
    for X, y in stream(10) * 3:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                history = model.fit(X, y, epochs=1, optimizer=fastgd.SGD(), device=device, verbose=0)
                losses += history.history["loss"]
            except DivergenceError:
                break
        seen += [(len(losses), warning.category) for warning in caught]
    assert losses[-1] > 1e9 * losses[0]
    first = next(fits for fits, category in seen if category is DivergenceWarning)
    assert losses[first - 1] < 1e4 * losses[0], "it is said before the numbers are absurd"


def test_the_yardstick_outlives_a_file_and_another_optimizer(tmp_path):
    X, y = fastgd.datasets.houses(300, random_state=0)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    model.fit(X, y, epochs=1, verbose=0)
    start = memory_of(model).start
    model.fit(X, y, epochs=1, optimizer=fastgd.Adam(), verbose=0)
    assert memory_of(model).start == start > 0
    model.save(tmp_path / "model", training_state=True)
    assert memory_of(fastgd.load(tmp_path / "model")).start == memory_of(model).start


@pytest.mark.filterwarnings("error")
def test_rows_of_another_kind_are_no_blow_up():
    """Classes that come one after the other: each time the loss is large at first."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    model = fastgd.MLP([2, 8, 1], loss="binary_cross_entropy", classes=[0, 1], random_state=0)
    for label in (0, 1, 0, 1):
        model.fit(X, np.full(200, label), epochs=20, verbose=0)
    X, y = fastgd.datasets.houses(400, random_state=0)
    houses = fastgd.MLP([4, 8, 1], random_state=0)
    for order in np.array_split(np.argsort(y), 5):
        houses.fit(X[order], y[order], epochs=3, optimizer=fastgd.Adam(), verbose=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_stream_of_single_rows_is_learned(loss, standardize):
    X = np.random.default_rng(0).normal(size=(1500, 3))
    y = 2 * X[:, 0] + X[:, 1] if loss == "mse" else (2 * X[:, 0] + X[:, 1] > 0).astype(int)
    model = fastgd.MLP([3, 16, 1], loss=loss, standardize=standardize, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        for row in range(1500):
            model.fit(X[row : row + 1], y[row : row + 1], epochs=1, optimizer=fastgd.SGD(0.02), verbose=0)
    assert model.evaluate(X, y)["r2" if loss == "mse" else "accuracy"] > 0.95


def test_a_last_step_that_blows_up_is_told():
    X, y = fastgd.datasets.houses(300, random_state=0)
    model = fastgd.MLP([4, 8, 1], activation="tanh", random_state=0)
    with pytest.warns(DivergenceWarning, match="After the last step the loss is .*: the training has blown up"):
        model.fit(X, y, epochs=1, batch_size=300, optimizer=fastgd.SGD(20.0), verbose=0)


def test_heavy_rows_are_named_where_a_training_diverges():
    X = np.random.default_rng(0).normal(size=(2000, 3))
    weights = np.where(np.arange(2000) < 20, 500.0, 1.0)
    model = fastgd.MLP([3, 16, 1], random_state=0)
    with (
        pytest.warns(DivergenceWarning),
        pytest.raises(DivergenceError, match=r"The heaviest row counts 83\.5 times the"),
    ):
        model.fit(X, X[:, 0], sample_weight=weights, optimizer=fastgd.SGD(0.5), shuffle=False, verbose=0)


@pytest.mark.tiny
def test_divergence_keeps_the_last_good_weights():
    X, y = houses(100)
    model = fastgd.MLP([4, 8, 1])
    with (
        np.errstate(all="ignore"),
        pytest.warns(DivergenceWarning, match="rose in a few steps"),
        pytest.raises(DivergenceError, match=r"diverged at step \d+ .* such as 0.1 instead of 100,"),
    ):
        model.fit(X, y, epochs=50, optimizer=fastgd.SGD(learning_rate=100), verbose=0)
    assert issubclass(DivergenceError, ArithmeticError)
    assert np.isfinite(model.parameters).all()


@pytest.mark.parametrize(
    "optimizer", [fastgd.SGD(1e6), fastgd.SGD(1e4, momentum=0.9), fastgd.SGD(1e5, ema_decay=0.9)], ids=str
)
def test_after_a_divergence_training_can_go_on(optimizer):
    X, y = waves(200)
    model = fastgd.MLP([3, 8, 1])
    start = model.evaluate(X, y)["loss"]
    stop = EarlyStopping(monitor="loss")
    with pytest.warns(DivergenceWarning, match="rose in a few steps"), pytest.raises(fastgd.errors.DivergenceError):
        model.fit(X, y, epochs=50, optimizer=optimizer, callbacks=[stop], verbose=0)
    assert model.evaluate(X, y)["loss"] < 20 * start
    model.fit(X, y, epochs=20, optimizer=fastgd.SGD(0.02), verbose=0)
    assert model.evaluate(X, y)["r2"] > 0.9


def test_divergence_names_step_layer_loss_and_a_rate():
    """The same steps one by one say at which it happens, and with what loss before."""
    X, y = houses(300)
    model, alone = fastgd.MLP([4, 16, 8, 1]), fastgd.MLP([4, 16, 8, 1])
    options = {"optimizer": fastgd.SGD(3.0), "batch_size": 300, "verbose": 0}
    with pytest.warns(DivergenceWarning, match="times what it was at first"), pytest.raises(DivergenceError) as caught:
        model.fit(X, y, epochs=200, **options)
    error, losses = caught.value, []
    with contextlib.suppress(DivergenceError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        while True:
            losses.append(alone.fit(X, y, epochs=1, shuffle=False, **options).history["loss"][0])
    assert error.step == len(losses)
    assert error.loss_before == pytest.approx(losses[-1], rel=0.1)
    assert np.isfinite(model.parameters).all()
    for part in (
        f"step {error.step} ",
        f"layer {error.layer})",
        f"{error.loss_before:.4g}",
        "such as 0.3 instead of 3",
    ):
        assert part in str(error)


CASES = {
    "far too high": (fastgd.SGD(50.0), {}, 1e-3),
    "momentum": (fastgd.SGD(0.6, momentum=0.9), {"layer_sizes": [4, 64, 64, 1]}, 1e-6),
    "absurd": (fastgd.Adam(1e30), {}, 1e-6),
    "counts": (fastgd.SGD(0.6), {"loss": "poisson", "layer_sizes": [4, 16, 1]}, 1e-6),
    "clipped": (fastgd.SGD(1e30, clip_norm=1.0), {}, 1e-6),
}


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_rate_to_try_trains(name):
    optimizer, options, least = CASES[name]
    X, y = fastgd.datasets.houses(1000, random_state=1)
    y = np.round(y / 1e5)
    model = fastgd.MLP(**{"layer_sizes": [4, 16, 8, 1], **options})
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, y, epochs=200, optimizer=optimizer, verbose=0)
    assert ("clip_norm" in str(caught.value)) == (name != "clipped")
    before, rate = model.evaluate(X, y)["loss"], caught.value.learning_rate
    assert least <= rate < optimizer.schedule.learning_rate
    model.fit(X, y, optimizer=dataclasses.replace(optimizer, learning_rate=rate), verbose=0)
    assert model.evaluate(X, y)["loss"] < before
    assert model.evaluate(X, y)["r2"] > 0.5


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_divergence_of_raw_inputs_and_of_ruined_weights():
    X, y = houses(300)
    with pytest.raises(DivergenceError, match=r"Its inputs are far from mean 0 and spread 1: scale them\."):
        fastgd.MLP([4, 16, 8, 1], standardize=False).fit(X, y, optimizer=fastgd.SGD(), verbose=0)
    scaled = fastgd.MLP([4, 16, 8, 1])
    scaled.fit(X, y, epochs=1, optimizer=fastgd.SGD(), verbose=0)
    with pytest.raises(DivergenceError, match="far from those") as caught:
        scaled.fit(1000 * X, y, verbose=0)
    assert "scale them" not in str(caught.value)
    ruined = fastgd.MLP([4, 6, 1])
    ruined.parameters[:] = 1e30
    with pytest.raises(DivergenceError, match=r"at step 0 .* no learning rate mends\. Start again from a new model\.$"):
        ruined.fit(X, y, verbose=0)


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_rows_of_another_kind_at_the_top_do_not_mislead():
    """The yardsticks are rows from all over the table: here a model that has only seen the cheapest goes on."""
    X, y = fastgd.datasets.houses(6000, random_state=0)
    X, y = X[np.argsort(y)], np.sort(y)
    rates = []
    for rate in (5.0, 0.05):
        model = fastgd.MLP([4, 16, 1])
        model.fit(X[:1000], y[:1000], epochs=20, verbose=0)
        with pytest.raises(DivergenceError) as caught:
            model.fit(X, y, epochs=3, optimizer=fastgd.SGD(rate), verbose=0)
        rates.append(caught.value.learning_rate)
    assert 1e-4 < min(rates) <= max(rates) < 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y, epochs=3, optimizer=fastgd.SGD(min(rates)), verbose=0)


def test_no_rate_is_named_where_none_was_found(monkeypatch):
    X, y = houses(300)
    monkeypatch.setattr(divergence, "LIMITS", dataclasses.replace(divergence.LIMITS, tries=0))
    with pytest.warns(DivergenceWarning), pytest.raises(DivergenceError, match="no smaller learning rate") as caught:
        fastgd.MLP([4, 16, 8, 1]).fit(X, y, optimizer=fastgd.SGD(50.0), verbose=0)
    assert np.isnan(caught.value.learning_rate)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"ema_decay": 0.99}], ids=str)
def test_everything_is_as_before_the_divergence(options, n_threads):
    """Rates were tried meanwhile: a training that goes on is that of a twin which never blew up."""
    X, y = houses(2000)
    models = []
    for blows_up in (True, False):
        model = fastgd.MLP([4, 64, 64, 1])
        model.fit(X, y, epochs=2, optimizer=fastgd.SGD(0.01, **options), verbose=0)
        if blows_up:
            shown = model.parameters.copy()
            with pytest.raises(DivergenceError):
                model.fit(X, y, batch_size=1000, n_threads=n_threads, optimizer=fastgd.SGD(1e39, **options), verbose=0)
            assert (model.parameters == shown).all()
        for _ in range(2):
            model.fit(X, y, epochs=1, optimizer=fastgd.SGD(0.01, **options), shuffle=False, verbose=0)
        models.append(model)
    assert (models[0].parameters == models[1].parameters).all()


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")
def test_rows_that_count_nothing_do_not_make_the_rest_bad():
    X, y = houses(2000)
    model = fastgd.MLP([4, 1])
    with pytest.raises(DivergenceError):
        model.fit(
            X, y, epochs=100, shuffle=False, sample_weight=np.r_[np.zeros(32), np.ones(1968)], verbose=0,
            optimizer=fastgd.SGD(lambda step: 0.05 if step < 1200 else 1e39),
        )  # fmt: skip
    assert model.evaluate(X, y)["r2"] > 0.8


GROWING = {
    "small target": ({"standardize": False, "initializer": "zeros", "dtype": "float64"}, 1e-3, 1.2, 0),
    "first rows count nothing": ({}, 1.0, 1.5, 2000),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_warning_comes_once_at_ten_times_the_first_loss_and_before_the_end(name):
    options, scale, rate, ignored = GROWING[name]
    A = np.random.default_rng(0).normal(size=(ignored + 1000, 4))
    y, weights = scale * A[:, 0], np.r_[np.zeros(ignored), np.ones(1000)]
    model, losses, warned = fastgd.MLP([4, 1], **options), [], []

    class Watch(fastgd.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            losses.append(logs["loss"])
            warned.append(len(caught))
            self.model.stop_training = len(losses) > 60 or losses[-1] > 1e4 * losses[0]

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            A, y, epochs=100, batch_size=3000, optimizer=fastgd.SGD(rate), sample_weight=weights, callbacks=[Watch()],
            verbose=0,
        )  # fmt: skip
    first = next(epoch for epoch, loss in enumerate(losses) if loss > 10 * losses[0])
    assert warned[: first - 1] == [0] * (first - 1)
    assert warned[first + 1 :] == [1] * (len(losses) - first - 1)
    assert len(losses) > first + 2
    (warning,) = caught
    assert warning.category is DivergenceWarning
    assert f" {losses[warned.index(1)] / losses[0]:.3g} times what it was at first" in str(warning.message)


@pytest.mark.parametrize(("loss", "sizes", "rate"), [("poisson", [4, 16, 1], 0.5), ("gaussian_nll", [4, 16, 2], 5.0)])
def test_likelihoods_that_blow_up_are_warned_about(loss, sizes, rate):
    X, y = fastgd.datasets.houses(2000, random_state=1)
    model = fastgd.MLP(sizes, loss=loss)
    with pytest.warns(DivergenceWarning, match="rose in a few steps to"), pytest.raises(DivergenceError):
        model.fit(X, np.round(y / 1e5), optimizer=fastgd.SGD(rate), verbose=0)


def test_the_layer_that_fails_is_the_one_that_is_named():
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 6, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.network.split(model.parameters)[1][0][:] = 1e38
    with pytest.raises(DivergenceError, match="layer 1"):
        model.fit(X, y, epochs=1, verbose=0)


@pytest.mark.tiny
@pytest.mark.parametrize(("losses", "last_good"), [((1.0, 50.0, 2500.0, 1e5), 1), ((1.0, 0.9, 0.8, 0.7), 3)])
def test_the_last_good_weights_are_from_before_a_slow_blow_up(losses, last_good):
    """A loss is held against the lowest so far: against the one before, each would be in its range."""
    training = SimpleNamespace(lowest=math.inf)
    run = SimpleNamespace(
        lowest=math.inf, last_good=None, is_warned=True, n_rows=100, training=training, unjudged=np.zeros(2)
    )
    for chunk, loss in enumerate(losses):
        run.chunk_start = chunk
        judge(run, loss, 1.0, 0.1)
    assert run.last_good == last_good


@pytest.mark.parametrize("steps_in_chunk", [1, 3, 1000])
@pytest.mark.parametrize(("height", "is_told"), [(1.0, False), (6.0, True)])
def test_a_busy_machine_whose_chunks_are_short_warns_of_the_same(monkeypatch, steps_in_chunk, height, is_told):
    """Four of 32 batches have a loss of 32 times `height` the first: together it is 4, or 20 times as high."""
    monkeypatch.setattr("fastgd.training.loop.MOST_CHUNK_STEPS", steps_in_chunk)
    model, X = fastgd.MLP([1, 1], initializer=[([[0.0]], [0.0])], standardize=False), np.zeros((1024, 1))
    y = np.ones(1024)
    y[32 * 10 : 32 * 14] = math.sqrt(32 * height)
    monkeypatch.setattr("fastgd.training.run.Run.start", 1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DivergenceWarning)
        model.fit(X, y, epochs=1, batch_size=32, shuffle=False, optimizer=fastgd.SGD(1e-9), verbose=0)
    assert [warning.category for warning in caught] == [DivergenceWarning] * is_told


@pytest.mark.parametrize("n_good", [1, 2, 3, 4])
def test_the_model_goes_back_to_where_the_last_good_chunk_began(n_good, monkeypatch):
    monkeypatch.setattr("fastgd.training.loop.MOST_CHUNK_STEPS", 1)
    X, y = waves()
    options = {"epochs": 1, "batch_size": 8, "shuffle": False, "verbose": 0}
    model, steps = (fastgd.MLP([3, 8, 1], standardize=False) for _ in range(2))
    rates = fastgd.SGD(lambda step: 0.01 if step < n_good else 1e39)
    with pytest.raises(DivergenceError):
        model.fit(X, y, optimizer=rates, **options)
    n_rows = 8 * (n_good - 1)  # of the steps before the last good one
    if n_rows:
        steps.fit(X[:n_rows], y[:n_rows], optimizer=fastgd.SGD(0.01), **options)
    np.testing.assert_array_equal(model.parameters, steps.parameters)
