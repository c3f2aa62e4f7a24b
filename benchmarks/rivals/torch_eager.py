"""PyTorch in eager mode, as its tutorials write it: a Sequential, a loss, torch.optim.SGD."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

NAME = "PyTorch eager"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """The network with our weights, and the tables as tensors."""
    torch.set_num_threads(threads)
    real = torch.float32 if case.dtype == "float32" else torch.float64
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[case.activation]
    layers, rest = [], torch.tensor(parameters)
    for n_in, n_out in pairwise(case.sizes):
        linear = nn.Linear(n_in, n_out, dtype=real)
        with torch.no_grad():
            linear.weight.copy_(rest[: n_in * n_out].reshape(n_in, n_out).T)
            linear.bias.copy_(rest[n_in * n_out : n_in * n_out + n_out])
        rest = rest[n_in * n_out + n_out :]
        layers += [linear, activation()]
    network = nn.Sequential(*layers[:-1])
    classes = case.loss == "cross_entropy"
    return {
        "network": network,
        "loss": nn.CrossEntropyLoss() if classes else nn.MSELoss(),
        "optimizer": torch.optim.SGD(network.parameters(), lr=case.learning_rate),
        "X": torch.tensor(data.X),
        "y": torch.tensor(data.Y[:, 0].astype(np.int64) if classes else data.Y),
        "batch_size": case.batch_size,
        "threads": threads,
    }


def epochs(state: Any, orders: Any) -> None:
    """Batch by batch."""
    torch.set_num_threads(state["threads"])
    network, loss, optimizer, X, y = (state[name] for name in ("network", "loss", "optimizer", "X", "y"))
    for order in orders:
        for batch in torch.from_numpy(order).split(state["batch_size"]):
            optimizer.zero_grad()
            loss(network(X[batch]), y[batch]).backward()
            optimizer.step()


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    linear = [layer for layer in state["network"] if isinstance(layer, nn.Linear)]
    parts = [part for layer in linear for part in (layer.weight.T.reshape(-1), layer.bias)]
    return torch.cat(parts).detach().numpy().copy()
