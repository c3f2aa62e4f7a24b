"""The worked examples of compiled code run, and do what they say."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

import fastgd

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="a million cases in plain Python"),
]


@pytest.fixture(autouse=True)
def without_a_screen():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    pyplot.close("all")
    matplotlib.use(before)


def example(name):
    return runpy.run_path(str(EXAMPLES / f"plot_{name}.py"))


def test_a_surrogate_agrees_with_the_simulation_and_beats_a_plane():
    told = example("monte_carlo")
    assert told["error"] < 0.003
    assert told["error_of_plane"] > 5 * told["error"]
    assert told["uncertain"].mean() < 0.3 * told["error"], "what is exact enough to compare with"
    assert len(told["lost"]) == 1_000_000
    untrained = fastgd.MLP([3, 32, 32, 1], activation="silu", random_state=0)
    assert np.sqrt(np.mean((untrained.predict(told["unseen"]) - told["exact"]) ** 2)) > 20 * told["error"]


def test_a_stream_is_learned_and_a_change_in_it_followed():
    told = example("online_stream")
    errors, before, after = told["errors"], told["before"], told["after"]
    assert told["lost"] == 0
    assert errors[before, 0] < 80, "kW, of up to 2,000"
    assert errors[before + 1, 0] > 1.1 * errors[before, 0], "the damage is a change"
    assert errors[before + 20, 0] < errors[before, 0], "which is learned in two thousand measurements"
    assert errors[after, 0] < 70
    assert errors[after, 1] > 3 * errors[after, 0], "who stands still stays wrong"


def test_a_pole_is_balanced_whatever_the_seed():
    told = example("cartpole")
    play, trained = told["play"], told["trained"]
    assert told["after"].mean() >= 475, "of 500 steps"
    assert play(trained(seed=0, n_steps=10)[0].compiled(), 20, 1).mean() < 50, "who has not learned drops it"
    for seed in (1, 2):
        assert play(trained(seed)[0].compiled(), 20, seed).mean() >= 475
