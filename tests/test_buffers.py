"""Rows of a stream as buffers: every row once in each pass, in an order of its own, read while others are used."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from fastgd.data.streams.ahead import ahead
from fastgd.data.streams.source import Batch
from fastgd.errors import InvalidInputError
from fastgd.kernels.records import Rows
from fastgd.training.buffers import Buffers, Size, buffer_sizes, derived_seed


class Numbers:
    """A source of the rows 0, 1, …, in parts."""

    name, is_one_pass, is_fixed = "numbers", False, True

    def __init__(self, n_rows, part=10, weighted=False, n_parts=True):
        self.n_rows, self.part, self.weighted = n_rows, part, weighted
        self.n_parts = -(-n_rows // part) if n_parts else None
        self.read = []

    def batches(self, order, most):
        for number in range(-(-self.n_rows // self.part)) if order is None else order:
            self.read.append(number)
            rows = np.arange(number * self.part, min((number + 1) * self.part, self.n_rows), dtype=np.float32)
            weights = rows + 1 if self.weighted else None
            yield Batch(rows[:, None], rows[:, None], weights, f"part {number}", int(rows[0]))


def rows_of(batch):
    weights = np.zeros(0, np.float32) if batch.weights is None else batch.weights
    return batch.X, batch.y, weights


def feed_of(source, most, shuffle=True, sizes=None, seed=5):
    some = np.zeros((1, 1), np.float32)
    at_hand = Rows(some, some, some[:0, 0], np.uint64(seed), 0, shuffle)
    return Buffers(source, rows_of, buffer_sizes(source.n_rows, most) if sizes is None else sizes, at_hand, most)


def flat(buffers):
    return [row for buffer in buffers for row in buffer]


def walked(feed, epoch=0):
    return [portion.rows.X[:, 0].astype(int).tolist() for portion in feed.portions(epoch)]


@pytest.mark.parametrize("n_parts", [True, False])
@pytest.mark.parametrize("most", [1, 7, 10, 24, 103, 1000])
def test_every_pass_has_every_row_once(most, n_parts):
    feed = feed_of(Numbers(103, n_parts=n_parts), most)
    for epoch in range(3):
        buffers = walked(feed, epoch)
        assert [len(buffer) for buffer in buffers] == [size.own for size in feed.sizes]
        assert sorted(flat(buffers)) == list(range(103))


def test_parts_come_in_the_order_of_seed_and_pass():
    orders = [flat(walked(feed_of(Numbers(200), 40, seed=seed), epoch)) for seed in (1, 2) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == flat(walked(feed_of(Numbers(200), 40, seed=1), 0))
    assert flat(walked(feed_of(Numbers(200), 40, shuffle=False))) == list(range(200))


def test_rows_go_with_their_targets_and_weights():
    for portion in feed_of(Numbers(95, weighted=True), 30).portions(2):
        assert (portion.rows.Y == portion.rows.X).all()
        assert (portion.rows.weights == portion.rows.X[:, 0] + 1).all()
        assert portion.rows.epoch == 2
        assert not any(array.flags.writeable for array in portion.rows[:3])


def test_each_buffer_has_a_seed_of_its_own_and_the_first_that_of_the_model():
    seeds = [portion.rows.seed for portion in feed_of(Numbers(100), 20).portions(0)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 5
    assert derived_seed(5, 3) == seeds[3]


def test_a_buffer_stays_while_the_next_one_is_read():
    feed = feed_of(Numbers(100), 20, shuffle=False)
    for number, portion in enumerate(feed.portions(0)):
        time.sleep(0.02)  # the other thread has filled the next buffer by now
        assert portion.rows.X[:, 0].tolist() == list(range(20 * number, 20 * number + 20))
        assert len(feed.slots) == 2


def test_one_buffer_takes_the_room_of_one():
    feed = feed_of(Numbers(50), 1000)
    assert len(walked(feed)) == 1
    assert [len(slot[0]) for slot in feed.slots] == [50]


def test_the_next_buffer_is_read_ahead():
    source = Numbers(100)
    portions = feed_of(source, 20).portions(0)
    next(portions)
    until = time.monotonic() + 5
    while len(source.read) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    assert len(source.read) == 4
    portions.close()
    assert len(source.read) == 4


def test_sizes_may_be_those_of_one_machine_among_several():
    portions = list(feed_of(Numbers(100), 50, sizes=[Size(30, 90), Size(70, 210)]).portions(0))
    assert [len(portion.rows.X) for portion in portions] == [30, 70]
    assert [portion.n_rows for portion in portions] == [90, 210]


def test_of_an_unknown_number_all_rows_come():
    feed = feed_of(Numbers(95), 30, sizes=[])
    assert feed.n_rows is None
    assert list(map(len, walked(feed))) == [30, 30, 30, 5]


@pytest.mark.parametrize(("known", "told"), [(90, "has more rows"), (120, "ended after 100 rows")])
def test_a_pass_with_other_rows_is_told(known, told):
    feed = feed_of(Numbers(100), 30, sizes=buffer_sizes(known, 30))
    with pytest.raises(InvalidInputError, match=told):
        walked(feed)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "fastgd-read"]


def test_an_error_comes_where_its_buffer_would_have_come_and_no_thread_stays():
    class Broken(Numbers):
        def batches(self, order, most):
            for number, batch in enumerate(super().batches(order, most)):
                if number == 5:
                    raise OSError("the disk is gone")
                yield batch

    portions = feed_of(Broken(100), 20).portions(0)
    assert [len(portion.rows.X) for portion in (next(portions), next(portions))] == [20, 20]
    with pytest.raises(OSError, match="the disk is gone"):
        next(portions)
    assert not threads()


def test_an_iterator_is_read_where_it_was_made():
    where = set()

    class Once(Numbers):
        is_one_pass = True

        def batches(self, order, most):
            where.add(threading.current_thread())
            return super().batches(None, most)

    walked(feed_of(Once(100), 20))
    assert where == {threading.main_thread()}


def test_ahead_gives_all_and_stops():
    assert list(ahead(iter(range(10)))) == list(range(10))
    stopped = []
    items = ahead(iter(range(10)), lambda: stopped.append(True))
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert stopped == [True]
    assert not threads()


@pytest.mark.parametrize("at", ["start", "stop"])
def test_no_thread_is_left_where_ctrl_c_comes_in_between(at, monkeypatch):
    start, before = threading.Thread.start, threading.active_count()

    def started(thread):
        start(thread)
        raise KeyboardInterrupt

    def stop():
        if at == "stop":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if at == "start":
            patched.setattr(threading.Thread, "start", started)
        items = ahead(iter(range(9)), stop)
        with pytest.raises(KeyboardInterrupt):
            _ = [items.close() for item in items]
    for _ in range(500):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before
