"""Networks on workers: the records of one machine to the bit, workers that are killed, and clusters that are none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clustered import Kills, Locked, Notes, RaisesUnreadable, Waits, kill_who_waits, same
from populations import MIXED
from samples import houses

import fastgd
from fastgd.errors import ClusterError, ClusterWarning, DivergenceError, InvalidInputError
from fastgd.many import cluster as clusters
from fastgd.many import dask_workers, joblib_workers, parcels
from fastgd.space import LogUniform

distributed = pytest.importorskip("distributed")
joblib = pytest.importorskip("joblib")

SPACE = {"learning_rate": LogUniform(1e-4, 0.1), "layer_sizes": [[4, 8, 1], [4, 32, 1]]}
ALIKE = {"layer_sizes": [4, 8, 1], "epochs": 4, "verbose": 0}
LOCAL = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": 50}
# Processes that a test kills leave sockets behind.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def impatient():
    """Nobody tries for long, as Dask does for 30 s, to reach a worker that a test has killed."""
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "5s"}):
        yield


@pytest.fixture(scope="module")
def cluster():
    """Two processes."""
    with distributed.LocalCluster(n_workers=2, **LOCAL) as cluster:
        cluster.scheduler.allowed_failures = 1  # of a network that kills, so that it is over soon
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture
def loky():
    """Two processes of joblib."""
    with joblib.parallel_config("loky", n_jobs=2):
        yield "joblib"


def eight():
    return [{"random_state": k} for k in range(8)]


def is_free(client):
    """Whether no worker keeps anything, within a moment."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(client.run(lambda dask_worker: list(dask_worker.data)).values()):
            return True
        time.sleep(0.05)
    return False


# The same as on one machine.


@pytest.mark.parametrize("where", ["client", "loky"])
def test_records_are_those_of_one_machine(request, where):
    X, y = houses(700)
    diverging = {"layer_sizes": [4, 8, 1], "optimizer": fastgd.SGD(learning_rate=1e6)}
    specs = [*MIXED, diverging]
    mine = fastgd.fit_many(specs, X, y, epochs=5, verbose=0)
    its = fastgd.fit_many(specs, X, y, epochs=5, verbose=0, client=request.getfixturevalue(where))
    same(mine, its)
    assert isinstance(its[-1].error, DivergenceError)
    assert its[-1].error.step == mine[-1].error.step
    for one, other in zip(mine, its, strict=True):
        assert other.seconds > 0
        np.testing.assert_array_equal(one.model.predict(X), other.model.predict(X))
    assert its[7].callbacks[0].model is its[7].model
    with pytest.raises(AssertionError):  # the comparison can fail
        same(mine, fastgd.fit_many(specs, X, y, epochs=5, random_state=3, verbose=0))


def test_frames_labels_and_validation_data(client):
    X, y = houses(300)
    frame = pd.DataFrame(X, columns=["size", "rooms", "distance", "age"]).assign(town=["Bonn", "Ulm", "Ulm"] * 100)
    label = pd.Series(np.where(y > np.median(y), "dear", "cheap"))
    held = frame[:60], label[:60], np.arange(60) + 1.0
    specs = [{"layer_sizes": [5, 8, 2], "random_state": k, "validation_data": held} for k in range(3)]
    options = {"loss": "cross_entropy", "encoding": "auto", "epochs": 2, "class_weight": "balanced", "verbose": 0}
    mine, its = (fastgd.fit_many(specs, frame, label, client=where, **options) for where in (None, client))
    same(mine, its)
    assert list(its[0].model.classes) == ["cheap", "dear"]
    assert its[0].model.feature_names == tuple(frame.columns)


def test_warnings_are_told_once(client):
    X, _ = houses(100)
    options = {"layer_sizes": [4, 2], "loss": "cross_entropy", "epochs": 1, "verbose": 0, "client": client}
    with pytest.warns(fastgd.errors.InputWarning, match=r"^spec 0: y has 1 class \(same\)") as told:
        records = fastgd.fit_many(eight()[:3], X, np.full(100, "same"), **options)
    assert len(told) == 1
    assert [len(record.warnings) for record in records] == [1] * 3


def test_the_model_that_goes_on_is_the_users(client):
    X, y = houses(200)
    model, alone = fastgd.MLP([4, 8, 1]), fastgd.MLP([4, 8, 1])
    parameters = model.parameters
    options = {"optimizer": fastgd.Adam(learning_rate=0.01), "verbose": 0}
    with pytest.warns(ClusterWarning, match=r"^client has workers with 2 threads, but there is 1 network"):
        (record,) = fastgd.fit_many([{"model": model}], X, y, epochs=2, client=client, **options)
    assert record.model is model
    assert model.parameters is parameters  # as code that holds them expects
    model.fit(X, y, epochs=3, **options)
    alone.fit(X, y, epochs=5, **options)
    np.testing.assert_array_equal(model.parameters, alone.parameters)


@pytest.mark.parametrize("where", ["client", "loky"])
def test_a_search_is_that_of_one_machine(request, where):
    X, y = houses(200)
    options = {"n_candidates": 9, "cv": 3, "epochs": 9, "metric": "rmse", "verbose": 0}
    mine, its = (fastgd.search(SPACE, X, y, client=c, **options) for c in (None, request.getfixturevalue(where)))
    assert [c.epochs for c in its.candidates] == [9, 3, 3, 1, 1, 1, 1, 1, 1]
    for one, other in zip(mine.candidates, its.candidates, strict=True):
        assert (one.number, one.scores, one.curves) == (other.number, other.scores, other.curves)
    np.testing.assert_array_equal(mine.model.parameters, its.model.parameters)


# What goes to workers.


def test_networks_are_spread_and_callbacks_come_back(client):
    X, y = houses(200)
    records = fastgd.fit_many(eight(), X, y, client=client, callbacks=[Notes()], **ALIKE)
    workers = client.run(os.getpid).values()
    assert {record.callbacks[0].process for record in records} <= set(workers)
    assert os.getpid() not in workers
    for record in records:
        assert record.callbacks[0].losses == record.history["loss"]


def test_each_worker_has_one_copy_of_the_table_until_the_call_is_over(client):
    X = np.random.default_rng(0).normal(size=(50_000, 4))  # 1.6 MB
    kept = []

    class Looks(clusters.Cluster):
        def _look(self):
            kept.append(client.run(lambda dask_worker: [
                value.__sizeof__() for value in dask_worker.data.values() if type(value).__name__ == "Luggage"
            ]))  # fmt: skip
            super()._look()

    folds = np.arange(len(X)) % 4
    specs = [{"validation_rows": folds == k % 4, "random_state": k} for k in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "Cluster", Looks)
        fastgd.fit_many(specs, X, X[:, 0], client=client, **ALIKE | {"epochs": 1})
    counts = np.array([[len(sizes) for sizes in of_workers.values()] for of_workers in kept])
    assert counts.max(axis=0).tolist() == [1, 1]  # at times one has none: Dask takes it from whoever has nothing to do
    bytes_of_rows = 8 * 8 * len(X)  # numbers of rows: each network has masks of its own here
    (n_bytes,) = {size for of_workers in kept for sizes in of_workers.values() for size in sizes}
    assert X.nbytes < n_bytes < 1.3 * X.nbytes + bytes_of_rows
    assert is_free(client)


def test_a_search_sends_the_table_once(client, monkeypatch):
    X, y = houses(200)
    sent, scatter = [], dask_workers.DaskWorkers._scatter
    monkeypatch.setattr(dask_workers.DaskWorkers, "_scatter", lambda workers: sent.append(1) or scatter(workers))
    result = fastgd.search(SPACE, X, y, n_candidates=9, cv=3, epochs=9, verbose=0, client=client)
    assert (result.n_rounds, len(sent)) == (3, 1)
    assert is_free(client)


def test_a_parcel_has_no_table():
    X, y = houses(5000)
    tasks = clusters_tasks(eight(), X, y)
    packing = parcels.Packing(tasks)
    assert len(packing.packed(tasks[0], "spec 0")) < X.nbytes / 10
    again = parcels.unpickled(packing.packed(tasks[0], "spec 0"), packing.luggage.things)
    assert again.table is tasks[0].table


def clusters_tasks(specs, X, y):
    from fastgd.many.tasks import tasks_of

    return tasks_of(specs, X, y, {"layer_sizes": [4, 8, 1], "epochs": 4})


def test_bundles_hold_some_seconds_of_work(monkeypatch):
    X, y = houses(1000)
    tasks = clusters_tasks([{"random_state": k, "epochs": 1 + k % 3} for k in range(60)], X, y)
    packing = parcels.Packing(tasks)
    name = "spec {}".format
    bundles = packing.bundles(tasks, 3, name)
    assert 12 <= len(bundles) <= 18
    assert sorted(task.record.number for bundle in bundles for task in bundle.tasks) == list(range(60))
    assert [bundle.tasks[0].work for bundle in bundles] == sorted((b.tasks[0].work for b in bundles), reverse=True)
    monkeypatch.setattr(parcels, "SECONDS", 0.0)
    assert len(packing.bundles(tasks, 3, name)) == 60


def test_progress_is_told_as_it_comes(client, capsys):
    X, y = houses(100)
    fastgd.fit_many(eight(), X, y, client=client, **ALIKE | {"verbose": 2})
    lines = capsys.readouterr().out.splitlines()
    assert sorted(int(line.split()[1].rstrip(":")) for line in lines) == list(range(8))


# Workers that are lost.


@pytest.mark.parametrize("where", ["client", "loky"])
def test_what_a_killed_worker_had_is_trained_elsewhere(request, where, tmp_path):
    X, y = houses(300)
    specs = eight()
    mine = fastgd.fit_many(specs, X, y, **ALIKE)
    specs[3] |= {"callbacks": [Waits(str(tmp_path / "who"))]}
    client = request.getfixturevalue(where)
    thread = kill_who_waits(tmp_path / "who")
    with pytest.warns(ClusterWarning, match=r"^Lost on the way: .*; specs? .*\b3\b.* began anew on other workers"):
        its = fastgd.fit_many(specs, X, y, client=client, **ALIKE)
    thread.join()
    for one, other in zip(mine, its, strict=True):
        assert other.error is None
        np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
        assert one.history.history == other.history.history


def test_the_last_worker_takes_the_table_with_it_and_another_one_gets_it(tmp_path):
    X, y = houses(300)
    specs = eight()
    specs[0] |= {"callbacks": [Waits(str(tmp_path / "who"))]}
    mine = fastgd.fit_many(eight(), X, y, **ALIKE)
    with distributed.LocalCluster(n_workers=1, **LOCAL) as cluster:
        thread = kill_who_waits(tmp_path / "who")
        with pytest.warns(ClusterWarning, match="^Lost on the way: tcp://"):
            its = fastgd.fit_many(specs, X, y, client=cluster.scheduler_address, **ALIKE)
        thread.join()
    assert [record.error for record in its] == [None] * 8
    for one, other in zip(mine, its, strict=True):
        np.testing.assert_array_equal(one.model.parameters, other.model.parameters)


def test_what_waits_beside_a_network_that_kills_is_trained():
    X, y = houses(100)
    specs = [{"callbacks": [Kills()], "epochs": 5}, {}]
    with distributed.LocalCluster(n_workers=1, **LOCAL) as cluster:
        cluster.scheduler.allowed_failures = 0
        with pytest.warns(ClusterWarning, match="^Lost on the way: "):
            records = fastgd.fit_many(specs, X, y, client=cluster.scheduler_address, **ALIKE)
    assert [record.ended for record in records] == ["ClusterError", "completed"]


@pytest.mark.parametrize("where", ["client", "loky"])
def test_a_network_that_kills_is_given_up_alone(request, where, monkeypatch):
    monkeypatch.setattr(joblib_workers, "MOST_LOST", 1)  # as of the scheduler here
    monkeypatch.setattr(joblib_workers, "ALONE", 1)
    X, y = houses(100)
    specs = eight()[:4]
    specs[1] |= {"callbacks": [Kills()]}
    with pytest.warns(ClusterWarning, match="^Lost on the way: "):
        records = fastgd.fit_many(specs, X, y, client=request.getfixturevalue(where), **ALIKE)
    assert [record.ended for record in records] == ["completed", "ClusterError", "completed", "completed"]
    assert str(records[1].error).startswith("Every worker that trained it was lost: killed, or out of memory.")


def test_a_search_says_which_candidates_began_anew(client, tmp_path):
    X, y = houses(100)
    thread = kill_who_waits(tmp_path / "who")
    space = {"callbacks": [[Waits(str(tmp_path / "who"))]], "random_state": list(range(4))}
    options = {"n_candidates": 4, "cv": 2, "halving": False, "refit": False, **ALIKE}
    with pytest.warns(ClusterWarning, match=r"^Lost on the way: tcp://.*; candidates? [0-3][, 0-3]* began anew"):
        result = fastgd.search(space, X, y, client=client, **options)
    thread.join()
    assert [candidate.error for candidate in result.candidates] == [None] * 4


@pytest.mark.parametrize("error", [OSError, RuntimeError, TimeoutError])
def test_workers_that_are_lost_while_they_take_the_table_end_nothing(client, monkeypatch, error):
    X, y = houses(100)
    scatter, sent = distributed.Client.scatter, []

    def breaks_first(self, *arguments, **options):
        sent.append(1)
        if len(sent) == 1:
            raise error("a worker is gone")
        return scatter(self, *arguments, **options)

    monkeypatch.setattr(distributed.Client, "scatter", breaks_first)
    records = fastgd.fit_many(eight(), X, y, client=client, **ALIKE)
    assert [record.error for record in records] == [None] * 8
    assert len(sent) == 2
    sent.clear()
    monkeypatch.setattr(dask_workers, "GONE", -1.0)
    records = fastgd.fit_many(eight(), X, y, client=client, **ALIKE)
    assert {type(record.error) for record in records} == {ClusterError}
    assert "a worker is gone" in str(records[0].error)


def test_a_cluster_without_workers_ends_the_call(client, monkeypatch):
    monkeypatch.setattr(dask_workers, "GONE", 0.0)
    monkeypatch.setattr(dask_workers, "COUNTS", 0.0)
    X, y = houses(100)
    with distributed.LocalCluster(n_workers=1, **LOCAL) as cluster:
        workers = dask_workers.DaskWorkers(dask_workers.connected(cluster.scheduler_address))
        cluster.scale(0)
        end = time.monotonic() + 30
        while workers.client.nthreads() and time.monotonic() < end:
            time.sleep(0.05)
        records = clusters_tasks(eight(), X, y)
        monkeypatch.setattr(workers, "_scatter", lambda: None)
        with clusters.Cluster(workers, "cpu", str) as whole:
            from fastgd.many.progress import Nothing

            whole.work(records, Nothing())
    for task in records:
        assert str(task.record.error).startswith("There has been no worker for 0 s")


# Clusters that are none.


def test_what_is_no_cluster_is_said_in_a_sentence(client, monkeypatch):
    monkeypatch.setattr(dask_workers, "CONNECTING", 1.0)
    X, y = houses(50)

    def refused(error, message, **options):
        started = time.monotonic()
        with pytest.raises(error, match=message) as caught:
            fastgd.fit_many(eight(), X, y, **ALIKE | options)
        assert "\n" not in str(caught.value)
        assert time.monotonic() - started < 30

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        refused(ClusterError, rf"^client='{address}': no scheduler of Dask has answered within ", client=address)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it listens, and says nothing
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        refused(ClusterError, rf"^client='{address}': no scheduler of Dask has answered", client=address)
    refused(ClusterError, r"^client='dask': no scheduler", client="dask")
    refused(ClusterError, r"^client='': no scheduler", client="")
    refused(InvalidInputError, r"^client must be a dask\.distributed\.Client, the address .*, not int", client=3)
    refused(InvalidInputError, r"^n_threads is for this machine", client=client, n_threads=2)
    with pytest.raises(InvalidInputError, match=r"^spec 1: client is for all networks"):
        fastgd.fit_many([{}, {"client": client}], X, y, **ALIKE)
    client.close()
    refused(InvalidInputError, r"^client is closed: make a new one", client=client)


@pytest.mark.parametrize("where", ["client", "loky"])
def test_mistakes_are_said_before_anything_is_sent(request, where):
    X, y = houses(50)
    client = request.getfixturevalue(where)
    with pytest.raises(InvalidInputError, match=r"^spec 1 cannot be sent to a worker: TypeError: cannot pickle"):
        fastgd.fit_many([{}, {"callbacks": [Locked()]}], X, y, client=client, **ALIKE)
    space = {"random_state": [1, 2, 3]}
    with pytest.raises(InvalidInputError, match=r"^candidate 0, fold 0 cannot be sent to a worker: "):
        fastgd.search(space, X, y, client=client, callbacks=[Locked()], halving=False, **ALIKE)
    with pytest.raises(InvalidInputError, match=r"^spec 0: y, row 0 is -1: log_target needs positive"):
        fastgd.fit_many([{"log_target": True}], X, np.r_[-1.0, y[1:]], client=client, **ALIKE)


@pytest.mark.parametrize("where", ["client", "loky"])
def test_what_cannot_be_read_when_it_comes_back_ends_nothing_else(request, where):
    X, y = houses(50)
    specs = [{}, {"callbacks": [RaisesUnreadable()]}, {}]
    records = fastgd.fit_many(specs, X, y, client=request.getfixturevalue(where), **ALIKE)
    assert [record.ended for record in records] == ["completed", "ClusterError", "completed"]
    assert str(records[1].error).startswith("What a worker has sent back cannot be read here: TypeError: ")


def test_joblib_without_results_as_they_come_is_refused():
    X, y = houses(50)
    with (
        joblib.parallel_config("multiprocessing", n_jobs=2),
        pytest.raises(InvalidInputError, match=r"^client: joblib's MultiprocessingBackend sends no results"),
    ):
        fastgd.fit_many(eight(), X, y, client="joblib", **ALIKE)


def test_joblib_over_threads_and_dask(client):
    X, y = houses(100)
    mine = fastgd.fit_many(eight(), X, y, **ALIKE)
    with joblib.parallel_config("threading", n_jobs=2):
        same(mine, fastgd.fit_many(eight(), X, y, client="joblib", **ALIKE))
    with joblib.parallel_config("dask", client=client):
        same(mine, fastgd.fit_many(eight(), X, y, client="joblib", **ALIKE))
    same(mine, fastgd.fit_many(eight(), X, y, client="joblib", **ALIKE))  # one after another, as joblib's default is


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ('__version__ = "0.0.1"', r" has fastgd 0\.0\.1, but this process has "),
        ("raise ModuleNotFoundError(\"No module named 'fastgd'\")", r" has no fastgd \(ModuleNotFoundError: "),
    ],
)
def test_a_worker_with_another_version_or_none(package, message, tmp_path):
    (tmp_path / "fastgd").mkdir()
    (tmp_path / "fastgd" / "__init__.py").write_text(package)
    X, y = houses(50)
    with distributed.LocalCluster(n_workers=0, **LOCAL) as cluster:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address, "--no-nanny"]
        worker = subprocess.Popen(
            [*command, "--nthreads", "1", "--no-dashboard"], env=os.environ | {"PYTHONPATH": str(tmp_path)},
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with pytest.raises(ClusterError, match=rf"^client: the worker tcp://\S+{message}"):
                fastgd.fit_many(eight(), X, y, client=cluster.scheduler_address, **ALIKE)
        finally:
            worker.kill()
            worker.wait()


def test_a_scheduler_without_workers(monkeypatch):
    monkeypatch.setattr(dask_workers, "STARTING", 0.2)
    X, y = houses(50)
    with (
        distributed.LocalCluster(n_workers=0, **LOCAL) as cluster,
        pytest.raises(ClusterError, match=r"^client: the scheduler tcp://\S+ has had no worker for 0\.2 s"),
    ):
        fastgd.fit_many(eight(), X, y, client=cluster.scheduler_address, **ALIKE)


def test_a_worker_that_joins_with_another_version_trains_nothing():
    number, answer = parcels.train_bundle(parcels.Luggage([]), 7, [b""], "call", "cpu", "0.0.1")
    assert number == 7
    assert str(answer).startswith("A worker has fastgd ")


# Ctrl-C.

INTERRUPTED = """
import os, sys, threading
sys.path.insert(0, {tests!r})
import fastgd, joblib
from fastgd.callbacks import Callback
from distributed import LocalCluster
from contextlib import nullcontext

class Tell(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:
            open(os.path.join({folder!r}, f"{{os.getpid()}}-{{threading.get_ident()}}"), "w").close()

def main():
    X, y = fastgd.datasets.houses(2000, random_state=0)
    specs = [dict(layer_sizes=[4, 8, 1], epochs=10), *[dict(layer_sizes=[4, 16, 1], epochs=10**7)] * 6]
    joblib.parallel_config("loky", n_jobs=2)
    dask = {dask!r}
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") if dask else nullcontext() as cluster:
        client = cluster.scheduler_address if dask else "joblib"
        records = fastgd.fit_many(specs, X, y, callbacks=[Tell()], verbose=0, client=client)
        print([(record.ended, record.model is None) for record in records], flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("dask", [True, False])
def test_ctrl_c_returns_what_there_is(dask, tmp_path):
    (tmp_path / "told").mkdir()
    script = tmp_path / "interrupted.py"
    tests = str(Path(__file__).parent)
    script.write_text(INTERRUPTED.format(tests=tests, folder=str(tmp_path / "told"), dask=dask))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while len(list((tmp_path / "told").iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    records = eval(out.strip().splitlines()[-1])
    running = ("interrupted", False) if dask else ("KeyboardInterrupt", True)
    assert records.count(running) == 2
    assert records.count(("never begun", False)) == 5
