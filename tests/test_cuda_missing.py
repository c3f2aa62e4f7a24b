"""Whatever a GPU lacks has a sentence of its own, a refusal changes nothing, and what was on a GPU works without one.

No test here needs a GPU, or a package for one; where there are some, stand-ins take their place.
"""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import fake_gpu
import numpy as np
import pytest
from samples import houses

import fastgd
from fastgd.errors import DeviceError, FastgdError, InvalidInputError
from fastgd.kernels import engine, missing, plain
from fastgd.kernels.cuda import shim
from fastgd.kernels.cuda.complaints import COMPLAINTS, what_to_do
from fastgd.training.devices import CHOICES, Work, asked_device, chosen, too_little

ROOT = Path(__file__).parents[1]
NOT_FOUND = "\nCUDA driver library cannot be found.\nEnsure that a compatible NVIDIA driver is installed.\n"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    fake_gpu.without_package(monkeypatch)
    yield
    fake_gpu.forget(monkeypatch)


LACKING = {
    "driver": ({"error": NOT_FOUND}, r"^There is no NVIDIA driver here \(.*\): install one, or use device='cpu'\.$"),
    "device": (
        {"error": "Call to cuInit results in CUDA_ERROR_NO_DEVICE (100)"},
        r"^There is an NVIDIA driver, but no GPU that it may use .*CUDA_VISIBLE_DEVICES.*\.$",
    ),
    "visible device": ({"n_devices": 0}, r"^There is an NVIDIA driver, but no GPU that it may use .*\.$"),
    "whatever": ({"error": "a tiger\n in the way"}, r"^The CUDA driver cannot be used: a tiger in the way\.$"),
    "unknown": ({"error": "CUDA_ERROR_UNKNOWN (999)"}, r"^The GPU's driver reports CUDA_ERROR_UNKNOWN: .*\.$"),
    "switch": ({"error": "CUDA is disabled due to setting"}, r"^CUDA is switched off .*NUMBA_DISABLE_CUDA.*\.$"),
    "toolkit": ({"toolkit": None}, r"finds no CUDA toolkit, .*run `pip install 'numba-cuda-mlir\[cu13\].*cuda12.*\.$"),
    "libNVVM": ({"nvvm": False}, r"finds no libNVVM, which compiles kernels: run `pip install .*\.$"),
    "newer driver": (
        {"driver": (12, 8)},
        r"^The CUDA toolkit of .* is 13\.5, but the driver knows no more than CUDA 12\.8: update .*\[cu12\]'`\.$",
    ),
    "capability": (
        {"capability": (7, 0)},
        r"^Fake GPU has compute capability 7\.0, and kernels need 7\.5 at least with CUDA 13\.5: use .*\.$",
    ),
    "capability of 12": (
        {"capability": (6, 1), "toolkit": (12, 9)},
        r"^Fake GPU has compute capability 6\.1, and kernels need 7\.0 at least with CUDA 12\.9: use .*\.$",
    ),
}


@pytest.mark.parametrize("package", ["numba-cuda-mlir", "numba-cuda"])
@pytest.mark.parametrize("lacking", LACKING)
def test_each_thing_that_is_missing_has_its_sentence(lacking, package, monkeypatch):
    options, sentence = LACKING[lacking]
    monkeypatch.setattr(np, "row_stack", np.vstack, raising=False)
    fake_gpu.install(monkeypatch, package, **options)
    with pytest.raises(DeviceError, match=sentence) as caught:
        engine("cuda")
    assert "\n" not in str(caught.value)
    assert missing("cuda") == str(caught.value)
    fake_gpu.install(monkeypatch, package)  # and where all is well, nothing is said
    assert missing("cuda") == ""


def test_no_package():
    told = missing("cuda")
    assert told.startswith("device='cuda' needs a compiler for NVIDIA GPUs, and none is installed: run `pip install '")
    assert "cuda13" in told
    assert "cuda12" in told
    assert (missing("cpu"), missing("plain")) == ("", "")
    with pytest.raises(DeviceError, match="none is installed"):
        shim.cuda  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        shim.nothing  # noqa: B018


def test_the_successor_comes_first_and_numbas_own_never(monkeypatch):
    monkeypatch.setattr(np, "row_stack", np.vstack, raising=False)
    other = fake_gpu.install(monkeypatch, "numba-cuda")
    assert (shim.PACKAGE.name, shim.cuda, shim.IS_SIMULATOR) == ("numba-cuda", other, False)
    modules = {name: sys.modules[name] for name in ("numba_cuda",)}
    first = fake_gpu.install(monkeypatch, "numba-cuda-mlir")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert (shim.PACKAGE.name, shim.cuda) == ("numba-cuda-mlir", first)
    fake_gpu.install(monkeypatch, "numba-cuda", file="/site-packages/numba/cuda/__init__.py")
    assert re.search("numba-cuda cannot be imported .*: run `pip install", missing("cuda"))


def test_a_package_that_cannot_be_imported_says_why(monkeypatch):
    cuda = fake_gpu.install(monkeypatch)
    del sys.modules["numba_cuda_mlir"].cuda
    assert re.search(r"^numba-cuda-mlir cannot be imported \(cannot import name 'cuda' from .*: run", missing("cuda"))
    sys.modules["numba_cuda_mlir"].cuda = cuda
    assert missing("cuda") == ""  # what is repaired is not refused for ever


def test_a_numpy_that_is_too_new(monkeypatch):
    monkeypatch.delattr(np, "row_stack", raising=False)
    fake_gpu.install(monkeypatch, "numba-cuda")
    told = missing("cuda")
    assert f"cannot compile with NumPy {np.__version__}: install numba-cuda-mlir in its place, or" in told
    assert "numpy<2.5" in told
    fake_gpu.install(monkeypatch, "numba-cuda-mlir")
    assert missing("cuda") == ""


@pytest.mark.parametrize("package", ["numba-cuda-mlir", "numba-cuda"])
def test_shared_memory_and_limits_of_kernels(package, monkeypatch):
    fake_gpu.install(monkeypatch, package)
    assert shim.shared_limit() == (232448 if package == "numba-cuda-mlir" else 49152)
    is_first = package == "numba-cuda-mlir"
    more = {"lto": True} if is_first else {}
    assert shim.kernel(max, launch_bounds=(128, 4)) == (max, {"launch_bounds": (128, 4), **more})
    assert shim.device_function(max) == (max, {"device": True, **({"inline": "never"} if is_first else {})})


def test_room_on_the_device(monkeypatch):
    fake_gpu.install(monkeypatch, free=5_000_000)
    shim.room_for(5_000_000, "The table")
    with pytest.raises(DeviceError, match=r"^The table needs 7 MB of the GPU's memory, of which 5 MB are free: train"):
        shim.room_for(7_000_000, "The table")


@pytest.mark.parametrize("pattern", [one for alternatives in COMPLAINTS for one in alternatives.split("|")])
def test_complaints_of_the_driver_become_errors_of_ours(pattern):
    words = f"CUDA_ERROR_{pattern}" if pattern.isupper() else pattern
    with pytest.raises(DeviceError) as caught, shim.errors():
        raise RuntimeError(f"[2] Call to cuSomething results in {words}, sadly")
    assert str(caught.value).startswith(next(s for p, s in COMPLAINTS.items() if pattern in p.split("|"))[:12])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_guide_has_every_message():
    """What messages begin with stands in the table of what is missing, in docs/gpu.md."""
    rows = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    beginnings = {sentence.partition(" (")[0] for sentence in COMPLAINTS.values()}
    assert [words for words in beginnings if f"| {words} |" not in rows and f"| {words}, " not in rows] == []


@pytest.mark.parametrize(
    "message",
    ["CUDA_ERROR_OF_TOMORROW", "Failed to load CUDA library from binary data: no", "Failed to launch CUDA kernel: no"],
)
def test_complaints_that_nobody_knows_are_passed_on(message):
    with pytest.raises(DeviceError, match=f"The GPU's driver reports {message}"), shim.errors():
        raise RuntimeError(message)


def test_other_errors_stay_what_they_are():
    for error in (InvalidInputError("out of memory"), ValueError("y has 3 rows"), KeyboardInterrupt("out of memory")):
        with pytest.raises(type(error)) as caught, shim.errors():
            raise error
        assert caught.value is error
    assert what_to_do("ValueError: Failed to broadcast shapes: 3 and 4") is None


def test_the_error_is_of_the_family():
    assert issubclass(DeviceError, FastgdError)
    assert issubclass(DeviceError, RuntimeError)


# What is refused changes nothing.


def state_of(model):
    fields = {name: value for name, value in vars(model).items() if name not in ("net", "store", "_predictor")}
    return fields, [array.copy() for array in model.net], model.device


def is_same(one, other):
    same = all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))
    return same and one[0].keys() == other[0].keys() and all(one[0][k] is other[0][k] for k in one[0])


@pytest.mark.parametrize("was_fitted", [False, True])
def test_a_refused_fit_changes_nothing(was_fitted):
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    if was_fitted:
        model.fit(X, y, epochs=1, verbose=0)
    before = state_of(model)
    with pytest.raises(DeviceError, match="none is installed"):
        model.fit(X, y, epochs=1, device="cuda", verbose=0)
    with pytest.raises(DeviceError, match="none is installed"):
        model.device = "cuda"
    assert is_same(before, state_of(model))
    model.fit(X, y, epochs=1, verbose=0)
    assert not is_same(before, state_of(model))


def test_fit_many_and_search_refuse_before_anything_trains():
    X, y = houses(60)
    heard = []

    class Heard(fastgd.callbacks.Callback):
        def on_train_begin(self, logs):
            heard.append(1)

    model = fastgd.MLP([4, 5, 1])
    before = state_of(model)
    with pytest.raises(DeviceError, match="none is installed"):
        fastgd.fit_many([{"model": model, "callbacks": [Heard()]}], X, y, device="cuda", verbose=0)
    space = {"learning_rate": [0.01, 0.1]}
    options = {"layer_sizes": [4, 5, 1], "epochs": 1, "cv": 2, "halving": False, "verbose": 0, "refit": False}
    with pytest.raises(DeviceError, match="none is installed"):
        fastgd.search(space, X, y, device="cuda", callbacks=[Heard()], **options)
    assert is_same(before, state_of(model))
    assert heard == []
    result = fastgd.search(space, X, y, device="auto", callbacks=[Heard()], **options)
    assert heard
    assert result.device == "cpu"
    assert "too little work for a GPU" in result.device_reason


@pytest.mark.parametrize("n_networks", [1, 2])
def test_estimators_refuse_before_they_change(n_networks):
    X, y = houses(60)
    options = {"hidden_layer_sizes": (4,), "epochs": 1, "n_networks": n_networks}
    estimator = fastgd.MLPRegressor(device="auto", **options).fit(X, y)
    histories = estimator.history_ if n_networks > 1 else [estimator.history_]
    assert all(history.device == "cpu" and "too little work" in history.device_reason for history in histories)
    before = dict(vars(estimator))
    estimator.set_params(device="cuda")
    for call in (estimator.fit, *([estimator.partial_fit] if n_networks == 1 else [])):
        with pytest.raises(DeviceError, match="none is installed"):
            call(X[:, :3], y)
        assert vars(estimator) == {**before, "device": "cuda"}
    with pytest.raises(ValueError, match="device"):
        fastgd.MLPRegressor(device="gpu", **options).fit(X, y)


# What "auto" chooses.


def test_names_of_devices():
    assert CHOICES == ("cpu", "plain", "cuda", "auto")
    with pytest.raises(InvalidInputError, match="no device 'gpu'; there are: cpu, plain, cuda, auto"):
        asked_device("gpu")
    with pytest.raises(InvalidInputError, match="no device 'auto'; there are: cpu, plain, cuda"):
        fastgd.MLP([4, 1]).device = "auto"


@pytest.mark.parametrize(
    ("works", "against"),
    [
        ([Work("a", 1024, 1e12)], ""),
        ([Work("a", 1023, 1e12)], "batches of 1,023 rows are too small"),
        ([Work("a", 1024, 0.9e12)], "too little work"),
        ([Work("a", 32, 1e11)] * 64, ""),
        ([Work("a", 32, 1e10)] * 64, "too little work"),
        ([Work("a", 32, 1e11)] * 63, "of one shape there are 63 networks"),
        ([Work("a", 32, 1e11)] * 64 + [Work("b", 32, 1e11)], "of one shape there are 1 networks"),
        ([Work("a", 32, 1e11)] * 64 + [Work("b", 32, 1e11)] * 64, ""),
    ],
)
def test_the_rule(works, against, monkeypatch):
    assert too_little(works).find(against) >= 0
    assert bool(too_little(works)) == bool(against)
    fake_gpu.install(monkeypatch)
    choice = chosen("auto", works)
    assert choice.device == ("cpu" if against else "cuda")
    assert choice.reason
    assert [chosen(device, works) for device in ("cpu", "plain", "cuda")] == [("cpu", ""), ("plain", ""), ("cuda", "")]


def test_auto_says_what_is_missing_where_the_work_is_enough(monkeypatch):
    monkeypatch.setattr("fastgd.training.devices.LEAST_WORK", 1.0)
    monkeypatch.setattr("fastgd.training.devices.LEAST_BATCH", 50)
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    history = model.fit(X, y, epochs=1, batch_size=50, device="auto", verbose=0)
    assert (history.device, model.device, model.schema.device) == ("cpu", "cpu", "cpu")
    assert history.device_reason == missing("cuda") != ""
    assert history.to_dict()["device_reason"] == history.device_reason
    assert "device=&#x27;auto&#x27; chose cpu: device=" in history._repr_html_()
    history = model.fit(X, y, epochs=1, batch_size=49, verbose=0)  # the device of the last fit, which was no choice
    assert history.device_reason == ""
    assert "chose" not in history._repr_html_()
    history = model.fit(X, y, epochs=1, batch_size=49, device="auto", verbose=0)
    assert history.device_reason.startswith("batches of 49 rows are too small")


def test_auto_chooses_a_gpu_that_can_run(monkeypatch):
    monkeypatch.setattr("fastgd.training.devices.LEAST_WORK", 1.0)
    monkeypatch.setattr("fastgd.training.devices.LEAST_NETWORKS", 2)
    monkeypatch.setattr("fastgd.training.devices.LEAST_BATCH", 50)
    fake_gpu.install(monkeypatch)
    monkeypatch.setitem(sys.modules, fake_gpu.ENGINE, plain)  # kernels of another engine stand in
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    for _ in range(2):
        history = model.fit(X, y, epochs=1, batch_size=50, device="auto", verbose=0)
        assert (history.device, model.device, model.schema.device) == ("cuda", "cuda", "cuda")
        assert history.device_reason.startswith("batches of 50 rows, and ")
    records = fastgd.fit_many([{"layer_sizes": [4, 5, 1], "epochs": 1}] * 2, X, y, device="auto", verbose=0)
    assert [(record.model.device, record.history.device) for record in records] == [("cuda", "cuda")] * 2
    assert all(record.history.device_reason.startswith("2 networks side by side, and ") for record in records)
    estimator = fastgd.MLPRegressor((4,), epochs=1, batch_size=50, device="auto").fit(X, y)
    assert (estimator.model_.device, estimator.history_.device) == ("cuda", "cuda")


def test_auto_leaves_plain_for_the_loops():
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    model.fit(X, y, epochs=1, device="plain", verbose=0)
    model.fit(X, y, epochs=1, device="auto", verbose=0)
    assert (model.device, model.schema.device) == ("cpu", "cpu")


def test_histories_of_many_say_why():
    X, y = houses(60)
    spec = {"layer_sizes": [4, 5, 1], "epochs": 1}
    records = fastgd.fit_many([spec] * 2, X, y, device="auto", verbose=0)
    assert [record.history.device for record in records] == ["cpu", "cpu"]
    assert all("too little work for a GPU" in record.history.device_reason for record in records)
    (record,) = fastgd.fit_many([spec], X, y, verbose=0)
    assert record.history.device_reason == ""


# What was on a GPU works without one.


def on_a_gpu(monkeypatch):
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    model.fit(X, y, epochs=1, verbose=0)
    before = model.predict(X)
    fake_gpu.install(monkeypatch)
    model.device = "cuda"
    return X, before, model


def test_a_pickle_goes_on_without_a_gpu(monkeypatch):
    X, before, model = on_a_gpu(monkeypatch)
    assert copy.copy(model).device == copy.deepcopy(model).device == model.twin().device == "cuda"
    pickled = pickle.dumps(fastgd.Ensemble([model, model]))
    assert [member.device for member in pickle.loads(pickled)] == ["cuda", "cuda"]
    fake_gpu.without_package(monkeypatch)
    alone, mean = pickle.loads(pickle.dumps(model)), pickle.loads(pickled)
    assert (alone.device, alone.schema.device) == ("cpu", "cpu")
    np.testing.assert_array_equal(alone.predict(X), before)
    np.testing.assert_array_equal(mean.predict(X), before)


def test_a_file_goes_on_without_a_gpu(monkeypatch, tmp_path):
    X, before, model = on_a_gpu(monkeypatch)
    model.save(tmp_path / "m", training_state=True)
    fake_gpu.without_package(monkeypatch)
    loaded = fastgd.load(tmp_path / "m")
    assert loaded.device == "cpu"
    np.testing.assert_array_equal(loaded.predict(X), before)


# What is loaded, and the simulator.


def run(code, **variables):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **variables}
    )
    return result.stdout.split()


def test_nothing_of_a_gpu_is_loaded_unasked():
    code = (
        "import sys, pickle, fastgd\n"
        "def loaded(): print(*['numba' in sys.modules, 'numba.cuda' in sys.modules, 'numba_cuda_mlir' in sys.modules,"
        " 'fastgd.kernels.cuda' in sys.modules])\n"
        "model = pickle.loads(pickle.dumps(fastgd.MLP([4, 3, 1]))); loaded()\n"
        "model.fit([[1, 2, 3, 4], [2, 3, 4, 6]], [1, 2], epochs=1, device='auto', verbose=0); loaded()\n"
    )
    assert run(code, NUMBA_ENABLE_CUDASIM="0") == ["False"] * 4 + ["True"] + ["False"] * 3


def test_the_simulator_runs_a_kernel():
    code = (
        "import sys, numpy as np\n"
        "from fastgd.kernels import missing\n"
        "from fastgd.kernels.cuda import shim\n"
        "from fastgd.kernels.cuda.shim import cuda\n"
        "@shim.device_function\n"
        "def double(x): return x + x\n"
        "def doubled(a): a[cuda.threadIdx.x] = double(a[cuda.threadIdx.x])\n"
        "a = np.arange(3.0)\n"
        "shim.room_for(1 << 50, 'This')\n"
        "with shim.errors(): shim.kernel(doubled, max_registers=64, launch_bounds=(3, 1))[1, 3](a)\n"
        "print(shim.IS_SIMULATOR, shim.PACKAGE.name, shim.shared_limit(), missing('cuda') == '', *a)\n"
    )
    assert run(code, NUMBA_ENABLE_CUDASIM="1") == ["True", "simulator", "49152", "True", "0.0", "2.0", "4.0"]
