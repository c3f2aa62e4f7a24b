"""The GPU engine beside the loops of the CPU, on a card (`pytest -m gpu`) and on the double, by the same functions.

What a card compiles takes seconds a kernel, so that few shapes are tried there, and tests share them.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any, NamedTuple

import cuda_double
import numpy as np
import pytest

import fastgd
from fastgd import kernels
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES
from fastgd.training.optimizers import OPTIMIZERS

NEAR = 1e-4  # of the largest number: after twenty steps in float32
MODERATE = fastgd.SGD(learning_rate=0.02, momentum=0.9)


class Place(NamedTuple):
    """Where the engine runs, and sizes that suit it."""

    engine: ModuleType
    hidden: tuple[int, ...]
    small: int  # rows of a batch that one block takes; four times as many are for several
    wide: int  # units of two layers that take more than 48 KB of shared memory where there is more
    huge: int  # and of two whose weights do not fit in there
    threads: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Twenty small batches."""
        return 20 * self.small

    @property
    def memory(self) -> ModuleType:
        """How the engine decides what lies where."""
        return importlib.import_module("fastgd.kernels.cuda.memory")


def card() -> Place:
    """The device, or a test that is skipped."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        pytest.skip("the simulator is no card")
    missing = kernels.missing("cuda")
    if missing:
        pytest.skip(missing)
    return Place(kernels.engine("cuda"), (64, 64), 32, 128, 300, (32, 256))


@pytest.fixture(params=["double", pytest.param("card", marks=pytest.mark.gpu)])
def place(request):
    """The engine on the double or on a card."""
    if request.param == "card":
        yield card()
        return
    with cuda_double.engine(limit=72 << 10) as engine:
        engine.SMALL_BATCH = 8
        yield Place(engine, (6, 5), 8, 104, 130, (1, 16))


class Trained(NamedTuple):
    """A network after its steps."""

    model: Any
    history: Any

    @property
    def numbers(self) -> Any:
        """All that was learned."""
        return self.model.parameters


def table(n, loss="mse"):
    """Rows, and targets that suit a loss."""
    X, y = fastgd.datasets.houses(n, random_state=1)
    if loss == "cross_entropy":
        return X, np.digitize(y, np.quantile(y, [0.3, 0.7]))
    if loss == "binary_cross_entropy":
        return X, (y > np.median(y)).astype(np.int64)
    return X, (y / 1e5).round() if loss == "poisson" else y


def trained(place, device, sizes=None, steps=20, batch=None, options=None, rows=None, **network):
    """A network of its own after so many steps."""
    X, y = rows or table(place.rows, network.get("loss", "mse"))
    batch = batch or place.small
    model = fastgd.MLP(list(sizes or (4, *place.hidden, 1)), random_state=3, **network)
    n_rows = min(len(y), steps * batch)
    X, y = X[:n_rows], y[:n_rows]
    asked = {"optimizer": MODERATE, "verbose": 0, "epochs": -(-steps * batch // n_rows), **(options or {})}
    return Trained(model, model.fit(X, y, batch_size=batch, device=device, **asked))


def near(found, wanted, factor=1.0):
    """Whether numbers are those of the other engine, each as near as the largest allows."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= factor * NEAR * np.abs(wanted).max()


def alike(place, **options):
    """Both engines learn the same, and it is something; returns what each has learned."""
    ours, theirs = (trained(place, device, **options) for device in ("cuda", "cpu"))
    assert ours.history.device == "cuda"
    near(ours.numbers, theirs.numbers)
    near(ours.history.history["loss"], theirs.history.history["loss"])
    start = trained(place, "cpu", **{**options, "options": {**options.get("options", {}), "epochs": 0}}).numbers
    with pytest.raises(AssertionError):
        near(start, theirs.numbers)
    return ours, theirs


@pytest.mark.parametrize("times", [1, 4], ids=["one block", "many blocks"])
def test_it_learns_what_the_cpu_learns(place, times):
    ours, theirs = alike(place, batch=times * place.small)
    X, y = table(place.rows)
    near(ours.model.predict(X), theirs.model.predict(X))
    for name, value in theirs.model.evaluate(X, y).items():
        near([ours.model.evaluate(X, y)[name]], [value], factor=10)
    near(ours.model.gradient(X, y), theirs.model.gradient(X, y), factor=10)


def test_layers_are_seen_as_on_the_cpu(place):
    ours, theirs = (trained(place, device) for device in ("cuda", "cpu"))
    X, y = table(place.rows)
    found, wanted = ours.model.health(X, y), theirs.model.health(X, y)
    assert str(found) == str(wanted)


def test_every_activation(place):
    names = [name for name in ACTIVATIONS if name != "identity"]
    alike(place, sizes=(4, *[5] * len(names), 1), activation=names, options={"optimizer": fastgd.SGD(0.005)})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(place, loss):
    n_out = {"cross_entropy": 3, "gaussian_nll": 2}.get(loss, 1)
    weights = np.random.default_rng(0).uniform(0.5, 2, place.rows)
    alike(place, sizes=(4, 3, n_out), activation="tanh", loss=loss, options={"sample_weight": weights})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(place, name):
    options = {"clip_norm": 1.0} if name == "Adam" else {}
    if name == "AdamW":
        options = {"weight_decay": 0.1, "l1": 1e-3, "ema_decay": 0.9, "clip_value": 0.5}
    optimizer = OPTIMIZERS[name](learning_rate=0.01, **options)
    alike(place, batch=4 * place.small, options={"optimizer": optimizer})


def test_dropout_bins_and_the_default_optimizer_in_float64(place):
    sizes, encoding = (4, 6, 1), fastgd.Encoding(bins=4)
    alike(place, sizes=sizes, dropout=0.2, encoding=encoding, dtype="float64", options={"optimizer": None})


def test_two_runs_have_the_same_bits(place):
    for times in (1, 4):
        first, second = (trained(place, "cuda", batch=times * place.small).numbers for _ in range(2))
        assert (first == second).all()
    X, y = table(place.rows)
    model = trained(place, "cuda").model
    assert (model.predict(X) == model.predict(X)).all()
    assert (model.gradient(X, y) == model.gradient(X, y)).all()


def test_many_networks_learn_in_one_launch_what_each_learns_alone(place, monkeypatch):
    X, y = table(place.rows)
    train, together = place.engine._train_by_networks, []
    monkeypatch.setattr(place.engine, "_train_by_networks", lambda some: together.append(len(some)) or train(some))
    specs = [{"random_state": seed, "optimizer": fastgd.SGD(0.01 * (1 + seed), momentum=0.9)} for seed in range(3)]
    shape = {"layer_sizes": [4, *place.hidden, 1]}
    records = fastgd.fit_many(specs, X, y, epochs=1, batch_size=place.small, device="cuda", verbose=0, **shape)
    assert set(together) == {3}
    for spec, record in zip(specs, records, strict=True):
        model = fastgd.MLP(shape["layer_sizes"], random_state=spec["random_state"])
        model.fit(X, y, 1, place.small, spec["optimizer"], device="cuda", verbose=0)
        assert record.error is None
        assert (record.model.parameters == model.parameters).all()
    assert (records[0].model.parameters != records[1].model.parameters).any()


def test_numbers_of_threads_and_blocks_do_not_matter(place, monkeypatch):
    X, _ = table(place.rows)

    def bits():
        runs = [trained(place, "cuda", batch=times * place.small) for times in (1, 4)]
        return [*(run.numbers for run in runs), runs[0].model.predict(X)]

    before, seen = bits(), set()
    launched = place.memory.threads_of
    monkeypatch.setattr(place.memory, "threads_of", lambda *given: seen.add(launched(*given)) or launched(*given))
    for threads, blocks in zip(place.threads, (3, 1), strict=True):
        monkeypatch.setattr(place.memory, "LEAST_THREADS", threads)
        monkeypatch.setattr(place.memory, "MOST_THREADS", threads)
        monkeypatch.setattr(sys.modules[f"{place.engine.__package__}.launches"], "TILE_BLOCKS", blocks)
        for found, wanted in zip(bits(), before, strict=True):
            assert (found == wanted).all()
    assert seen == set(place.threads)


def room_of(place, sizes):
    """What of a network lies in shared memory where it trains in small batches."""
    model = fastgd.MLP(list(sizes), random_state=0)
    return place.memory.work_of(model.net, model.objective, place.small, trains=True).room


def test_more_shared_memory_than_every_block_has(place):
    if place.memory.shared_limit() <= 48 << 10:
        pytest.skip("the package cannot ask for more than 48 KB of shared memory")
    sizes = (4, place.wide, place.wide, 1)
    room = room_of(place, sizes)
    assert room.parameters
    assert room.bytes > 48 << 10
    alike(place, sizes=sizes, steps=2, options={"optimizer": fastgd.SGD(0.002)})


def test_a_network_whose_weights_do_not_fit(place):
    sizes = (4, place.huge, place.huge, 1)
    assert not room_of(place, sizes).parameters
    alike(place, sizes=sizes, steps=2, options={"optimizer": fastgd.SGD(0.002)})


@pytest.mark.gpu
def test_tensors_of_pytorch_are_taken_where_they_lie(monkeypatch):
    place, torch = card(), pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no card")
    X, y = (np.asarray(part, np.float32) for part in table(place.rows))
    there = torch.tensor(X, device="cuda"), torch.tensor(y, device="cuda")
    pointers, on_device = set(), place.engine.on_device

    def noted(array):
        found = on_device(array)
        pointers.add(found.__cuda_array_interface__["data"][0])
        return found

    monkeypatch.setattr(place.engine, "on_device", noted)
    ours = trained(place, "cuda", rows=there)
    assert {tensor.data_ptr() for tensor in there} <= pointers
    near(ours.numbers, trained(place, "cuda", rows=(X, y)).numbers)
    assert (ours.model.predict(there[0]) == ours.model.predict(X)).all()
