"""The engine of the GPU learns, measures, explains and predicts what the CPU's does: tried without a GPU.

Its phases and launches run as plain Python, see cuda_double.py.
"""

from __future__ import annotations

import cuda_double
import numpy as np
import pandas as pd
import pytest
from test_devices import everything

import fastgd
from fastgd.errors import DivergenceError
from fastgd.explain import surface
from fastgd.losses import GaussianNLL, Huber, Quantile
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES
from fastgd.schedules import Cosine, WarmUp

N_ROWS, N_OUT = 45, 2
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
ONE_BLOCK, MANY_BLOCKS = 64, 0  # of engine.SMALL_BATCH: which kernel has the steps


@pytest.fixture(scope="module")
def engine():
    with cuda_double.engine() as engine:
        yield engine


def table(loss="mse", n_out=N_OUT):
    """Rows that suit a loss."""
    generator = np.random.default_rng(3)
    X = generator.normal(size=(N_ROWS, 3)) * [1, 5, 0.1] + [0, 3, 1]
    y = (X - [0, 3, 1]) @ generator.normal(size=(3, n_out)) + generator.normal(size=(N_ROWS, n_out))
    task = LOSSES[loss].task if isinstance(loss, str) else loss.task
    if task == "classes":
        return X, np.digitize(y[:, 0], np.quantile(y[:, 0], np.arange(1, n_out) / n_out))
    n_targets = 1 if isinstance(loss, Quantile | GaussianNLL) or loss == "gaussian_nll" else n_out
    kinds = {"counts": np.abs(y).round(), "labels": (y > 0).astype(int)}
    return X, kinds.get(task, 10 * y)[:, :n_targets]


def close(actual, expected, dtype="float32", factor=1.0):
    """Equal to rounding errors, which are held against the largest of all entries."""
    expected = np.asarray(expected, np.float64)
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=1e-30)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * factor * scale)


def trained(device, X, y, construction, fit):
    """A network after 20 steps, the last of each epoch with fewer rows, and its history."""
    model = fastgd.MLP(**{"layer_sizes": [3, 6, 5, N_OUT], "random_state": 1, "activation": "tanh"} | construction)
    options = {"epochs": 4, "batch_size": 10, "optimizer": fastgd.SGD(0.01, momentum=0.5), "verbose": 0} | fit
    return model, model.fit(X, y, device=device, **options)


def assert_same_learned(X, y, construction, fit=None):
    """Parameters, losses, predictions and errors of both engines."""
    of_cpu, of_gpu = (trained(device, X, y, construction, fit or {}) for device in ("cpu", "cuda"))
    dtype = construction.get("dtype", "float32")
    start = fastgd.MLP(**{"layer_sizes": [3, 6, 5, N_OUT], "random_state": 1} | construction).parameters
    assert start.shape != of_cpu[0].parameters.shape or np.abs(of_cpu[0].parameters - start).max() > 1e-4
    assert of_gpu[1].device == "cuda"
    close(of_gpu[0].parameters, of_cpu[0].parameters, dtype)
    for name, values in of_cpu[1].history.items():
        if name not in ("seconds", "examples_per_second"):
            close(of_gpu[1].history[name], values, dtype)
    close(of_gpu[0].predict(X), of_cpu[0].predict(X), dtype, 10)
    for name, value in of_cpu[0].evaluate(X, y).items():
        close(of_gpu[0].evaluate(X, y)[name], value, dtype, 10)
    return of_cpu[0], of_gpu[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_every_activation(engine, monkeypatch, loss, activation):
    monkeypatch.setattr(engine, "SMALL_BATCH", ONE_BLOCK)
    n_out = 3 if loss == "cross_entropy" else N_OUT
    construction = {"loss": loss, "activation": activation, "layer_sizes": [3, 5, n_out]}
    assert_same_learned(*table(loss, n_out), construction, {"optimizer": fastgd.Adam(0.005, epsilon=1e-2)})


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "identity"])
@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.any_output])
def test_every_output_activation(engine, monkeypatch, loss, activation):
    monkeypatch.setattr(engine, "SMALL_BATCH", MANY_BLOCKS)
    assert_same_learned(*table(loss), {"loss": loss, "output_activation": activation, "layer_sizes": [3, 4, N_OUT]})


LOSSES_WITH_OPTIONS = [
    (Huber(0.3), 2), (Quantile([0.1, 0.5, 0.9]), 3), ("cross_entropy", 4), ("gaussian_nll", 2),
    ("binary_cross_entropy", 1), ("poisson", 1), ("mae", 5),
]  # fmt: skip


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
@pytest.mark.parametrize(("loss", "n_out"), LOSSES_WITH_OPTIONS, ids=str)
def test_losses_in_float64(engine, monkeypatch, loss, n_out, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    construction = {"loss": loss, "layer_sizes": [3, 6, n_out], "dtype": "float64"}
    assert_same_learned(*table(loss, n_out), construction)


def test_several_targets_with_several_quantiles(engine):
    X, y = table()
    assert_same_learned(X, y, {"loss": Quantile([0.2, 0.8]), "layer_sizes": [3, 6, 4]})
    assert_same_learned(X, y, {"loss": "gaussian_nll", "layer_sizes": [3, 6, 4]})


OPTIMIZERS = {
    "descent": fastgd.SGD(0.02),
    "momentum": fastgd.SGD(0.02, momentum=0.9),
    "nesterov": fastgd.SGD(0.02, momentum=0.9, nesterov=True),
    "adagrad": fastgd.Adagrad(0.02),
    "rmsprop": fastgd.RMSprop(0.01, epsilon=1e-3),
    "rmsprop with momentum": fastgd.RMSprop(0.01, momentum=0.5, epsilon=1e-3),
    "adam": fastgd.Adam(0.01, epsilon=1e-3),
    "adamw": fastgd.AdamW(0.01, weight_decay=0.1, epsilon=1e-3),
    "weight decay": fastgd.SGD(0.02, weight_decay=0.2),
    "weight decay of biases": fastgd.SGD(0.02, weight_decay=0.2, decay_biases=True),
    "adamw, all decayed": fastgd.AdamW(0.01, weight_decay=0.3, decay_biases=True, epsilon=1e-3),
    "l1": fastgd.SGD(0.02, l1=0.1),
    "l1 of all, momentum": fastgd.SGD(0.02, momentum=0.5, l1=0.1, decay_biases=True, weight_decay=0.1),
    "clipped entries": fastgd.SGD(0.05, clip_value=0.02),
    "clipped": fastgd.SGD(0.05, clip_norm=0.1),
    "clipped twice": fastgd.Adam(0.01, clip_norm=0.05, clip_value=0.02, epsilon=1e-3),
    "averaged": fastgd.SGD(0.05, ema_decay=0.7),
    "averaged adam": fastgd.Adam(0.01, ema_decay=0.9, clip_norm=0.1, weight_decay=0.1, epsilon=1e-3),
    "cosine": fastgd.SGD(Cosine(0.05)),
    "a warm-up": fastgd.Adam(WarmUp(0.01, steps=7), epsilon=1e-3),
}


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(engine, monkeypatch, name, dtype, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    construction = {"layer_sizes": [3, 5, N_OUT], "dtype": dtype}
    assert_same_learned(*table(), construction, {"optimizer": OPTIMIZERS[name]})


CONSTRUCTIONS = {
    "dropout": {"dropout": 0.3},
    "dropout of gelu": {"dropout": [0.4, 0.0], "activation": "gelu"},
    "different layers": {"activation": ["relu", "silu"], "dropout": [0.0, 0.5]},
    "one layer": {"layer_sizes": [3, N_OUT]},
    "one layer, bent": {"layer_sizes": [3, N_OUT], "output_activation": "gelu"},
    "deep": {"layer_sizes": [3, 4, 1, 5, 3, N_OUT]},
    "wide": {"layer_sizes": [3, 37, N_OUT]},
    "monotone": {"monotone": {0: 1, 2: -1}},
    "not standardised": {"standardize": False, "loss": "huber"},
}
FITS = {
    "in order": {"shuffle": False},
    "weights": {"sample_weight": np.linspace(0, 2, N_ROWS)},
    "validation": {"validation_split": 0.3, "sample_weight": np.linspace(1, 3, N_ROWS)},
    "one batch": {"batch_size": N_ROWS, "epochs": 20},
    "single rows": {"batch_size": 1, "epochs": 1},
    "more rows than there are": {"batch_size": 1000, "epochs": 20},
}


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", [*CONSTRUCTIONS, *FITS])
def test_every_option(engine, monkeypatch, name, dtype, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    construction = CONSTRUCTIONS.get(name, {})
    cpu, _ = assert_same_learned(*table(), {"dtype": dtype, **construction}, FITS.get(name, {}))
    without, _ = trained("cpu", *table(), {"dtype": dtype}, {})
    assert not np.array_equal(cpu.parameters, without.parameters)  # the option does something


def test_weights_of_classes(engine):
    X, y = table("cross_entropy", 3)
    construction = {"loss": "cross_entropy", "layer_sizes": [3, 6, 3]}
    assert_same_learned(X, y, construction, {"class_weight": {0: 1.0, 1: 5.0, 2: 0.5}})


def frame():
    """A table with text and gaps, and what depends on both."""
    generator = np.random.default_rng(5)
    size, city = generator.uniform(30, 200, 90), generator.choice(["Bonn", "Ulm", "Trier"], 90)
    X = pd.DataFrame({"size": size, "city": city, "garden": generator.random(90) < 0.5, "age": np.arange(90.0) % 31})
    X.loc[::10, "size"], X.loc[5::10, "city"] = np.nan, None
    return X, size + 50 * (city == "Bonn")


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
@pytest.mark.parametrize("bins", [None, 5])
def test_tables_with_text_and_gaps(engine, monkeypatch, bins, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    encoding = "auto" if bins is None else fastgd.Encoding(bins=bins, least_rows=5)
    construction = {"layer_sizes": [4, 6, 1], "encoding": encoding}
    cpu, gpu = assert_same_learned(*frame(), construction, {"optimizer": fastgd.AdamW(0.01, epsilon=1e-3)})
    assert (cpu.net.lookups[:, 1].max() > 0) == (bins is not None)
    new = frame()[0].assign(city=None, size=500.0)
    close(gpu.predict(new), cpu.predict(new), factor=10)


@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
@pytest.mark.usefixtures("no_figure_is_left")
def test_all_that_a_user_may_ask_of_a_model(engine, monkeypatch, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    X, y = fastgd.datasets.houses(60, random_state=0)
    surfaces, losses_on = [], surface.losses_on
    monkeypatch.setattr(surface, "losses_on", lambda *given: surfaces.append(losses_on(*given)) or surfaces[-1])
    of_cpu, of_gpu = models = [fastgd.MLP([4, 5, 1], random_state=1, activation="gelu") for _ in range(2)]
    for model, device in zip(models, ("cpu", "cuda"), strict=True):
        model.device = device
    asked = zip(everything(of_cpu, X, y), everything(of_gpu, X, y), strict=True)
    names = []
    for (name, of_cpu_asked), (_, of_gpu_asked) in asked:
        for expected, actual in zip(*(numbers(ask()) for ask in (of_cpu_asked, of_gpu_asked)), strict=True):
            close(actual, expected, factor=50)
        names.append(name)
    assert len(names) == 13
    close(surfaces[1], surfaces[0], factor=50)
    assert of_gpu.device == "cuda"
    close(of_gpu.parameters, of_cpu.parameters)


def numbers(answer):
    """All numbers of an answer, in their order, but for how long something took and whom it belongs to."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from () if "second" in str(name) or name in ("model", "device") else numbers(value)
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from numbers(part)
    elif isinstance(answer, np.ndarray | float):
        yield from [np.asarray(answer)] if np.asarray(answer).dtype.kind == "f" else []
    elif type(answer).__module__.startswith("fastgd") and hasattr(answer, "__dict__"):
        yield from numbers(vars(answer))


@pytest.mark.filterwarnings("ignore::fastgd.errors.BlowUpWarning")
@pytest.mark.parametrize("small_batch", [ONE_BLOCK, MANY_BLOCKS])
def test_divergence_is_told_as_on_the_cpu(engine, monkeypatch, small_batch):
    monkeypatch.setattr(engine, "SMALL_BATCH", small_batch)
    X, y = table()
    told = []
    for device in ("cpu", "cuda"):
        with pytest.raises(DivergenceError) as caught:
            trained(device, X, y, {}, {"optimizer": fastgd.SGD(1e9)})
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_a_network_that_diverges_leaves_others_alone(engine):
    X, y = table()
    specs = [
        {"layer_sizes": [3, 5, N_OUT], "random_state": k, "optimizer": fastgd.SGD(rate)}
        for k, rate in enumerate((0.02, 1e9, 0.02))
    ]
    options = {"epochs": 4, "batch_size": 10, "verbose": 0}
    of_gpu = fastgd.fit_many(specs, X, y, device="cuda", **options)
    of_cpu = fastgd.fit_many(specs, X, y, device="cpu", **options)
    assert [type(record.error) for record in of_gpu] == [type(None), DivergenceError, type(None)]
    assert str(of_gpu[1].error) == str(of_cpu[1].error)
    for number in (0, 2):
        close(of_gpu[number].model.parameters, of_cpu[number].model.parameters)


def test_another_number_is_noticed():
    with pytest.raises(AssertionError):
        close(np.array([1.0, 2.0001]), np.array([1.0, 2.0]))
