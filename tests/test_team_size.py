"""How many threads take the next chunk: the faster go on, and something that takes a core away is noticed."""

from __future__ import annotations

import pytest

from fastgd.training import team_size
from fastgd.training.team_size import TRIAL_SECONDS, TeamSize


class Machine:
    """A clock, and what a step takes each number of threads, with which part of their cores."""

    def __init__(self, monkeypatch, seconds, busy=1.0):
        self.now, self.seconds, self.busy = 0.0, seconds, busy
        monkeypatch.setattr(team_size.time, "perf_counter", lambda: self.now)

    def chunk(self, team, seconds=0.07):
        """One chunk; returns how many threads took it."""
        size = team.next()
        steps = max(int(team.steps_in(seconds)), 1)
        took = steps * self.seconds[size]
        self.now += took
        team.took(size, took, steps, self.busy if size > 1 else 1.0)
        return size

    def until(self, team, seconds):
        """All chunks of this time: the seconds that each number of threads has had."""
        spent = dict.fromkeys(self.seconds, 0.0)
        end = self.now + seconds
        while self.now < end:
            before = self.now
            size = self.chunk(team)
            spent[size] += self.now - before
        return spent


@pytest.mark.parametrize(("one", "two", "best"), [(1e-5, 6e-6, 2), (1e-5, 2e-5, 1), (1e-3, 6e-4, 2), (2e-3, 3e-3, 1)])
def test_the_faster_are_found_in_a_few_milliseconds(monkeypatch, one, two, best):
    machine, team = Machine(monkeypatch, {1: one, 2: two}), TeamSize(2)
    while team.is_trying:
        machine.chunk(team)
    assert machine.now < 12 * max(TRIAL_SECONDS, one, two)
    assert team.next() == best
    assert machine.until(team, 0.2)[3 - best] == 0


def test_of_many_threads_some_may_be_the_fastest(monkeypatch):
    machine, team = Machine(monkeypatch, {12: 2e-5, 6: 1e-5, 3: 1.5e-5, 1: 4e-5}), TeamSize(12)
    while team.is_trying:
        machine.chunk(team)
    assert team.next() == 6
    assert "10 µs with 6" in team.reason()


def test_long_steps_are_divided_without_a_try(monkeypatch):
    machine, team = Machine(monkeypatch, {1: 0.06, 2: 0.03}), TeamSize(2)
    assert [machine.chunk(team) for _ in range(4)] == [2, 2, 2, 2]
    assert team.reason() == "a step took 30 ms with 2"


@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.03])
def test_a_core_that_is_taken_away_costs_a_tenth_of_a_second(monkeypatch, step):
    machine, team = Machine(monkeypatch, {1: 2 * step, 2: step}), TeamSize(2)
    machine.until(team, 1.0)
    assert team.next() == 2
    machine.seconds, machine.busy = {1: 2 * step, 2: 3 * step}, 0.7
    began = machine.now
    while team.next() == 2 or team.is_trying:
        machine.chunk(team)
    assert machine.now - began < max(0.15, 8 * step)
    spent = machine.until(team, 20.0)
    assert spent[2] < 0.1 * spent[1]
    machine.seconds, machine.busy = {1: 2 * step, 2: step}, 1.0
    machine.until(team, 20.0)
    assert team.next() == 2, "when it comes back it is used again"


def test_the_rest_of_an_epoch_is_no_whole_step(monkeypatch):
    """Three steps of 0.02 s, the last of which has a tenth of the rows, epoch after epoch."""
    machine, team = Machine(monkeypatch, {1: 0.035, 2: 0.02}), TeamSize(2)
    for _ in range(20):
        done = 0.0
        while done < 2.1:
            size, n_steps = team.next(), min(max(int(team.steps_in(0.07)), 1), 2.1 - done)
            seconds = max(n_steps, 0.3) * machine.seconds[size]  # a few rows take longer than their part
            machine.now += seconds
            team.took(size, seconds, n_steps)
            done += n_steps
            assert size == 2


def test_a_part_of_a_step_tells_nothing(monkeypatch):
    machine, team = Machine(monkeypatch, {1: 1e-3, 2: 6e-4}), TeamSize(2)
    machine.until(team, 0.1)
    times, seconds = dict(team.times), team.step_seconds
    team.took(2, 4e-3, 0.5)
    assert (team.times, team.step_seconds) == (times, seconds)


def test_a_slow_moment_is_no_reason_for_fewer_threads(monkeypatch):
    machine, team = Machine(monkeypatch, {1: 1e-3, 2: 6e-4}), TeamSize(2)
    machine.until(team, 1.0)
    machine.seconds = {1: 1e-3, 2: 2e-3}
    machine.chunk(team)
    machine.seconds = {1: 1e-3, 2: 6e-4}
    assert team.is_trying
    spent = machine.until(team, 0.1)
    assert team.next() == 2
    assert spent[1] < 0.01
    assert team.reason() == "a step took 1 ms with 1, 600 µs with 2"


def test_one_thread_is_never_compared(monkeypatch):
    machine, team = Machine(monkeypatch, {1: 1e-5}), TeamSize(1)
    assert {machine.chunk(team) for _ in range(5)} == {1}
    assert not team.is_trying
