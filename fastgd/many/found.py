"""What a search has found: candidates from best to worst, what mattered, and the best one trained on all rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..explain.table import Table
from ..kernels import DEFAULT_DEVICE
from ..mlp import MLP
from ..options import is_number, shortened
from ..training.history import History
from .candidates import Candidate, written
from .importance import importance_of
from .scores import larger_is_better

SHOWN = 12  # candidates that are printed
LONGEST_VALUE = 24  # characters of a drawn value in the table


@dataclass
class SearchResult:
    """What `fastgd.search` returns; it prints as a table.

    Attributes:
        candidates: best first. Those that went further come first, and those that failed last.
        metric: what was measured.
        n_folds, n_rounds: how many there were.
        model: the best candidate, trained on all rows; None with refit=False, after Ctrl-C, or where that failed.
        history: of that training.
        interrupted: whether Ctrl-C ended the search.
        seconds: wall time of all.
        device: where the candidates were trained.
        device_reason: why there, where device="auto" was asked for; else "".
    """

    candidates: list[Candidate]
    metric: str
    n_folds: int
    n_rounds: int
    model: MLP | None = None
    history: History | None = None
    interrupted: bool = False
    seconds: float = 0.0
    device: str = DEFAULT_DEVICE
    device_reason: str = ""

    @property
    def best(self) -> dict[str, Any] | None:
        """The drawn options of the best candidate; None where none was measured."""
        return self.candidates[0].options if self.candidates[0].scores else None

    @property
    def spec(self) -> dict[str, Any] | None:
        """All options of the best candidate, as `fastgd.fit_many` takes them; None where none was measured."""
        return self.candidates[0].spec if self.candidates[0].scores else None

    @property
    def score(self) -> float:
        """The best candidate's metric, the mean over the folds; NaN where none was measured."""
        return self.candidates[0].score

    @property
    def table(self) -> Table:
        """A row for each candidate, best first: its score, the spread over the folds, epochs, options, and its end.

        Seconds are not printed, nor are ends where none failed or was interrupted: the epochs tell them.
        """
        ranked = self.candidates
        columns: dict[str, Any] = {
            "candidate": [str(candidate.number) for candidate in ranked],
            self.metric: [candidate.score for candidate in ranked],
        }
        if self.n_folds > 1:
            columns["spread"] = [candidate.spread for candidate in ranked]
        columns["epochs"] = [candidate.epochs for candidate in ranked]
        for name in ranked[0].options:
            values = [candidate.options[name] for candidate in ranked]
            numbers = all(map(is_number, values))
            texts = [shortened(written(value), LONGEST_VALUE) for value in values]
            columns[name if name not in columns else f"option {name}"] = values if numbers else texts
        columns["seconds"] = [candidate.seconds for candidate in ranked]
        columns["ended"] = [self._ended(candidate) for candidate in ranked]
        signed = larger_is_better(self.metric) and any(candidate.score < 0 for candidate in ranked)
        unsigned = tuple(name for name in columns if not (signed and name == self.metric))
        reasons = [f"Candidate {c.number}: {c.error}" for c in ranked if c.error is not None][:1]
        unprinted = ("seconds",) if reasons or self.interrupted else ("seconds", "ended")
        return Table(
            columns, unprinted=unprinted, unsigned=unsigned, in_full=(self.metric, "spread"), most=SHOWN,
            note=" ".join(reasons),
        )  # fmt: skip

    @property
    def importance(self) -> Table:
        """What mattered: for each option the share of the ranks' variance that it explains by itself.

        The share is the correlation ratio of ranks and groups of values, less what chance would give (ε², Kelley 1935);
        "best on average" are the values of the group with the best mean rank. Options that only matter together show
        small shares. Beside it `fastgd.plots.search` draws every candidate.
        """
        return importance_of(self.candidates)

    def _ended(self, candidate: Candidate) -> str:
        if candidate.error is not None:
            return type(candidate.error).__name__
        if candidate.rounds == self.n_rounds:
            return "completed"
        return "interrupted" if self.interrupted and candidate.epochs == 0 else f"round {candidate.rounds}"

    def _told(self) -> str:
        told = [f"{len(self.candidates)} candidates", f"{self.n_folds} fold{'s' * (self.n_folds > 1)}"]
        told += [f"{self.n_rounds} rounds"] * (self.n_rounds > 1) + [f"{self.seconds:.1f} s"]
        told += ["ended by Ctrl-C"] * self.interrupted
        return ", ".join(told)

    def __repr__(self) -> str:
        return f"{self._told()}\n{self.table!r}"

    def _repr_html_(self) -> str:
        return f"<p>{self._told()}</p>{self.table._repr_html_()}"


def ranked(candidates: list[Candidate], metric: str) -> list[Candidate]:
    """Best first: by rounds, then by score; then those without a score, and at last those that failed."""
    sign = -1.0 if larger_is_better(metric) else 1.0

    def place(candidate: Candidate) -> tuple[bool, bool, int, float]:
        score = candidate.score
        known = not math.isnan(score)
        return candidate.error is not None, not known, -candidate.rounds, sign * score if known else 0.0

    return sorted(candidates, key=place)
