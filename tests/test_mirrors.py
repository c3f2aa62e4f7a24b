"""The engines mirror each other: same names, same arguments, same numbers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from conftest import DTYPES, ODD_SHAPES, TINY_SHAPES, make_case

from fastgd.activations import ACTIVATIONS
from fastgd.kernels import cpu, plain

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
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
        (64, 5, 130),
        (65, 130, 1),
        (130, 64, 63),
    ]
]


def assert_close(actual, expected, dtype, factor=1.0):
    scale = float(np.max(np.abs(expected), initial=1.0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale * factor)


def random(*shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.tiny
def test_same_names_and_arguments():
    def arguments(function):
        return list(inspect.signature(getattr(function, "py_func", function)).parameters)

    assert sorted(cpu.__all__) == sorted(plain.__all__)
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
    code = ACTIVATIONS[name].code
    z = np.concatenate([np.linspace(-30, 30, 67), [0.0, -0.0, 1e-30, -1e-30]]).astype(dtype).reshape(1, -1)
    outputs, deltas = [], []
    for kernels in (cpu, plain):
        a = z.copy()
        kernels.activate(a, code)
        delta = np.full_like(a, 1.5)
        kernels.activate_backward(delta, a, code)
        outputs.append(a)
        deltas.append(delta)
    assert_close(*outputs, dtype)
    assert_close(*deltas, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "sizes"), SHAPES)
def test_every_stage_of_a_step(n_rows, sizes, dtype):
    results = {}
    for kernels in (cpu, plain):
        net, rows, loss, rule, workspace, gradient = make_case(n_rows, sizes, dtype, block=max(n_rows, 1))
        seen = results[kernels] = {}
        order, x, y = workspace.order, workspace.x, workspace.y
        kernels.row_order(order, 0, n_rows, rows.seed, rows.epoch, True)
        kernels.gather(x, y, rows, order, net)
        predicted = kernels.forward(workspace.activations, x, net)
        last = (len(sizes) - 2) % 2
        delta = workspace.deltas[last, : n_rows * sizes[-1]].reshape(n_rows, sizes[-1])
        value = kernels.loss_and_delta(delta, predicted, y, 1.0 / n_rows, loss)
        seen.update(order=order, x=x, y=y, activations=workspace.activations, loss=value, delta=delta.copy())
        kernels.transpose_weights(workspace.transposed, net)
        kernels.backward(gradient, workspace.deltas, workspace.activations, x, workspace.transposed, net)
        seen["gradient"] = gradient.copy()
        kernels.update(net.parameters, gradient, rule, 0.1)
        seen["updated"] = net.parameters
    for name, value in results[cpu].items():
        assert_close(value, results[plain][name], dtype, factor=10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "sizes"), SHAPES)
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_an_epoch_of_training(n_rows, sizes, dtype, batch_size):
    results = []
    for kernels in (cpu, plain):
        net, rows, loss, rule, workspace, gradient = make_case(n_rows, sizes, dtype, block=min(batch_size, 64))
        progress = np.zeros(1)
        steps = -(-n_rows // batch_size)
        rates = np.full(steps, 0.01)
        taken = kernels.train(net, gradient, workspace, progress, rows, 0, batch_size, rates, loss, rule)
        assert taken == steps
        predictions = np.zeros((n_rows, sizes[-1]), dtype)
        kernels.predict(predictions, workspace, rows.X, net)
        mean_loss = kernels.mean_loss(workspace, rows, net, loss)
        mean_gradient = np.zeros_like(gradient)
        value = kernels.batch_gradient(mean_gradient, workspace, rows, 0, n_rows, net, loss)
        assert value == pytest.approx(mean_loss, rel=1e-5)
        results.append((net.parameters, progress, predictions, np.array([mean_loss]), mean_gradient))
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected, dtype, factor=100)


@pytest.mark.tiny
def test_training_stops_before_a_step_that_is_not_finite():
    for kernels in (cpu, plain):
        net, rows, loss, rule, workspace, gradient = make_case(6, [2, 3, 1], "float64", activation="relu")
        with np.errstate(all="ignore"):
            rates = np.array([0.01, 1e300, 0.01, 0.01, 0.01])
            taken = kernels.train(net, gradient, workspace, np.zeros(1), rows, 0, 1, rates, loss, rule)
        assert 2 <= taken < 5
