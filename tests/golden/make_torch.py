"""Write networks of PyTorch and what they put out, for tests/test_imports.py. Needs PyTorch and safetensors.

python tests/golden/make_torch.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
ACTIVATIONS = {
    "identity": nn.Identity(), "relu": nn.ReLU(), "tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(),
    "leaky_relu": nn.LeakyReLU(), "elu": nn.ELU(), "gelu": nn.GELU(approximate="tanh"), "silu": nn.SiLU(),
    "softplus": nn.Softplus(),
}  # fmt: skip


def main():
    torch.manual_seed(0)
    X = torch.randn(6, 3, dtype=torch.float64)
    cases = {}
    for name, activation in ACTIVATIONS.items():
        network = nn.Sequential(
            nn.Linear(3, 5), activation, nn.Linear(5, 4, bias=False), activation, nn.Linear(4, 2)
        ).double()
        cases[name] = {
            "state": {key: value.tolist() for key, value in network.state_dict().items()},
            "out": network(X).tolist(),
        }
    inner = [layer for _ in range(6) for layer in (nn.Linear(3, 3), nn.Tanh())]
    deep = nn.Sequential(*inner, nn.Linear(3, 1))  # 2.weight comes before 10.weight
    save_file(deep.state_dict(), HERE / "torch_deep.safetensors")
    told = {"X": X.tolist(), "cases": cases, "deep": deep(X.float()).tolist()}
    (HERE / "torch.json").write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
