"""Many networks in one call: the bits of each alone, one table for all, and what goes wrong with one of them."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from inside import overheard
from populations import MIXED, STOP, alone
from samples import houses

import fastgd
from fastgd.data import columns, schema
from fastgd.errors import DivergenceError, InputWarning, InvalidInputError
from fastgd.many import crew, tasks
from fastgd.model.model import Model
from fastgd.training.equipment import Store

GOOD = {"layer_sizes": [4, 8, 1]}


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_each_network_has_the_bits_of_its_own_fit(n_threads, monkeypatch):
    monkeypatch.setattr(crew, "SHORT", 0.0)  # side by side, though they are short
    X, y = houses(700)
    records = fastgd.fit_many(MIXED, X, y, epochs=5, n_threads=n_threads, verbose=0)
    assert [record.number for record in records] == list(range(len(MIXED)))
    for spec, record in zip(MIXED, records, strict=True):
        model, history = alone(spec, X, y, epochs=5)
        assert record.error is None
        np.testing.assert_array_equal(record.model.parameters, model.parameters)
        assert record.history.history == history.history
        assert record.history.ended == history.ended
        np.testing.assert_array_equal(record.model.predict(X), model.predict(X))
    assert (records[0].model.parameters != records[1].model.parameters).any()  # the comparison can fail
    assert records[7].history.ended == "callback"
    assert records[7].callbacks[0] is not STOP
    assert not hasattr(STOP, "best")


def test_the_plain_engine_and_a_worker_thread():
    X, y = houses(100)
    spec, found = {"layer_sizes": [4, 8, 1]}, []
    options = {"epochs": 2, "verbose": 0}

    def work():
        found.append(fastgd.fit_many([spec, spec], X, y, device="plain", n_threads=2, **options))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    model = fastgd.MLP([4, 8, 1])
    model.fit(X, y, device="plain", **options)
    for record in found[0]:
        assert (record.model.device, record.history.device) == ("plain", "plain")
        np.testing.assert_array_equal(record.model.parameters, model.parameters)


def test_frames_and_labels_are_read_once(monkeypatch):
    X, y = houses(200)
    frame = pd.DataFrame(X, columns=["size", "rooms", "distance", "age"])
    label = pd.Series(np.where(y > np.median(y), "dear", "cheap"))
    read = []
    monkeypatch.setattr(schema, "read_columns", lambda *given: read.append(1) or columns.read_columns(*given))
    specs = [{"layer_sizes": [4, 8, 2], "random_state": k, "rows": np.arange(150)} for k in range(6)]
    options = {"loss": "cross_entropy", "encoding": "auto", "epochs": 3, "verbose": 0, "class_weight": "balanced"}
    records = fastgd.fit_many(specs, frame, label, **options)
    assert len(read) == 1
    model = fastgd.MLP([4, 8, 2], loss="cross_entropy", encoding="auto", random_state=3)
    model.fit(frame[:150], label[:150], epochs=3, class_weight="balanced", verbose=0)
    np.testing.assert_array_equal(records[3].model.parameters, model.parameters)
    assert list(records[3].model.classes) == ["cheap", "dear"]
    assert records[3].model.feature_names == tuple(frame.columns)


def test_an_array_of_the_right_dtype_is_not_copied():
    X, y = houses(500)
    X = np.ascontiguousarray(X, np.float32)
    (task,) = tasks.tasks_of([{"layer_sizes": [4, 8, 1]}], X, y, {})
    assert np.shares_memory(task.data()["X"].values, X)
    (task,) = tasks.tasks_of([{"layer_sizes": [4, 8, 1], "dtype": "float64"}], X, y, {})
    assert not np.shares_memory(task.data()["X"].values, X)


def test_a_network_that_diverges_is_a_record_with_its_reason():
    X, y = houses(300)
    specs = [{"optimizer": fastgd.SGD(learning_rate=1e6)}, {"optimizer": fastgd.SGD(learning_rate=0.01)}]
    records = fastgd.fit_many(specs, X, y, layer_sizes=[4, 8, 1], epochs=3, verbose=0)
    assert isinstance(records[0].error, DivergenceError)
    assert records[0].history is None
    assert np.isfinite(records[0].model.parameters).all()
    assert (records[1].ended, records[1].error) == ("completed", None)
    assert "DivergenceError" in repr(records[0])
    printed = repr(records).splitlines()
    assert printed[0].split() == ["spec", "network", "epochs", "loss", "seconds", "ended"]
    assert [line.split()[-1] for line in printed[2:]] == ["DivergenceError", "completed"]
    assert len(records.table) == 2


def test_a_callback_that_fails_stops_its_network_alone():
    class Fails(fastgd.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("no more")

    X, y = houses(100)
    specs = [{"callbacks": [Fails()]}, {}]
    records = fastgd.fit_many(specs, X, y, layer_sizes=[4, 1], epochs=2, verbose=0)
    assert [record.ended for record in records] == ["RuntimeError", "completed"]


def test_what_several_would_warn_of_is_said_once_with_their_numbers():
    X, _ = houses(100)
    label = np.full(100, "same")
    specs = [{"layer_sizes": [4, 2], "random_state": k} for k in range(7)]
    with pytest.warns(InputWarning, match=r"^spec 0: y has 1 class \(same\)") as told:
        records = fastgd.fit_many(specs, X, label, loss="cross_entropy", epochs=1, verbose=0)
    assert len(told) == 1
    assert "(The like holds for specs 1, 2, 3, 4, 5 and 1 more: " in str(told[0].message)
    assert [len(record.warnings) for record in records] == [1] * 7


def test_a_model_goes_on_where_it_stopped():
    X, y = houses(300)
    options = {"optimizer": fastgd.Adam(learning_rate=0.01), "verbose": 0}
    specs = [{"layer_sizes": [4, 8, 1], "random_state": k} for k in range(2)]
    first = fastgd.fit_many(specs, X, y, epochs=2, **options)
    fastgd.fit_many([{"model": record.model} for record in first], X, y, epochs=3, **options)
    for k, record in enumerate(first):
        model = fastgd.MLP([4, 8, 1], random_state=k)
        model.fit(X, y, epochs=5, **options)
        np.testing.assert_array_equal(record.model.parameters, model.parameters)


def test_the_longest_come_first():
    X, y = houses(300)
    specs = [{"layer_sizes": [4, n, 1], "epochs": epochs} for n, epochs in ((4, 1), (32, 3), (8, 50), (16, 2))]
    order = []

    class Notes(fastgd.callbacks.Callback):
        def on_train_begin(self, logs=None):
            order.append(self.model.network.sizes[1])

    fastgd.fit_many(specs, X, y, callbacks=[Notes()], n_threads=1, verbose=0)
    assert order == [8, 32, 16, 4]


@pytest.mark.parametrize(("short", "most"), [(1e9, 1), (0.0, 3)])
def test_networks_of_short_epochs_have_one_thread(monkeypatch, short, most):
    names = set()
    meeting = threading.Barrier(most)

    class Notes(fastgd.callbacks.Callback):
        def on_train_begin(self, logs=None):
            meeting.wait(30)
            names.add(threading.current_thread().name)

    monkeypatch.setattr(crew, "SHORT", short)
    X, y = houses(100)
    fastgd.fit_many([GOOD] * 6, X, y, epochs=1, callbacks=[Notes()], n_threads=3, verbose=0)
    assert len(names) == most


def memory_of(n, X, y):
    specs = [{"layer_sizes": [4, 64, 64, 1], "random_state": k} for k in range(n)]
    gc.collect()
    tracemalloc.start()
    try:
        records = fastgd.fit_many(specs, X, y, epochs=1, n_threads=2, verbose=0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / records[0].model.parameters.nbytes
    finally:
        tracemalloc.stop()


def test_a_network_takes_little_memory_beside_its_parameters(monkeypatch):
    X, y = houses(100)
    fastgd.fit_many([{"layer_sizes": [4, 64, 64, 1]}], X, y, epochs=1, verbose=0)
    each = (memory_of(30, X, y) - memory_of(10, X, y)) / 20
    assert each <= 8
    own = property(lambda model: model.__dict__.setdefault("own", Store()), lambda model, store: None)
    monkeypatch.setattr(Model, "store", own, raising=False)  # each keeps scratch of its own
    assert (memory_of(30, X, y) - memory_of(10, X, y)) / 20 > 8


NAMES = r"^spec 1: "


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], r"^specs is empty: there is no network to train\.$"),
        ({"layer_sizes": [4, 1]}, r"^specs must be a list of dicts"),
        ([[4, 8, 1]], r"^specs must be a list of dicts"),
        ([GOOD, {}], NAMES + "layer_sizes is missing"),
        ([GOOD, GOOD | {"layer_sizes": [3, 1]}], NAMES + "X has 4 columns, but the network has 3 inputs"),
        ([GOOD, GOOD | {"layer_sizes": [4, 2]}], NAMES + r"y has shape \(100,\), but the network has 2 outputs"),
        ([GOOD, GOOD | {"lr": 0.1}], NAMES + r"`lr` belongs to the optimizer"),
        ([GOOD, GOOD | {"n_epochs": 3}], NAMES + "`n_epochs` is called `epochs`"),
        ([GOOD, GOOD | {"activation": "rlu"}], NAMES + r"There is no activation 'rlu'; .* Did you mean 'relu'"),
        ([GOOD, GOOD | {"epochs": -1}], NAMES + "epochs must be a whole number of at least 0"),
        ([GOOD, GOOD | {"optimizer": "adam"}], NAMES + r"optimizer must be one such as fastgd\.Adam\(\)"),
        ([GOOD, GOOD | {"n_threads": 2}], NAMES + "n_threads is for all networks"),
        ([GOOD, GOOD | {"rows": [0, 1, 2], "validation_rows": [2]}], NAMES + "rows and validation_rows overlap"),
        ([GOOD, GOOD | {"rows": []}], NAMES + "rows is empty"),
        ([GOOD, GOOD | {"rows": [0, 100]}], NAMES + "rows names row 100, but rows count from 0 to 99"),
        ([GOOD, GOOD | {"rows": [0, -1]}], NAMES + "rows names row -1"),
        ([GOOD, GOOD | {"rows": [0.5]}], NAMES + "rows must be numbers of rows, or a mask of 100 booleans"),
        ([GOOD, GOOD | {"rows": [True] * 99}], NAMES + "rows must be numbers of rows, or a mask of 100 booleans"),
        ([GOOD, GOOD | {"validation_rows": range(100)}], NAMES + "validation_rows are all rows"),
        ([GOOD, GOOD | {"validation_rows": [0], "validation_split": 0.1}], NAMES + "validation_rows, validation_data"),
        ([GOOD, GOOD | {"validation_data": 3}], NAMES + "validation_data must be"),
        ([GOOD, GOOD | {"validation_split": 2}], NAMES + "validation_split must be a share"),
        ([GOOD, GOOD | {"callbacks": [STOP]}], NAMES + "There is no quantity 'val_loss' to monitor"),
        ([GOOD, GOOD | {"callbacks": 3}], NAMES + "callbacks must be one, or a list"),
        ([GOOD, GOOD | {"sample_weight": [-1.0] * 100}], NAMES + "sample_weight, row 0 is -1"),
        ([GOOD, GOOD | {"class_weight": "balanced"}], NAMES + "class_weight is for classes"),
        ([GOOD, GOOD | {"loss": "poisson"}], NAMES + "y, row 0 is -5.0: poisson needs counts"),
        ([GOOD, GOOD | {"log_target": True}], NAMES + r"y, row 0 is -5: log_target needs positive values"),
        ([GOOD, {"model": 3}], NAMES + "model must be a fastgd.MLP to go on with"),
        ([GOOD, {"model": fastgd.MLP([4, 1]), "activation": "relu"}], NAMES + "activation belongs to a new network"),
        ([{"layer_sizes": [4, 1], "rows": "all"}], r"^spec 0: rows must be numbers"),
        ([{"layer_sizes": [4, 1], "loss": "poisson"}], r"^spec 0: y, row 0 is -5.0: poisson needs counts"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_spec_before_anything_trains(specs, message, monkeypatch):
    X, y = houses(100)
    steps = []
    overheard(monkeypatch, "train", lambda call: steps.append(call.learning_rates.size))
    with pytest.raises(InvalidInputError, match=message):
        fastgd.fit_many(specs, X, np.r_[-5.0, y[1:]], epochs=1, verbose=0)
    assert sum(steps) == 0


@pytest.mark.parametrize("options", [{"rows": range(30, 50)}, {"rows": range(30), "validation_rows": range(30, 50)}])
def test_a_message_counts_rows_as_the_table_does(options):
    X, y = houses(50)
    y[40] = -1
    specs = [{**GOOD, "rows": range(30)}, {**GOOD, "log_target": True, **options}]
    with pytest.raises(InvalidInputError, match=r"^spec 1: y, row 40 is -1"):
        fastgd.fit_many(specs, X, y, epochs=1, verbose=0)


def test_the_same_model_twice_and_wrong_defaults():
    X, y = houses(50)
    model = fastgd.MLP([4, 1])
    with pytest.raises(InvalidInputError, match=r"^spec 1: model stands in another spec"):
        fastgd.fit_many([{"model": model}, {"model": model}], X, y, verbose=0)
    with pytest.raises(InvalidInputError, match=r"^`n_jobs` is called `n_threads`"):
        fastgd.fit_many([GOOD], X, y, n_jobs=2)
    with pytest.raises(InvalidInputError, match=r"^There is no device 'gpu'"):
        fastgd.fit_many([GOOD], X, y, device="gpu")
    with pytest.raises(InvalidInputError, match=r"^verbose must be"):
        fastgd.fit_many([GOOD], X, y, verbose=7)
    with pytest.raises(InvalidInputError, match=r"^spec 0: X and y have different lengths"):
        fastgd.fit_many([GOOD, GOOD], X, y[:20], rows=[40], verbose=0)


def test_lines_say_how_many_are_finished(capsys):
    X, y = houses(100)
    specs = [{"layer_sizes": [4, 4, 1]}] * 20 + [{"layer_sizes": [4, 4, 1], "optimizer": fastgd.SGD(1e6)}]
    fastgd.fit_many(specs, X, y, epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert 1 <= len(lines) <= 10
    assert lines[-1].startswith("21 of 21 networks, 1 failed, ")
    fastgd.fit_many(specs, X, y, epochs=1, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert all(line.startswith("<Record ") for line in lines)
    fastgd.fit_many(specs, X, y, epochs=1, verbose=0)
    assert capsys.readouterr().out == ""


INTERRUPTED = """
import os, signal, sys, threading, time
import fastgd
from fastgd.callbacks import Callback
from fastgd.many import crew

class Tell(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:
            os.write(1, b"training\\n")  # whole, though two threads say it
            {wait}

X, y = fastgd.datasets.houses(2000, random_state=0)
specs = [dict(layer_sizes=[4, 8, 1], epochs=10), *[dict(layer_sizes=[4, 16, 1], epochs=10**7, callbacks=[Tell()])] * 3]
specs[0]["epochs"] = 10**9
crew.SHORT = 0.0  # side by side, though they are short
specs[0] |= dict(callbacks=[fastgd.callbacks.EarlyStopping(patience=0, min_delta=1e30, monitor="loss")])
records = fastgd.fit_many(specs, X, y, n_threads=2, verbose=0)
print([(record.ended, record.model is None) for record in records], flush=True)
"""


@pytest.mark.parametrize("presses", [1, 3])
def test_ctrl_c_returns_what_there_is(presses):
    wait = "" if presses == 1 else "time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(wait=wait)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for _ in range(2):
                assert process.stdout.readline() == "training\n"
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(0.3)
                except subprocess.TimeoutExpired:
                    continue
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert errors == ""
    running = "('interrupted', False)" if presses == 1 else "('KeyboardInterrupt', True)"
    assert out.strip() == f"[('callback', False), {running}, {running}, ('never begun', False)]"
    assert process.returncode == 0


def test_columns_that_only_one_spec_wants_monotone_are_checked_before_anything_trains():
    import pandas as pd

    X, y = houses(60)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(town=["Bonn", "Ulm"] * 30)
    free = {"layer_sizes": [5, 8, 1], "encoding": "auto", "feature_names": [*"abcd", "town"]}
    with pytest.raises(InvalidInputError, match=r"^spec 1: X, column 4 \(town\) has no numbers"):
        fastgd.fit_many([free, free | {"monotone": {"town": 1}}], frame, y, verbose=0)


def test_one_spec_alone_counts_rows_as_the_table_does():
    X, y = houses(50)
    y[40] = -1
    with pytest.raises(InvalidInputError, match=r"^spec 0: y, row 40 is -1"):
        fastgd.fit_many([{**GOOD, "log_target": True, "rows": range(30, 50)}], X, y, epochs=1, verbose=0)


def test_names_that_are_no_text_are_refused():
    X, y = houses(50)
    with pytest.raises(InvalidInputError, match="specs must be a list of dicts"):
        fastgd.fit_many([{1: 2}, {}], X, y)
