"""Steps of several ranks have the bits of one process that takes the same shards in the same order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from ranks_double import returned, together

import fastgd
from fastgd.callbacks import Callback, EarlyStopping
from fastgd.errors import DivergenceError, RankError, kept_warnings
from fastgd.kernels import engine
from fastgd.kernels.records import Rows, read_only
from fastgd.training import loop, ordered_sum
from fastgd.training.callback_list import CallbackList
from fastgd.training.cores import Allowance
from fastgd.training.feed import Whole
from fastgd.training.first_rank import CallbacksOfFirst, validated_by_first
from fastgd.training.progress import Silent
from fastgd.training.ranks import Ranks
from fastgd.training.run import Job, Watch
from fastgd.training.shared_steps import ONE_THREAD, OwnRows, SharedStore, boundaries, seed_of_rank
from fastgd.training.state import training_state

SIZES = [1, 2, 3, 4]
OPTIMIZERS = [
    fastgd.SGD(learning_rate=0.05),
    fastgd.SGD(learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=0.01, l1=0.001),
    fastgd.Adagrad(learning_rate=0.05),
    fastgd.RMSprop(learning_rate=0.01),
    fastgd.Adam(learning_rate=0.01, clip_norm=0.5, clip_value=0.2),
    fastgd.AdamW(learning_rate=0.01, weight_decay=0.1, ema_decay=0.9),
    fastgd.AdamW(learning_rate=fastgd.schedules.Cosine(0.02)),
]


def model_of(optimizer=OPTIMIZERS[0], **options):
    """A network that takes its rows as they are."""
    options = {"activation": "tanh", "standardize": False, "random_state": 3} | options
    model = fastgd.MLP([3, 8, 2], **options)
    model.fit_state = training_state(None, optimizer, model.net.parameters)
    return model


def table(n, weighted=False, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(dtype)
    Y = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 2])], axis=1)
    weights = rng.random(n).astype(dtype) + 0.1 if weighted else np.zeros(0, dtype)
    return X, Y, weights / weights.mean() if weighted else weights


def parts_of(arrays, cuts, seed=3, shuffle=True):
    """The rows of each rank, cut from one table."""
    bounds = [0, *cuts, len(arrays[0])]
    return [
        Rows(*(read_only(a[first:last].copy()) if len(a) else a for a in arrays), seed_of_rank(seed, rank), 0, shuffle)
        for rank, (first, last) in enumerate(pairwise(bounds))
    ]


def even(n, size):
    return [n * rank // size for rank in range(1, size)]


def job_of(model, feed, store, threads, epochs=3, batch_size=8):
    return Job(
        model.net, feed, model.objective, model.fit_state, engine(model.device), model.device, model.loss_unit, epochs,
        batch_size, threads, store, model.turns,
    )  # fmt: skip


def trained(comm, parts, optimizer, options, callbacks=(), validate=None, **job):
    """What `fit` does with a communicator, once rows and model are there."""
    ranks, model = Ranks(comm), model_of(optimizer, **options)
    feed = OwnRows(parts[0]._replace(weights=parts[0].weights[:0]), parts[comm.rank], sum(len(p.X) for p in parts))
    told = CallbacksOfFirst(ranks, callbacks, model)
    watch = Watch(Silent(), told, validated_by_first(ranks, validate))
    with kept_warnings():
        history = loop.fit(job_of(model, feed, SharedStore(ranks), ONE_THREAD, **job), watch)
    return model, history


def oracle(parts, optimizer, options, epochs=3, batch_size=8):
    """One process that takes the same shards in the same order."""
    model = model_of(optimizer, **options)
    net, state, kernels, loss = model.net, model.fit_state.state, engine(model.device), model.objective
    rule, schedule = optimizer.rule(), optimizer.schedule
    n_all = sum(len(part.X) for part in parts)
    steps, losses = -(-n_all // batch_size), []
    (workspace,) = kernels.new_workspaces(net, loss, rule, batch_size, 1)
    gradients = kernels.new_gradients(net, batch_size)
    rates = schedule.rates(np.arange(epochs * steps), epochs * steps)
    for epoch in range(epochs):
        sums = np.zeros(2)
        for step in range(steps):
            ends = [min(place, n_all) for place in (step * batch_size, (step + 1) * batch_size)]
            cuts = [[end * len(part.X) // n_all for end in ends] for part in parts]
            n, total, value = sum(last - first for first, last in cuts), None, 0.0
            for part, (first, last) in zip(parts, cuts, strict=True):
                gradient = np.zeros_like(net.parameters)
                if last > first:
                    rows = part._replace(epoch=epoch)
                    own = kernels.batch_gradient(gradients, workspace, rows, first, last - first, net, loss)
                    value += own * (last - first)
                    sums[1] += kernels.batch_weight(workspace, rows, first, last - first)
                    gradient = gradients[0] * gradient.dtype.type((last - first) / n)
                total = gradient if total is None else total + gradient
            kernels.update(net, state, total, rule, float(rates[epoch * steps + step]))
            sums[0] += value
        losses.append(sums[0] / sums[1] * model.loss_unit)
    if state.average.size:
        net.parameters[:] = state.average
    return net.parameters, losses


def check(parts, optimizer=OPTIMIZERS[0], options=None, **job):
    """All ranks have the oracle's bits; returns them."""
    options = options or {}
    expected, losses = oracle(parts, optimizer, options, **job)
    found = returned(len(parts), lambda comm: trained(comm, parts, optimizer, options, **job))
    for model, history in found:
        assert model.parameters.tobytes() == expected.tobytes()
        np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-12)
        assert history.history == found[0][1].history
    return expected


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("size", SIZES)
def test_ranks_have_the_bits_of_one_process_with_the_same_shards(size, optimizer):
    check(parts_of(table(60), even(60, size)), optimizer)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("device", ["cpu", "plain"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_engine_and_dtype(size, device, dtype, monkeypatch):
    monkeypatch.setattr(ordered_sum, "WORTH_SLICES", 0)
    options = {"dtype": dtype}
    parts = parts_of(table(50, weighted=True, dtype=np.dtype(dtype)), even(50, size))
    expected, _ = oracle(parts, OPTIMIZERS[4], options)

    def on_device(comm):
        ranks, model = Ranks(comm), model_of(OPTIMIZERS[4], **options)
        model.device = device
        watch = Watch(Silent(), CallbacksOfFirst(ranks, (), model), None)
        feed = OwnRows(parts[0], parts[comm.rank], 50)
        loop.fit(job_of(model, feed, SharedStore(ranks), ONE_THREAD), watch)
        return model.parameters

    found = returned(size, on_device)
    assert len({parameters.tobytes() for parameters in found}) == 1
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cuts", [[1], [59], [2, 5], [7, 7 + 40], [1, 2, 3], [30, 33, 58]])
@pytest.mark.parametrize("weighted", [False, True])
def test_ranks_may_have_any_number_of_rows(cuts, weighted):
    parts = parts_of(table(60, weighted), cuts)
    found = check(parts, OPTIMIZERS[1])
    if len(parts) > 2:  # another order has other bits, or this would show nothing
        assert check(parts[::-1], OPTIMIZERS[1]).tobytes() != found.tobytes()


@pytest.mark.parametrize("batch_size", [4, 7, 60, 1000])
def test_batches_of_any_size(batch_size):
    check(parts_of(table(60), [11, 25]), batch_size=batch_size)


def test_a_rank_without_rows_of_a_batch_adds_nothing_whatever_it_had_before():
    parts = parts_of(table(60), [1])

    def step(comm):
        ranks, model = Ranks(comm), model_of()
        work = engine("cpu"), model.net, model.objective, OPTIMIZERS[0].rule(), 8, 1
        equipment = SharedStore(ranks).made(*work)
        equipment.gradients[:] = np.inf  # of a step that went wrong, before the training went back
        taken = equipment.train(
            model.net, model.fit_state.state, equipment.gradients, equipment.workspaces, np.zeros(2), parts[comm.rank],
            0, 8, np.full(1, 0.1), model.objective, OPTIMIZERS[0].rule(),
        )  # fmt: skip
        return taken, np.isfinite(model.parameters).all()

    assert returned(2, step) == [(1, True)] * 2


def test_dropout_differs_from_rank_to_rank():
    arrays = table(40)
    parts = parts_of(tuple(np.concatenate([a, a]) for a in arrays), [40])  # both have the same rows
    with_dropout = check(parts, options={"dropout": 0.5})
    same_seed = [part._replace(seed=parts[0].seed) for part in parts]
    assert check(same_seed, options={"dropout": 0.5}).tobytes() != with_dropout.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_one_rank_does_what_a_training_alone_does(optimizer):
    alone, feed = model_of(optimizer), Whole(parts_of(table(61, weighted=True), [])[0])
    watch = Watch(Silent(), CallbackList((), alone), None)
    history = loop.fit(job_of(alone, feed, alone.store, Allowance(1, "")), watch)
    [(model, told)] = returned(1, lambda comm: trained(comm, [feed.at_hand], optimizer, {}))
    assert model.parameters.tobytes() == alone.parameters.tobytes()
    assert told.history == history.history


def test_a_second_training_goes_on():
    parts = parts_of(table(60, weighted=True), [13, 40])

    def in_two(comm):
        ranks, model = Ranks(comm), model_of(OPTIMIZERS[5])
        for epochs in (2, 3):
            feed = OwnRows(parts[0], parts[comm.rank], 60)
            watch = Watch(Silent(), CallbacksOfFirst(ranks, (), model), None)
            loop.fit(job_of(model, feed, SharedStore(ranks), ONE_THREAD, epochs=epochs), watch)
        return model.parameters

    expected, _ = oracle(parts, OPTIMIZERS[5], {}, epochs=5)
    assert {parameters.tobytes() for parameters in returned(3, in_two)} == {expected.tobytes()}


@pytest.mark.parametrize("n_all", [7, 100, 10**6, 3 * 10**9, 10**13])
def test_boundaries_are_whole_numbers_of_any_size(n_all):
    n_own = n_all * 3 // 7
    places = np.linspace(0, n_all, 11).astype(np.int64)
    places[-1] = n_all
    assert boundaries(places, n_own, n_all).tolist() == [int(place) * n_own // n_all for place in places]
    assert boundaries(places, n_all, n_all).tolist() == places.tolist()


def test_seeds_of_ranks_differ():
    seeds = [int(seed_of_rank(3, rank)) for rank in range(100)]
    assert seeds[0] == 3
    assert len(set(seeds)) == 100


# What callbacks of rank 0, validation, errors and Ctrl-C do.


class Watching(Callback):
    """Notes what it hears, and does something at the end of an epoch."""

    def __init__(self, act=None):
        self.heard, self.act = [], act

    def on_epoch_end(self, epoch, logs=None):
        self.heard.append((epoch, dict(logs)))
        if self.act:
            self.act(self, epoch)


def run(size, callbacks=(), validate=None, n=60, **job):
    parts = parts_of(table(n), even(n, size))
    return together(size, lambda comm: trained(comm, parts, OPTIMIZERS[0], {}, callbacks, validate, **job))


def test_callbacks_are_called_on_rank_0_and_stop_all():
    watching = Watching(lambda self, epoch: setattr(self.model, "stop_training", epoch == 1))
    found = run(3, [watching], epochs=9)
    assert [epoch for epoch, _ in watching.heard] == [0, 1]
    assert watching.model is found[0][0]
    for _, history in found:
        assert (history.epochs, history.ended) == (2, "callback")


def test_weights_that_a_callback_sets_are_those_of_all():
    def scale(callback, epoch):
        callback.model.parameters *= 0.5

    found = run(3, [Watching(scale)])
    assert len({model.parameters.tobytes() for model, _ in found}) == 1
    assert found[0][0].parameters.tobytes() != run(3)[0][0].parameters.tobytes()


def test_rank_0_validates():
    measured = []

    def validate(epoch):
        measured.append(epoch)
        return {"val_loss": float(10 - epoch)}

    parts = parts_of(table(60), even(60, 3))

    def train(comm):
        mine = validate if comm.rank == 0 else None
        return trained(comm, parts, OPTIMIZERS[0], {}, [EarlyStopping()], mine)[1].history

    found = returned(3, train)
    assert measured == [0, 1, 2, 3]  # before the first step, too, because early stopping compares with it
    assert [history["val_loss"] for history in found] == [[9.0, 8.0, 7.0]] * 3


def fails(text):
    def act(callback, epoch):
        raise ValueError(text)

    return act


def test_an_error_of_a_callback_ends_all():
    found = run(3, [Watching(fails("disk full"))])
    assert isinstance(found[0], ValueError)
    assert [str(error) for error in found[1:]] == ["rank 0: ValueError: disk full"] * 2
    assert all(isinstance(error, RankError) for error in found[1:])


@pytest.mark.parametrize("where", ["between", "inside", "first"])
def test_an_error_on_one_rank_ends_all(where, monkeypatch):
    parts = parts_of(table(60), even(60, 3))

    class Broken(OwnRows):
        def portions(self, epoch):
            if epoch == (0 if where == "first" else 1) and where != "inside":
                raise OSError("the file is gone")
            yield from super().portions(epoch)

    def train(comm):
        ranks, model = Ranks(comm), model_of()
        kind = Broken if comm.rank == 2 else OwnRows
        store = SharedStore(ranks)
        job = job_of(model, kind(parts[0], parts[comm.rank], 60), store, ONE_THREAD)
        if where == "inside" and comm.rank == 2:
            job = job._replace(engine=failing(job.engine, 10))
        with pytest.raises((RankError, OSError)) as caught:
            loop.fit(job, Watch(Silent(), CallbacksOfFirst(ranks, (), model), None))
        return model.parameters.tobytes(), model.fit_state.steps, str(caught.value)

    found = returned(3, train)
    assert [text for *_, text in found] == ["rank 2: OSError: the file is gone"] * 2 + ["the file is gone"]
    assert len({parameters for parameters, *_ in found}) == 1
    assert {steps for _, steps, _ in found} == {{"between": 8, "inside": 9, "first": 0}[where]}


def failing(kernels, call):
    """An engine whose gradient fails at this call; the first one only compiles."""
    calls = []

    class Engine:
        def __getattr__(self, name):
            return getattr(kernels, name)

        def batch_gradient(self, *arguments):
            calls.append(1)
            if len(calls) > call:
                raise OSError("the file is gone")
            return kernels.batch_gradient(*arguments)

    return Engine()


@pytest.mark.parametrize("pressed", [0, 2])
def test_ctrl_c_on_one_rank_leaves_the_same_model_everywhere(pressed):
    parts = parts_of(table(60), even(60, 3))

    class Pressing(OwnRows):
        def portions(self, epoch):
            if epoch == 2:
                ranks_here[2 if pressed else 0].ctrl_c.seen = True
            yield from super().portions(epoch)

    ranks_here = {}

    def train(comm):
        ranks = ranks_here[comm.rank] = Ranks(comm)
        model = model_of()
        feed = (Pressing if comm.rank == pressed else OwnRows)(parts[0], parts[comm.rank], 60)
        watch = Watch(Silent(), CallbacksOfFirst(ranks, (), model), None)
        history = loop.fit(job_of(model, feed, SharedStore(ranks), ONE_THREAD, epochs=50), watch)
        ranks.meet()  # they can go on together
        return model.parameters.tobytes(), history.ended, history.epochs, history.steps

    found = returned(3, train)
    assert len(set(found)) == 1
    assert found[0][1:] == ("interrupted", 2, 16)


def test_a_blow_up_is_one_of_all():
    parts = parts_of(table(60), even(60, 3))

    def train(comm):
        with pytest.raises(DivergenceError) as caught:
            trained(comm, parts, fastgd.SGD(learning_rate=1e9), {"activation": "relu"})
        return str(caught.value), caught.value.learning_rate, caught.value.step

    found = returned(3, train)
    assert len(set(found)) == 1
    assert found[0][1] < 1e9
    assert not found[0][0].startswith("rank")
