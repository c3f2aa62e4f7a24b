"""A case made concrete: tables, starting weights and everything that kernels take, for any copy of the package.

The package is an argument, because the A/B tool loads two versions of it side by side under two names. This file and
`stages.py` are the ones that name fastgd's inner modules.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .cases import Case

BLOCK = 128  # rows per block in the compiled training loop
LEARNING_RATE = 0.001


class Tables(NamedTuple):
    """The data of a case: the same arrays for everyone who is measured."""

    X: Any
    Y: Any


class Problem(NamedTuple):
    """What kernels take."""

    net: Any
    rows: Any
    loss: Any
    rule: Any
    state: Any
    workspaces: Any
    gradients: Any

    @property
    def workspace(self) -> Any:
        """The first thread's."""
        return self.workspaces[0]

    @property
    def gradient(self) -> Any:
        """The first shard's."""
        return self.gradients[0]

    @property
    def workspace_bytes(self) -> int:
        """The memory of all scratch and gradients."""
        arrays = [self.gradients, *(array for workspace in self.workspaces for array in workspace)]
        return sum(array.nbytes for array in arrays)


def tables(case: Case) -> Tables:
    """Random tables of the case's shape; for cross-entropy Y holds numbers of classes."""
    generator = np.random.default_rng(0)
    rows = max(case.rows, case.batch_size)
    X = generator.normal(size=(rows, case.sizes[0])).astype(case.dtype)
    if case.loss == "cross_entropy":
        Y = generator.integers(0, case.sizes[-1], (rows, 1)).astype(case.dtype)
    else:
        Y = generator.normal(size=(rows, case.sizes[-1])).astype(case.dtype)
    X.flags.writeable = Y.flags.writeable = False
    return Tables(X, Y)


def engine_of(package: ModuleType, name: str = "cpu") -> ModuleType:
    """An engine's kernels, "cpu" or "plain"; with them, all modules are loaded that they consist of."""
    return import_module(f"{package.__name__}.kernels.{name}")


def lanes_of(package: ModuleType) -> ModuleType:
    """The vectors that a loop holds in registers."""
    return import_module(f"{package.__name__}.kernels.machinery.lanes")


def optimizer(package: ModuleType, case: Case) -> Any:
    """The case's optimizer, with a rate at which nothing blows up."""
    if case.optimizer == "momentum":
        return package.SGD(learning_rate=LEARNING_RATE, momentum=0.9)
    return getattr(package, case.optimizer)(learning_rate=LEARNING_RATE)


def model(package: ModuleType, case: Case) -> Any:
    """An untrained network; inputs and targets are random numbers of size 1, so nothing is scaled."""
    return package.MLP(
        list(case.sizes),
        activation=case.activation,
        loss=case.loss,
        dtype=case.dtype,
        standardize=False,
        random_state=0,
    )


def problem(
    package: ModuleType, case: Case, data: Tables, block: int | None = None, engine: str = "cpu", n_threads: int = 1
) -> Problem:
    """What an engine's kernels take, with fresh parameters."""
    kernels = engine_of(package, engine)
    records = import_module(f"{package.__name__}.kernels.records")
    made, rule = model(package, case), optimizer(package, case)
    net, loss = made.net, made.network.loss.record(made.net.target_std)
    no_weights = np.zeros(0, case.dtype)
    no_weights.flags.writeable = False
    gradients = kernels.new_gradients(net, case.batch_size)
    return Problem(
        net,
        records.Rows(data.X, data.Y, no_weights, np.uint64(0), 0, True),
        loss,
        rule.rule(),
        rule.new_state(net.parameters),
        kernels.new_workspaces(net, loss, rule.rule(), case.batch_size, n_threads, block),
        gradients,
    )
