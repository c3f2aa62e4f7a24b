"""PyTorch in eager mode on a GPU: a Sequential, and SGD in its fused form. TF32 is off: all is float32."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from .stacked import weights_of

torch.set_float32_matmul_precision("highest")


def prepare(job: Any, X: Any, y: Any, form: str) -> Any:
    """The network with the weights that all begin with; tables on the device, but rows that come from the host."""
    torch.manual_seed(0)
    layers: list[Any] = []
    for (n_in, n_out), (w, b) in zip(pairwise(job.sizes), weights_of(job), strict=True):
        linear = nn.Linear(n_in, n_out)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(w[0].T))
            linear.bias.copy_(torch.tensor(b[0]))
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1]).to(job.device)
    return {
        "job": job, "network": network, "X": torch.tensor(X, device="cpu" if form == "host" else job.device),
        "y": torch.tensor(y, device=job.device)[:, None],
        "optimizer": torch.optim.SGD(network.parameters(), lr=job.rates[0], fused=True),
    }  # fmt: skip


def train(state: Any, epochs: int) -> None:
    """Batch by batch."""
    network, optimizer, X, y = (state[name] for name in ("network", "optimizer", "X", "y"))
    for _ in range(epochs):
        for batch in torch.randperm(len(X), device=X.device).split(state["job"].batch_size):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(X[batch]), y[batch]).backward()
            optimizer.step()
    if X.is_cuda:
        torch.cuda.synchronize()


def predictions(state: Any, X: Any, n: int) -> Any:
    """Those of the network, (1, n_rows)."""
    with torch.no_grad():
        return state["network"](torch.tensor(X, device=state["job"].device)).T.cpu().numpy()


def predict(state: Any) -> Any:
    """All rows, and back to the host."""
    with torch.inference_mode():
        return state["network"](state["X"].to(state["job"].device)).cpu().numpy()
