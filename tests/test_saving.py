"""Files: what goes out comes back, whole or not at all, and what is not ours is refused with one sentence."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest

import fastgd
from fastgd import saving
from fastgd.errors import InvalidInputError, ModelFileError


def trained(**options):
    X, y = fastgd.datasets.houses(200)
    model = fastgd.MLP(**{"layer_sizes": [4, 8, 1], **options})
    model.fit(X, y, epochs=1, verbose=0)
    return model, X


def with_header(path, change):
    """Rewrite the JSON header of a safetensors file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    inner = json.loads(header["__metadata__"]["fastgd"])
    change(inner)
    header["__metadata__"]["fastgd"] = json.dumps(inner)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


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
    assert loaded._training is None
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


def test_files_that_are_no_models(tmp_path):
    model, _ = trained()
    path = tmp_path / "m"
    model.save(path)
    whole = path.read_bytes()

    def refused(message, name="m"):
        with pytest.raises(ModelFileError, match=message) as caught:
            fastgd.load(tmp_path / name)
        assert isinstance(caught.value, OSError)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)

    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused("is truncated, or not a safetensors file")
    path.write_bytes(b"PK\x03\x04" + os.urandom(2000))
    refused("is truncated, or not a safetensors file")
    refused("is not there: name a file", "none")
    refused("is a folder: name a file", ".")
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "foreign", metadata={"format": "pt"})
    refused("but not one that fastgd wrote", "foreign")
    for change, message in (
        (lambda header: header.update(format=2), "has format 2, and this version of fastgd reads up to 1: update"),
        (lambda header: header.update(layer_sizes=[4, 9, 1]), "does not hold a whole model"),
        (lambda header: header.update(loss={"name": "mystery"}), "does not hold a whole model"),
        (lambda header: header.update(loss={"name": "huber", "delta": -1}), "delta must be a positive number"),
        (lambda header: header.update(dtype="float64"), "does not hold a whole model"),
        (lambda header: header.pop("activations"), "does not hold a whole model"),
        (lambda header: header.update(classes={"dtype": "<i8", "values": [1, 2]}), "2 classes do not fit"),
        (lambda header: header.update(training={"optimizer": {"name": "Sneaky"}}), "does not hold a whole model"),
    ):
        path.write_bytes(whole)
        with_header(path, change)
        refused(message)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    model, X = trained()
    path = tmp_path / "m"
    model.save(path)
    before = path.read_bytes()
    model.fit(X, X[:, 0], epochs=1, verbose=0)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(ModelFileError, match="m cannot be written: No space left on device"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="cannot be written: No such file"):
        model.save(tmp_path / "nowhere" / "m")


def test_a_function_is_not_saved_with_the_training_state(tmp_path):
    X, y = fastgd.datasets.houses(50)
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, optimizer=fastgd.SGD(learning_rate=lambda t: 0.01), verbose=0)
    with pytest.raises(InvalidInputError, match="a function cannot be saved with the training state"):
        model.save(tmp_path / "m", training_state=True)
    model.save(tmp_path / "m")
    assert fastgd.load(tmp_path / "m").predict(X).shape == (50,)


def test_a_name_that_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, message in ((tmp_path / "pipe", "no file that could be replaced"), (tmp_path, "it is a folder")):
        with pytest.raises(ModelFileError, match=message):
            fastgd.MLP([2, 1]).save(place)
    assert (tmp_path / "pipe").is_fifo()
