"""What a training did: the numbers of every epoch, why it stopped, and what ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..kernels import DEFAULT_DEVICE

COMPLETED, CALLBACK, INTERRUPTED = "completed", "callback", "interrupted"


@dataclass
class History:
    """The record that `fit` returns.

    Attributes:
        history: for each name, such as "loss", its value after every completed epoch.
        ended: "completed", or by what it was ended early: "callback" or "interrupted".
        stop_reason: the same in words, with the epoch.
        device: whose kernels ran, "cpu" or "plain".
        n_threads: how many threads took most of the steps.
        thread_reason: why so many.
        steps: how many times the weights were nudged.
        rows_seen: how many rows these steps looked at.
        seconds: wall time of the training, without compilation that preceded the first step.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    ended: str = COMPLETED
    stop_reason: str = "completed"
    device: str = DEFAULT_DEVICE
    n_threads: int = 1
    thread_reason: str = ""
    steps: int = 0
    rows_seen: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(self.history.get("loss", []))

    @property
    def rows_per_second(self) -> float:
        """Rows looked at per second of training."""
        return self.rows_seen / self.seconds if self.seconds else 0.0

    @property
    def engine(self) -> str:
        """The earlier name of `device`."""
        return self.device

    def end(self, ended: str, reason: str) -> None:
        """The training has ended early."""
        self.ended, self.stop_reason = ended, reason

    def append(self, logs: dict[str, float]) -> None:
        """Add the numbers of one epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and text, ready for JSON."""
        return {
            "history": {name: list(values) for name, values in self.history.items()},
            "ended": self.ended,
            "stop_reason": self.stop_reason,
            "device": self.device,
            "engine": self.device,
            "n_threads": self.n_threads,
            "thread_reason": self.thread_reason,
            "epochs": self.epochs,
            "steps": self.steps,
            "rows_seen": self.rows_seen,
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"<History: {self.epochs} epochs, {last or 'no loss yet'}, {self.stop_reason}>"
