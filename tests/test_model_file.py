"""Model files: what goes out comes back."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from inside import memory_of, net_of
from model_files import trained

import fastgd
from fastgd.errors import InvalidInputError, ModelFileError

FIRST_VERSION = Path(__file__).parent / "golden" / "first_version.safetensors"  # written before there were checksums


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer_sizes": [4, 8, 6, 1], "activation": ["gelu", "tanh"], "dropout": [0.1, 0.0], "dtype": "float64"},
        {"layer_sizes": [4, 8, 3], "loss": fastgd.losses.Quantile([0.1, 0.5, 0.9]), "random_state": 7},
        {"loss": fastgd.losses.Huber(delta=0.5), "standardize": False, "feature_names": ["a", "b", "c", "d"]},
        {"output_activation": "tanh"},
    ],
)
def test_there_and_back(tmp_path, options):
    model, X = trained(**options)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = fastgd.load(str(path))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert repr(loaded) == repr(model)
    assert loaded.network == model.network
    assert (loaded.feature_names, loaded.random_state) == (model.feature_names, model.random_state)
    assert memory_of(loaded) is None
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.mark.parametrize("labels", [["a", "b", "ü"], [3, 5, 9]])
def test_classes_come_back(tmp_path, labels):
    X, y = fastgd.datasets.houses(300)
    names = np.array(labels)[np.digitize(y, [3e5, 5e5])]
    model = fastgd.MLP([4, 3], loss="cross_entropy")
    model.fit(X, names, epochs=1, verbose=0)
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.evaluate(X, names) == model.evaluate(X, names)


def test_a_trained_scaling_is_kept_when_training_goes_on(tmp_path):
    model, X = trained()
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    loaded.fit(X * 100, X[:, 0], epochs=0, verbose=0)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("labels", [["late", "early"], ["x"], [7, -3], [True, False], np.array([2, 9], "u1")])
def test_classes_that_are_few_and_in_any_order_come_back(tmp_path, labels):
    model = fastgd.MLP([2, 3], loss="cross_entropy")
    model.schema = dataclasses.replace(model.schema, classes=np.array(labels))
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    assert loaded.classes.tolist() == model.classes.tolist()
    assert loaded.classes.dtype == model.classes.dtype


def test_classes_that_were_named_are_known_after_loading(tmp_path):
    X, y = np.arange(8.0).reshape(4, 2), ["no", "no", "yes", "no"]
    for named in (None, ["yes", "no"]):
        fastgd.MLP([2, 1], loss="binary_cross_entropy", classes=named).save(tmp_path / "m")
        loaded = fastgd.load(tmp_path / "m")
        loaded.fit(X, y, epochs=1, verbose=0)
        assert loaded.classes.tolist() == (named or ["no", "yes"])


def test_an_array_of_labels_may_be_wider_than_its_labels(tmp_path):
    model = fastgd.MLP([2, 2], loss="cross_entropy")
    model.schema = dataclasses.replace(model.schema, classes=np.array(["no", "yes"], "U300000"))
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    assert loaded.classes.tolist() == ["no", "yes"]
    assert loaded.classes.nbytes < 100


def test_an_input_that_never_varied_comes_back(tmp_path):
    X, y = fastgd.datasets.houses(50)
    X[:, 1] = 3
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, verbose=0)
    net_of(model).input_std[1] = np.inf
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    np.testing.assert_array_equal(net_of(loaded).input_std, net_of(model).input_std)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_loss_at_the_start_comes_back(tmp_path):
    X, y = fastgd.datasets.houses(50)
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, verbose=0)
    for start in (0.1 + 0.2, -3.5, float("nan"), float("inf")):
        memory_of(model).start = start
        model.save(tmp_path / "m", training_state=True)
        assert repr(memory_of(fastgd.load(tmp_path / "m")).start) == repr(start)


def test_a_file_of_the_first_version_is_read():
    model = fastgd.load(FIRST_VERSION)
    X, _ = fastgd.datasets.houses(200)
    assert model.predict(X[:6]).tolist() == ["cheap", "dear", "dear", "dear", "dear", "dear"]
    shares = [[0.46262335777282715, 0.07994908839464188, 0.4574275314807892]]
    np.testing.assert_allclose(model.predict_proba(X[:1]), shares, rtol=1e-6)
    kept = memory_of(model)
    assert (kept.epoch, kept.state.step[0], kept.origin, kept.start != kept.start) == (2, 14, 0, True)
    assert kept.plateau.best == 1.1929392433166504
    model.fit(X, np.repeat(["cheap", "dear"], 100), epochs=1, verbose=0)


def test_another_library_reads_the_arrays(whole):
    from safetensors.numpy import load_file

    arrays = load_file(whole[1])
    np.testing.assert_array_equal(arrays["parameters"], whole[0].parameters)
    assert sorted(name for name in arrays if "." not in name) == sorted(["parameters", *arrays.keys() & {
        "input_mean", "input_std", "target_mean", "target_std"}])  # fmt: skip


@pytest.mark.parametrize("name", [5, None, b"m", "m\0", "m\ud800", ["m"]])
def test_what_is_no_name_of_a_file(name):
    for call in (fastgd.load, fastgd.MLP([2, 1]).save):
        with pytest.raises(ModelFileError, match="is not the name of a file"):
            call(name)


def test_a_function_is_not_saved_with_the_training_state(tmp_path):
    X, y = fastgd.datasets.houses(50)
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(learning_rate=lambda t: 0.01), verbose=0)
    with pytest.raises(InvalidInputError, match="a function cannot be saved with the training state"):
        model.save(tmp_path / "m", training_state=True)
    model.save(tmp_path / "m")
    assert fastgd.load(tmp_path / "m").predict(X).shape == (50,)


def test_the_place_of_a_training_comes_back(tmp_path):
    model, X = trained()
    schedule = fastgd.schedules.ReduceOnPlateau(0.01, patience=3, monitor="loss")
    model.fit(X, X[:, 0], epochs=2, optimizer=fastgd.SGD(schedule), verbose=0)
    memory = memory_of(model)
    memory.epoch, memory.origin = 9, 5
    memory.plateau.share, memory.plateau.best, memory.plateau.waited = 0.25, 0.1 + 0.2, 2
    model.save(tmp_path / "m", training_state=True)
    loaded = memory_of(fastgd.load(tmp_path / "m"))
    assert (loaded.epoch, loaded.origin, loaded.steps) == (9, 5, memory.steps)
    assert loaded.plateau == memory.plateau
    assert loaded.optimizer == memory.optimizer


def test_names_of_the_target_come_back(tmp_path):
    import pandas as pd
    import polars as pl

    X, y = fastgd.datasets.houses(100)
    two = pd.DataFrame({"price": y, "half": y / 2})
    for given, n_out, names in (
        (pd.Series(y, name="price"), 1, ("price",)), (pl.Series("price", y), 1, ("price",)),
        (two, 2, ("price", "half")), (two[["half"]], 1, ("half",)), (pd.Series(y), 1, None), (pl.Series(y), 1, None),
        (y, 1, None), (two.to_numpy(), 2, None),
    ):  # fmt: skip
        model = fastgd.MLP([4, n_out])
        assert model.target_names is None
        model.fit(X, given, epochs=1, verbose=0)
        model.save(tmp_path / "m")
        fastgd.Ensemble([model]).save(tmp_path / "e")
        found = [one.target_names for one in (model, fastgd.load(tmp_path / "m"), fastgd.load(tmp_path / "e"))]
        assert found == [names] * 3
    model = fastgd.MLP([4, 1])
    model.target_names = ["price"]
    model.fit(X, pd.Series(y, name="another"), epochs=1, verbose=0)
    assert model.target_names == ("price",)
    with pytest.raises(InvalidInputError, match="target_names must be a list of 1 different names"):
        model.target_names = ["a", "b"]
