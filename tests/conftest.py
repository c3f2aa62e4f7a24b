"""What several test files share: a network with random parameters and rows, ready for any engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastgd.kernels.records import Loss, Net, Rows, Rule, Workspace, new_workspace
from fastgd.network import Network

TINY_SHAPES = [(1, [1, 1]), (3, [2, 3, 1]), (5, [3, 5, 4, 2])]
ODD_SHAPES = [
    *TINY_SHAPES,
    (1, [4, 64, 64, 1]),
    (7, [1, 63, 65, 1]),
    (65, [5, 130, 3, 4]),
    (130, [64, 1, 63, 5]),
]
DTYPES = ["float32", "float64"]


class Case(NamedTuple):
    """Everything that kernels take, made anew for each engine so that neither sees what the other wrote."""

    net: Net
    rows: Rows
    loss: Loss
    rule: Rule
    workspace: Workspace
    gradient: Any


def make_case(
    n_rows: int,
    sizes: list[int],
    dtype: str,
    activation: str = "tanh",
    output: str = "identity",
    block: int = 64,
) -> Case:
    """A network of `sizes` with random parameters and scaling, and `n_rows` random rows."""
    network = Network.from_names(sizes, activation, output, "mse")
    generator = np.random.default_rng(sum(sizes) + n_rows)
    real = np.dtype(dtype)

    def normal(*shape: int) -> Any:
        return generator.normal(size=shape).astype(real)

    X, Y = normal(n_rows, sizes[0]), normal(n_rows, sizes[-1])
    X.flags.writeable = Y.flags.writeable = False
    net = Net(
        parameters=network.starting_values("glorot_uniform", real, 1) + real.type(0.1) * normal(network.n_parameters),
        layers=network.layers(),
        input_mean=normal(sizes[0]),
        input_std=np.abs(normal(sizes[0])) + real.type(0.5),
        target_mean=normal(sizes[-1]),
        target_std=np.abs(normal(sizes[-1])) + real.type(0.5),
    )
    return Case(
        net,
        Rows(X, Y, np.uint64(3), 0, True),
        Loss(network.loss.code, net.target_std**2),
        Rule(0),
        new_workspace(net, block),
        np.zeros_like(net.parameters),
    )


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data that FASTGD_DATA names."""
    if "FASTGD_DATA" not in os.environ:
        pytest.skip("FASTGD_DATA does not name a folder with the real data")
    return Path(os.environ["FASTGD_DATA"])
