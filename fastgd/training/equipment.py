"""What the loops need for one shape of work, kept from fit to fit: scratch, gradients, how many threads pay."""

from __future__ import annotations

from collections.abc import Hashable
from types import ModuleType
from typing import Any

from ..kernels.records import LossRecord, Net, Reals, Rule
from ..kernels.rules import rule_of
from .team_size import TeamSize

MOST_BYTES = 1 << 26  # more scratch than this is not kept: a fit that needs it takes so long that making it is nothing
MOST_KEPT = 64  # shapes of work of one model: pieces of a stream may all differ in their number of rows

Snapshot = tuple[Reals, ...]


class Equipment:
    """For one device, batch size, loss and rule."""

    def __init__(self, engine: ModuleType, net: Net, loss: LossRecord, rule: Rule, batch_size: int, most: int) -> None:
        self.engine = engine
        self.workspaces = engine.new_workspaces(net, loss, rule, batch_size, most)
        self.gradients = engine.new_gradients(net, batch_size)
        self.team_size = TeamSize(len(self.workspaces))
        self.is_compiled = False  # whether the loops have run with these arrays
        self.spare: list[Snapshot] = []  # arrays for copies of what is trained
        arrays = [array for workspace in self.workspaces for array in workspace] + [self.gradients]
        self.n_bytes = sum(array.nbytes for array in arrays)

    def train(self, *request: Any) -> int:
        """Take steps, as the engine's `train` does."""
        return int(self.engine.train(*request))

    def copied(self, arrays: Snapshot) -> Snapshot:
        """Copies of these arrays, in spare ones where there are some."""
        while self.spare:
            copies = self.spare.pop()
            if [copy.shape for copy in copies] == [array.shape for array in arrays]:
                for copy, array in zip(copies, arrays, strict=True):
                    copy[:] = array
                return copies
        return tuple(array.copy() for array in arrays)


class Store:
    """The equipment of one model. A fit takes it out and puts it back, so that two fits never have the same."""

    def __init__(self) -> None:
        self.kept: dict[Hashable, Equipment] = {}

    def fresh(self) -> Store:
        """One for another network, which keeps nothing yet."""
        return Store()

    def made(self, *work: Any) -> Equipment:
        """New equipment, which takes what Equipment takes."""
        return Equipment(*work)

    def taken(self, key: Hashable) -> Equipment | None:
        """What was kept under this key, no longer kept."""
        return self.kept.pop(key, None)

    def put_back(self, key: Hashable, equipment: Equipment) -> None:
        """Keep it for the next fit of this shape; the oldest goes."""
        if equipment.n_bytes <= MOST_BYTES:
            self.kept[key] = equipment
            others = list(self.kept.items())
            n_bytes = sum(kept.n_bytes for _, kept in others)
            for n_left, (oldest, kept) in zip(range(len(others), 0, -1), others, strict=True):
                if n_left <= MOST_KEPT and n_bytes <= MOST_BYTES:
                    break
                self.kept.pop(oldest, None)  # a copy of the model, which shares it, may have taken it
                n_bytes -= kept.n_bytes

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": {}}  # it holds addresses of this process


def shape_of_work(
    engine: ModuleType, net: Net, loss: LossRecord, rule: Rule, batch_size: int, steps: int, most: int
) -> Hashable:
    """What equipment depends on, and how long a chunk of steps may be, within a factor of two.

    The network is part of it: for a model that encodes tables, each search of a learning rate makes one of its own.
    """
    shape = net.layers.tobytes(), net.lookups.tobytes()
    return engine.__name__, shape, loss.code, rule_of(rule), rule.code, batch_size, steps.bit_length(), most
