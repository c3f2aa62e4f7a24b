"""The engines mirror each other: same names, same arguments, same numbers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from networks import DTYPES, ODD_SHAPES, TINY_SHAPES, assert_close, losses_to_test, make_case

from fastgd.kernels import cpu, plain
from fastgd.kernels.cpu.backward import transpose_weights
from fastgd.network.activations import ACTIVATIONS
from fastgd.training.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

SHAPES = [
    pytest.param(*shape, id="-".join(map(str, shape[1])), marks=[pytest.mark.tiny] if shape in TINY_SHAPES else [])
    for shape in ODD_SHAPES
]
MATRICES = [
    pytest.param(M, K, N, marks=[pytest.mark.tiny] if M * K * N < 200 else [])
    for M, K, N in [
        (1, 1, 1),
        (1, 3, 4),
        (4, 4, 1),
        (5, 4, 3),
        (3, 63, 65),
        (5, 17, 17),
        (5, 9, 9),
        (64, 5, 130),
        (65, 130, 1),
        (130, 64, 63),
    ]
]


def random(*shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.tiny
def test_same_names_and_arguments():
    def arguments(function):
        return list(inspect.signature(getattr(function, "py_func", function)).parameters)

    assert sorted(cpu.__all__) == sorted(plain.__all__)
    assert {"train", "predict", "batch_gradient"} <= set(cpu.__all__)
    for name in cpu.__all__:
        if callable(getattr(cpu, name)):
            assert arguments(getattr(cpu, name)) == arguments(getattr(plain, name)), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "K", "N"), MATRICES)
def test_products(M, K, N, dtype):
    A, B = random(M, K, dtype=dtype), random(K, N, dtype=dtype, seed=1)
    for left in (A, np.asfortranarray(A)):  # the weight gradient passes a transposed view
        results = []
        for kernels in (cpu, plain):
            C = random(M, N, dtype=dtype, seed=2)
            kernels.add_product(C, left, B)
            results.append(C)
        assert_close(*results, dtype, factor=10)
    for name, out in (("add_column_sums", random(K, dtype=dtype)), ("transpose", np.zeros((K, M), dtype))):
        results = []
        for kernels in (cpu, plain):
            result = out.copy()
            getattr(kernels, name)(result, A)
            results.append(result)
        assert_close(*results, dtype, factor=10)
    results = []
    for kernels in (cpu, plain):
        out = np.zeros((M, N), dtype)
        kernels.dense(out, A, B, random(N, dtype=dtype, seed=3))
        results.append(out)
    assert_close(*results, dtype, factor=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("M", "K", "N"), [(130, 300, 2100), (17, 140, 515), (300, 7, 600), (16, 129, 2049)])
def test_products_from_copies_are_those_of_single_rows(M, K, N, dtype):
    """Wide matrices are copied in panels; one row alone is not."""
    A, B, start = random(M, K, dtype=dtype), random(K, N, dtype=dtype, seed=1), random(M, N, dtype=dtype, seed=2)
    expected = start + A @ B
    for left in (A, np.asfortranarray(A)):  # the weight gradient passes a transposed view
        C, single = start.copy(), start.copy()
        cpu.add_product(C, left, B)
        for row in range(M):
            cpu.add_product(single[row : row + 1], np.ascontiguousarray(A[row : row + 1]), B)
        np.testing.assert_array_equal(C, single)
        assert_close(C, expected, dtype, factor=10)
    biases = random(N, dtype=dtype, seed=3)  # a start that is not C itself
    cpu.dense(C, A, B, biases)
    assert_close(C, A @ B + biases, dtype, factor=10)


@pytest.mark.tiny
def test_a_wrong_product_is_noticed():
    A, B, C = (
        random(5, 6, dtype="float32"),
        random(6, 3, dtype="float32", seed=1),
        np.zeros((5, 3), np.float32),
    )
    cpu.add_product(C, A, B)
    wrong = A @ B
    wrong[4, 2] += 1e-3
    with pytest.raises(AssertionError):
        assert_close(C, wrong, "float32")


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, dtype):
    activation = ACTIVATIONS[name]
    z = np.concatenate([np.linspace(-30, 30, 67), [0.0, -0.0, 1e-30, -1e-30, 1e20, -1e20]])
    z = z.astype(dtype).reshape(1, -1)
    seen = {}
    for kernels in (cpu, plain):
        a, slopes, delta = z.copy(), np.zeros_like(z), np.full_like(z, 1.5)
        with np.errstate(all="ignore"):
            kernels.activate(a, activation.code)
            if not activation.needs_slopes:
                kernels.activate_backward(delta, a, activation.code)
            again = z.copy()
            kernels.activate_with_slopes(again, slopes, activation.code)
        np.testing.assert_array_equal(again, a)
        seen[kernels] = (a[np.abs(a) < 1e10], slopes, delta)
    for actual, expected in zip(seen[cpu], seen[plain], strict=True):
        assert_close(actual, expected, dtype)


@pytest.mark.tiny
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_is_the_same_on_both_engines_and_drops_its_share(rate):
    order = np.array([5, 0, 17, 100_000, 3])
    results = []
    for kernels in (cpu, plain):
        a, slopes = np.ones((5, 400), np.float32), np.full((5, 400), 2, np.float32)
        kernels.drop(a, slopes, order, np.uint64(7), 2, 1, np.float32(rate))
        results.append(a)
        assert (slopes == 2 * a).all()
    np.testing.assert_array_equal(*results)
    assert set(np.unique(results[0])) == {np.float32(0), np.float32(1 / (1 - np.float32(rate)))}
    assert np.mean(results[0] == 0) == pytest.approx(rate, abs=0.05)
    alone = np.ones((1, 400), np.float32)
    cpu.drop(alone, alone.copy(), order[2:3], np.uint64(7), 2, 1, np.float32(rate))
    np.testing.assert_array_equal(alone[0], results[0][2])
    for other in ({"seed": np.uint64(8)}, {"epoch": 3}, {"layer": 2}):
        arguments = {"order": order, "seed": np.uint64(7), "epoch": 2, "layer": 1, "rate": np.float32(rate), **other}
        a = np.ones((5, 400), np.float32)
        cpu.drop(a, a.copy(), *arguments.values())
        assert (a != results[0]).any()


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "n_out"), list(losses_to_test()), ids=str)
def test_losses_and_what_users_get(loss, n_out, dtype):
    case = make_case(7, [2, n_out], dtype, loss=loss, weighted=True)
    predicted = np.random.default_rng(0).normal(size=(7, n_out)).astype(dtype) * 3
    results = []
    for kernels in (cpu, plain):
        delta, out = np.zeros_like(predicted), np.zeros_like(predicted)
        value = kernels.loss_and_delta(delta, predicted, case.rows.Y, case.rows.weights, 0.3, case.loss)
        kernels.to_user_units(out, predicted, case.net, case.loss)
        results.append((np.array([value]), delta, out))
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected, dtype)


OPTIMIZERS = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True, weight_decay=0.1, l1=0.02),
    Adagrad(weight_decay=0.1, decay_biases=True),
    RMSprop(clip_value=0.3),
    RMSprop(momentum=0.5, ema_decay=0.8),
    Adam(clip_norm=0.5, l1=0.1),
    AdamW(weight_decay=0.3, ema_decay=0.9, clip_value=1.0, clip_norm=2.0),
]


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_updates(optimizer, dtype):
    gradients = np.random.default_rng(1).normal(size=(5, 26)).astype(dtype)
    gradients[:, 3] = 0
    results = []
    for kernels in (cpu, plain):
        case = make_case(1, [3, 4, 2], dtype, optimizer=optimizer)
        state, rule = case.state, optimizer.rule()
        for gradient in gradients:
            kernels.update(case.net, state, gradient.copy(), rule, 0.1)
        results.append((case.net.parameters, *state))
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "sizes"), SHAPES)
def test_every_stage_of_a_step(n_rows, sizes, dtype):
    results = {}
    for kernels in (cpu, plain):
        net, rows, loss, optimizer, (workspace,), (gradient,) = case = make_case(
            n_rows, sizes, dtype, activation=["gelu", "elu", "tanh"][: len(sizes) - 2], dropout=0.3, weighted=True,
            block=max(n_rows, 1), kernels=kernels,
        )  # fmt: skip
        seen = results[kernels] = {}
        order, x, y, w = workspace.order, workspace.x, workspace.y, workspace.w
        activations, slopes = workspace.activations, workspace.slopes
        kernels.row_order(order, 0, n_rows, rows.seed, rows.epoch, True)
        kernels.gather(x, y, w, rows, order, net)
        kernels.forward(workspace, n_rows, rows.seed, rows.epoch, net)
        predicted = kernels.last_outputs(workspace, n_rows, net)
        last = (len(sizes) - 2) % 2
        delta = workspace.deltas[last, : n_rows * sizes[-1]].reshape(n_rows, sizes[-1])
        weight = kernels.batch_weight(workspace, rows, 0, n_rows)
        value = kernels.loss_and_delta(delta, predicted, y, w, 1.0 / weight, loss)
        seen.update(order=order, x=x, y=y, w=w, activations=activations, slopes=slopes, loss=value, delta=delta.copy())
        if kernels is cpu:
            transpose_weights(workspace, net)
        again = workspace.deltas.copy()
        kernels.backward(gradient, workspace, n_rows, True, net)
        seen["gradient"] = gradient.copy()
        workspace.deltas[:] = again
        kernels.backward(gradient, workspace, n_rows, False, net)
        np.testing.assert_allclose(gradient, 2 * seen["gradient"], rtol=1e-4, atol=1e-6)
        gradient[:] = seen["gradient"]
        kernels.update(net, case.state, gradient, optimizer.rule(), 0.1)
        seen["updated"] = net.parameters
    for name, value in results[cpu].items():
        assert_close(value, results[plain][name], dtype, factor=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "sizes"), SHAPES)
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_an_epoch_of_training(n_rows, sizes, dtype, batch_size):
    results = []
    for kernels in (cpu, plain):
        net, rows, loss, optimizer, workspaces, gradients = case = make_case(
            n_rows, sizes, dtype, weighted=batch_size == 3, block=min(batch_size, 64), kernels=kernels
        )
        workspace = workspaces[0]
        sums = np.zeros(2)
        steps = -(-n_rows // batch_size)
        rates, rule = np.full(steps, 0.01), optimizer.rule()
        taken = kernels.train(net, case.state, gradients, workspaces, sums, rows, 0, batch_size, rates, loss, rule)
        assert taken == steps
        predictions = np.zeros((n_rows, sizes[-1]), dtype)
        kernels.predict(predictions, workspace, rows.X, net, loss)
        mean_loss = kernels.mean_loss(workspace, rows, net, loss)
        mean_gradient = np.zeros_like(gradients)
        value = kernels.batch_gradient(mean_gradient, workspace, rows, 0, n_rows, net, loss)
        assert value == pytest.approx(mean_loss, rel=1e-5)
        results.append((net.parameters, sums, predictions, np.array([mean_loss]), mean_gradient))
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected, dtype, factor=100)


@pytest.mark.tiny
def test_training_stops_before_a_step_that_is_not_finite():
    for kernels in (cpu, plain):
        net, rows, loss, optimizer, *scratch = case = make_case(
            6, [2, 3, 1], "float64", activation="relu", kernels=kernels
        )
        workspaces, gradients = scratch
        with np.errstate(all="ignore"):
            rates, sums = np.array([0.01, 1e300, 0.01, 0.01, 0.01]), np.zeros(2)
            taken = kernels.train(
                net, case.state, gradients, workspaces, sums, rows, 0, 1, rates, loss, optimizer.rule()
            )
        assert 2 <= taken < 5


SINGLE = [SGD(l1=0.1), SGD(weight_decay=0.3), SGD(clip_norm=0.05), SGD(clip_value=0.02), SGD(momentum=0.9)]


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [SGD(), *SINGLE, SGD(ema_decay=0.5)], ids=str)
def test_steps_on_single_rows_do_all_that_the_rule_says(optimizer, dtype):
    results = []
    for kernels, rule in ((cpu, optimizer), (plain, optimizer), (plain, SGD())):
        net, rows, loss, _, workspaces, gradients = case = make_case(
            6, [3, 4, 2], dtype, optimizer=rule, weighted=True, kernels=kernels
        )
        state, sums = case.state, np.zeros(2)
        kernels.train(net, state, gradients, workspaces, sums, rows, 0, 1, np.full(6, 0.05), loss, rule.rule())
        results.append((net.parameters, state.average, sums))

    def assert_same(one, other):
        for actual, expected in zip(one, other, strict=True):
            assert_close(actual, expected, dtype, factor=10)

    of_compiled, of_plain, of_plain_descent = results
    assert_same(of_compiled, of_plain)
    if optimizer != SGD():
        with pytest.raises(AssertionError):
            assert_same(of_compiled, of_plain_descent)


@pytest.mark.tiny
@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_part_of_an_epoch_has_the_weights_of_its_rows(batch_size, kernels):
    """Over a whole epoch they add up to the number of rows, so that counting would do as well."""
    net, rows, loss, optimizer, workspaces, gradients = case = make_case(
        9, [3, 4, 2], "float64", weighted=True, block=3, batch_size=batch_size, kernels=kernels
    )
    order, sums = np.zeros(4, np.int64), np.zeros(2)
    kernels.row_order(order, 0, 9, rows.seed, rows.epoch, True)
    expected = rows.weights[order].sum()
    assert abs(expected - 4) > 0.1
    assert kernels.batch_weight(case.workspace, rows, 0, 4) == pytest.approx(expected)
    rates = np.full(4 // batch_size, 0.01)
    kernels.train(net, case.state, gradients, workspaces, sums, rows, 0, batch_size, rates, loss, optimizer.rule())
    assert sums[1] == pytest.approx(expected)
