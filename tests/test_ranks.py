"""Ranks agree: on messages, on errors, on Ctrl-C, and on sums to the last bit."""

from __future__ import annotations

import sys
import traceback

import numpy as np
import pytest
from ranks_double import Comm, returned, together

from fastgd.errors import DivergenceError, InvalidInputError, RankError
from fastgd.training import ordered_sum, ranks
from fastgd.training.ordered_sum import OrderedSum
from fastgd.training.ranks import Ranks

SIZES = [1, 2, 3, 4, 5]


def in_order(vectors, factors):
    """The sum that every form must give."""
    products = [vector * vector.dtype.type(factor) for vector, factor in zip(vectors, factors, strict=True)]
    total = products[0].copy()
    for product in products[1:]:
        total = total + product
    return total


@pytest.mark.parametrize("worth", [0, 1 << 40], ids=["slices", "all"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3, 1000, 4099])
@pytest.mark.parametrize("size", SIZES)
def test_sums_have_the_bits_of_the_order_of_ranks(monkeypatch, size, n, dtype, worth):
    monkeypatch.setattr(ordered_sum, "WORTH_SLICES", worth)
    rng = np.random.default_rng(size * n)
    vectors = [(rng.normal(size=n) * 10.0 ** rng.integers(-6, 6, n)).astype(dtype) for _ in range(size)]
    factors = rng.random(size)

    def add(comm):
        vector = vectors[comm.rank].copy()
        summed = OrderedSum(Ranks(comm), n, dtype)
        numbers = summed.add(vector, factors[comm.rank], (comm.rank, 0.0, 0.5))
        return vector, numbers, comm.calls

    found = returned(size, add)
    expected = in_order(vectors, factors)
    for vector, numbers, calls in found:
        assert vector.tobytes() == expected.tobytes()
        assert numbers.tolist() == [[rank, 0, 0.5] for rank in range(size)]
        assert calls == (["Alltoall", "Allgather"] if size > 2 and not worth else ["Allgather"])
    if size > 2 and n > 3:  # the order matters, or this would show nothing
        assert in_order(vectors[::-1], factors[::-1]).tobytes() != expected.tobytes()


def test_long_vectors_go_in_slices_where_that_sends_less():
    def is_sliced(comm, n):
        return OrderedSum(Ranks(comm), n, np.float32).is_sliced

    assert returned(2, is_sliced, 1 << 20) == [False, False]  # two ranks send as much either way
    assert returned(4, is_sliced, 1 << 20) == [True] * 4
    assert returned(4, is_sliced, 1000) == [False] * 4


def test_the_sum_of_one_form_is_used_again(monkeypatch):
    monkeypatch.setattr(ordered_sum, "WORTH_SLICES", 0)

    def add(comm):
        summed, vector = OrderedSum(Ranks(comm), 5, np.float32), np.full(5, comm.rank + 1, np.float32)
        for turn in range(3):
            numbers = summed.add(vector, 1.0, (turn, 0.0, 1.0))
        return vector.tolist(), numbers[:, 0].tolist()

    assert returned(3, add) == [([54.0] * 5, [2.0] * 3)] * 3


@pytest.mark.parametrize("size", SIZES)
def test_messages_come_in_order(size):
    answers = returned(size, lambda comm: Ranks(comm).meet(comm.rank**2))
    assert answers == [[rank**2 for rank in range(size)]] * size


@pytest.mark.parametrize("size", SIZES)
def test_parts_are_merged_in_order(size):
    assert returned(size, lambda comm: Ranks(comm).merged([comm.rank], lambda a, b: a + b))[0] == list(range(size))


@pytest.mark.parametrize("size", SIZES[1:])
def test_parts_that_do_not_fit_together_are_an_error_of_all(size):
    def merge(a, b):
        if size - 1 in b:
            raise InvalidInputError(f"rank {b[0]} has other columns.")
        return a + b

    answers = together(size, lambda comm: Ranks(comm).merged([comm.rank], merge))
    assert len({str(answer) for answer in answers}) == 1
    assert {type(answer) for answer in answers} == {InvalidInputError}


def test_a_message_that_names_its_rank_is_not_given_another():
    answers = together(2, meet_after, {1: InvalidInputError("rank 1, row 7: X is empty.")})
    assert {str(answer) for answer in answers} == {"rank 1, row 7: X is empty."}


def meet_after(comm, errors):
    """A meeting to which some ranks bring errors."""
    here = Ranks(comm)
    try:
        if comm.rank in errors:
            raise errors[comm.rank]
        here.meet()
    except BaseException as error:
        here.fail(error)
        raise
    return "went on"


def test_an_error_reaches_all_with_the_rank():
    errors = {2: InvalidInputError("X, row 7 is empty."), 3: ValueError("later")}
    answers = together(4, meet_after, errors)
    assert {(type(answer), str(answer)) for answer in answers} == {(InvalidInputError, "rank 2: X, row 7 is empty.")}
    assert answers[2].__traceback__ is not None
    for answer in answers:  # one sentence for each rank, not its own and that of all
        assert "During handling" not in "".join(traceback.format_exception(answer))


def test_an_error_of_another_library_stays_what_it_is_where_it_came_from():
    error = KeyError("a column")
    answers = together(3, meet_after, {1: error})
    assert answers[1] is error
    for other in (answers[0], answers[2]):
        assert isinstance(other, RankError)
        assert str(other) == "rank 1: KeyError: 'a column'"


def test_an_error_without_words_is_named():
    answers = together(2, meet_after, {1: MemoryError()})
    assert str(answers[0]) == "rank 1: MemoryError"


def test_what_all_have_met_is_nobodys_own():
    errors = [DivergenceError(f"Training diverged (layer {rank}).") for rank in range(3)]
    for rank, error in enumerate(errors):
        error.step, error.layer = 4, rank
    answers = together(3, meet_after, dict(enumerate(errors)))
    assert [str(answer) for answer in answers] == ["Training diverged (layer 0)."] * 3
    assert [(answer.step, answer.layer) for answer in answers] == [(4, 0)] * 3


def test_what_rank_0_finds_out_for_all_needs_no_rank():
    def find(comm, is_joint):
        def work():
            raise InvalidInputError("y is empty.")

        return Ranks(comm).done_by_first(work, is_joint)

    assert {str(answer) for answer in together(3, find, True)} == {"y is empty."}
    assert {str(answer) for answer in together(3, find, False)} == {"rank 0: y is empty."}
    assert returned(3, lambda comm: Ranks(comm).done_by_first(lambda: comm.rank + 5)) == [5, 5, 5]


def test_after_an_error_nothing_is_exchanged():
    def go_on(comm):
        here = Ranks(comm)
        with pytest.raises(InvalidInputError):
            here.meet(error=InvalidInputError("no") if comm.rank else None)
        calls = len(comm.calls)
        with pytest.raises(InvalidInputError, match="rank 1: no"):
            here.meet()
        here.fail(ValueError("in tidying up"))  # another error does not hide the first from anybody
        return len(comm.calls) - calls

    assert returned(2, go_on) == [0, 0]


@pytest.mark.parametrize("pressed", [[0], [2], [0, 1, 2]])
def test_ctrl_c_on_any_rank_is_raised_by_all(pressed):
    def interrupted(comm):
        here = Ranks(comm)
        here.ctrl_c.seen = comm.rank in pressed
        with pytest.raises(KeyboardInterrupt):
            here.meet()
        here.fail(here.agreed)  # all have raised it: nothing is exchanged
        return here.meet(comm.rank)  # and a usable model is shared after it

    assert returned(3, interrupted) == [[0, 1, 2]] * 3


def test_an_interrupt_that_a_callback_raises_is_one_of_all():
    def interrupted(comm):
        def work():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Ranks(comm).done_by_first(work)
        return "all"

    assert returned(3, interrupted) == ["all"] * 3


class Gone(Comm):
    """A communicator whose other ranks are gone."""

    def _all(self, what, value):
        raise RuntimeError("connection reset")


def test_ranks_that_are_gone_are_an_error():
    here = Ranks(Gone(type("Shared", (), {"size": 2})(), 1))
    with pytest.raises(RankError, match=r"rank 1 can no longer reach the others \(connection reset\)"):
        here.meet()
    here.fail(RuntimeError("in tidying up"))  # nobody is there to hear of it
    assert not getattr(here.agreed, ranks.MET_BY_ALL)


@pytest.mark.parametrize("comm", [None, 4, "COMM_WORLD"])
def test_what_is_no_communicator_is_said(comm):
    with pytest.raises(InvalidInputError, match="comm must be a communicator of mpi4py"):
        Ranks(comm)


@pytest.fixture
def hook(monkeypatch):
    """Python's hook for errors that nobody catches, with a double of what it would print."""
    printed = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: printed.append(error))
    monkeypatch.setattr(ranks, "_watched", [])
    return printed


def test_an_error_that_nobody_catches_ends_all_ranks(hook):
    ended = []
    comm = type("Comm", (), {"Abort": lambda self, code: ended.append(code)})()
    ranks.end_all_by_errors(comm)
    ranks.end_all_by_errors(comm)  # once is enough
    mine, everyones = ValueError("here"), ValueError("everywhere")
    setattr(everyones, ranks.MET_BY_ALL, True)
    sys.excepthook(ValueError, everyones, None)
    assert ended == []  # each rank prints it, and ends
    sys.excepthook(ValueError, mine, None)
    assert ended == [1]
    assert hook == [everyones, mine]


def test_one_rank_alone_leaves_the_hook(hook):
    before = sys.excepthook
    with returned(1, Ranks)[0]:
        assert sys.excepthook is before
