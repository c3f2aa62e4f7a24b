"""Arrays on a GPU are taken where they lie: in the simulator all of it, without it whatever is told before a kernel.

The tests marked `simulated` run in a process of their own, because Numba is either the simulator or not.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from lent import Capsules, Lent

import fastgd
from fastgd.data import rows, scaling
from fastgd.data.lesson import prepared
from fastgd.data.on_device import is_on_device
from fastgd.data.schema import Schema
from fastgd.errors import InputWarning, InvalidInputError, PrecisionWarning
from fastgd.kernels import DEVICES
from fastgd.kernels.cuda import borrowed
from fastgd.model import unseen

SIMULATOR = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
simulated = pytest.mark.skipif(not SIMULATOR, reason="runs in the simulator's own process")
outside = pytest.mark.skipif(SIMULATOR, reason="needs no simulator")

# More rows than two chunks of sums have, of columns that differ in size and mean.
rng = np.random.default_rng(0)
X = (rng.normal(size=(150, 3)) * [1, 50, 0.5] + [0, 7, 40]).astype(np.float32)
y = (X[:, 0] * 3 + X[:, 1]).astype(np.float32)
weights = rng.integers(0, 4, len(X)).astype(np.float32)
labels = (y > 7).astype(np.int64)


@outside
def test_all_of_it_in_the_simulator():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    result = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


# What is told before a kernel, and how arrays are read.


class Undecided:
    def __dlpack_device__(self):
        raise BufferError("lies on several devices")


@outside
def test_arrays_on_a_gpu_are_told_from_all_others():
    others = [X, [1.0], np.ma.array([1.0]), 3, None, "text", Undecided(), np.float32(1)]
    assert [is_on_device(one) for one in others] == [False] * len(others)
    assert is_on_device(Lent(X))
    assert is_on_device(Capsules(X))
    assert is_on_device(type("OnlyInterface", (), {"__cuda_array_interface__": {}})())


@outside
def test_a_tensor_of_the_cpu_is_told_from_one_of_a_gpu():
    torch = pytest.importorskip("torch")
    assert not is_on_device(torch.zeros(3, requires_grad=True))


@outside
def test_asking_loads_no_package():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import numpy as np; from lent import Lent\n"
        "from fastgd.data.on_device import is_on_device; assert is_on_device(Lent(np.zeros(3)))\n"
        "assert not {'numba', 'numba_cuda_mlir', 'fastgd.kernels.cuda.arrays'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.path.dirname(os.path.dirname(__file__)))


@outside
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda model: model.fit(Lent(X), y, verbose=0), "X lies on a GPU: use device='cuda', or copy it to the host"),
        (lambda model: model.fit(X, Lent(y), verbose=0), "y lies on a GPU: use device='cuda', or copy it to the host"),
        (lambda model: model.fit(X, y, sample_weight=Lent(weights), verbose=0), "sample_weight lies on a GPU: use"),
        (lambda model: model.fit(X, y, validation_data=(Lent(X), y), verbose=0), "validation_data: X lies on a GPU"),
        (lambda model: model.predict(Lent(X)), r"X lies on a GPU: .* as X.cpu\(\) does in PyTorch, X.get\(\) in CuPy"),
        (lambda model: model.predict(Capsules(X)), "X lies on a GPU: use device='cuda'"),
        (lambda model: model.evaluate(X, Lent(y)), "y lies on a GPU: use device='cuda'"),
        (
            lambda model: fastgd.fit_many([{"layer_sizes": [3, 1]}], Lent(X), y, verbose=0),
            "spec 0: X lies on a GPU: use device='cuda'",
        ),
        (
            lambda model: fastgd.search({"learning_rate": [0.1]}, Lent(X), y, verbose=0),
            "X lies on a GPU, but search chooses folds on the host: copy it",
        ),
        (
            lambda model: fastgd.MLPRegressor().fit(X, Lent(y)),
            "y lies on a GPU, but scikit-learn looks at tables on the host: copy it",
        ),
        (
            lambda model: fastgd.MLP([3, 1], encoding="auto").fit(Lent(X), y, verbose=0),
            "X lies on a GPU, but text and gaps are encoded on the host: copy it",
        ),
    ],
)
def test_the_cpu_says_where_an_array_lies(call, told):
    with pytest.raises(InvalidInputError, match=told):
        call(fastgd.MLP([3, 4, 1], random_state=0))


def entries(borrowed):
    """What lies at the address that was found."""
    n = int(np.prod(borrowed.shape)) * borrowed.dtype.itemsize
    return np.frombuffer((ctypes.c_byte * n).from_address(borrowed.pointer), borrowed.dtype).reshape(borrowed.shape)


def tensors_of(values):
    """The same numbers in the same memory as PyTorch has them, where there is PyTorch."""
    with contextlib.suppress(ImportError):
        import torch

        yield torch.from_numpy(values)


@outside
@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_capsules_are_read(versioned, dtype):
    values = (X[:20] * 3).astype(dtype)
    for array in (values[4:], *tensors_of(values[4:])):
        found = borrowed.described(Capsules(array, versioned=versioned, device=3), "X")
        assert (found.shape, found.dtype, found.is_contiguous, found.device) == ((16, 3), np.dtype(dtype), True, 3)
        assert (entries(found) == values[4:]).all()
    assert not borrowed.described(Capsules(values[:, 1:], versioned=versioned), "X").is_contiguous
    assert not borrowed.described(Capsules(values.T, versioned=versioned), "X").is_contiguous
    assert borrowed.described(
        Capsules(values[:1, 1:], versioned=versioned), "X"
    ).is_contiguous  # of one row it is no matter


@outside
@pytest.mark.parametrize("versioned", [True, False])
def test_a_capsule_gives_its_memory_back_once(versioned):
    values = X.copy()
    before = sys.getrefcount(values)
    found = borrowed.described(Capsules(values, versioned=versioned), "X")
    gc.collect()
    assert sys.getrefcount(values) == before + 1  # held as long as it is lent
    assert (entries(found) == X).all()
    del found
    gc.collect()
    assert sys.getrefcount(values) == before


class Made:
    """A capsule made by hand, whose deleter is counted."""

    def __init__(self, values, major=1, offset=0):
        self.values, self.shape, self.deleted = values, (ctypes.c_int64 * 1)(len(values) - offset), []
        self.deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.deleted.append)
        tensor = borrowed._Tensor(
            data=values.ctypes.data, device_type=2, ndim=1, code=2, bits=32, lanes=1,
            shape=ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64)), byte_offset=offset * values.itemsize,
        )  # fmt: skip
        deleter = ctypes.cast(self.deleter, ctypes.c_void_p)
        self.record = borrowed._Versioned(major=major, deleter=deleter, tensor=tensor)

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, **options):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.record), borrowed.VERSIONED, None)


@outside
def test_a_capsule_begins_at_its_offset_and_is_deleted_once():
    made = Made(y, offset=5)
    found = borrowed.described(made, "y")
    assert (entries(found) == y[5:]).all()
    assert made.deleted == []
    del found
    gc.collect()
    assert made.deleted == [ctypes.addressof(made.record)]


@outside
def test_a_newer_capsule_is_not_read():
    with pytest.raises(InvalidInputError, match=r"y cannot be read where it lies .*DLPack 2.0 is newer than 1"):
        borrowed.described(Made(y, major=2), "y")


@outside
def test_a_tensor_that_is_part_of_a_derivative_is_read():
    class Tensor(Lent):
        requires_grad = True
        __cuda_array_interface__ = property(lambda self: 1 / 0)

        def detach(self):
            return Lent(self.array)

    assert (entries(borrowed.described(Tensor(X), "X")) == X).all()


@outside
def test_a_type_that_numpy_does_not_have_is_named():
    torch = pytest.importorskip("torch")
    found = borrowed.described(Capsules(torch.zeros(4, 3, dtype=torch.bfloat16)), "X")
    assert found.dtype == "bfloat16"


@outside
def test_an_interface_is_read():
    found = borrowed.described(Lent(X[10:], strides=X.strides), "X")  # written out, though they are those of C order
    assert found.is_contiguous
    assert (entries(found) == X[10:]).all()
    assert not borrowed.described(Lent(X[:, :2]), "X").is_contiguous
    assert borrowed.described(Lent(X, mask=Lent(X)), "X").is_masked
    with pytest.raises(InvalidInputError, match=r"y cannot be read where it lies on the GPU \(KeyError: 'typestr'\)"):
        borrowed.described(type("Broken", (), {"__cuda_array_interface__": {"shape": (3,)}})(), "y")


# In the simulator.


def schema_of(layer_sizes=(3, 4, 1), **options):
    model = fastgd.MLP(list(layer_sizes), random_state=0, **options)
    return replace(model.schema, device="cuda"), model.net


def both(change, **options):
    """The lesson of arrays on the host, and that of the same arrays on the device."""
    schema, net = schema_of(**options.pop("network", {}))
    host = {"X": X, "y": y, **options}
    return [prepared(schema, net, seed=1, **given) for given in (host, change(host))]


def on_gpu(given):
    lent = {name: Lent(value) for name, value in given.items() if isinstance(value, np.ndarray)}
    if "validation_data" in given:
        lent["validation_data"] = tuple(map(Lent, given["validation_data"]))
    return given | lent


@simulated
def test_this_is_the_simulator():
    from numba import cuda

    assert "simulator" in cuda.__file__ or "simulator" in type(cuda.device_array(1)).__module__


@pytest.fixture
def table():
    from fastgd.kernels.cuda import arrays

    return arrays.table(arrays.borrowed(Lent(X), "X"))


@simulated
def test_a_table_is_the_same_memory(table):
    assert table.__cuda_array_interface__["data"][0] == X.ctypes.data
    assert (table.shape, table.dtype, table.size, table.nbytes, table.ndim) == (X.shape, X.dtype, X.size, X.nbytes, 2)
    assert len(table) == len(X)
    table.device_array[0, 0] += 1
    assert X[0, 0] == table.device_array[0, 0]
    table.device_array[0, 0] -= 1


@simulated
@pytest.mark.parametrize(
    "key",
    [
        np.array([3, 3, -1]), slice(None, None, 40), slice(3, 5), 7, -1, (slice(140, None), 1),
        (slice(0, 4), slice(1, 3)), (5, 2), (slice(60, 0, -20), -1), np.zeros(0, np.int64), np.arange(150) == 8,
    ],
)  # fmt: skip
def test_rows_are_copied_to_the_host(table, key):
    found = table[key]
    assert np.array_equal(found, X[key])
    assert np.shape(found) == np.shape(X[key])
    assert found.dtype == X.dtype


@simulated
def test_rows_outside_are_no_rows(table):
    for key in (150, [3, -151], (slice(None), 3)):
        with pytest.raises(IndexError):
            table[key]


@simulated
def test_rows_counted_from_the_end_have_numbers():
    from fastgd.kernels.cuda.arrays import _numbers  # the device would read before the table

    assert _numbers([3, -1], 150).tolist() == [3, 149]


@simulated
@pytest.mark.parametrize("given", [{}, {"sample_weight": weights}, {"validation_split": 0.3, "clip_predictions": True}])
def test_no_cell_of_the_inputs_is_copied_to_the_host(given, monkeypatch):
    from fastgd.kernels.cuda.arrays import DeviceTable

    copied, copy = [], DeviceTable.__getitem__
    monkeypatch.setattr(DeviceTable, "__getitem__", lambda self, key: copied.append(self.shape) or copy(self, key))
    network = {name: given[name] for name in given if name == "clip_predictions"}
    both(on_gpu, network=network, **{name: given[name] for name in given if name not in network})
    assert {shape[1] for shape in copied} <= {1}  # the limits of predictions are found on the host
    assert not copied or given.get("clip_predictions")


@simulated
def test_chosen_rows_stay_on_the_device(table):
    places = np.array([149, 0, 7])
    taken = table.take(places)
    assert is_on_device(taken)
    assert np.array_equal(taken[:], X[places])
    assert np.array_equal(rows.at(places, X), X[places])


@simulated
def test_whoever_would_copy_all_of_it_is_refused(table):
    for use in (np.asarray, lambda table: table - X[0], np.isfinite, lambda table: X[0] - table):
        with pytest.raises(InvalidInputError, match="The table lies on a GPU, and this needs it on the host"):
            use(table)


@simulated
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_host_for_any_number_of_blocks(table, weighted, monkeypatch):
    from fastgd.kernels.cuda import reductions

    w, around = weights if weighted else weights[:0], np.array([0.5, 3, 40.0])
    for is_squared in (False, True):
        found = []
        for blocks, threads in ((2, 4), (1, 3), (5, 2)):
            monkeypatch.setattr(reductions, "BLOCKS", blocks)
            monkeypatch.setattr(reductions, "THREADS", threads)
            found.append(table.column_sums(w, around, is_squared))
        assert (found[0] == found[1]).all()
        assert (found[0] == found[2]).all()
        terms = (X.astype(np.float64) - around) ** (2 if is_squared else 1)
        exact = ((w[:, None] if weighted else 1) * terms).sum(axis=0)
        np.testing.assert_allclose(found[0], exact, rtol=1e-12)
        np.testing.assert_allclose(scaling.column_sums(X, w, around, is_squared), exact, rtol=1e-6)


@simulated
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("cell", [(0, 0), (149, 2), (77, 1)])
def test_the_first_bad_cell_is_found(cell, value):
    from fastgd.kernels.cuda import arrays

    bad = X.copy()
    bad[149, 2], bad[cell] = np.nan, value
    table = arrays.table(arrays.borrowed(Lent(bad), "X"))
    largest = float(np.finfo(np.float32).max)
    assert table.first_outside(-largest, largest) == cell
    bad[149, 2] = np.nan
    assert table.first_outside(-np.inf, np.inf) == (cell if np.isnan(value) else (149, 2))
    good = arrays.table(arrays.borrowed(Lent(X), "X"))
    assert good.first_outside(-largest, largest) is None


@simulated
@pytest.mark.parametrize(
    "given",
    [
        {}, {"sample_weight": weights}, {"validation_split": 0.3}, {"validation_data": (X[:20], y[:20], weights[:20])},
        {"network": {"standardize": False}}, {"network": {"clip_predictions": True}}, {"y": y[:, None]},
        {"network": {"loss": "cross_entropy", "layer_sizes": (3, 4, 2)}, "y": labels, "class_weight": "balanced"},
        {"network": {"loss": "binary_cross_entropy"}, "y": labels.astype(bool), "validation_split": 0.3},
        {"network": {"loss": "binary_cross_entropy"}, "y": (labels * 0.9).astype(np.float32)},
        {"network": {"loss": "binary_cross_entropy", "layer_sizes": (3, 2)}, "y": (X[:, :2] > 0).astype(np.float32)},
        {"network": {"loss": "poisson"}, "y": np.abs(y)}, {"network": {"dtype": "float64"}, "X": X, "y": y},
        {"X": np.column_stack([X[:, 0], np.full(150, 3, np.float32), X[:, 1]])},
    ],
)  # fmt: skip
def test_a_lesson_is_that_of_the_same_arrays_on_the_host(given):
    dtype = given.get("network", {}).get("dtype", "float32")
    given = {name: v.astype(dtype) if name in ("X", "y") and v.dtype.kind == "f" else v for name, v in given.items()}
    host, device = both(on_gpu, **given)
    assert is_on_device(device.rows.X)
    assert is_on_device(device.rows.Y) == (host.schema.classes is None)
    for name in scaling.SCALING:
        np.testing.assert_allclose(getattr(device.net, name), getattr(host.net, name), rtol=1e-6, err_msg=name)
    for mine, its in ((device.rows, host.rows), (device.held_out, host.held_out)):
        assert (mine is None) == (its is None)
        for name in mine._fields if mine else ():
            part = getattr(mine, name)
            part = part[:] if is_on_device(part) else part
            assert np.array_equal(part, getattr(its, name)), name
    assert np.array_equal(device.measured().actual, host.measured().actual)
    assert np.array_equal(device.schema.target.range, host.schema.target.range)
    if not given.get("validation_split"):
        assert device.rows.X.__cuda_array_interface__["data"][0] == given.get("X", X).ctypes.data
    if device.held_out:
        assert is_on_device(device.held_out.X)


@simulated
def test_what_hardly_varies_is_told_as_on_the_host():
    flat = X.copy()
    flat[:, 1] = 5000 + rng.integers(0, 2, 150) * np.float32(0.0005)
    told = []
    for take in (lambda array: array, Lent):
        schema, net = schema_of()
        with pytest.warns() as caught:
            prepared(schema, net, take(flat), take(np.ones(150, np.float32)), seed=1)
        told.append([(one.category, str(one.message)) for one in caught])
    assert told[0] == told[1]
    assert {category for category, _ in told[0]} == {PrecisionWarning, InputWarning}


@simulated
def test_a_column_that_varies_now_is_learned_of():
    constant = X.copy()
    constant[:, 0] = 2
    schema, net = schema_of()
    first = prepared(schema, net, Lent(constant), Lent(y), seed=1)
    assert np.isinf(first.net.input_std[0])
    host, device = (prepared(first.schema, first.net, take(X), take(y), seed=1) for take in (np.asarray, Lent))
    np.testing.assert_allclose(device.net.input_std, host.net.input_std, rtol=1e-6)
    with pytest.warns(InputWarning, match=r"X, row 0, column 0 is .*, but it was 2 in every row"):
        unseen.tell_of_ignored(first.net, first.schema.inputs(Lent(X)).values, "X", first.schema)


BAD_X, BAD_Y = X.copy(), y.copy()
BAD_X[100, 1], BAD_Y[70] = np.nan, np.inf
COUNTS = np.abs(y)
COUNTS[33] = -1
TWO_AND_ONE = np.column_stack([labels, labels + 1]).astype(np.float32)


@simulated
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of the simulator's numbers, which are NumPy's
@pytest.mark.parametrize(
    ("given", "network"),
    [
        ({"X": BAD_X}, {}), ({"X": BAD_X}, {"feature_names": ["a", "b", "c"]}), ({"y": BAD_Y}, {}), ({"X": X[:0]}, {}),
        ({"X": X[:, 0].copy()}, {}), ({"X": X[:, :2].copy()}, {}), ({"X": X[None]}, {}), ({"y": y[:100]}, {}),
        ({"y": np.column_stack([y, y])}, {}), ({"y": y[None, None]}, {}), ({"y": COUNTS}, {"loss": "poisson"}),
        ({"y": TWO_AND_ONE}, {"loss": "binary_cross_entropy", "layer_sizes": (3, 2)}),
        ({"y": labels[:, None] * [1, 1]}, {"loss": "cross_entropy", "layer_sizes": (3, 2)}),
        ({"X": X * np.float64(1e200), "y": y.astype(float)}, {"dtype": "float64"}), ({"sample_weight": -weights}, {}),
        ({"sample_weight": weights[:9]}, {}), ({"validation_data": (BAD_X, y)}, {}),
    ],
)  # fmt: skip
def test_messages_are_those_of_arrays_on_the_host(given, network):
    told = []
    for change in (dict, on_gpu):
        schema, net = schema_of(**network)
        with pytest.raises(InvalidInputError) as error:
            prepared(schema, net, **change({"X": X, "y": y, **given}), seed=1)
        told.append(str(error.value))
    assert told[0] == told[1]


MISPLACED = np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float32).reshape(X.shape)


@simulated
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"X": Lent(X.astype(np.float64))}, "X lies on the GPU in float64, but the model computes in float32: convert"),
        ({"y": Lent(y.astype(np.float64))}, "y lies on the GPU in float64.* or make the model with dtype='float64'"),
        ({"X": Lent(X.astype(np.float16))}, r"X lies on the GPU in float16.* as X.to\(torch.float32\) does in PyTorch"),
        ({"y": Lent(labels)}, "y lies on the GPU in int64"),
        ({"X": Lent(X.astype(np.float32), typestr="<V2")}, r"X lies on the GPU in \|V2"),
        ({"X": Lent(np.asfortranarray(X))}, r"X is not C-contiguous on the GPU: pass X.contiguous\(\) in PyTorch"),
        ({"y": Lent(np.repeat(y, 2)[::2])}, "y is not C-contiguous on the GPU"),
        ({"X": Lent(X, mask=Lent(X > 0))}, "X has masked entries: fill them, or drop these rows"),
        ({"X": Lent(X, device=1)}, "X lies on GPU 1, but kernels run on GPU 0: copy it there, or choose one GPU"),
        ({"X": Lent(MISPLACED)}, "X does not begin at a whole float32 of the GPU's memory: copy it there"),
        ({"sample_weight": Lent(weights, typestr="<c4")}, "sample_weight cannot be read where it lies on the GPU"),
        ({"sample_weight": Lent(X[:, 0].astype("c8"))}, "sample_weight has dtype complex64, which cannot be read"),
    ],
)
def test_what_is_not_taken_is_named(given, told):
    schema, net = schema_of()
    with pytest.raises(InvalidInputError, match=told):
        prepared(schema, net, **{"X": X, "y": y, **given}, seed=1)


@simulated
def test_bfloat16_is_named():
    torch = pytest.importorskip("torch")
    schema, net = schema_of()
    with pytest.raises(InvalidInputError, match="X lies on the GPU in bfloat16, but the model computes in float32"):
        prepared(schema, net, Capsules(torch.from_numpy(X).to(torch.bfloat16)), y, seed=1)


@simulated
def test_logarithms_and_encodings_are_for_the_host():
    schema, net = schema_of(log_target=True)
    with pytest.raises(InvalidInputError, match="y lies on a GPU, but log_target reads it on the host"):
        prepared(schema, net, Lent(X), Lent(np.abs(y)), seed=1)
    schema, net = schema_of(encoding="auto")
    fitted = prepared(replace(schema, device="plain"), net, X, y, seed=1).schema
    for read in (lambda: prepared(schema, net, Lent(X), y, seed=1), lambda: fitted.inputs(Lent(X))):
        with pytest.raises(InvalidInputError, match="X lies on a GPU, but text and gaps are encoded on the host"):
            read()


@simulated
def test_capsules_alone_will_do():
    host, device = both(lambda given: given | {"X": Capsules(X), "y": Capsules(y)})
    assert np.array_equal(device.rows.X[:], host.rows.X)
    assert device.rows.Y.__cuda_array_interface__["data"][0] == y.ctypes.data


@simulated
def test_the_same_device_table_is_read_again():
    schema, net = schema_of()
    once = schema.inputs(Lent(X)).values
    assert prepared(schema, net, once, Lent(y), seed=1).rows.X.__cuda_array_interface__["data"][0] == X.ctypes.data


@simulated
def test_a_prediction_looks_at_no_value_before(monkeypatch):
    from fastgd.kernels.cuda.arrays import DeviceTable

    monkeypatch.setattr(DeviceTable, "first_outside", None)
    schema: Schema = schema_of()[0]
    assert schema.unchecked(Lent(BAD_X)).shape == X.shape
    with pytest.raises(InvalidInputError, match="X has 2 columns"):
        schema.unchecked(Lent(X[:, :2].copy()))


@simulated
def test_a_row_too_far_away_is_told_of():
    schema, net = schema_of()
    lesson = prepared(schema, net, Lent(X), Lent(y), seed=1)
    far = X.copy()
    far[5, 2], lesson.net.input_std[2] = 1e38, 1e-3
    with pytest.raises(InvalidInputError, match=r"X, row 5, column 2 is 1e\+38, too far from the rows"):
        unseen.refuse(lesson.net, lesson.schema.inputs(Lent(far)).values, np.ones((150, 1), np.float32), lesson.schema)


@simulated
def test_tasks_of_many_networks_share_one_table():
    from fastgd.data.shared import SharedTable
    from fastgd.many.tasks import tasks_of

    specs = [{"layer_sizes": [3, 4, 1]}, {"layer_sizes": [3, 1], "rows": range(40), "validation_rows": [50, 51]}]
    one, other = tasks_of(specs, SharedTable(Lent(X), Lent(y), "cuda"), None, {"sample_weight": Lent(weights)})
    assert one.data()["X"] is one.table.inputs(one.model.schema)
    assert one.data()["X"].values.__cuda_array_interface__["data"][0] == X.ctypes.data
    data = other.data()
    assert is_on_device(data["X"].values)
    assert np.array_equal(data["X"].values[:], X[:40])
    assert np.array_equal(data["y"][:, 0], y[:40])
    assert np.array_equal(data["validation_data"][1][:, 0], y[50:52])
    of_classes = SharedTable(Lent(X), Lent(labels), "cuda")
    (task,) = tasks_of([{"layer_sizes": [3, 2], "loss": "cross_entropy"}], of_classes, None, {})
    assert np.array_equal(task.data()["y"].values, labels)


@simulated
@pytest.mark.skipif("cuda" not in DEVICES, reason='there is no engine of the name "cuda" yet')
def test_a_model_trains_on_arrays_of_the_device():
    few = slice(0, 24)
    host, device = (fastgd.MLP([3, 4, 1], random_state=0) for _ in range(2))
    options = {"epochs": 2, "batch_size": 8, "device": "cuda", "verbose": 0}
    told = host.fit(X[few], y[few], sample_weight=weights[few], **options)
    history = device.fit(Lent(X[few]), Lent(y[few]), sample_weight=Lent(weights[few]), **options)
    np.testing.assert_allclose(history.history["loss"], told.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(device.parameters, host.parameters, rtol=1e-4, atol=1e-6)
    found = device.predict(Lent(X[few]))
    assert type(found) is np.ndarray
    assert np.array_equal(found, device.predict(X[few]))
    assert device.evaluate(Lent(X[few]), Lent(y[few])) == device.evaluate(X[few], y[few])
    with pytest.raises(InvalidInputError, match=r"X, row 100, column 1 is nan"):
        device.predict(Lent(BAD_X))


@simulated
def test_tables_of_one_memory_have_one_name():
    from fastgd.kernels.cuda import arrays, memory

    same, again, other = (arrays.table(arrays.borrowed(Lent(one), "y")) for one in (y, y, y.copy()))
    assert memory.name_of(same) == memory.name_of(again) != memory.name_of(other)  # what trains on one is one launch
    host = np.array(y), np.array(y), np.array(X[:, 1])
    assert memory.name_of(host[0]) == memory.name_of(host[1]) != memory.name_of(host[2])
