"""What has come of a training, as it is told: to people, and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..options import counted
from .results import listings_of
from .tally import Tally
from .terminal import answer, is_quiet, remark, table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ..pages.page import Listing
    from .networks import Trained


class Rows(NamedTuple):
    """The rows of a file, as far as they are told of."""

    name: str  # of the file
    n_rows: int
    n_held: int  # held out
    target: str
    classes: NDArray[Any] | None
    features: list[str]
    left_out: dict[str, str]

    def told(self, beside: str = "") -> str:
        """How many there are."""
        return f"{self.name}: {counted(self.n_rows, 'row')}, {self.n_held:,} of them held out{beside}."


class Outcome(NamedTuple):
    """A training, and how good it is on rows that it has seen and on those held out."""

    rows: Rows
    trained: Trained
    measured: list[dict[str, float]]
    tallies: list[Tally]

    @property
    def listings(self) -> list[Listing]:
        """How good it is, as tables."""
        return listings_of(self.measured, self.tallies)


def tell(outcome: Outcome, save: Path | None, report: Path | None, as_json: bool) -> None:
    """Say how good it is, and how long it took."""
    if as_json:
        answer(_found(outcome, save, report))
    elif not is_quiet():
        for listing in outcome.listings:
            table(listing.header, listing.rows)
    remark(f"{outcome.trained.seconds:.2f} s of training.")
    if outcome.rows.classes is None and outcome.measured[1]["r2"] < 0 and outcome.tallies[1].varies:
        remark("On the rows held out the mean would do better: try another --learning-rate, or more --epochs.")


def _found(outcome: Outcome, save: Path | None, report: Path | None) -> dict[str, Any]:
    """The answer for programs."""
    rows, trained = outcome.rows, outcome.trained
    return {
        "file": rows.name,
        "rows": rows.n_rows,
        "rows_held_out": rows.n_held,
        "target": rows.target,
        "classes": rows.classes,
        "features": rows.features,
        "left_out": rows.left_out,
        "networks": [str(member.network) for member in trained.model.members],
        "recipe": str(trained.recipe),
        "training": outcome.measured[0],
        "held_out": outcome.measured[1],
        "seconds": trained.seconds,
        "interrupted": trained.is_interrupted,
        "saved": None if save is None else str(save),
        "report": None if report is None else str(report),
    }
