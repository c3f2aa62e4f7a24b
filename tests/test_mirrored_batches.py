"""The engines mirror each other on whole batches: shards, threads that share them, and threads that share columns.

The compiled engine cuts a batch into shards of at least 128 rows; each has a gradient of its own, and threads share the
shards. A batch of one shard of a wide network is shared by columns. The plain engine knows nothing of all that.
"""

from __future__ import annotations

import numpy as np
import pytest
from networks import DTYPES, assert_close, make_case

from fastgd.kernels import cpu, plain
from fastgd.training.optimizers import SGD, Adam, AdamW

SHARDS = {1: 1, 7: 1, 128: 1, 129: 2, 300: 3, 600: 5, 1100: 9, 2100: 16}  # rows of a batch, and their shards
RULES = {
    "momentum": SGD(momentum=0.9, nesterov=True),
    # A large epsilon, so that entries of a gradient that are rounding errors make no steps.
    "adam": Adam(epsilon=1e-3, ema_decay=0.9),
    "adamw, clipped": AdamW(epsilon=1e-3, weight_decay=0.1, clip_norm=0.3, clip_value=0.1),
}
NARROW, LARGE, WIDE = [5, 17, 9, 3], [30, 290, 230, 2], [5, 130, 96, 3]
BROAD = [40, 600, 450, 70]
WIDE_TO_THE_END = [5, 130, 96, 70]  # threads share the outputs, too, and wait for the one that has the loss


def batch_case(kernels, n_rows, batch_size, sizes, dtype, **options):
    return make_case(
        n_rows, sizes, dtype, activation=["gelu", "tanh"], dropout=[0.0, 0.25], batch_size=batch_size, block=None,
        kernels=kernels, **options,
    )  # fmt: skip


def gradient_of_batch(kernels, batch_size, sizes, dtype, weighted, left_out=0):
    """Loss and gradient of a batch in the middle of an epoch, without its last rows."""
    case = batch_case(kernels, batch_size + 50, batch_size, sizes, dtype, weighted=weighted)
    n = batch_size - left_out
    value = kernels.batch_gradient(case.gradients, case.workspace, case.rows, 20, n, case.net, case.loss)
    return len(case.gradients), np.array([value]) * n / batch_size, case.gradients[0] * (n / batch_size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", SHARDS)
def test_the_gradient_of_a_batch_of_shards(batch_size, weighted, dtype):
    n_shards, value, gradient = gradient_of_batch(cpu, batch_size, NARROW, dtype, weighted)
    assert n_shards == SHARDS[batch_size]
    _, expected, slopes = gradient_of_batch(plain, batch_size, NARROW, dtype, weighted)
    assert_close(value, expected, dtype)
    assert_close(gradient, slopes, dtype)


@pytest.mark.tiny
def test_the_gradient_of_a_tiny_batch_of_shards():
    n_shards, value, gradient = gradient_of_batch(cpu, 129, [2, 3, 2, 1], "float64", True)
    assert n_shards == 2
    _, expected, slopes = gradient_of_batch(plain, 129, [2, 3, 2, 1], "float64", True)
    assert_close(value, expected, "float64")
    assert_close(gradient, slopes, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_a_batch_of_few_large_shards(dtype):
    n_shards, value, gradient = gradient_of_batch(cpu, 2100, LARGE, dtype, True)
    assert n_shards == 4, "each of several blocks of rows"
    _, expected, slopes = gradient_of_batch(plain, 2100, LARGE, dtype, True)
    assert_close(value, expected, dtype)
    assert_close(gradient, slopes, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("batch_size", "last_shard"), [(129, 1), (600, 88), (1100, 76), (2100, 60)])
def test_a_forgotten_shard_is_noticed(batch_size, last_shard, dtype):
    _, value, gradient = gradient_of_batch(cpu, batch_size, NARROW, dtype, False, left_out=last_shard)
    _, expected, slopes = gradient_of_batch(plain, batch_size, NARROW, dtype, False)
    for actual, right in ((value, expected), (gradient, slopes)):
        with pytest.raises(AssertionError):
            assert_close(actual, right, dtype, factor=10)


def trained_case(kernels, batch_size, sizes, dtype, rule, n_threads=1, rate=0.01):
    """Two epochs, each with a smaller last batch, and how many threads took part; for each array what became of it."""
    n_rows = 2 * batch_size + batch_size // 3 + 1
    case = batch_case(
        kernels, n_rows, batch_size, sizes, dtype, optimizer=RULES[rule], weighted=True, n_threads=n_threads
    )
    net, rows, loss, optimizer, workspaces, gradients = case
    state, progress, steps = case.state, np.zeros(2), -(-n_rows // batch_size)
    for epoch in range(2):
        rows = rows._replace(epoch=epoch)
        taken = kernels.train(
            net, state, gradients, workspaces, progress, rows, 0, batch_size, np.full(steps, rate), loss,
            optimizer.rule(),
        )  # fmt: skip
        assert taken == steps
    assert state.step[0] == 2 * steps
    return workspaces, {"parameters": net.parameters, "progress": progress, **state._asdict()}


def assert_same_training(actual, expected, dtype, factor):
    for name, value in expected.items():
        assert actual[name].shape == value.shape
        assert_close(actual[name], value, dtype, factor)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", SHARDS)
def test_training_on_batches_of_shards(batch_size, rule, dtype):
    _, expected = trained_case(plain, batch_size, NARROW, dtype, rule)
    for n_threads in (1, 2, 3):
        workspaces, result = trained_case(cpu, batch_size, NARROW, dtype, rule, n_threads)
        assert len(workspaces) == min(n_threads, SHARDS[batch_size])
        assert_same_training(result, expected, dtype, factor=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [40, 128])
@pytest.mark.parametrize("sizes", [WIDE, WIDE_TO_THE_END], ids=["narrow end", "wide end"])
def test_training_with_shared_columns(sizes, batch_size, rule, dtype):
    _, expected = trained_case(plain, batch_size, sizes, dtype, rule)
    for n_threads in (1, 2, 3):
        workspaces, result = trained_case(cpu, batch_size, sizes, dtype, rule, n_threads)
        assert len(workspaces) == n_threads
        assert all(workspace.activations is workspaces[0].activations for workspace in workspaces), (
            "threads divide columns"
        )
        assert_same_training(result, expected, dtype, factor=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [40, 300])
def test_training_of_a_broad_network(batch_size, dtype):
    """More than 2¹⁸ parameters: one shard however many blocks of rows, and products from copies."""
    assert len(cpu.new_gradients(make_case(1, BROAD, dtype).net, 300)) == 1
    _, expected = trained_case(plain, batch_size, BROAD, dtype, "momentum")
    results = [trained_case(cpu, batch_size, BROAD, dtype, "momentum", n_threads) for n_threads in (1, 2, 3)]
    for n_threads, (workspaces, result) in enumerate(results, start=1):
        assert len(workspaces) == n_threads
        assert_same_training(result, expected, dtype, factor=10)
        np.testing.assert_array_equal(result["parameters"], results[0][1]["parameters"])


@pytest.mark.parametrize(("batch_size", "n_shards"), [(999, 1), (1000, 2), (1999, 2), (2000, 4), (9000, 4)])
def test_a_broad_network_has_as_many_shards_as_their_rows_pay_for(batch_size, n_shards):
    net = make_case(1, BROAD, "float32").net
    assert len(cpu.new_gradients(net, batch_size)) == n_shards


def test_the_gradient_of_a_broad_network_of_shards():
    n_shards, value, gradient = gradient_of_batch(cpu, 1000, BROAD, "float64", True)
    assert n_shards == 2
    _, expected_value, expected = gradient_of_batch(plain, 1000, BROAD, "float64", True)
    assert value == pytest.approx(expected_value, rel=1e-12)
    assert_close(gradient, expected, "float64", factor=10)


@pytest.mark.parametrize("batch_size", [1, 3, 40, 64, 128, 200])
def test_small_batches_have_the_order_of_the_epoch(batch_size):
    """The order of several batches is found out at once: each must be where it belongs, also after another epoch."""
    case, n_rows = make_case(250, [3, 4, 1], "float64"), 250
    (workspace,) = cpu.new_workspaces(case.net, case.loss, batch_size=batch_size)
    for seed, epoch in ((0, 0), (0, 1), (1, 1)):
        rows = case.rows._replace(seed=np.uint64(seed), epoch=epoch, shuffle=True, weights=np.zeros(0))
        for place in range(0, n_rows, batch_size):
            n, gradients = min(batch_size, n_rows - place), cpu.new_gradients(case.net, batch_size)
            cpu.batch_gradient(gradients, workspace, rows, place, n, case.net, case.loss)
            expected = np.zeros(n, np.int64)
            plain.row_order(expected, place, n_rows, np.uint64(seed), epoch, True)
            last = (n - 1) // 128 * 128  # of several blocks the last one stays
            np.testing.assert_array_equal(workspace.order[: n - last], expected[last:])


@pytest.mark.parametrize("sizes", [NARROW, WIDE, WIDE_TO_THE_END], ids=["shards", "columns", "columns to the end"])
def test_another_training_is_noticed(sizes):
    batch_size = 300 if sizes == NARROW else 128
    _, expected = trained_case(plain, batch_size, sizes, "float32", "momentum")
    _, result = trained_case(cpu, batch_size, sizes, "float32", "momentum", 2, rate=0.0101)
    with pytest.raises(AssertionError):
        assert_same_training(result, expected, "float32", factor=10)
