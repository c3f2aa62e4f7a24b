"""Model files whose header or numbers cannot be are refused with one sentence, on the way in and on the way out."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from inside import memory_of, net_of
from model_files import assembled, parts, peak, same, stateful, trained, with_header

import fastgd
from fastgd.errors import ModelFileError
from fastgd.files.model_file import STATE


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
        (lambda header: header.update(format=3), "has format 3, and this version of fastgd reads up to 2: update"),
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


FIELDS = [
    ("layer_sizes", None), ("layer_sizes", "43"), ("layer_sizes", [4, True]), ("layer_sizes", [4.0, 3]),
    ("layer_sizes", [4, 3, 0]), ("layer_sizes", {"4": 1, "3": 1}), ("activations", "identity"), ("activations", []),
    ("activations", [["identity"]]), ("activations", [None]), ("activations", ["x" * 100_000]), ("loss", "mse"),
    ("loss", {}), ("loss", {"name": ["mse"]}), ("loss", {"name": "cross_entropy", "delta": 1.0}), ("dropout", None),
    ("dropout", [0]), ("dropout", [False]), ("dropout", [0.5]), ("dropout", [0.0, 0.0]), ("dtype", "float16"),
    ("dtype", "int64"), ("dtype", "(,)f4"), ("dtype", ["float32"]), ("standardize", 1), ("standardize", None),
    ("scaled", 1), ("scaled", "yes"), ("feature_names", ["w", "x", "y", 4]), ("feature_names", ["w", "x", "y", "y"]),
    ("feature_names", "wxyz"), ("feature_names", {"w": 1, "x": 1, "y": 1, "z": 1}), ("random_state", None),
    ("random_state", False), ("random_state", 0.0), ("random_state", "0"), ("random_state", -1),
    ("random_state", 1 << 64), ("classes", None), ("classes", ["a", "b", "c"]), ("format", True), ("format", 1.0),
    ("format", "1"), ("format", 0), ("format", None), ("more", None), ("target_names", None),
    ("target_names", "y"), ("target_names", ["y", "z"]), ("target_names", [1]), ("training", None), ("training", {}),
]  # fmt: skip


CLASSES = [
    ("<U1", ["a", "b", "b"]), ("<U1", ["a", "b", 3]), ("<U1", []), ("<U1", ["a", "b", "c", "d"]), ("<U1", "abc"),
    ("<U1", ["a", "b", "cc"]), ("<U1", ["a", "b", None]), ("<U9", ["a", "b", "b\0"]),
    ("<U9999", ["a", "b", "c" * 2000]),
    ("<i8", [1, 2, 1]), ("<i8", [1, 2, True]), ("<i8", [1, 2, 3.0]), ("<i8", [1, 2, "3"]), ("|u1", [1, 2, 300]),
    ("|u1", [1, 2, -1]), ("<i8", [1, 2, 1 << 63]), ("|b1", [True, False, True]), ("|b1", [0, 1]), ("<f8", [1, 2, 3]),
    ("(,)f4", [1, 2, 3]), ("i8,i8", [1, 2, 3]), ("(1000000000,)i8", [1, 2, 3]), ("<i3", [1, 2, 3]), ("O", [1, 2, 3]),
    ("object", [1, 2, 3]), ("<U", ["a", "b", "c"]), ("<U1\n", ["a", "b", "c"]), ("<U١", ["a", "b", "c"]),
    ("<U99999999999999999999", ["a", "b", "c"]), ("|S1", ["a", "b", "c"]), ("<M8[s]", [1, 2, 3]), ("V8", [1, 2, 3]),
    ("{'names': ['x'], 'formats': ['i8']}", [1, 2, 3]), ("", [1, 2, 3]), (None, [1, 2, 3]), (["<i8"], [1, 2, 3]),
]  # fmt: skip


TRAINING = [
    ("epoch", "5"), ("epoch", 1.0), ("epoch", True), ("epoch", None), ("epoch", -1), ("epoch", 1 << 62), ("origin", -1),
    ("origin", 1 << 40), ("origin", "0"), ("origin", False), ("start", 1.0), ("start", "one"), ("start", None),
    ("plateau", None), ("plateau", {}), ("more", 1), ("optimizer", None), ("optimizer", "Adam"),
    ("optimizer", {"name": "Adam", "momentum": 0.5}), ("optimizer", {"name": "Constant", "learning_rate": 1}),
]  # fmt: skip


PLATEAU = [
    ("share", "2.0"), ("share", 1.0), ("share", " 1.0"), ("share", "nan"), ("best", "nan"), ("best", "1"),
    ("best", None), ("waited", "-1.0"), ("waited", "0"), ("waited", "0.5"), ("waited", "inf"), ("waited", "1e300"),
]  # fmt: skip


OPTIMIZER = [
    ("beta1", "0.9"), ("beta1", True), ("beta1", 1.0), ("beta1", None), ("decay_biases", None),
    ("learning_rate", {"name": "SGD"}), ("learning_rate", {"name": "Cosine"}), ("learning_rate", None),
    ("learning_rate", [0.1]), ("ema_decay", None), ("clip_norm", 0.0), ("l2", 0.0), ("name", "SGD"), ("name", None),
    ("learning_rate", {"name": "ReduceOnPlateau", "learning_rate": 0.1, "monitor": 5}),
]  # fmt: skip


DAMAGE = [
    *(((name,), value) for name, value in FIELDS),
    *((("classes",), {"dtype": dtype, "values": values}) for dtype, values in CLASSES),
    *((("classes", "known"), value) for value in (1, None, "yes")),
    *(((*path, name), value) for path, cases in (
        (("training",), TRAINING), (("training", "plateau"), PLATEAU), (("training", "optimizer"), OPTIMIZER),
    ) for name, value in cases),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), DAMAGE, ids=[f"{'.'.join(p)}-{str(v)[:30]}" for p, v in DAMAGE])
def test_every_field_has_its_type_and_its_range(whole, tmp_path, place, value):
    outer, inner, arrays = parts(whole[1])
    assembled(tmp_path / "m", outer, inner, arrays)
    assert same(fastgd.load(tmp_path / "m"), whole[0])
    target = inner
    for name in place[:-1]:
        target = target[name]
    target[place[-1]] = value
    assembled(tmp_path / "m", outer, inner, arrays)
    with pytest.raises(ModelFileError) as caught:
        fastgd.load(tmp_path / "m")
    assert "safetensors" not in str(caught.value), "the rest of the file is whole"
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scaled": true', '"scaled": false, "scaled": true'), ('"l1": 0.0', '"l1": NaN'),
        ('"l1": 0.0', '"l1": -Infinity'),
        ('"l1": 0.0', '"l1": 1e999'), ('"random_state": 0', '"random_state": ' + "9" * 5000), ("{", "[" * 100_000),
        ('"dropout": [0.0]', '"dropout": [-0.1]'), ('"format": 1', '"format": 1, "format": 1'), ("}", ""), ("{", "{}"),
        ('"steps": 3', '"steps": 3' + ', "schedule": {"name": "WarmUp"' * 2000 + "}" * 2000),
    ],
)  # fmt: skip
def test_json_that_says_something_else(whole, tmp_path, old, new):
    outer, inner, arrays = parts(whole[1])
    text = json.dumps(inner)
    assert old in text
    assembled(tmp_path / "m", outer, text, arrays)
    assert same(fastgd.load(tmp_path / "m"), whole[0])
    assembled(tmp_path / "m", outer, text.replace(old, new, 1), arrays)
    with pytest.raises(ModelFileError):
        fastgd.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parameters", np.nan), ("parameters", np.inf), ("input_mean", np.inf), ("input_std", np.nan), ("input_std", 0),
        ("input_std", -1), ("target_mean", np.nan), ("target_std", np.inf), ("target_std", 0), ("training.second", -1),
        ("training.second", np.inf), ("training.first", np.nan), ("training.average", np.inf), ("training.raw", np.nan),
        ("training.step", -1), ("training.step", 2**62),
    ],
)  # fmt: skip
def test_no_file_holds_numbers_that_cannot_be(whole, tmp_path, name, value):
    """What loading refuses, saving refuses, and leaves the file that is there."""
    outer, inner, arrays = parts(whole[1])
    start, end = outer[name]["data_offsets"]
    numbers = np.frombuffer(arrays[start:end], "<i8" if name.endswith("step") else "<f4").copy()
    numbers[0] = value
    assembled(tmp_path / "m", outer, inner, arrays[:start] + numbers.tobytes() + arrays[end:])
    with pytest.raises(ModelFileError, match="does not hold a whole model"):
        fastgd.load(tmp_path / "m")
    path = tmp_path / "other"
    model = stateful(path)
    before = path.read_bytes()
    state = {
        f"training.{part}": array for part, array in zip(STATE, memory_of(model).state._asdict().values(), strict=True)
    }
    target = {**net_of(model)._asdict(), **state, "training.raw": memory_of(model).raw}[name]
    target[0] = value
    with pytest.raises(
        ModelFileError, match=r"other cannot be written, because .* could not be loaded again"
    ) as caught:
        model.save(path, training_state=True)
    assert str(caught.value).count(".") - str(caught.value).count("training.") <= 1, "one sentence"
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["m", "other"]
    if name.startswith("training."):
        assert "without training_state" in str(caught.value)
        model.save(path)
        fastgd.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", np.array(["a", "a", "b"])), ("classes", np.array(["a", "b", "c", "d"])), ("classes", np.array([])),
        ("classes", np.array([1, "a", None], object)), ("classes", np.array(["a", "b", "c" * 2000])),
        ("random_state", None),
        ("feature_names", ("a", "b", "c", 4)), ("scaled", "yes"), ("standardize", None),
    ],
)  # fmt: skip
def test_a_model_that_somebody_has_spoilt_is_not_saved(whole, tmp_path, name, value):
    model = fastgd.load(whole[1])
    if hasattr(model.schema, name):
        model.schema = dataclasses.replace(model.schema, **{name: value})
    else:
        setattr(model, name, value)
    with pytest.raises(ModelFileError, match="could not be loaded again"):
        model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_a_long_label_among_many_costs_no_more_than_a_multiple_of_the_file(tmp_path):
    model, path = fastgd.MLP([1, 2000], loss="cross_entropy"), tmp_path / "m"
    model.schema = dataclasses.replace(model.schema, classes=np.array([f"{i}" for i in range(2000)]))
    model.save(path)
    outer, inner, arrays = parts(path)
    inner["classes"] = {"dtype": "<U50000", "values": ["x" * 50_000, *inner["classes"]["values"][1:]]}
    assembled(path, outer, inner, arrays)
    assert peak(lambda: fastgd.load(path)) < 50 * path.stat().st_size
