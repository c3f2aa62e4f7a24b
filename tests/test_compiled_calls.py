"""A model inside a user's own compiled code: the bits of predict and fit, no allocation, threads, and wrong use."""

from __future__ import annotations

import copy
import math
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import fastgd
from fastgd.errors import DivergenceWarning, InvalidInputError
from fastgd.kernels.formulas import ACTIVATION_CODES
from fastgd.network.losses import LOSSES

N_OUT = {"cross_entropy": 3, "gaussian_nll": 2, "quantile": 2}
ROWS = 70
JIT = not numba.config.DISABLE_JIT


@numba.njit(nogil=True)
def row_by_row(net, X, out):
    """How many rows are fine."""
    fine = 0
    for row in range(len(X)):
        fine += fastgd.predict_row(net, X[row], out[row])
    return fine


@numba.njit(parallel=True)
def in_threads(net, X, out):
    for row in numba.prange(len(X)):
        fastgd.predict_row(net, X[row], out[row])


@numba.njit(nogil=True)
def all_rows(net, X, out):
    return fastgd.predict_rows(net, X, out)


@numba.njit(nogil=True)
def steps(net, X, y, rate, n):
    loss = 0.0
    for _ in range(n):
        loss = fastgd.train_batch(net, X, y, rate)
    return loss


def table(loss, dtype, n_in=4):
    """Inputs, targets as a user gives them, and as compiled code takes them."""
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, n_in)).astype(dtype)
    score = X[:, 0] - X[:, -1] ** 2 + 3
    targets = {
        "cross_entropy": np.arange(ROWS) % 3,
        "binary_cross_entropy": (score > 2).astype(int),
        "poisson": random.poisson(2, ROWS),
    }
    y = targets.get(loss, (7 * score).astype(dtype))
    return X, y, y.astype(dtype)


def fitted(loss="mse", dtype="float32", sizes=(4, 9, 5), **options):
    given = fastgd.losses.Quantile([0.2, 0.8]) if loss == "quantile" else loss
    model = fastgd.MLP([*sizes, N_OUT.get(loss, 1)], loss=given, dtype=dtype, random_state=3, **options)
    X, y, targets = table(loss, dtype, sizes[0])
    model.fit(X, y, epochs=2, optimizer=fastgd.SGD(learning_rate=0.001), verbose=0)
    return model, X, y, targets


def expected(model, X):
    """What predict or predict_proba says, as (n_rows, n_out)."""
    if model.network.loss.task in ("classes", "labels"):
        return model.predict_proba(X)[:, -model.network.n_out :]
    return model.predict(X).reshape(len(X), -1)


def assert_predicts(model, X):
    net, outs = model.compiled(), []
    for predict, fine in ((row_by_row, len(X)), (all_rows, True)):
        out = np.zeros((len(X), model.network.n_out), X.dtype)
        assert predict(net, X, out) == fine
        outs.append(out)
    for out in outs:
        np.testing.assert_array_equal(out, expected(model, X))


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_rows_are_predicted_with_the_bits_of_predict(loss, dtype):
    model, X, *_ = fitted(loss, dtype)
    assert_predicts(model, X)


@pytest.mark.tiny
@pytest.mark.parametrize("activation", ACTIVATION_CODES)
def test_every_activation_is_the_model_s_own(activation):
    model, X, *_ = fitted(activation=activation, dropout=0.3)
    assert_predicts(model, X)


@pytest.mark.parametrize("sizes", [(1, 1), (3,), (2, 700, 3), (1, 2000, 4), (30, 33, 65, 17, 16), (784, 100)])
def test_every_shape_of_network_is_predicted(sizes):
    model, X, *_ = fitted(sizes=sizes)
    assert_predicts(model, X)


def test_a_changed_weight_would_be_noticed():
    model, X, *_ = fitted()
    net, out = model.compiled(), np.zeros((ROWS, 1), np.float32)
    before = expected(model, X)
    model.parameters[0] += np.float32(0.01)
    all_rows(net, X, out)
    assert (out != before).any()
    np.testing.assert_array_equal(out, expected(model, X))


@pytest.mark.parametrize("clip", [False, True])
def test_logarithms_and_ranges_of_the_target_are_undone(clip):
    X, y, _ = table("mse", "float32")
    model = fastgd.MLP([4, 8, 1], log_target=True, clip_predictions=clip, random_state=0)
    y = np.exp(y / 7)
    model.fit(X, y, epochs=3, verbose=0)
    out, far = np.zeros((ROWS, 1), np.float32), 4 * X
    assert row_by_row(model.compiled(), far, out) == ROWS
    np.testing.assert_allclose(out[:, 0], model.predict(far), rtol=1e-6)
    assert clip == (out.max() <= y.max() * 1.000001)


def test_a_net_needs_the_scaling_of_the_first_fit():
    model = fastgd.MLP([4, 8, 1], loss="huber", random_state=0)
    with pytest.raises(InvalidInputError, match=r"^compiled\(\) needs the scaling of the first fit"):
        model.compiled()
    X, y, _ = table("mse", "float32")
    model.fit(X, 1000 * y, epochs=1, verbose=0)
    assert steps(model.compiled(), X, 1000 * y, 0.0, 1) == pytest.approx(model.evaluate(X, 1000 * y)["loss"], rel=1e-5)
    assert fastgd.MLP([4, 8, 1], standardize=False).compiled().n_in == 4


def test_a_later_fit_widens_the_range_of_predictions():
    X, y, _ = table("mse", "float32")
    model = fastgd.MLP([4, 8, 1], clip_predictions=True, random_state=0)
    model.fit(X, y, epochs=1, verbose=0)
    net, twin = model.compiled(), copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)  # y is another one by now
        model.fit(X, 9 * y, epochs=30, optimizer=fastgd.SGD(learning_rate=0.01), verbose=0)
        twin.fit(X, -99 * y, epochs=1, verbose=0)
    out = np.zeros((ROWS, 1), np.float32)
    assert all_rows(net, 9 * X, out)
    assert out.max() > 2 * y.max()
    np.testing.assert_array_equal(out, expected(model, 9 * X))
    assert len(np.unique(out)) < ROWS, "some are cut"


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_rows", [1, 2, ROWS])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_has_the_bits_of_fit(loss, n_rows, dtype):
    model, X, y, targets = fitted(loss, dtype)
    model.fit_state = None
    X, y, targets = X[:n_rows], y[:n_rows], targets[:n_rows]
    twin, sgd = copy.deepcopy(model), fastgd.SGD(learning_rate=0.05)
    history = twin.fit(X, y, epochs=1, batch_size=n_rows, optimizer=sgd, shuffle=False, verbose=0)
    before = model.parameters.copy()
    told = steps(model.compiled(), X, targets, 0.05, 1)
    np.testing.assert_array_equal(model.parameters, twin.parameters)
    assert told == history["loss"][0]
    model.parameters[:] = before
    steps(model.compiled(), X, targets, 0.051, 1)
    assert (model.parameters != twin.parameters).any()


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"activation": "gelu"}, {"sizes": (4, 600, 500)}], ids=str)
def test_steps_on_many_rows_have_the_bits_of_fit(options):
    model, *_ = fitted(**options)
    model.fit_state = None
    random = np.random.default_rng(1)
    X, y = random.normal(size=(2100, 4)).astype(np.float32), random.normal(size=(2100, 1)).astype(np.float32)
    twin, sgd = copy.deepcopy(model), fastgd.SGD(learning_rate=0.001)
    net = model.compiled()
    for n in (1100, 2100):  # of which the widest network makes two and four shards
        twin.fit(X[:n], y[:n], epochs=1, batch_size=n, optimizer=sgd, shuffle=False, verbose=0)
        steps(net, X[:n], y[:n], 0.001, 1)
        np.testing.assert_array_equal(model.parameters, twin.parameters)


@pytest.mark.tiny
def test_the_model_sees_what_compiled_code_learns():
    model, X, _, y = fitted()
    net = model.compiled()
    assert net.parameters is model.parameters
    before = model.evaluate(X, y)["loss"]
    assert steps(net, X, y, 0.05, 1) == pytest.approx(before, rel=1e-5)
    assert steps(net, X, y, 0.05, 20) < 0.9 * before
    assert_predicts(model, X)
    model.fit(X, y, epochs=1, verbose=0)
    assert_predicts(model, X)


def test_a_loss_that_is_not_finite_is_told_and_changes_nothing():
    model, X, _, y = fitted()
    net, before = model.compiled(), model.parameters.copy()
    y[3] = np.nan
    assert math.isnan(steps(net, X, y, 0.05, 1))
    X[0, 1], y[3] = np.inf, 0
    assert math.isnan(steps(net, X, y, 0.05, 1))
    np.testing.assert_array_equal(model.parameters, before)
    out = np.zeros((ROWS, 1), np.float32)
    assert row_by_row(net, X, out) == ROWS - 1
    assert not all_rows(net, X, out)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("n", [1, ROWS])
def test_an_infinite_input_is_told_where_no_loss_would_tell_it(activation, n):
    model, X, _, y = fitted(activation=activation)
    net, before = model.compiled(), model.parameters.copy()
    X[0, 1] = -np.inf
    assert math.isnan(steps(net, X[:n], y[:n], 0.05, 1))
    np.testing.assert_array_equal(model.parameters, before)
    X[0, 1] = 0
    assert math.isfinite(steps(net, X[:n], y[:n], 0.05, 1))
    assert not np.array_equal(model.parameters, before)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("loss", "wrong"),
    [
        ("cross_entropy", 3), ("cross_entropy", -1), ("cross_entropy", 1.5), ("cross_entropy", np.nan),
        ("binary_cross_entropy", 1.1), ("binary_cross_entropy", -0.1), ("poisson", -1),
    ],
)  # fmt: skip
def test_targets_beyond_the_loss_are_refused(loss, wrong):
    model, X, _, y = fitted(loss)
    before = model.parameters.copy()
    y[-1] = wrong
    with pytest.raises(InvalidInputError, match="y has a value that the loss does not take"):
        steps(model.compiled(), X, y, 0.05, 1)
    np.testing.assert_array_equal(model.parameters, before)


def wrong_calls(net):
    X, y, out = np.zeros((5, 4), np.float32), np.zeros(5, np.float32), np.zeros((5, 1), np.float32)
    narrow, wide = np.zeros((5, 3), np.float32), np.zeros((5, 2), np.float32)
    return {
        "number of columns than the net has inputs": [
            lambda: row_by_row(net, narrow, out),
            lambda: all_rows(net, narrow, out),
            lambda: steps(net, narrow, y, 1.0, 1),
            lambda: fastgd.predict_row(net, narrow[0], out[0]),
        ],
        "number of columns than the net has outputs": [
            lambda: row_by_row(net, X, wide),
            lambda: all_rows(net, X, wide),
        ],
        "different numbers of rows": [lambda: all_rows(net, X, out[:4]), lambda: fastgd.predict_rows(net, X[:4], out)],
        "number of columns than the net has targets": [lambda: steps(net, X, wide, 1.0, 1)],
        "as many rows, at least one": [lambda: steps(net, X, y[:3], 1.0, 1), lambda: steps(net, X[:0], y[:0], 1.0, 1)],
        "learning_rate must be a finite number of at least 0": [
            *(lambda rate=rate: steps(net, X, y, rate, 1) for rate in (np.nan, np.inf, -np.inf, -1.0, -1e-300)),
            lambda: fastgd.train_batch(net, X, y, -1.0),
        ],
    }


@pytest.mark.tiny
@pytest.mark.parametrize("sentence", wrong_calls(None))
def test_sizes_that_do_not_fit_are_errors(sentence):
    model, *_ = fitted()
    before = model.parameters.copy()
    for call in wrong_calls(model.compiled())[sentence]:
        with pytest.raises(InvalidInputError, match=sentence):
            call()
    np.testing.assert_array_equal(model.parameters, before)


@pytest.mark.tiny
@pytest.mark.parametrize(("rate", "moves"), [(0.0, False), (-0.0, False), (1e-3, True)])
def test_a_rate_of_zero_tells_the_loss_and_changes_nothing(rate, moves):
    model, X, _, y = fitted()
    before = model.parameters.copy()
    assert np.isfinite(steps(model.compiled(), X, y, rate, 1))
    assert (model.parameters != before).any() == moves


@pytest.mark.tiny
def test_after_an_error_nothing_looks_like_a_prediction():
    net, out = fitted()[0].compiled(), np.zeros((5, 2), np.float32)
    with pytest.raises(InvalidInputError):
        all_rows(net, np.zeros((5, 4), np.float32), out)
    assert np.isnan(out).all()


WRONG_ARRAYS = {
    "predict_row takes x as": lambda net, x, out: fastgd.predict_row(net, x.astype(np.float64), out),
    "predict_row takes out as a contiguous writable": lambda net, x, out: fastgd.predict_row(net, x, out.astype(int)),
    "predict_rows takes X as": lambda net, x, out: fastgd.predict_rows(net, x, out),
    "train_batch takes y as": lambda net, x, out: fastgd.train_batch(net, x.reshape(1, -1), out.astype(int), 0.1),
    "predict_row takes what model.compiled": lambda net, x, out: fastgd.predict_row(x, x, out),
}


@pytest.mark.tiny
@pytest.mark.parametrize("sentence", WRONG_ARRAYS)
def test_arrays_of_another_kind_are_refused_in_a_sentence(sentence):
    net, arrays = fitted()[0].compiled(), (np.zeros(4, np.float32), np.zeros(1, np.float32))
    with pytest.raises(InvalidInputError, match=sentence):
        WRONG_ARRAYS[sentence](net, *arrays)
    if JIT:
        with pytest.raises(numba.core.errors.TypingError, match=sentence):
            numba.njit(WRONG_ARRAYS[sentence])(net, *arrays)
    read_only = arrays[1].copy()
    read_only.flags.writeable = False
    with pytest.raises(InvalidInputError, match="contiguous writable"):
        fastgd.predict_row(net, arrays[0], read_only)
    with pytest.raises(InvalidInputError, match="not float32 of shape"):
        fastgd.predict_row(net, np.zeros((4, 2), np.float32)[:, 0], arrays[1])


@pytest.mark.skipif(not JIT, reason="plain Python freezes nothing")
def test_a_net_is_never_frozen_into_machine_code():
    net = fitted()[0].compiled()

    def frozen(x, out):
        return fastgd.predict_row(net, x, out)

    with pytest.raises(numba.core.errors.TypingError, match="pass it to compiled code as an argument"):
        numba.njit(frozen)(np.zeros(4, np.float32), np.zeros(1, np.float32))


@pytest.mark.tiny
def test_a_net_stays_in_its_process():
    net = fitted()[0].compiled()
    assert repr(net) == "<CompiledNet: 4 → 1, float32>"
    for keep in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InvalidInputError, match="belongs to its process"):
            keep(net)


@pytest.mark.tiny
def test_a_net_is_equal_to_itself_alone():
    model = fitted()[0]
    net, other = model.compiled(), model.compiled()
    mean, other_mean = (fastgd.Ensemble([model]).compiled() for _ in range(2))
    for one, another in ((net, other), (mean, other_mean), (net, mean)):
        same = one
        assert (one == same, one != same) == (True, False)
        assert (one == another, one != another) == (False, True)
        assert len({one, same, another}) == 2
        assert [another, one].index(one) == 1
    assert net != tuple(net)
    with pytest.raises((ValueError, TypeError)):  # what a tuple of arrays says
        hash(tuple(net))


@pytest.mark.skipif(not JIT, reason="a list of Numba's")
def test_nets_are_passed_kept_and_returned():
    (one, X, *_), (other, *_) = fitted(), fitted(sizes=(4, 17))
    nets = (one.compiled(), other.compiled())

    @numba.njit
    def second(nets):
        return nets[1], nets[1].n_in, nets[1].n_out, nets[1].parameters

    @numba.njit
    def both(nets, x, out):
        total = 0.0
        for net in nets:
            fastgd.predict_row(net, x, out)
            total += out[0]
        return total

    net, *told, parameters = second(nets)
    assert told == [4, 1]
    assert parameters is other.parameters
    kept, out = numba.typed.List(nets), np.zeros(1, np.float32)
    expected = float(one.predict(X[:1])[0]) + float(other.predict(X[:1])[0])
    for held in (nets, kept):
        assert both(held, X[0], out) == pytest.approx(expected)
    del nets, kept, held, other
    assert fastgd.predict_row(net, X[0], out), "a net keeps what it needs"
    assert (net.parameters == parameters).all()


@pytest.mark.skipif(not JIT, reason="plain Python allocates")
def test_calls_allocate_nothing():
    model, X, _, y = fitted()
    net, out = model.compiled(), np.zeros((ROWS, 1), np.float32)

    @numba.njit
    def careless(X, n):
        total = 0.0
        for _ in range(n):
            total += np.empty(len(X))[0]
        return total

    def allocations(call):
        call()
        before = rtsys.get_allocation_stats()
        call()
        return rtsys.get_allocation_stats().alloc - before.alloc

    was_on = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        counts = [
            allocations(call)
            for call in (
                lambda: row_by_row(net, X, out), lambda: all_rows(net, X, out), lambda: steps(net, X, y, 0.01, 70),
                lambda: careless(X, 70),
            )
        ]  # fmt: skip
    finally:
        if not was_on:
            _nrt_python.memsys_disable_stats()
    arguments = 5  # Python's own arrays get an owner each when they are handed over, once a call
    assert all(count <= arguments for count in counts[:3]), counts
    assert counts[3] >= 70


def test_threads_may_ask_one_net_at_once():
    model, X, *_ = fitted(sizes=(4, 300, 200))
    X = np.tile(X, (40, 1))
    net, right = model.compiled(), model.predict(X)[:, None]
    outs = [np.zeros((len(X), 1), np.float32) for _ in range(7)]
    in_threads(net, X, outs[0])
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda out: row_by_row(net, X, out), outs[1:4]))
        list(threads.map(lambda out: all_rows(net, X, out), outs[4:]))
    for out in outs:
        np.testing.assert_array_equal(out, right)


@pytest.mark.tiny
def test_one_thread_at_a_time_trains_a_net():
    model, X, _, y = fitted()
    net, before = model.compiled(), model.parameters.copy()
    record = net.words.base.obj.keeps[0] if JIT else net.words[1]
    record.busy[0] = 1  # as while another thread trains
    with pytest.raises(InvalidInputError, match="Two threads train one net"):
        steps(net, X, y, 0.05, 1)
    np.testing.assert_array_equal(model.parameters, before)
    record.busy[0] = 0
    steps(net, X, y, 0.05, 1)
    assert record.busy[0] == 0
    assert (model.parameters != before).any()


@pytest.mark.tiny
def test_what_compiled_code_cannot_do_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"columns of other kinds.*encoding=None\.$"):
        fastgd.MLP([4, 3, 1], encoding="auto").compiled()
    with pytest.raises(InvalidInputError, match="262,144 bytes for one row"):
        fastgd.MLP([4, 70_000, 1], standardize=False).compiled()
    model = fastgd.MLP([4, 3, 1], log_target=True)
    model.fit(np.eye(4), np.arange(1.0, 5.0), epochs=0, verbose=0)
    with pytest.raises(InvalidInputError, match="logarithms of y"):
        steps(model.compiled(), np.ones((2, 4), np.float32), np.ones(2, np.float32), 0.1, 1)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_ensemble_is_predicted_in_one_call(loss, dtype):
    (one, X, *_), (other, *_) = fitted(loss, dtype), fitted(loss, dtype, sizes=(4, 30))
    ensemble = fastgd.Ensemble([one, other, one], weights=[1, 2, 5])
    net, outs = ensemble.compiled(), []
    for predict, fine in ((row_by_row, ROWS), (all_rows, True)):
        out = np.zeros((ROWS, one.network.n_out), dtype)
        assert predict(net, X, out) == fine
        outs.append(out)
    np.testing.assert_array_equal(*outs)
    right, tolerance = expected(ensemble, X), 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(outs[0], right, rtol=tolerance, atol=tolerance)
    assert not np.allclose(expected(one, X), right, rtol=1e-4), "the members differ"
    del one, other, ensemble
    assert row_by_row(net, X, out) == ROWS, "a net keeps what it needs"
    np.testing.assert_array_equal(*outs)


@pytest.mark.tiny
def test_what_an_ensemble_cannot_do_is_refused():
    model, X, _, y = fitted()
    with pytest.raises(InvalidInputError, match="the net of one model, not of an ensemble"):
        steps(fastgd.Ensemble([model]).compiled(), X, y, 0.1, 1)
    with pytest.raises(InvalidInputError, match="of one dtype, but they have float32 and float64"):
        fastgd.Ensemble([model, fitted(dtype="float64")[0]]).compiled()
    out = np.zeros((ROWS, 2), np.float32)
    for wrong in (lambda net: all_rows(net, X, out), lambda net: all_rows(net, X[:, :3].copy(), out[:, :1].copy())):
        with pytest.raises(InvalidInputError, match="another number of columns"):
            wrong(fastgd.Ensemble([model]).compiled())


@pytest.mark.parametrize("rate", ["0.1", None, 0.1j, [0.1]], ids=repr)
def test_a_learning_rate_that_is_no_number_is_one_sentence(rate):
    X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    model = fastgd.MLP([4, 3, 1], standardize=False, random_state=0)
    net, before = model.compiled(), model.parameters.copy()

    @numba.njit
    def learn(net, X, y, rate):
        return fastgd.train_batch(net, X, y, rate)

    sentence = "fastgd.train_batch takes learning_rate as a number, not "
    with pytest.raises(fastgd.errors.InvalidInputError, match=f"^{re.escape(sentence)}"):
        fastgd.train_batch(net, X, X[:, 0].copy(), rate)
    with pytest.raises(numba.core.errors.TypingError, match=re.escape(sentence)):
        learn(net, X, X[:, 0].copy(), tuple(rate) if isinstance(rate, list) else rate)
    np.testing.assert_array_equal(model.parameters, before)
    assert np.isfinite(learn(net, X, X[:, 0].copy(), 1))  # a whole number is one
    assert np.isfinite(fastgd.train_batch(net, X, X[:, 0].copy(), np.float32(0.1)))
