"""Networks whose steps are taken together: the bits of each alone, few launches, and nobody waits for ever."""

from __future__ import annotations

import copy
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from populations import MIXED, alone
from samples import houses

import fastgd
from fastgd.callbacks import Callback
from fastgd.errors import DivergenceError, InvalidInputError, kept_warnings
from fastgd.kernels import plain
from fastgd.many import crew, lockstep
from fastgd.training.equipment import Store

GOOD = {"layer_sizes": [4, 8, 1]}
ADAM = fastgd.Adam(learning_rate=0.01)
FOR_EVER = 120  # seconds: nothing here takes that long
KINDS = [*MIXED, GOOD | {"optimizer": fastgd.SGD(1e6)}, GOOD | {"epochs": 0}]


class Engine:
    """Takes the steps of many networks with the readable kernels, and remembers what it was asked for."""

    def __init__(self, train):
        self.train, self.launches, self.apart = train, [], 0
        self.inside, self.is_launching, self.overlaps = threading.local(), False, 0

    def train_many(self, requests):
        self.launches.append([len(request.learning_rates) for request in requests])
        self.overlaps += self.is_launching
        self.is_launching = self.inside.now = True
        try:
            return [self.train(*request) for request in requests]
        finally:
            self.is_launching = self.inside.now = False

    def train_one(self, *request):
        self.apart += not getattr(self.inside, "now", False)
        return self.train(*request)

    @property
    def sizes(self):
        """How many networks each launch had; those that only compile have no steps."""
        return [len(steps) for steps in self.launches if any(steps)]


@pytest.fixture
def engine(monkeypatch):
    """The readable kernels have `train_many`, too."""
    monkeypatch.setattr(lockstep, "PATIENCE", 30.0)  # launches have the same sizes on a machine that is busy
    counting = Engine(plain.train)
    monkeypatch.setattr(plain, "train", counting.train_one)
    monkeypatch.setattr(plain, "train_many", lambda requests: counting.train_many(requests), raising=False)
    return counting


def in_time(work):
    """What a function returns or raises; one that never ends fails."""
    promised = Future()

    def keep():
        try:
            promised.set_result(work())
        except BaseException as error:
            promised.set_exception(error)

    threading.Thread(target=keep, daemon=True).start()
    return promised.result(FOR_EVER)


def together(specs, X, y, **options):
    def trained():
        with kept_warnings():
            return fastgd.fit_many(specs, X, y, device="plain", verbose=0, **options)

    return in_time(trained)


def unlike(specs, records, X, y, **options):
    """The numbers of the networks that have come to something else than alone."""
    found = []
    for spec, record in zip(specs, records, strict=True):
        asked = {**options, **spec}
        try:
            with kept_warnings():
                model, history = alone(asked, X, y, device="plain")
            same = (record.history.history, record.history.ended) == (history.history, history.ended)
            same &= (record.model.parameters == model.parameters).all()
            same &= (record.model.predict(X) == model.predict(X)).all()
        except DivergenceError as error:
            same = (error.step, error.layer) == (record.error.step, record.error.layer)  # the rest is told by chunks
        if not same:
            found.append(record.number)
    return found


@pytest.mark.parametrize("work", [lockstep.FIRST_WORK, 1.0, 2e6])
def test_each_network_has_the_bits_of_its_own_fit(engine, monkeypatch, work):
    monkeypatch.setattr(lockstep, "FIRST_WORK", work)
    monkeypatch.setattr(lockstep, "GROWTH", 2.0)  # chunks of many lengths
    X, y = houses(700)
    records = together(KINDS, X, y, epochs=3)
    assert engine.apart == 0  # also where tables are encoded, so that the first fit makes another network
    assert unlike(KINDS, records, X, y, epochs=3) == []
    assert [record.ended for record in records[-2:]] == ["DivergenceError", "completed"]
    assert records[7].ended == "callback"
    assert engine.launches[0] == [0] * (len(KINDS) - 1)  # who has no epochs asks for nothing


def test_an_engine_that_takes_other_steps_is_noticed(engine):
    def forgets(requests):
        shorter = [
            request._replace(learning_rates=request.learning_rates[1:]) if number == 2 else request
            for number, request in enumerate(requests)
        ]
        right = [len(request.learning_rates) for request in requests]
        return [engine.train(*request) for request in shorter] and right

    engine.train_many = forgets
    X, y = houses(100)
    specs = [GOOD | {"random_state": k} for k in range(4)]
    records = together(specs, X, y, epochs=2, optimizer=ADAM)
    assert unlike(specs, records, X, y, epochs=2, optimizer=ADAM)


@pytest.mark.parametrize(("first_work", "per_epoch"), [(1e12, 1), (1.0, 4)])
def test_a_launch_has_the_chunks_of_all(engine, monkeypatch, first_work, per_epoch):
    monkeypatch.setattr(lockstep, "FIRST_WORK", first_work)
    monkeypatch.setattr(lockstep, "GROWTH", 1.0)
    X, y = houses(100)  # 4 steps
    specs = [GOOD | {"random_state": k} for k in range(300)]
    records = together(specs, X, y, epochs=2, optimizer=ADAM)
    assert engine.sizes == [300] * 2 * per_epoch
    assert engine.launches[0] == [0] * 300
    assert {steps for launch in engine.launches[1:] for steps in launch} == {4 // per_epoch}
    assert unlike(specs[::60], records[::60], X, y, epochs=2, optimizer=ADAM) == []


def test_of_more_networks_the_next_one_comes_when_one_ends(engine, monkeypatch):
    monkeypatch.setattr(crew, "MOST_MEMBERS", 3)
    X, y = houses(100)
    specs = [GOOD | {"random_state": k, "epochs": 1 + k % 4} for k in range(11)]
    records = together(specs, X, y, optimizer=ADAM)
    assert max(engine.sizes) == 3
    assert sum(engine.sizes) == sum(spec["epochs"] for spec in specs)
    assert unlike(specs, records, X, y, optimizer=ADAM) == []


def test_a_search_profits(engine, monkeypatch):
    space = {"learning_rate": fastgd.space.LogUniform(1e-3, 1e-1), "layer_sizes": [[4, 4, 1], [4, 8, 1]]}
    X, y = houses(120)

    def searched():
        options = {"n_candidates": 9, "cv": 3, "epochs": 9, "metric": "rmse", "refit": False}
        return in_time(lambda: fastgd.search(space, X, y, device="plain", verbose=0, **options))

    found = searched()
    assert engine.sizes == [27, *[9] * 2, *[3] * 6]  # candidates times folds, for 1, 2 and 6 more epochs
    monkeypatch.delattr(plain, "train_many")
    right = searched()
    assert [candidate.score for candidate in found.candidates] == [candidate.score for candidate in right.candidates]


class Clock:
    """A launch takes as long as its largest network, a second for so much work."""

    def __init__(self, engine, speed):
        self.now, self.engine, self.speed = 0.0, engine, speed
        self.asked, self.seconds = [], []
        self.monotonic = time.monotonic

    def perf_counter(self):
        return self.now

    def train_many(self, requests):
        work = [len(r.learning_rates) * lockstep.work_of_step(r.net, r.batch_size) for r in requests]
        self.seconds.append(max(work) / self.speed)
        self.now += self.seconds[-1]
        self.asked.append([(r.batch_size, len(r.learning_rates)) for r in requests])
        return [self.engine.train(*request) for request in requests]


def paced(engine, monkeypatch, speed):
    """How long each launch takes, and the steps that two small networks take in it, beside two large ones."""
    clock = Clock(engine, speed)
    engine.train_many = clock.train_many
    monkeypatch.setattr(lockstep, "time", clock)
    small = {"layer_sizes": [4, 8, 1], "batch_size": 1, "epochs": 4}
    large = {"layer_sizes": [4, 64, 64, 1], "batch_size": 600, "epochs": 60}
    X, y = houses(600)
    together([spec | {"random_state": k} for spec in (small, large) for k in range(2)], X, y, optimizer=ADAM)
    return clock.seconds, [[n for size, n in asked if size == 1] for asked in clock.asked]


def test_chunks_grow_to_whole_epochs_where_launches_are_short(engine, monkeypatch):
    _, small = paced(engine, monkeypatch, speed=1e9)
    taken = [steps for steps in small if steps]
    assert all(first == second for first, second in taken)  # equal networks take equal chunks
    assert [first for first, _ in taken] == [0, 199, 401, 600, 600, 600]


def test_chunks_shrink_where_launches_are_long_and_large_networks_do_not_hold_up_small_ones(engine, monkeypatch):
    seconds, small = paced(engine, monkeypatch, speed=5e6)
    assert max(seconds[2:]) <= lockstep.LONG_LAUNCH < seconds[1]
    # Half a second has 49 steps of 50 049 each, and not one of a large network, which takes one all the same.
    assert [steps[0] for steps in small if steps][1:] == [199, *[49] * 8, 9, *([49] * 12 + [12]) * 3]


def test_that_launches_are_too_long_can_be_seen(engine, monkeypatch):
    monkeypatch.setattr(lockstep.Pace, "steps_in", lambda pace, seconds: 1e9)
    seconds, _ = paced(engine, monkeypatch, speed=5e6)
    assert max(seconds[2:]) > lockstep.LONG_LAUNCH


class Nests(Callback):
    """Trains other networks on the same device, and asks this one for predictions."""

    def __init__(self, many):
        self.many = many

    def on_epoch_end(self, epoch, logs=None):
        X, y = houses(50)
        self.model.predict(X)
        if self.many:
            records = fastgd.fit_many([GOOD] * 3, X, y, epochs=2, device="plain", verbose=0)
            self.found = [record.model.predict(X[:1])[0] for record in records]
        else:
            model = fastgd.MLP([4, 8, 1])
            model.fit(X, y, epochs=2, device="plain", verbose=0)
            self.found = [model.predict(X[:1])[0]] * 3
            copies = copy.deepcopy(self.model), pickle.loads(pickle.dumps(self.model))
            assert [type(other.store) for other in copies] == [Store, Store]
            logs["found"] = [other.fit(X, y, epochs=1, verbose=0).history["loss"] for other in copies]


@pytest.mark.parametrize("many", [False, True])
def test_a_callback_may_train_others(engine, many):
    X, y = houses(100)
    specs = [GOOD | {"random_state": k, "callbacks": [Nests(many)]} for k in range(6)]
    records = together(specs, X, y, epochs=3, optimizer=ADAM)
    assert [record.error for record in records] == [None] * 6
    X50, y50 = houses(50)
    model = fastgd.MLP([4, 8, 1])
    model.fit(X50, y50, epochs=2, device="plain", verbose=0)
    assert {value for record in records for value in record.callbacks[0].found} == {model.predict(X50[:1])[0]}
    for spec in specs:
        del spec["callbacks"]
    assert [record.model.parameters[0] for record in records] == [
        alone(spec, X, y, device="plain", epochs=3, optimizer=ADAM)[0].parameters[0] for spec in specs
    ]


def test_a_twin_that_outlives_its_training_learns_alone(engine):
    kept = []

    class Keeps(Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.twin())

    X, y = houses(100)
    together([GOOD | {"callbacks": [Keeps()]}], X, y, epochs=2, optimizer=ADAM)
    assert kept[0].store.member.thread is None  # a later thread may have the number of one that has ended
    in_time(lambda: kept[0].fit(X, y, epochs=1, device="plain", verbose=0))
    model = alone(GOOD, X, y, device="plain", epochs=2, optimizer=ADAM)[0]
    np.testing.assert_array_equal(kept[0].parameters, model.parameters)


def meets(meeting, epochs):
    """A callback that waits for those of other networks."""

    class Meets(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch in epochs:
                meeting.wait()

        def __deepcopy__(self, memo):
            return self

    return Meets()


@pytest.mark.parametrize(("patience", "errors"), [(0.05, 0), (1e9, 6)])
def test_callbacks_that_wait_for_one_another_hold_up_nobody_for_ever(engine, monkeypatch, patience, errors):
    monkeypatch.setattr(lockstep, "PATIENCE", patience)
    monkeypatch.setattr(lockstep, "FIRST_WORK", 1.0)
    monkeypatch.setattr(lockstep, "GROWTH", 1.0)
    meeting = threading.Barrier(6, timeout=60 if errors == 0 else 1)  # more than may be awake
    X, y = houses(100)
    specs = [GOOD | {"batch_size": size, "callbacks": [meets(meeting, [0, 2])]} for size in (10, 20, 30, 40, 50, 60)]
    records = together(specs, X, y, epochs=4, optimizer=ADAM)
    assert sum(isinstance(record.error, threading.BrokenBarrierError) for record in records) == errors
    if not errors:
        assert [record.ended for record in records] == ["completed"] * 6


class Pauses(Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.1)


def test_who_comes_back_late_waits_for_the_end_of_a_launch(engine, monkeypatch):
    monkeypatch.setattr(lockstep, "PATIENCE", 0.02)
    monkeypatch.setattr(crew, "LOOKS", 0.005)
    works = engine.train
    engine.train = lambda *request: time.sleep(0.2) or works(*request)
    X, y = houses(30)
    records = together([GOOD | {"callbacks": [Pauses()]}, GOOD], X, y, epochs=3, optimizer=ADAM)
    assert [record.ended for record in records] == ["completed"] * 2
    assert engine.sizes[:2] == [2, 1]  # the other went on in the pause
    assert engine.overlaps == 0


def test_few_are_awake_at_a_time(engine):
    awake, most = set(), []

    class Looks(Callback):
        def on_epoch_end(self, epoch, logs=None):
            awake.add(self)
            most.append(len(awake))
            time.sleep(0.002)
            awake.discard(self)

    X, y = houses(50)
    together([GOOD | {"callbacks": [Looks()]}] * 40, X, y, epochs=2, optimizer=ADAM)
    assert max(most) <= lockstep.AWAKE


class Fails(Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("no more")


def test_an_error_in_a_callback_ends_its_network_alone(engine):
    X, y = houses(100)
    specs = [GOOD | {"random_state": k} for k in range(5)]
    records = together([*specs, GOOD | {"callbacks": [Fails()]}], X, y, epochs=3, optimizer=ADAM)
    assert engine.sizes == [6, 5, 5]
    assert records[5].ended == "RuntimeError"
    assert unlike(specs, records[:5], X, y, epochs=3, optimizer=ADAM) == []


@pytest.mark.parametrize("fault", ["raises", "answers", "one"])
def test_an_error_of_the_engine_reaches_whom_it_concerns(engine, monkeypatch, fault):
    monkeypatch.setattr(crew, "MOST_MEMBERS", 4)
    works, launches = engine.train_many, []

    def train_many(requests):
        launches.append(len(requests))
        if len(launches) != 3:
            return works(requests)
        if fault == "raises":
            raise MemoryError("the card is full")
        return [] if fault == "answers" else [MemoryError("the card is full"), *works(requests[1:])]

    engine.train_many = train_many
    X, y = houses(100)
    specs = [GOOD | {"random_state": k} for k in range(10)]
    records = together(specs, X, y, epochs=2, optimizer=ADAM)
    failed = [record for record in records if record.error is not None]
    assert len(failed) == (1 if fault == "one" else 4)
    for record in failed:
        expected = (RuntimeError, "0 answers to 4") if fault == "answers" else (MemoryError, "the card is full")
        assert isinstance(record.error, expected[0])
        assert expected[1] in str(record.error)
        assert np.isfinite(record.model.parameters).all()
    good = [record for record in records if record.error is None]
    assert unlike([specs[record.number] for record in good], good, X, y, epochs=2, optimizer=ADAM) == []


def test_an_error_before_a_training_has_begun_leaves_nobody_waiting(engine):
    X, y = houses(60)
    with pytest.raises(InvalidInputError, match=r"^spec 0: y, row 40 is -1"):
        fastgd.fit_many(
            [GOOD | {"log_target": True}], X, np.r_[y[:40], -1, y[41:]], epochs=1, device="plain", verbose=0
        )
    bad = GOOD | {"optimizer": fastgd.SGD(lambda step: float("nan"))}
    records = together([bad, GOOD, bad, GOOD], X, y, epochs=2)
    assert [record.ended for record in records] == ["InvalidInputError", "completed"] * 2


@pytest.mark.parametrize("allowed", [0, 1, 5])
def test_fewer_threads_than_networks_will_do(engine, monkeypatch, allowed):
    monkeypatch.setattr(lockstep, "PATIENCE", 1e9)
    start, started = threading.Thread.start, []

    def limited(thread):
        if thread.name.removeprefix("fastgd-").isdigit():
            if len(started) == allowed:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    X, y = houses(100)
    specs = [GOOD | {"random_state": k} for k in range(12)]
    if not allowed:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            fastgd.fit_many(specs, X, y, device="plain", verbose=0)
        return
    records = together(specs, X, y, epochs=2, optimizer=ADAM)
    assert max(engine.sizes) == allowed
    assert unlike(specs, records, X, y, epochs=2, optimizer=ADAM) == []


def test_nobody_waits_for_who_has_left_before_its_turn():
    crowd = lockstep.Lockstep(SimpleNamespace(), lambda: False)
    members = [crowd.joined() for _ in range(2 * lockstep.AWAKE)]
    crowd.begin()
    for member in reversed(members):
        member.leave()
    assert not crowd.awake
    assert not crowd.ready


class Unsteady(Callback):
    """Is slow, asks for something, fails, or stops, by chance."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def on_epoch_end(self, epoch, logs=None):
        drawn = self.chance.random()
        if drawn < 0.1:
            time.sleep(0.05)
        elif drawn < 0.15:
            raise RuntimeError("by chance")
        elif drawn < 0.2:
            self.model.stop_training = True
        elif drawn < 0.3:
            self.model.predict(houses(5)[0])
        elif drawn < 0.35:
            fastgd.MLP([4, 1]).fit(*houses(20), epochs=1, device="plain", verbose=0)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_networks_do_all_come_to_their_end(engine, monkeypatch, seed):
    for name, value in {"PATIENCE": 0.02, "AWAKE": 2, "FIRST_WORK": 1e5}.items():
        monkeypatch.setattr(lockstep, name, value)
    monkeypatch.setattr(crew, "MOST_MEMBERS", 7)
    monkeypatch.setattr(crew, "LOOKS", 0.005)
    drawn = random.Random(seed)
    works = engine.train

    def train(*request):
        time.sleep(0.001)  # so that whoever was away comes back in a launch
        return works(*request)

    engine.train = train
    X, y = houses(100)
    specs = [
        {
            "layer_sizes": [4, drawn.choice([4, 8]), 1], "epochs": drawn.randrange(8), "random_state": k,
            "batch_size": drawn.choice([5, 30, 100]), "callbacks": [Unsteady(1000 * seed + k)],
        }
        for k in range(40)
    ]  # fmt: skip
    records = together(specs, X, y, optimizer=ADAM)
    ended = {record.ended for record in records}
    assert ended == {"completed", "callback", "RuntimeError"}
    assert engine.overlaps == 0
    whole = [record for record in records if record.error is None]
    assert unlike([specs[record.number] for record in whole], whole, X, y, optimizer=ADAM) == []


INTERRUPTED = """
import os, sys, time
import fastgd.many.fit_many
from fastgd.kernels import plain
from fastgd.many import crew, lockstep

launches = []

def train_many(requests):
    launches.append(crew.last.stops)
    time.sleep(0.01)
    return [plain.train(*request) for request in requests]

class Crew(crew.Crew):
    def __init__(self, *given):
        super().__init__(*given)
        crew.last = self

class Tell(fastgd.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:
            os.write(1, b"training\\n")
            {wait}

sys.modules["fastgd.many.fit_many"].Crew = Crew
plain.train_many = train_many
crew.MOST_MEMBERS = 20
lockstep.PATIENCE = 60.0
X, y = fastgd.datasets.houses(200, random_state=0)
adam = fastgd.Adam(0.01)
specs = [dict(layer_sizes=[4, 4, 1], epochs=10**7, optimizer=adam, random_state=k) for k in range(25)]
specs[0] |= dict(epochs=2 * 10**7, callbacks=[Tell()])
records = fastgd.fit_many(specs, X, y, device="plain", verbose=0)
ended = [(record.ended, record.model is None) for record in records]
print(ended[0], set(ended[1:20]), set(ended[20:]), sum(launches), flush=True)
"""


@pytest.mark.parametrize("presses", [1, 3])
def test_ctrl_c_ends_all_after_the_launch_that_runs(presses):
    wait = "" if presses == 1 else "time.sleep(60)"
    script = INTERRUPTED.replace("{wait}", wait)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
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
    # Who sleeps is given up. Once all were to stop, no launch began.
    first = "('interrupted', False)" if presses == 1 else "('KeyboardInterrupt', True)"
    assert out.strip() == f"{first} {{('interrupted', False)}} {{('never begun', False)}} 0"
    assert process.returncode == 0


def test_what_a_member_asks_for_is_what_the_engine_is_given(engine):
    seen = []
    engine.train_many = lambda requests: seen.extend(requests) or [engine.train(*request) for request in requests]
    X, y = houses(64)
    together([GOOD], X, y, epochs=1, optimizer=ADAM)
    assert [request.learning_rates.size for request in seen] == [0, 2]
    request = SimpleNamespace(**seen[1]._asdict())
    assert (request.place, request.batch_size, request.rows.X.shape) == (0, 32, (64, 4))
    assert request.net.parameters.size == 49
