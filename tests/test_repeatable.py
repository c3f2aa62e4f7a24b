"""The same bits: for the same seed, for a row alone or among others, wherever the chunks of training end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import pytest
from networks import make_case

import fastgd
from fastgd.data import tables as data
from fastgd.kernels import cpu
from fastgd.training import loop as training
from fastgd.training.team_size import TeamSize

N = 500


def table(n_in=4, n_out=1, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(N, n_in)).astype(np.float32), generator.normal(size=(N, n_out)).astype(np.float32)


def trained(random_state=0, sizes=(4, 17, 5, 1), **options):
    X, y = table(sizes[0], sizes[-1])
    model = fastgd.MLP(list(sizes), random_state=random_state, activation="tanh")
    history = model.fit(X, y, **{"epochs": 3, "batch_size": 32, "verbose": 0, **options})
    return model, history


def test_same_seed_same_bits_and_another_seed_others():
    first, history = trained()
    again, history_again = trained()
    assert (first.parameters == again.parameters).all()
    assert history.history == history_again.history
    assert (trained(random_state=1)[0].parameters != first.parameters).any()


def test_shuffling_changes_the_steps_and_its_absence_is_repeatable():
    shuffled, plain_order = trained()[0], trained(shuffle=False)[0]
    assert (shuffled.parameters != plain_order.parameters).any()
    assert (plain_order.parameters == trained(shuffle=False)[0].parameters).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[4, 64, 64, 1], [4, 17, 1], [3, 5, 3, 2], [1, 1], [9, 130, 7]])
def test_a_row_alone_has_the_same_bits_as_in_a_batch(sizes, dtype, activation):
    X = np.random.default_rng(1).normal(size=(131, sizes[0])).astype(dtype)
    model = fastgd.MLP(sizes, dtype=dtype, activation=activation)
    together = model.predict(X)
    alone = np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    assert (together == alone).all()
    assert (model.predict(X[1:]) == together[1:]).all()


@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_chunks_do_not_matter(monkeypatch, steps):
    expected, expected_history = trained()
    monkeypatch.setattr(training, "MOST_CHUNK_STEPS", steps)
    model, history = trained()
    assert (model.parameters == expected.parameters).all()
    assert history.history == expected_history.history


def test_a_second_fit_goes_on_with_new_orders_and_the_same_scaling():
    X, y = table()
    once = fastgd.MLP([4, 8, 1])
    once.fit(X, y, epochs=4, verbose=0)
    twice = fastgd.MLP([4, 8, 1])
    twice.fit(X, y, epochs=2, verbose=0)
    twice.fit(X, y, epochs=2, verbose=0)
    assert (once.parameters == twice.parameters).all()
    before = twice.predict(X)
    twice.fit(X * 10, y, epochs=0, verbose=0)
    assert (twice.predict(X) == before).all()


def test_the_users_table_is_neither_changed_nor_copied():
    X, y = table()
    X.flags.writeable = y.flags.writeable = False
    fastgd.MLP([4, 8, 1]).fit(X, y, epochs=1, verbose=0)
    assert np.shares_memory(data.inputs(X, np.dtype("float32"), 4, None).values, X)


THREADED = {
    "shards": {"batch_size": 300, "sizes": (4, 33, 5, 1)},
    "shards, weights, all of Adam": {
        "batch_size": 400,
        "sizes": (4, 33, 5, 2),
        "optimizer": fastgd.AdamW(weight_decay=0.01, l1=0.001, clip_norm=0.5, ema_decay=0.9),
        "sample_weight": np.linspace(0, 2, N),
    },
    "columns": {"batch_size": 64, "sizes": (5, 96, 130, 3)},
    "columns, dropout and decay": {
        "batch_size": 100,
        "sizes": (5, 96, 130, 1),
        "dropout": 0.25,
        "optimizer": fastgd.RMSprop(0.001, weight_decay=0.1, momentum=0.5, clip_value=0.1, ema_decay=0.9),
    },
    "columns, slopes": {"batch_size": 64, "sizes": (5, 96, 130, 3), "activation": ["gelu", "silu"]},
    "columns, classes": {"batch_size": 64, "sizes": (40, 160, 100, 3), "loss": "cross_entropy"},
}


def in_threads(n_threads, sizes, dtype="float32", activation="tanh", dropout=0.0, loss="mse", **options):
    X, y = table(sizes[0], 1 if loss == "cross_entropy" else sizes[-1])
    model = fastgd.MLP(list(sizes), activation=activation, dropout=dropout, loss=loss, dtype=dtype)
    y = np.digitize(y[:, 0], [-0.5, 0.5]) if loss == "cross_entropy" else y
    history = model.fit(X, y, epochs=2, verbose=0, n_threads=n_threads, **options)
    return model.parameters, history


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", THREADED)
def test_the_number_of_threads_does_not_matter(name, dtype, monkeypatch):
    monkeypatch.setattr(TeamSize, "next", lambda self: self.sizes[0])  # however fast one of them would be
    alone, history = in_threads(1, dtype=dtype, **THREADED[name])
    assert history.n_threads == 1
    for n_threads in (2, 3, 4, 16):
        parameters, its_history = in_threads(n_threads, dtype=dtype, **THREADED[name])
        assert 2 <= its_history.n_threads <= n_threads
        assert (parameters == alone).all()
        assert its_history.history == history.history


@pytest.mark.parametrize(("batch_size", "sizes"), [(512, [4, 8, 1]), (64, [4, 96, 130, 1])], ids=["shards", "columns"])
@pytest.mark.parametrize("failing", [None, 0, 1, 2])
def test_a_team_whose_thread_fails_is_given_up(batch_size, sizes, failing):
    case = make_case(batch_size, sizes, "float32", batch_size=batch_size, n_threads=3)
    assert (len(case.gradients) == 1) == (batch_size == 64)
    workspaces = [None if thread == failing else workspace for thread, workspace in enumerate(case.workspaces)]
    workspaces[0] = case.workspaces[0]._replace(x=None) if failing == 0 else workspaces[0]
    before = case.net.parameters.copy()

    def train():
        return cpu.train(
            case.net, case.state, case.gradients, workspaces, np.zeros(2), case.rows, 0, batch_size, np.full(1, 0.1),
            case.loss, case.optimizer.rule(),
        )  # fmt: skip

    if failing is None:
        assert train() == 1
        assert (case.net.parameters != before).any()
        return
    with pytest.raises(numba.core.errors.TypingError, match="attribute"):
        train()
    assert (case.net.parameters == before).all()
    assert case.state.step[0] == 0


GENERIC = """
import sys; sys.path.insert(0, {tests!r})
from golden.make_hashes import CASES, hash_of, trained, written
print([hash_of(trained(case)) == written()[case] for case in CASES])
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
def test_another_processor_has_the_same_bits():
    features = llvmlite.binding.get_host_cpu_features()
    if not (features.get("fma") and features.get("avx2")):
        pytest.skip("bits are promised with FMA")
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+fma,+avx2"}
    code = GENERIC.format(tests=str(Path(__file__).parent))
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout.split() == ["[True,", "True,", "True,", "True]"], result.stderr[-500:]
