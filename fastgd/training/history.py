"""What a training did: the numbers of every epoch, why it stopped, and what ran."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from ..kernels import DEFAULT_DEVICE
from ..options import html_table, look_up

COMPLETED, CALLBACK, INTERRUPTED = "completed", "callback", "interrupted"


@dataclass
class History:
    """The record that `fit` returns.

    Attributes:
        history: for each name, such as "loss", its value after every completed epoch.
        best_epoch: the epoch, counted from 1, whose weights early stopping has gone back to, 0 for those before the
            first step; None where the model has the weights of the last step.
        ended: "completed", or by what it was ended early: "callback" or "interrupted".
        stop_reason: the same in words, with the epoch.
        device: whose kernels ran: "cpu", "plain" or "cuda".
        device_reason: why these, where device="auto" was asked for; else "".
        n_threads: how many threads took most of the steps.
        thread_reason: why so many.
        steps: how many times the weights were nudged.
        rows_seen: how many rows these steps looked at.
        seconds: wall time of the training, without compilation that preceded the first step; with that before it was
            cut off, where it was resumed.
        resumed: where a Checkpoint let it go on, in words; "" where it began.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int | None = None
    ended: str = COMPLETED
    stop_reason: str = "completed"
    device: str = DEFAULT_DEVICE
    device_reason: str = ""
    n_threads: int = 1
    thread_reason: str = ""
    steps: int = 0
    rows_seen: int = 0
    seconds: float = 0.0
    resumed: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs were completed."""
        return len(self.history.get("loss", []))

    @property
    def kept(self) -> dict[str, float]:
        """The numbers of the epoch whose weights the model has; none for weights from before the first step."""
        epoch = self.epochs if self.best_epoch is None else self.best_epoch
        return {name: values[epoch - 1] for name, values in self.history.items() if 0 < epoch <= len(values)}

    def __getitem__(self, name: str) -> list[float]:
        return look_up(name, self.history, "quantity in this history")

    def __getattr__(self, name: str) -> list[float]:
        # Of what is not an attribute: history.val_loss is history.history["val_loss"].
        history = self.__dict__.get("history", {})
        if name in history:
            return list(history[name])
        raise AttributeError(
            f"A history has no {name!r}; it has the values of each epoch ({', '.join(history)}), and "
            f"{', '.join(entry.name for entry in fields(self))}."
        )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("history", ())})

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
            "best_epoch": self.best_epoch,
            "ended": self.ended,
            "stop_reason": self.stop_reason,
            "device": self.device,
            "device_reason": self.device_reason,
            "engine": self.device,
            "n_threads": self.n_threads,
            "thread_reason": self.thread_reason,
            "epochs": self.epochs,
            "steps": self.steps,
            "rows_seen": self.rows_seen,
            "seconds": self.seconds,
            "resumed": self.resumed,
        }

    def kept_weights(self) -> str:
        """In words, whose weights the model has, if not those of the last step."""
        if self.best_epoch is None or self.best_epoch == self.epochs:
            return ""
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.kept.items() if name != "learning_rate")
        return f"weights of epoch {self.best_epoch}: {numbers}" if numbers else "weights from before the first step"

    def _repr_html_(self) -> str:
        epoch = self.epochs if self.best_epoch is None else self.best_epoch
        header = ["", "first epoch", *(["last epoch"] if epoch != self.epochs else []), f"epoch {epoch}, kept"]
        rows = [
            [name, f"{values[0]:.4g}", *([f"{values[-1]:.4g}"] if epoch != self.epochs else []),
             f"{self.kept[name]:.4g}" if name in self.kept else "–"]
            for name, values in self.history.items() if values
        ]  # fmt: skip
        ran = f"{self.steps:,} steps in {self.seconds:.3g} s on {self.device}, n_threads={self.n_threads}"
        why = f"device='auto' chose {self.device}: {self.device_reason}" if self.device_reason else ""
        return html_table(header, rows, f"{self.epochs} epochs, {self.stop_reason}", [ran, why, self.resumed])

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items() if values)
        parts = [f"{self.epochs} epochs", last or "no loss yet", self.stop_reason]
        return f"<History: {'; '.join([', '.join(parts), *filter(None, [self.kept_weights(), self.resumed])])}>"
