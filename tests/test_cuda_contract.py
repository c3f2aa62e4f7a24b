"""What the package asks of the engine of the GPU, on the same arguments as the plain engine; without a GPU."""

from __future__ import annotations

import inspect

import cuda_double
import numpy as np
import pytest
from cuda_tasks import requests_of
from networks import DTYPES, assert_close, losses_to_test, make_case
from test_lookups import twins

from fastgd.kernels import REQUIRED, plain
from fastgd.kernels.records import StepRequest, resting
from fastgd.training.optimizers import SGD, Adam

ONE_BLOCK, MANY_BLOCKS = 64, 0  # of engine.SMALL_BATCH: which kernel has the steps


@pytest.fixture(scope="module")
def engine():
    with cuda_double.engine() as engine:
        yield engine


@pytest.fixture(params=[ONE_BLOCK, MANY_BLOCKS])
def either(request, engine, monkeypatch):
    """The engine, with steps by one block or by many."""
    monkeypatch.setattr(engine, "SMALL_BATCH", request.param)
    return engine


def cases(engine, *arguments, **options):
    """The same case for the plain engine and for this one."""
    return [(kernels, make_case(*arguments, kernels=kernels, **options)) for kernels in (plain, engine)]


def learn(kernels, case, rates, place=0, batch_size=5, rule=None):
    """Take steps; returns how many were taken, the sums, and the state."""
    state, sums = case.optimizer.new_state(case.net.parameters), np.array([100.0, 10.0])
    taken = kernels.train(
        case.net, state, case.gradients, case.workspaces, sums, case.rows, place, batch_size, np.array(rates, float),
        case.loss, (rule or case.optimizer).rule(),
    )  # fmt: skip
    return taken, sums, state


def test_it_has_all_that_is_asked_for_with_the_same_arguments(engine):
    for name in REQUIRED:
        ours, theirs = (list(inspect.signature(getattr(kernels, name)).parameters) for kernels in (engine, plain))
        assert ours == (["arguments"] if name == "train" else theirs), name
    assert StepRequest._fields == tuple(inspect.signature(plain.train).parameters)
    assert engine.new_gradients(make_case(3, [2, 3, 1], "float32").net, 8).shape == (1, 13)


def test_whether_anything_is_compiled():
    with cuda_double.engine() as engine:
        assert not engine.is_compiled()
        case = make_case(6, [3, 4, 2], "float32", kernels=engine)
        before = case.net.parameters.copy()
        taken, sums, state = learn(engine, case, [])
        assert engine.is_compiled()
        assert (taken, state.step[0], sums.tolist()) == (0, 0, [100.0, 10.0])
        np.testing.assert_array_equal(case.net.parameters, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_order_and_its_rows(engine, dtype, shuffle):
    seen = []
    for kernels, case in cases(engine, 30, [3, 4, 2], dtype, weighted=True):
        order, workspace = np.zeros(11, np.int64), case.workspace
        kernels.row_order(order, 9, 30, np.uint64(2**40 + 5), 7, shuffle)
        kernels.gather(workspace.x[:11], workspace.y[:11], workspace.w[:11], case.rows, order, case.net)
        seen.append((order, workspace.x[:11], workspace.y[:11], workspace.w[:11]))
    for ours, theirs in zip(*seen, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("B", [1, 5, 21])
def test_forward_shows_outputs_and_slopes_of_every_layer(engine, dtype, B):
    seen = []
    for kernels, case in cases(engine, 30, [3, 5, 4, 2], dtype, activation=["gelu", "tanh"], dropout=[0.4, 0.5]):
        workspace = case.workspace
        generator = np.random.default_rng(1)
        workspace.order[:] = generator.permutation(64) + 2**33  # of more rows than 32 bits can count
        workspace.x[:] = generator.normal(size=workspace.x.shape)
        kernels.forward(workspace, B, np.uint64(2**35 + 3), 4, case.net)
        seen.append((workspace.activations[: B * 11], workspace.slopes[: B * 11]))
        assert 0 < np.mean(workspace.activations[: B * 9] == 0) < 1
    for ours, theirs in zip(*seen, strict=True):
        assert_close(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "place", "n"), [(30, 7, 19), (30, 0, 30), (1, 0, 1), (300, 3, 290)])
def test_the_gradient_of_rows(engine, dtype, n_rows, place, n):
    seen = []
    for kernels, case in cases(engine, n_rows, [3, 5, 2], dtype, dropout=0.3, weighted=True, block=8):
        rows = case.rows if n > 1 else case.rows._replace(weights=np.array([2.5], dtype))
        gradients = np.full((1, case.net.parameters.size), np.nan, dtype)
        value = kernels.batch_gradient(gradients, case.workspace, rows, place, n, case.net, case.loss)
        seen.append((gradients[0], np.array([value])))
    for ours, theirs in zip(*seen, strict=True):
        assert_close(ours, theirs, dtype, factor=10)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("loss", "n_out"), list(losses_to_test()), ids=str)
def test_the_mean_loss_of_rows(engine, loss, n_out, weighted):
    seen = []
    for kernels, case in cases(
        engine, 27, [3, 5, n_out], "float64", loss=loss, weighted=weighted, dropout=0.3, block=8
    ):
        net, workspace = resting(case.net), case.workspace
        value = kernels.mean_loss(workspace, case.rows, net, case.loss)
        seen.append((np.array([value]), workspace.activations[: 3 * (5 + n_out)].copy()))  # the last block has 3 rows
    for ours, theirs in zip(*seen, strict=True):
        assert_close(ours, theirs, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "n_out"), list(losses_to_test()), ids=str)
def test_predictions(engine, loss, n_out, dtype):
    seen = []
    for kernels, case in cases(engine, 21, [3, 5, n_out], dtype, loss=loss):
        out = np.full((21, n_out), np.nan, dtype)
        assert kernels.predict(out, case.workspace, case.rows.X, case.net, case.loss) is True
        again = np.zeros_like(out)
        assert kernels.predicting(case.workspace, case.net, case.loss)(again, case.rows.X)
        np.testing.assert_array_equal(again, out)
        seen.append(out)
    assert_close(*seen, dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (20, 2)])
def test_inputs_that_are_not_finite_are_told(engine, bad, row, column):
    for kernels, case in cases(engine, 21, [3, 5, 2], "float32", activation="sigmoid"):
        X, out = case.rows.X.copy(), np.zeros((21, 2), np.float32)
        X[row, column] = bad
        assert kernels.predict(out, case.workspace, X, case.net, case.loss) is False
        assert np.isfinite(np.delete(out, row, axis=0)).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_predictions_that_are_not_finite_are_told(engine):
    for kernels, case in cases(engine, 21, [3, 5, 2], "float32", loss="poisson"):
        X, out = case.rows.X.copy(), np.zeros((21, 2), np.float32)
        case.net.parameters[-1] = 200
        assert kernels.predict(out, case.workspace, X, case.net, case.loss) is False


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_positions_that_are_not_finite_are_told(engine, bad):
    for kernels in (plain, engine):
        case, _ = twins(kernels, [4], n_rows=30)
        X, out = case.rows.X.copy(), np.zeros((30, 1))
        assert kernels.predict(out, case.workspace, X, case.net, case.loss) is True
        X[4, 3] = bad
        assert kernels.predict(out, case.workspace, X, case.net, case.loss) is False, kernels


def test_many_predictions_go_in_parts(engine, monkeypatch):
    case = make_case(21, [3, 5, 2], "float32", kernels=engine)
    whole, parts = np.zeros((2, 21, 2), np.float32)
    assert engine.predict(whole, case.workspace, case.rows.X, case.net, case.loss)
    monkeypatch.setattr(engine, "CHUNK_BYTES", 4 * 3 * 8)
    engine.double.launches.clear()
    assert engine.predict(parts, case.workspace, case.rows.X, case.net, case.loss)
    assert engine.double.launches == [("run_tiles", 1)] * 3
    np.testing.assert_array_equal(parts, whole)
    X = case.rows.X.copy()
    X[0] = np.inf
    assert not engine.predict(parts, case.workspace, X, case.net, case.loss)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [SGD(), Adam(clip_norm=0.5, ema_decay=0.8, weight_decay=0.1)], ids=str)
@pytest.mark.parametrize(
    ("n_rows", "place", "batch_size", "n_steps"), [(30, 0, 5, 6), (30, 7, 5, 3), (29, 20, 20, 1), (600, 250, 13, 25)]
)
def test_steps_from_any_place_of_an_epoch(either, optimizer, dtype, n_rows, place, batch_size, n_steps):
    seen = []
    for kernels, case in cases(
        either, n_rows, [3, 4, 2], dtype, optimizer=optimizer, weighted=True, batch_size=batch_size, dropout=0.2
    ):
        taken, sums, state = learn(kernels, case, np.linspace(0.02, 0.01, n_steps), place, batch_size)
        assert taken == state.step[0] == n_steps
        seen.append((sums, case.net.parameters, *state))
    for ours, theirs in zip(*seen, strict=True):
        assert_close(ours, theirs, dtype, factor=50)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_training_stops_before_a_step_that_is_not_finite(either):
    seen = []
    for kernels, case in cases(either, 30, [2, 3, 1], "float64", activation="relu"):
        rates = [0.01, 0.01, 1e300, 0.01, 0.01, 0.01]
        taken, sums, state = learn(kernels, case, rates)
        seen.append((taken, sums, case.net.parameters, state.step))
        assert 3 <= taken < 6
        assert np.abs(case.net.parameters).max() > 1e100  # the steps up to there were taken
    for ours, theirs in zip(*seen, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_step_is_taken_after_one_that_was_not(either):
    """Not even where later batches have finite losses: only the rows of the second one are far off."""
    seen = []
    for kernels, case in cases(either, 30, [3, 4, 2], "float64", activation="relu"):
        X = case.rows.X.copy()
        X[7] = 1e300
        case = case._replace(rows=case.rows._replace(X=X, shuffle=False))
        taken, sums, state = learn(kernels, case, np.full(6, 0.01))
        assert taken == state.step[0] == 1
        seen.append((sums, case.net.parameters))
    for ours, theirs in zip(*seen, strict=True):
        assert_close(ours, theirs, "float64")


@pytest.mark.parametrize("state_bytes", [1 << 30, 1])
def test_many_networks_learn_what_each_learns_alone(engine, monkeypatch, state_bytes):
    monkeypatch.setattr(engine, "STATE_BYTES", state_bytes)
    together, alone = (list(requests_of(engine, [1, 2, 3])) for _ in range(2))
    engine.double.launches.clear()
    assert engine.train_many(together) == [3, 4, 5]
    assert len(engine.double.launches) == (1 if state_bytes > 1 else 3)
    assert [engine.train(*request) for request in alone] == [3, 4, 5]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.net.parameters, other.net.parameters)
        np.testing.assert_array_equal(one.sums, other.sums)
        np.testing.assert_array_equal(one.state.velocity, other.state.velocity)
        assert one.state.step == other.state.step


def test_networks_of_different_kinds_are_told_apart(engine):
    mixed = [*requests_of(engine, [1, 2]), *requests_of(engine, [3], activation="relu"), *requests_of(engine, [4])]
    alone = [*requests_of(engine, [1, 2]), *requests_of(engine, [3], activation="relu"), *requests_of(engine, [4])]
    mixed[1] = mixed[1]._replace(batch_size=25, learning_rates=np.array([0.01]))  # of several tiles
    alone[1] = alone[1]._replace(batch_size=25, learning_rates=np.array([0.01]))
    assert engine.train_many(mixed) == [engine.train(*request) for request in alone] == [3, 1, 5, 6]
    for one, other in zip(mixed, alone, strict=True):
        np.testing.assert_array_equal(one.net.parameters, other.net.parameters)


def test_rows_of_a_table_stay_on_the_device_as_long_as_they_live(engine):
    memory = cuda_double.sys.modules[f"{cuda_double.ROOM}.memory"]
    X = np.ones((4, 3))
    first = memory.on_device(X)
    assert memory.on_device(X) is first
    n = len(memory._resident)
    del X
    assert len(memory._resident) == n - 1
