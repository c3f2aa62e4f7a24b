"""Health: what is planted is found, and what is well is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from samples import FEATURES, houses

import fastgd
from fastgd.errors import DivergenceError


def test_planted_dead_units_are_found():
    X, y = houses(300)
    model = fastgd.MLP([4, 16, 8, 1])
    model.fit(X, y, epochs=2, verbose=0)
    assert not model.health(X, y).of("dead units")
    model.network.split(model.parameters)[0][1][[2, 5, 11]] = -1e3  # biases that no house can lift
    (finding,) = model.health(X).of("dead units")
    assert (finding.layer, model.health(X).layers["dead"].tolist()) == (0, [3, 0, 0])
    assert "3 of 16 relu units" in finding.message


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_planted_saturated_units_are_found(activation):
    X, y = houses(300)
    model = fastgd.MLP([4, 12, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    assert not model.health(X, y).of("saturated units")
    model.network.split(model.parameters)[0][1][[1, 7]] = [1e3, -1e3]
    assert model.health(X).layers["saturated"].tolist() == [2, 0]


def test_gradients_that_vanish_or_explode_and_steps_of_the_wrong_size():
    X, y = houses(300)
    deep = fastgd.MLP([4, *[8] * 12, 1], activation="sigmoid", initializer="glorot_uniform")
    deep.fit(X, y, epochs=0, verbose=0)
    assert deep.health(X, y).of("vanishing gradients")
    wild = fastgd.MLP([4, *[8] * 8, 1], activation="identity")
    wild.fit(X, y, epochs=0, verbose=0)
    for weights, _ in wild.network.split(wild.parameters)[1:]:
        weights *= 30
    wild.network.split(wild.parameters)[0][0][:] *= 1e-9
    assert wild.health(X, y).of("exploding gradients")
    well = fastgd.MLP([4, 16, 1])
    well.fit(X, y, epochs=3, optimizer=fastgd.SGD(0.01), verbose=0)
    assert not well.health(X, y).findings
    assert "Nothing to worry about." in repr(well.health(X, y))
    for rate, kind in ((5.0, "bold steps"), (1e-9, "timid steps")):
        well.fit(X, y, epochs=0, optimizer=fastgd.SGD(rate), verbose=0)
        assert well.health(X, y).of(kind)


@pytest.mark.parametrize("activation", ["elu", "gelu", "silu", "softplus"])
def test_dead_units_of_other_activations(activation):
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    assert not model.health(X, y).of("dead units")
    model.network.split(model.parameters)[0][1][[1, 2]] = -1e3
    health = model.health(X, y)
    assert health.layers["dead"].tolist() == [2, 0]
    assert f"2 of 8 {activation} units are flat" in str(health.of("dead units"))
    still = model.network.split(np.abs(model.gradient(X, y)))[0][0].sum(axis=0) == 0
    assert np.flatnonzero(still).tolist() == [1, 2]


@pytest.mark.parametrize("activation", ["leaky_relu", "identity"])
def test_units_that_cannot_die(activation):
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1], activation=activation)
    model.fit(X, y, epochs=1, verbose=0)
    model.network.split(model.parameters)[0][1][:] = -1e3
    assert not model.health(X).findings


def test_fresh_networks_at_their_default_rate_are_healthy():
    X, y = fastgd.datasets.houses(2000, random_state=1)
    for seed in range(10):
        for sizes in ([4, 1], [4, 16, 1], [4, 64, 64, 1]):
            model = fastgd.MLP(sizes, random_state=seed)
            model.fit(X, y, epochs=0, verbose=0)
            assert {finding.kind for finding in model.health(X, y).findings} <= {"dead units"}
    assert fastgd.MLP([4, 64, 64, 1]).health(X, y, fastgd.SGD(5.0)).of("bold steps")
    model.fit(X, y, epochs=5, batch_size=64, optimizer=fastgd.SGD(0.01), verbose=0)
    assert not model.health(X, y).of("bold steps")
    assert model.health(X, y, fastgd.SGD(5.0)).of("bold steps")


def test_a_step_of_half_the_weights_is_bold_only_after_the_first_steps():
    X, y = fastgd.datasets.houses(2000, random_state=1)
    model = fastgd.MLP([4, 16, 1])
    for n_steps, is_bold in ((0, False), (125, True)):
        model.fit(X, y, epochs=n_steps * 16 // 2000, batch_size=16, optimizer=fastgd.SGD(1e-3), verbose=0)
        longest = model.health(X, y, fastgd.SGD(1.0)).layers["nudge / weights"].max()
        found = model.health(X, y, fastgd.SGD(0.5 / longest))
        assert found.layers["nudge / weights"].max() == pytest.approx(0.5, rel=1e-3)
        assert bool(found.of("bold steps")) is is_bold


def test_a_schedule_at_its_end_and_a_network_at_its_goal_are_not_timid():
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=5, optimizer=fastgd.SGD(fastgd.schedules.Cosine(0.05, steps=50)), verbose=0)
    assert model.health(X, y).layers["nudge / weights"].tolist() == [0, 0]
    assert not model.health(X, y).findings
    linear = fastgd.MLP([4, 1], dtype="float64")
    y = X @ [1.0, 2.0, 3.0, 4.0]
    linear.fit(X, y, epochs=3000, batch_size=300, optimizer=fastgd.SGD(0.2), verbose=0)
    assert linear.health(X, y).layers["nudge / weights"][0] < 1e-7
    assert not linear.health(X, y).findings


def test_a_few_rows_prove_little():
    X, y = houses(300)
    model = fastgd.MLP([4, 16, 1])
    model.fit(X, y, epochs=3, verbose=0)
    for n, words in ((1, "for the one row"), (5, "for all 5 rows")):
        (finding,) = model.health(X[:n]).of("dead units")
        assert words in finding.message
        assert "can no longer learn" not in finding.message
        assert "show it more rows" in finding.advice


def test_health_of_networks_that_are_out_of_range():
    X, y = houses(300)
    model = fastgd.MLP([4, 6, 6, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.parameters[:] = 1e30
    health = model.health(X, y)
    (finding,) = health.of("numbers out of range")
    assert finding.layer == 1
    assert health.of("bold steps")
    assert health.of("exploding gradients")
    assert not health.of("saturated units")
    assert not health.of("vanishing gradients")
    zeros = fastgd.MLP([4, 6, 1], initializer="zeros")
    zeros.fit(X, y, epochs=0, verbose=0)
    assert zeros.health(X, y).layers["nudge / weights"].tolist() == [0, 0]
    assert zeros.health(X, y).of("dead units")
    deep = fastgd.MLP([4, *[16] * 10, 1])
    deep.fit(X, y, epochs=0, verbose=0)
    deep.parameters[:] *= 8
    assert not deep.health(X, y).of("vanishing gradients")
    assert "%" not in str(deep.health(X, y).of("bold steps"))


def test_health_of_a_model_that_was_never_fitted_has_one_scale():
    X, y = houses(300)
    fresh, begun = fastgd.MLP([4, 8, 1]), fastgd.MLP([4, 8, 1])
    begun.fit(X, y, epochs=0, verbose=0)
    assert fresh.health(X, y).layers.to_dict() == begun.health(X, y).layers.to_dict()
    (finding,) = fresh.health(X).of("unscaled inputs")
    assert "fit it" in finding.advice
    labels = np.where(y > 4e5, "dear", "cheap")
    assert len(fastgd.MLP([4, 8, 1], loss="binary_cross_entropy").health(X, labels).layers) == 2


def test_health_after_a_first_fit_with_a_plateau_that_blew_up():
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1])
    optimizer = fastgd.SGD(fastgd.schedules.ReduceOnPlateau(1e39))
    with pytest.raises(DivergenceError):
        model.fit(X, y, validation_split=0.2, optimizer=optimizer, verbose=0)
    assert model.health(X, y).of("bold steps")
    assert not model.health(X, y, fastgd.SGD()).of("bold steps")


def test_networks_with_one_answer_are_found_and_told_to_start_again():
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=3, verbose=0)
    assert not model.health(X, y).of("constant predictions")
    model.network.split(model.parameters)[0][1][:] = -1e3
    assert model.health(X, y).of("constant predictions")
    assert "start again from a new model" in model.health(X, y).of("dead units")[0].advice
    deep = fastgd.MLP([4, *[16] * 6, 1], activation="sigmoid")
    deep.fit(X, y, epochs=20, optimizer=fastgd.SGD(), verbose=0)
    assert deep.evaluate(X, y)["r2"] < 0.1
    assert deep.health(X, y).of("constant predictions")


@pytest.mark.parametrize("rate", [1e-4, 1e-5, 1e-6])
def test_rates_that_are_far_too_low_are_found(rate):
    X, y = houses(1000)
    model = fastgd.MLP([4, 32, 32, 1], random_state=0)
    model.fit(X, y, epochs=20, optimizer=fastgd.SGD(rate), verbose=0)
    health = model.health(X, y)
    assert health.of("timid steps")
    assert not health.of("bold steps")


def test_a_target_that_nobody_has_scaled_is_found():
    X, y = houses(300)
    raw = fastgd.MLP([4, 8, 1], standardize=False)
    raw.fit(X / 100, y, epochs=0, verbose=0)
    assert "standardize=True" in raw.health(X / 100, y).of("unscaled target")[0].advice
    assert not raw.health(X / 100, y / 4e5).of("unscaled target")
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, epochs=0, verbose=0)
    assert "differ from those" in model.health(X, 1000 * y).of("unscaled target")[0].advice


def test_the_table_of_a_deep_network_is_whole():
    X, y = houses(300)
    health = fastgd.MLP([4, *[8] * 24, 1]).health(X, y)
    assert len(repr(health.layers).splitlines()) == 27


def test_inputs_that_are_too_small_are_found():
    X, y = houses(300)
    small = fastgd.MLP([4, 8, 1], standardize=False, feature_names=FEATURES)
    small.fit(X * [1e-9, 0.1, 0.1, 0.01], y / 1e5, epochs=0, verbose=0)
    (finding,) = small.health(X * [1e-9, 0.1, 0.1, 0.01]).of("unscaled inputs")
    assert finding.message.startswith("1 of 4 inputs reaches the network far from mean 0 and spread 1: Size.")
    other = fastgd.MLP([4, 8, 1])
    other.fit(X, y, epochs=0, verbose=0)
    assert "differ from those" in other.health(X * 100).of("unscaled inputs")[0].advice


def test_raw_inputs_are_found():
    X, y = houses(300)
    raw = fastgd.MLP([4, 8, 1], standardize=False, feature_names=FEATURES)
    (finding,) = raw.health(X).of("unscaled inputs")
    assert "Size" in finding.message
    scaled = fastgd.MLP([4, 8, 1])
    scaled.fit(X, y, epochs=0, verbose=0)
    assert not scaled.health(X).of("unscaled inputs")
