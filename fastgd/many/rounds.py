"""Successive halving: all candidates are trained for some epochs, the best go on with more, as if never interrupted.

Source: Jamieson and Talwalkar 2016, arXiv 1502.07943.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import FastgdError, InvalidInputError, kept_warnings
from ..explain.table import full
from ..options import shown
from ..training.progress import Lines, display, say
from .candidates import Candidate, Whole
from .found import ranked
from .progress import EachRecord, LiveBar, Nothing, Overview, overview
from .records import Record, was_stopped
from .scores import score
from .tasks import Task


@dataclass(frozen=True)
class Plan:
    """How many rounds there are, and what happens in each."""

    n_rounds: int
    factor: int  # 1 / factor of the candidates go on, with factor times the epochs

    def epochs(self, whole: int, number: int) -> int:
        """After how many epochs in all a round ends, for a candidate that would have so many as a whole."""
        return round(whole / float(self.factor) ** (self.n_rounds - 1 - number))

    def going_on(self, n: int) -> int:
        """How many of n candidates go on."""
        return -(-n // self.factor)

    def work(self, n_candidates: int) -> list[float]:
        """About how much each round takes, in trainings of a whole candidate."""
        works, done = [], 0.0
        for number in range(self.n_rounds):
            share = self.factor ** -float(self.n_rounds - 1 - number)
            works.append(n_candidates * (share - done))
            n_candidates, done = self.going_on(n_candidates), share
        return works


def plan_of(halving: bool | int, n_candidates: int, least_epochs: int) -> Plan:
    """As many rounds as candidates and epochs allow; one for halving=False.

    Raises:
        InvalidInputError: a factor that was asked for, with too few candidates or epochs for two rounds.
    """
    if halving is False:
        return Plan(1, 1)
    factor, n_rounds = 3 if halving is True else halving, 1
    while factor**n_rounds <= min(n_candidates, least_epochs):
        n_rounds += 1
    if n_rounds == 1 and halving is not True:
        short, what = min((n_candidates, "candidates"), (least_epochs, "epochs"))
        raise InvalidInputError(
            f"halving={shown(factor)} needs at least {shown(factor)} candidates and epochs, but there are {short} "
            f"{what}."
        )
    return Plan(n_rounds, factor)


class Telling(Overview):
    """The progress of all rounds as one: a live bar, a line for each round, or nothing."""

    def __init__(self, verbose: Any, n_trainings: int, works: Sequence[float]) -> None:
        kind, bar = display(verbose), overview(verbose, n_trainings)
        self.writes_lines = isinstance(kind, Lines)
        every = isinstance(kind, Lines) and kind.every_epoch
        self.inner: Overview = bar if isinstance(bar, LiveBar) or every else Nothing()
        self.shares = [work / sum(works) for work in works]
        self.number, self.before, self.started = 0, list[Record](), time.perf_counter()

    def look(self, done: float, finished: list[Record]) -> None:
        """Of the round that runs."""
        whole = sum(self.shares[: self.number]) + done * self.shares[self.number]
        self.inner.look(whole, self.before + finished)

    def end(self, finished: list[Record]) -> None:
        """Of a round."""
        if isinstance(self.inner, EachRecord):
            self.inner.look(1.0, self.before + finished)
        self.before = self.before + [replace(record, model=None) for record in finished]
        self.number = min(self.number + 1, len(self.shares) - 1)

    def tell(self, line: str) -> None:
        """A line after a round."""
        if self.writes_lines:
            say(f"{line}, {time.perf_counter() - self.started:.1f} s")

    def over(self) -> None:
        """All rounds are over."""
        if not isinstance(self.inner, EachRecord):
            self.inner.end(self.before)


@dataclass
class Search:
    """Candidates with a task for each fold, and what trains them."""

    candidates: list[Candidate]
    tasks: dict[int, list[Task]]  # number of a candidate → a task for each fold
    plan: Plan
    metric: str
    train: Callable[[Sequence[Task], Overview], None]
    telling: Telling

    def run(self) -> bool:
        """Train all rounds; returns whether Ctrl-C ended them."""
        alive = list(self.candidates)
        try:
            for number in range(self.plan.n_rounds):
                if not self._round(number, alive):
                    return True
                good = [candidate for candidate in alive if candidate.error is None]
                self._tell(number, alive)
                n_left = self.plan.going_on(len(alive))
                alive = sorted(ranked(good, self.metric)[:n_left], key=lambda candidate: candidate.number)
                for gone in self.tasks.keys() - {candidate.number for candidate in alive}:
                    del self.tasks[gone]  # and the memory of its networks
                if not alive:
                    break
        except KeyboardInterrupt:
            return True
        finally:
            self.telling.over()
        return False

    def _round(self, number: int, alive: list[Candidate]) -> bool:
        """Train one round and measure it; returns whether it was completed."""
        steps: dict[int, list[Task]] = {}
        for candidate in alive:
            tasks = self.tasks[candidate.number]
            whole = int(tasks[0].options["epochs"])
            epochs = self.plan.epochs(whole, number) - candidate.epochs
            steps[candidate.number] = [self._step(task, epochs, whole, place) for place, task in enumerate(tasks)]
        self.train([task for tasks in steps.values() for task in tasks], self.telling)
        is_whole = True
        for candidate in alive:
            is_whole &= self._note(candidate, steps[candidate.number])
        return is_whole

    def _step(self, task: Task, epochs: int, whole: int, fold: int) -> Task:
        """The same network for some more epochs; a schedule over one fit is told of all of them."""
        options = {**task.options, "epochs": epochs}
        optimizer = options["optimizer"]
        if self.plan.n_rounds > 1 and optimizer is not None and optimizer.schedule.lasts_one_fit:
            steps_per_epoch = -(-task.n_rows // min(options["batch_size"], task.n_rows))
            rate = Whole(optimizer.schedule, whole * steps_per_epoch)
            options["optimizer"] = replace(optimizer, learning_rate=rate)
        record = Record(task.record.number, task.record.spec, task.model, callbacks=task.record.callbacks)
        return replace(task, record=record, options=options)

    def _note(self, candidate: Candidate, tasks: list[Task]) -> bool:
        """Take over what a round made of a candidate; returns whether it was completed."""
        records = [task.record for task in tasks]
        candidate.seconds += sum(record.seconds for record in records)
        for record in records:
            candidate.warnings += record.warnings
        if any(was_stopped(record) for record in records):
            return False
        candidate.error = next((record.error for record in records if record.error is not None), None)
        if candidate.error is not None:
            return True
        try:
            with kept_warnings() as told:
                scores = [score(self.metric, task, record) for task, record in zip(tasks, records, strict=True)]
        except FastgdError as error:
            candidate.error = error
            return True
        finally:
            candidate.warnings += told
        candidate.scores, candidate.rounds = scores, candidate.rounds + 1
        histories = [record.history for record in records if record.history is not None]
        candidate.epochs += max(history.epochs for history in histories)
        candidate.epochs_kept = [
            history.epochs if history.best_epoch is None else history.best_epoch for history in histories
        ]
        for fold, history in enumerate(histories):
            if len(candidate.curves) <= fold:
                candidate.curves.append({})
            for name, values in history.history.items():
                candidate.curves[fold].setdefault(name, []).extend(values)
        return True

    def _tell(self, number: int, alive: list[Candidate]) -> None:
        first = ranked(alive, self.metric)[0]
        told = f"round {number + 1} of {self.plan.n_rounds}: " if self.plan.n_rounds > 1 else ""
        epochs = f"{first.epochs} epoch{'s' * (first.epochs != 1)}"
        n_failed = sum(candidate.error is not None for candidate in alive)
        failed = f", {n_failed} failed" if n_failed else ""
        counted = f"{len(alive)} candidate{'s' * (len(alive) > 1)}"
        self.telling.tell(f"{told}{counted} after {epochs}{failed}, best {self.metric} {full(first.score)}")
