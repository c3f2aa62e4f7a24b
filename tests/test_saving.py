"""Files: what goes out comes back, whole or not at all, and what is not ours is refused with one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError, ModelFileError
from fastgd.files import atomic
from fastgd.files import tensors as tensorfile

FIRST_VERSION = Path(__file__).parent / "golden" / "first_version.safetensors"  # written before there were checksums


def trained(**options):
    X, y = fastgd.datasets.houses(200)
    model = fastgd.MLP(**{"layer_sizes": [4, 8, 1], **options})
    model.fit(X, y / y.max() if "output_activation" in options else y, epochs=1, verbose=0)
    return model, X


def parts(path):
    """A safetensors file's own header, the one of the model in it, and the bytes of the arrays."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + length])
    return outer, json.loads(outer["__metadata__"]["fastgd"]), content[8 + length :]


def assembled(path, outer, inner, arrays):
    """The other way round; without a checksum, so that it is not what refuses the file."""
    outer["__metadata__"] = {"fastgd": inner if isinstance(inner, str) else json.dumps(inner)}
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + arrays)


def with_header(path, change):
    """Rewrite the JSON header of a model's file."""
    outer, inner, arrays = parts(path)
    change(inner)
    assembled(path, outer, inner, arrays)


def stateful(path):
    """Save a model with everything that a file can hold."""
    X, y = fastgd.datasets.houses(200)
    names = np.array(["a", "b", "ü"])[np.digitize(y, [3e5, 5e5])]
    schedule = fastgd.schedules.WarmUp(fastgd.schedules.ReduceOnPlateau(0.01, monitor="loss"), steps=3)
    model = fastgd.MLP([4, 3], loss="cross_entropy", feature_names=["w", "x", "y", "z"])
    model.fit(X, names, epochs=1, optimizer=fastgd.Adam(schedule, ema_decay=0.9), verbose=0)
    model.save(path, training_state=True)
    return model


def same(one, other):
    return (
        repr(one) == repr(other)
        and all(np.array_equal(mine, its) for mine, its in zip(one.net, other.net, strict=True))
        and np.array_equal(one.classes, other.classes)
        and repr(one.training) == repr(other.training)
        and (one.feature_names, one.random_state) == (other.feature_names, other.random_state)
    )


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
    assert loaded.training is None
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
    ("format", "1"), ("format", 0), ("format", None), ("more", None), ("training", None), ("training", {}),
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "m"
    return stateful(path), path


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
    assembled(tmp_path / "m", outer, text.replace(old, new, 1), arrays)
    with pytest.raises(ModelFileError):
        fastgd.load(tmp_path / "m")


def test_arrays_that_are_not_those_of_the_header(whole, tmp_path):
    path = tmp_path / "m"

    def refused(change):
        outer, inner, arrays = parts(whole[1])
        change(outer)
        assembled(path, outer, inner, arrays)
        with pytest.raises(ModelFileError):
            fastgd.load(path)

    for name, value in (
        ("dtype", "F64"), ("dtype", "I32"), ("dtype", None), ("shape", [3, 5]), ("shape", [16]), ("shape", []),
        ("shape", None),
        ("data_offsets", [0, 0]), ("data_offsets", [-60, 0]), ("data_offsets", [0]), ("data_offsets", "08"),
        ("data_offsets", [0, 1 << 70]), ("data_offsets", None), ("more", 1),
    ):  # fmt: skip
        refused(lambda outer, name=name, value=value: outer["parameters"].update({name: value}))
    refused(lambda outer: outer.pop("parameters"))
    refused(lambda outer: outer.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}))
    refused(lambda outer: outer.update(parameters=5))
    refused(lambda outer: outer.update(parameters=outer["input_mean"], input_mean=outer["parameters"]))


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
    state = {f"training.{part}": array for part, array in model.training.state._asdict().items()}
    target = {**model.net._asdict(), **state, "training.raw": model.training.raw}[name]
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
        ("feature_names", ("a", "b", "c", 4)), ("_scaled", "yes"), ("standardize", None),
    ],
)  # fmt: skip
def test_a_model_that_somebody_has_spoilt_is_not_saved(whole, tmp_path, name, value):
    model = fastgd.load(whole[1])
    setattr(model, name, value)
    with pytest.raises(ModelFileError, match="could not be loaded again"):
        model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("labels", [["late", "early"], ["x"], [7, -3], [True, False], np.array([2, 9], "u1")])
def test_classes_that_are_few_and_in_any_order_come_back(tmp_path, labels):
    model = fastgd.MLP([2, 3], loss="cross_entropy")
    model.classes = np.array(labels)
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
    model.classes = np.array(["no", "yes"], "U300000")
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    assert loaded.classes.tolist() == ["no", "yes"]
    assert loaded.classes.nbytes < 100


def test_an_input_that_never_varied_comes_back(tmp_path):
    X, y = fastgd.datasets.houses(50)
    X[:, 1] = 3
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, verbose=0)
    model.net.input_std[1] = np.inf
    model.save(tmp_path / "m")
    loaded = fastgd.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.net.input_std, model.net.input_std)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_loss_at_the_start_comes_back(tmp_path):
    X, y = fastgd.datasets.houses(50)
    model = fastgd.MLP([4, 1])
    model.fit(X, y, epochs=1, verbose=0)
    for start in (0.1 + 0.2, -3.5, float("nan"), float("inf")):
        model.training.start = start
        model.save(tmp_path / "m", training_state=True)
        assert repr(fastgd.load(tmp_path / "m").training.start) == repr(start)


def test_a_file_of_the_first_version_is_read():
    model = fastgd.load(FIRST_VERSION)
    X, _ = fastgd.datasets.houses(200)
    assert model.predict(X[:6]).tolist() == ["cheap", "dear", "dear", "dear", "dear", "dear"]
    shares = [[0.46262335777282715, 0.07994908839464188, 0.4574275314807892]]
    np.testing.assert_allclose(model.predict_proba(X[:1]), shares, rtol=1e-6)
    kept = model.training
    assert (kept.epoch, kept.state.step[0], kept.origin, kept.start != kept.start) == (2, 14, 0, True)
    assert kept.plateau.best == 1.1929392433166504
    model.fit(X, np.repeat(["cheap", "dear"], 100), epochs=1, verbose=0)


def test_another_library_reads_the_arrays(whole):
    from safetensors.numpy import load_file

    arrays = load_file(whole[1])
    np.testing.assert_array_equal(arrays["parameters"], whole[0].parameters)
    assert sorted(name for name in arrays if "." not in name) == sorted(["parameters", *arrays.keys() & {
        "input_mean", "input_std", "target_mean", "target_std"}])  # fmt: skip


def test_no_flipped_bit_changes_a_model(whole, tmp_path):
    model, path = whole
    content, damaged, refused = path.read_bytes(), tmp_path / "m", 0
    assert same(fastgd.load(path), model)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        damaged.write_bytes(flipped)
        try:
            assert same(fastgd.load(damaged), model), place
        except ModelFileError:
            refused += 1
    assert refused > 0.9 * len(content)


def test_a_file_of_any_length_is_whole_or_refused(whole, tmp_path):
    content, path = whole[1].read_bytes(), tmp_path / "m"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            fastgd.load(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError):
        fastgd.load(path)


def peak(call):
    """How many bytes a call takes at most."""
    tracemalloc.start()
    try:
        with contextlib.suppress(ModelFileError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(layer_sizes=[4, 40_000_000, 3], activations=["identity"] * 2, dropout=[0.0] * 2),
        lambda header: header.update(layer_sizes=[40_000_000, 3]),
        lambda header: header.update(layer_sizes=[4, 40_000_000]),
        lambda header: header.update(layer_sizes=[4, 40_000_000], loss={"name": "mse"}, classes=None),
        lambda header: header.update(layer_sizes=[1 << 40, 1 << 40]),
        lambda header: header.update(dtype="float64"),
        lambda header: header["classes"].update(dtype="<U200000000"),
        lambda header: header["classes"].update(dtype="(100000000,)i8"),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_promise_costs_nothing(whole, tmp_path, change):
    path = tmp_path / "m"
    outer, inner, arrays = parts(whole[1])
    change(inner)
    assembled(path, outer, inner, arrays)
    assert peak(lambda: fastgd.load(path)) < 200 * path.stat().st_size
    for n in (5 * inner["layer_sizes"][-1], 1 << 60):  # a file whose own header promises the same
        outer["parameters"].update(shape=[n], data_offsets=[0, 4 * n])
        assembled(path, outer, inner, arrays)
        with pytest.raises(ModelFileError):
            fastgd.load(path)
        assert peak(lambda: fastgd.load(path)) < 200 * path.stat().st_size


def test_a_long_label_among_many_costs_no_more_than_a_multiple_of_the_file(tmp_path):
    model, path = fastgd.MLP([1, 2000], loss="cross_entropy"), tmp_path / "m"
    model.classes = np.array([f"{i}" for i in range(2000)])
    model.save(path)
    outer, inner, arrays = parts(path)
    inner["classes"] = {"dtype": "<U50000", "values": ["x" * 50_000, *inner["classes"]["values"][1:]]}
    assembled(path, outer, inner, arrays)
    assert peak(lambda: fastgd.load(path)) < 50 * path.stat().st_size


LOAD = """
import sys, fastgd
try:
    fastgd.load(sys.argv[1])
except fastgd.errors.ModelFileError as error:
    print(error)
"""


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, message in (
            ("fifo", "is a device, a pipe or a socket: name a file"), ("link", "is a device, a pipe or a socket"),
            ("socket", "is a device, a pipe or a socket"), ("/dev/zero", "is a device, a pipe or a socket"),
            ("/dev/null", "is a device"), (".", "is a folder: name a file"),
            ("loop", "cannot be read: Too many levels"),
            ("none", "is not there: name a file"), ("file/m", "cannot be read: Not a directory"),
            ("x" * 300, "cannot be read: File name too long"), ("file", "is truncated, or not a safetensors file"),
        ):  # fmt: skip
            run = [sys.executable, "-c", LOAD, str(tmp_path / name)]
            out = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout
            assert message in out
            assert len(out.splitlines()) == 1


def test_a_huge_file_of_another_kind_is_not_read(tmp_path):
    path = tmp_path / "huge"
    for start in (b"", b"\x02" + bytes(7) + b"{}", b"PK\x03\x04" * 4, struct.pack("<Q", 90_000_000) + b"x" * 100):
        with open(path, "wb") as file:
            file.write(start)
            file.truncate(3 << 30)
        with pytest.raises(ModelFileError, match="is truncated, or not a safetensors file"):
            fastgd.load(path)
        assert peak(lambda: fastgd.load(path)) < 1 << 20


def test_a_file_that_becomes_shorter_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "m"
    fastgd.MLP([4, 300, 300, 1]).save(path)
    read = tensorfile.read

    def cut(*arguments):
        os.truncate(path, 100_000)
        return read(*arguments)

    monkeypatch.setattr(tensorfile, "read", cut)
    with pytest.raises(ModelFileError, match="the file became shorter while it was read"):
        fastgd.load(path)


@pytest.mark.parametrize("name", [5, None, b"m", "m\0", "m\ud800", ["m"]])
def test_what_is_no_name_of_a_file(name):
    for call in (fastgd.load, fastgd.MLP([2, 1]).save):
        with pytest.raises(ModelFileError, match="is not the name of a file"):
            call(name)


@pytest.mark.parametrize("step", ["open", "fdopen", "fsync", "chmod", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt("Ctrl-C")], ids=repr)
def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, step, failure):
    model, X = trained()
    path = tmp_path / "m"
    model.save(path)
    before = path.read_bytes()
    model.fit(X, X[:, 0], epochs=1, verbose=0)
    done = getattr(os, step)

    def failing(*arguments, **options):
        if step == "open":
            os.close(done(*arguments, **options))
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, step, failing)
        with pytest.raises((ModelFileError, KeyboardInterrupt), match=r"m cannot be written: No space left|Ctrl-C"):
            model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]
    with pytest.raises(ModelFileError, match="cannot be written: No such file"):
        model.save(tmp_path / "nowhere" / "m")


def test_a_temporary_name_that_is_taken_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "taken")
    (tmp_path / ".fastgd-taken").write_text("somebody's")
    with pytest.raises(ModelFileError, match="File exists"):
        fastgd.MLP([2, 1]).save(tmp_path / "m")
    assert (tmp_path / ".fastgd-taken").read_text() == "somebody's"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "m"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    for _ in range(2):
        fastgd.MLP([2, 1]).save(tmp_path / name)
        fastgd.load(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(ModelFileError, match="name too long"):
        fastgd.MLP([2, 1]).save(tmp_path / ("x" + "x" * 255))


def test_links_are_written_through(tmp_path):
    model, _ = trained()
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    target, link, chain, folder = tmp_path / "there/m", tmp_path / "here/link", tmp_path / "chain", tmp_path / "folder"
    link.symlink_to("../there/m")
    chain.symlink_to("here/link")
    folder.symlink_to("there")
    for number, path in enumerate((link, chain, folder / "m", link)):  # the first one leads nowhere yet
        model.random_state = number
        model.save(path)
        assert fastgd.load(target).random_state == number
    assert [os.readlink(path) for path in (link, chain, folder)] == ["../there/m", "here/link", "there"]
    assert not target.is_symlink()
    assert [os.listdir(tmp_path / name) for name in ("here", "there")] == [["link"], ["m"]]
    (tmp_path / "nowhere").symlink_to("none/m")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in (("nowhere", "No such file"), ("loop", "Too many levels of symbolic links")):
        with pytest.raises(ModelFileError, match=message):
            model.save(tmp_path / name)
        assert (tmp_path / name).is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o777])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path, model = tmp_path / "m", fastgd.MLP([2, 1])
    path.write_bytes(b"")
    path.chmod(mode)
    (tmp_path / "link").symlink_to("m")
    model.save(path)
    model.save(tmp_path / "link")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_keeps_its_owner(tmp_path, monkeypatch):
    path, asked = tmp_path / "m", []
    path.write_bytes(b"")
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    owner = path.stat().st_uid, path.stat().st_gid
    fastgd.MLP([2, 1]).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == owner

    def forbidden(*arguments):
        asked.append(arguments)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", forbidden)
    fastgd.MLP([2, 1]).save(path)
    assert asked
    fastgd.load(path)


def test_a_new_file_has_the_mode_that_the_system_gives(tmp_path):
    code = (
        "import os, sys, fastgd\n"
        "os.umask(0o026)\n"
        "def refuse(mask): raise AssertionError('the mask of all threads')\n"
        "os.umask = refuse\n"
        "fastgd.MLP([2, 1]).save(sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], check=True)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


WRITE = """
import sys
from pathlib import Path
from fastgd.files.atomic import write_whole
print("before")
write_whole(Path(sys.argv[1]), bytes(range(256)) * 1000)
print("after")
"""
PRINTED = b"before\n" + bytes(range(256)) * 1000 + b"after\n"


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link"])
def test_an_open_descriptor_is_written_through(tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    before, run = os.readlink("/dev/stdout"), [sys.executable, "-c", WRITE, str(tmp_path / name)]
    assert subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout == PRINTED
    with open(tmp_path / "page", "wb") as page:
        subprocess.run(run, stdout=page, check=True)
    assert (tmp_path / "page").read_bytes() == PRINTED
    assert os.readlink("/dev/stdout") == before
    assert sorted(os.listdir(tmp_path)) == ["link", "page"]


def test_a_pipe_that_does_not_wait_gets_everything():
    code = "import os, sys\nos.set_blocking(3, False)\n" + WRITE
    source, sink = os.pipe()
    program = f"import os; os.dup2({sink}, 3)\n{code}" if sink != 3 else code
    with subprocess.Popen([sys.executable, "-c", program, "/dev/fd/3"], pass_fds=[sink], stdout=subprocess.DEVNULL):
        os.close(sink)
        with open(source, "rb") as file:
            assert file.read() == bytes(range(256)) * 1000


def test_descriptors_that_nothing_can_be_written_to(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with open(tmp_path / "file", "rb") as file:
        for place in (f"/dev/fd/{file.fileno()}", "/dev/fd/987654", "/proc/self/fd/987654"):
            with pytest.raises(ModelFileError, match="cannot be written: Bad file descriptor"):
                atomic.write_whole(Path(place), b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_devices_get_the_bytes_and_stay_devices(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    for place in ("/dev/null", tmp_path / "link"):
        fastgd.MLP([2, 1]).save(place)
        assert Path(place).is_char_device()
    if os.path.exists("/dev/full"):
        with pytest.raises(ModelFileError, match="/dev/full cannot be written: No space left on device"):
            fastgd.MLP([2, 1]).save("/dev/full")
        assert Path("/dev/full").is_char_device()


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
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        places = [(tmp_path / name, "no file that could be replaced") for name in ("pipe", "link", "socket")]
        with contextlib.suppress(OSError):  # where that is forbidden, there are three
            os.mknod(tmp_path / "block", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
            places.append((tmp_path / "block", "no file that could be replaced"))
        before = {path: path.lstat().st_mode for path, _ in places}
        for place, message in [*places, (tmp_path, "it is a folder"), (tmp_path / "folder", "it is a folder")]:
            with pytest.raises(ModelFileError, match=message):
                fastgd.MLP([2, 1]).save(place)
        assert {path: path.lstat().st_mode for path, _ in places} == before
    assert (tmp_path / "pipe").is_fifo()


def test_before_a_training_the_same_is_refused_as_after_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "table"
    table.write_bytes(b"")
    for name, target in (
        ("link", "m"),
        ("chain", "link"),
        ("other", "table"),
        ("loop", "loop"),
        ("out", "/dev/stdout"),
    ):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "astray").symlink_to("none/m")
    os.mkfifo("pipe")
    for paths, message in (
        (["m", "link"], "use two files"), (["chain", "link"], "use two files"),
        (["m", f"{tmp_path}/m"], "use two files"),
        (["other"], "the table to train on"), (["loop"], "Too many levels"), (["astray"], f"no folder {tmp_path}/none"),
        (["out", "/dev/stdout"], "use two files"), (["pipe"], "no file that could be replaced"),
        (["/dev/fd/987654"], "Bad file descriptor"), (["table/m"], f"no folder {table}"),
        (["x" * 256], "name too long"),
    ):  # fmt: skip
        with pytest.raises(ModelFileError, match=f"^{paths[-1]} cannot be written: .*{message}"):
            _check_can_write(*map(Path, paths), table=table)
    for good in (["chain", "x" * 255], ["/dev/null", "/dev/null"], ["out", "m"], [], ["m", None]):
        _check_can_write(*(path and Path(path) for path in good), table=table)
    assert not (tmp_path / "m").exists()


def test_a_page_goes_to_the_standard_output(tmp_path):
    rows = [f"{i},{i % 7},{3 * i}" for i in range(60)]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,y", *rows]))
    options = ["--target", "y", "--features", "a,b", "--epochs", "1", "--report", "/dev/stdout", "--save", "/dev/null"]
    run = [sys.executable, "-m", "fastgd.command.cli", "train", str(tmp_path / "table.csv"), *options]
    with open(tmp_path / "page.html", "wb") as page:
        told = subprocess.run(run, stdout=page, stderr=subprocess.PIPE, text=True, check=True).stderr
    text = (tmp_path / "page.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert text.count("<!doctype html>") == 1
    assert "held out" in told
    assert "epoch 1/1" in told
    assert sorted(os.listdir(tmp_path)) == ["page.html", "table.csv"]
    assert Path("/dev/stdout").is_symlink()
