"""Looked-up columns: a network that looks up positions is the network whose inputs are all bins and levels."""

from __future__ import annotations

import numpy as np
import pytest
from networks import DTYPES, assert_close, losses_to_test, make_case

from fastgd.kernels import cpu, plain
from fastgd.kernels.cpu.backward import transpose_weights
from fastgd.kernels.plain.lookups import features
from fastgd.kernels.records import Rows, read_only, resting
from fastgd.training.optimizers import SGD, Adam, AdamW

COLUMNS = [(5, 0), (3, 2), (0, 4), (7, 1), (1, 0)]  # bins and levels of each looked-up column
N_ROWS = sum(map(sum, COLUMNS))  # of weights
ENGINES = [pytest.param(cpu, id="cpu"), pytest.param(plain, id="plain")]
RULES = {
    "descent": SGD(),
    "momentum, L2": SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam, L1": Adam(epsilon=1e-3, l1=0.01, weight_decay=0.05),
    "adamw, average": AdamW(epsilon=1e-3, weight_decay=0.1, ema_decay=0.9),
    "adamw, clipped": AdamW(epsilon=1e-3, weight_decay=0.1, clip_norm=0.3, clip_value=0.1),
}


def positions(generator, n):
    """Of each column: every knot, missing and unknown ones included, and places between the knots of numbers."""
    columns = []
    for T, n_levels in COLUMNS:
        knots, between = generator.integers(0, T + n_levels + 2, n), generator.uniform(0, T, n)
        knots[: T + n_levels + 2] = np.arange(min(n, T + n_levels + 2))
        columns.append(np.where((generator.random(n) < 0.5) & (T > 0) & (np.arange(n) >= 20), between, knots))
    return np.column_stack(columns)


def spelled_out(p, mean, scale):
    """Bins and levels of positions p (n, n_lookups), one number at a time."""
    out, place = np.zeros((len(p), N_ROWS)), 0
    for j, (T, n_levels) in enumerate(COLUMNS):
        for i, position in enumerate(p[:, j]):
            if position <= T:
                for t in range(T):
                    share = 0.0 if position < t else 1.0 if position > t + 1 else position - t
                    out[i, place + t] = (share - mean[place + t]) * scale[place + t]
            elif position <= T + n_levels:
                out[i, place + int(position) - 1] = 1
        place += T + n_levels
    return out


def twins(kernels, hidden, n_rows=300, n_dense=2, dtype="float64", loss=("mse", 1), batch_size=1, **options):
    """The same network twice, that looks up and that has all inputs spelled out: two cases with the same parameters."""
    name, n_out = loss
    case = make_case(
        n_rows, [n_dense + N_ROWS, *hidden, n_out], dtype, options.pop("activation", "tanh"), loss=name, block=None,
        batch_size=batch_size, kernels=kernels, **options,
    )  # fmt: skip
    generator, real, none = np.random.default_rng(n_rows), np.dtype(dtype), np.zeros(len(COLUMNS))
    has_bin = np.concatenate([np.arange(T + n_levels) < T for T, n_levels in COLUMNS])
    mean = np.where(has_bin, generator.uniform(0, 1, N_ROWS), 0).astype(real)
    scale = np.where(has_bin, generator.uniform(0.5, 3, N_ROWS), 1).astype(real)
    scale[1] = 0  # a bin that never varied
    starts = n_dense + np.cumsum([0, *map(sum, COLUMNS[:-1])])
    p = positions(generator, n_rows).astype(real)
    X, levels = case.rows.X[:, :n_dense], spelled_out(p, mean, scale).astype(real)
    input_mean, input_std = case.net.input_mean, case.net.input_std
    input_mean[n_dense:], input_std[n_dense:] = 0, 1
    net = case.net._replace(
        parameters=case.net.parameters.copy(),
        input_mean=np.concatenate([input_mean[:n_dense], none]).astype(real),
        input_std=np.concatenate([input_std[:n_dense], none + 1]).astype(real),
        lookups=np.column_stack([starts, COLUMNS]).astype(np.int64),
        bin_mean=mean,
        bin_scale=scale,
    )
    rule, n_threads = case.optimizer.rule(), options.get("n_threads", 1)
    looks = case._replace(
        net=net,
        rows=case.rows._replace(X=read_only(np.hstack([X, p]))),
        workspaces=kernels.new_workspaces(net, case.loss, rule, batch_size, n_threads),
    )
    return looks, case._replace(rows=case.rows._replace(X=read_only(np.hstack([X, levels]))))


def measured(kernels, case):
    """Predictions, the mean loss, and loss and gradient of a part of the rows."""
    n, net = len(case.rows.X), resting(case.net)
    out = np.zeros((n, int(net.layers[-1, 1])), net.parameters.dtype)
    assert kernels.predict(out, case.workspace, case.rows.X, net, case.loss)
    loss = kernels.mean_loss(case.workspace, case.rows, net, case.loss)
    value = kernels.batch_gradient(case.gradients, case.workspace, case.rows, 10, n - 20, case.net, case.loss)
    return out, loss, value, case.gradients[0].copy()


def trained(kernels, case, batch_size, steps=20, rate=0.01):
    """Parameters, and all that the rule remembers, after some steps."""
    net, rows, loss, optimizer, workspaces, gradients = case
    state, sums, n, taken, epoch = case.state, np.zeros(2), len(case.rows.X), 0, 0
    while taken < steps:
        rates = np.full(min(-(-n // batch_size), steps - taken), rate)
        rows = Rows(*rows[:4], epoch, True)
        taken += kernels.train(
            net, state, gradients, workspaces, sums, rows, 0, batch_size, rates, loss, optimizer.rule()
        )
        epoch += 1
    return net.parameters, sums, *state


def assert_all_close(actual, expected, dtype="float64", factor=10.0):
    for values, right in zip(actual, expected, strict=True):
        assert_close(values, right, dtype, factor)


@pytest.mark.tiny
def test_what_positions_stand_for():
    net = make_case(1, [5, 1], "float64").net._replace(
        lookups=np.array([[1, 2, 1], [4, 0, 1]]), bin_mean=np.array([0.5, 0.25, 0, 0]), bin_scale=np.array([2, 4, 1, 1])
    )
    known = {
        (0, 0): [-1, -1, 0, 0],
        (0.5, 1): [0, -1, 0, 1],
        (1.25, 2): [1, 0, 0, 0],
        (2, 1): [1, 3, 0, 1],
        (3, 0): [0, 0, 1, 0],
        (4, 2): [0, 0, 0, 0],
    }
    for position, expected in known.items():
        np.testing.assert_array_equal(features(np.array([[7.0, *position]]), net), [[7.0, *expected]])


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("n_dense", [0, 2])
def test_a_tiny_network_that_looks_up(kernels, n_dense):
    looks, dense = twins(kernels, [3], n_rows=30, n_dense=n_dense, weighted=True)
    assert_all_close(measured(kernels, looks), measured(kernels, dense))
    for batch_size in (10, 1):  # plain descent on single rows has a loop of its own
        results = [trained(kernels, case, batch_size, steps=2) for case in (looks, dense)]
        assert_all_close(*results)


@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("n_dense", [0, 3])
@pytest.mark.parametrize("hidden", [[], [1], [17, 5], [33], [70, 3], [600, 2]], ids=str)
def test_predictions_losses_and_gradients_are_those_of_all_inputs(hidden, n_dense, kernels):
    for batch_size in (1, 600):  # one shard, and several; of all rows, a shard has two blocks
        looks, dense = twins(kernels, hidden, 1100, n_dense, batch_size=batch_size, weighted=True)
        assert_all_close(measured(kernels, looks), measured(kernels, dense))


@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("loss", list(losses_to_test()), ids=str)
def test_every_loss(loss, kernels):
    looks, dense = twins(kernels, [], loss=loss)  # several outputs of the layer that looks up
    assert_all_close(measured(kernels, looks), measured(kernels, dense))


@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [1, 32, 256, 1024])
def test_training_is_that_of_all_inputs(batch_size, rule, kernels):
    options = {"batch_size": batch_size, "weighted": True, "optimizer": RULES[rule]}
    looks, dense = twins(kernels, [40, 9], 1500, activation=["silu", "tanh"], dropout=[0.25, 0.0], **options)
    assert_all_close(trained(kernels, looks, batch_size), trained(kernels, dense, batch_size))


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", ENGINES)
@pytest.mark.parametrize("wrong", ["bin_mean", "bin_scale", "lookups"])
def test_a_wrong_table_is_noticed(wrong, kernels):
    looks, dense = twins(kernels, [3], n_rows=30)
    changed = getattr(looks.net, wrong).copy()
    changed.flat[0] += 1 if wrong == "lookups" else 1e-6
    looks = looks._replace(net=looks.net._replace(**{wrong: changed}))
    for actual, right in zip(measured(kernels, looks), measured(kernels, dense), strict=True):
        with pytest.raises(AssertionError):
            assert_close(actual, right, "float64", factor=10)


@pytest.mark.parametrize("hidden", [[17, 5], [130, 96]], ids=str)
@pytest.mark.parametrize("batch_size", [1, 60, 300])
def test_float32_differs_by_rounding_alone(batch_size, hidden):
    options = {"batch_size": batch_size, "optimizer": RULES["momentum, L2"]}
    results = []
    for kernels, dtype in ((cpu, "float32"), (plain, "float64")):
        looks, _ = twins(kernels, hidden, dtype=dtype, **options)
        results.append([*measured(kernels, looks), *trained(kernels, looks, batch_size)])
    assert results[0][3].dtype == np.float32
    assert results[1][3].dtype == np.float64
    assert_all_close(*results, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", ["descent", "adamw, clipped"])
@pytest.mark.parametrize(("hidden", "batch_size", "shares"), [([40, 9], 700, "shards"), ([200, 130], 128, "columns")])
def test_the_bits_do_not_depend_on_threads(hidden, batch_size, shares, rule, dtype):
    results = []
    for n_threads in (1, 2, 3):
        options = {"dtype": dtype, "batch_size": batch_size, "n_threads": n_threads, "optimizer": RULES[rule]}
        looks, _ = twins(cpu, hidden, 1500, dropout=0.2, **options)
        assert len(looks.workspaces) == n_threads
        together = all(each.activations is looks.workspace.activations for each in looks.workspaces)
        assert together == (shares == "columns" or n_threads == 1)
        results.append(trained(cpu, looks, batch_size, steps=9))
    for result in results[1:]:
        for actual, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [[], [5], [64, 3], [530]], ids=str)
def test_a_row_alone_has_the_same_bits_as_in_a_batch(hidden, dtype):
    looks, _ = twins(cpu, hidden, dtype=dtype)
    together, alone = np.zeros((2, 300, 1), dtype)
    X = looks.rows.X
    cpu.predict(together, looks.workspace, X, looks.net, looks.loss)
    for i in range(len(X)):
        cpu.predict(alone[i : i + 1], looks.workspace, X[i : i + 1], looks.net, looks.loss)
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("kernels", ENGINES)
def test_the_gradient_of_every_weight(kernels):
    looks, _ = twins(kernels, [3], n_rows=40, weighted=True)
    *_, gradient = measured(kernels, looks)
    kernels.batch_gradient(looks.gradients, looks.workspace, looks.rows, 0, 40, looks.net, looks.loss)
    gradient, parameters = looks.gradients[0], looks.net.parameters
    unit, slopes = float(looks.loss.units[0]), np.zeros_like(parameters)
    for k in range(parameters.size):
        kept, values = parameters[k], []
        for parameters[k] in (kept + 1e-6, kept - 1e-6):
            values.append(kernels.mean_loss(looks.workspace, looks.rows, looks.net, looks.loss))
        parameters[k], slopes[k] = kept, (values[0] - values[1]) / 2e-6 / unit
    error = np.abs(gradient - slopes) / np.maximum(np.abs(slopes), 1e-3)
    assert error.max() < 1e-5
    assert np.abs(gradient * 1.0001 - slopes).max() / np.abs(slopes).max() > 1e-5, "the check can fail"


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_stages_one_by_one(dtype):
    results = []
    for kernels in (cpu, plain):
        looks, _ = twins(kernels, [4], n_rows=30, dtype=dtype)
        net, workspace = looks.net, looks.workspace
        kernels.gather(workspace.x[:20], workspace.y[:20], workspace.w[:20], looks.rows, np.arange(20), net)
        kernels.forward(workspace, 20, np.uint64(0), 0, net)
        outputs = workspace.activations[: 20 * 5].copy()
        gradient = np.full_like(net.parameters, 9.0)
        if kernels is cpu:
            transpose_weights(workspace, net)
        for fresh in (True, False):  # the second one adds
            workspace.deltas[1, :20] = 0.5
            kernels.backward(gradient, workspace, 20, fresh, net)
        results.append((outputs, gradient))
    assert_all_close(*results, dtype)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernels", ENGINES)
def test_what_is_no_position_reads_no_other_memory(kernels, dtype):
    looks, _ = twins(kernels, [3], n_rows=30, dtype=dtype)
    if kernels is cpu:  # whatever lies around the scratch would be seen
        knots = looks.workspace.knots
        around = np.full(knots.size + 128, np.nan, dtype)
        looks = looks._replace(workspaces=[looks.workspace._replace(knots=around[64:-64])])
    last = [T + n_levels + 1 for T, n_levels in COLUMNS]
    X, out = np.zeros((2, 2 + len(COLUMNS)), dtype), np.zeros((2, 1), dtype)
    for bad, taken_as, finite in (
        (np.nan, last, False),
        (np.inf, last, False),
        (1e30, last, True),
        (-np.inf, 0, False),
    ):
        X[0, 2:], X[1, 2:] = bad, taken_as
        assert kernels.predict(out, looks.workspace, X, looks.net, looks.loss) == finite
        assert out[0] == out[1], bad
        assert np.isfinite(out).all()
