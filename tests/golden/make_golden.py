"""Write golden.json: what PyTorch computes, in float64, for the tests to hold the engine against.

    pip install torch
    python tests/golden/make_golden.py

The tests need only the JSON. PyTorch's default definitions are used throughout; weight decay is on weights only,
through parameter groups, where the case does not say otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

torch.set_default_dtype(torch.float64)
torch.manual_seed(20)

SIZES, ROWS, STEPS = [5, 7, 3], 12, 50

# name of the case: (torch optimizer, its options, options of our optimizer)
OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.1}, {}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}, {}),
    "nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, {}),
    "momentum_decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.1}, {}),
    "decay_biases": ("SGD", {"lr": 0.05, "weight_decay": 0.1}, {"decay_biases": True}),
    "l1": ("SGD", {"lr": 0.05}, {"l1": 0.01}),
    "clip_norm": ("SGD", {"lr": 0.1, "momentum": 0.9}, {"clip_norm": 0.1}),
    "clip_value": ("Adam", {"lr": 0.02}, {"clip_value": 0.02}),
    "ema": ("SGD", {"lr": 0.1}, {"ema_decay": 0.9}),
    "adagrad": ("Adagrad", {"lr": 0.1}, {}),
    "adagrad_decay": ("Adagrad", {"lr": 0.1, "weight_decay": 0.05}, {}),
    "rmsprop": ("RMSprop", {"lr": 0.01}, {}),
    "rmsprop_momentum": ("RMSprop", {"lr": 0.002, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.05}, {}),
    "adam": ("Adam", {"lr": 0.02}, {}),
    "adam_decay": ("Adam", {"lr": 0.02, "betas": (0.8, 0.99), "weight_decay": 0.1}, {}),
    "adamw": ("AdamW", {"lr": 0.02, "weight_decay": 0.5}, {}),
}

ACTIVATIONS = {
    "identity": lambda z: z * 1,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda z: F.softplus(z, threshold=1000),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


def flat(network: nn.Sequential) -> list[float]:
    """Parameters in our order: for each layer its weights (n_in, n_out), then its biases."""
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return torch.cat([part for layer in linear for part in (layer.weight.T.reshape(-1), layer.bias)]).tolist()


def new_network(values: list[float] | None = None) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(SIZES[0], SIZES[1]), nn.Tanh(), nn.Linear(SIZES[1], SIZES[2]))
    if values is not None:
        rest = torch.tensor(values)
        with torch.no_grad():
            for layer in (network[0], network[2]):
                n_in, n_out = layer.in_features, layer.out_features
                layer.weight[:] = rest[: n_in * n_out].reshape(n_in, n_out).T
                layer.bias[:] = rest[n_in * n_out : n_in * n_out + n_out]
                rest = rest[n_in * n_out + n_out :]
    return network


def trained(case: str, start: list[float], X: torch.Tensor, y: torch.Tensor, loss: nn.Module) -> list[float]:
    """Parameters after STEPS full batches."""
    name, options, extra = OPTIMIZERS[case]
    network = new_network(start)
    weights = [p for n, p in network.named_parameters() if n.endswith("weight")]
    biases = [p for n, p in network.named_parameters() if n.endswith("bias")]
    decay = options.get("weight_decay", 0) if extra.get("decay_biases") else 0
    optimizer = getattr(torch.optim, name)([{"params": weights}, {"params": biases, "weight_decay": decay}], **options)
    path = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(network(X), y).backward()
        if "clip_value" in extra:
            nn.utils.clip_grad_value_(network.parameters(), extra["clip_value"])
        if "clip_norm" in extra:
            nn.utils.clip_grad_norm_(network.parameters(), extra["clip_norm"])
        for weight in weights:
            weight.grad += extra.get("l1", 0) * torch.sign(weight.detach())
        optimizer.step()
        path.append(torch.tensor(flat(network)))
    if "ema_decay" not in extra:
        return flat(network)
    # The weighted mean of the parameters after each step; PyTorch's own average starts from the first copy instead.
    weights = extra["ema_decay"] ** torch.arange(STEPS - 1, -1, -1.0)
    return ((weights / weights.sum()) @ torch.stack(path)).tolist()


def training_cases() -> dict[str, object]:
    X, y, labels = torch.randn(ROWS, 5), torch.randn(ROWS, 3), torch.randint(0, 3, (ROWS,))
    start = flat(new_network())
    cases = {
        case: {
            "torch": OPTIMIZERS[case][0],
            "options": {**OPTIMIZERS[case][1], **OPTIMIZERS[case][2]},
            "mse": trained(case, start, X, y, nn.MSELoss()),
            "cross_entropy": trained(case, start, X, labels, nn.CrossEntropyLoss()),
        }
        for case in OPTIMIZERS
    }
    return {"X": X.tolist(), "y": y.tolist(), "labels": labels.tolist(), "start": start, "cases": cases}


def activation_cases() -> dict[str, object]:
    z = torch.cat([torch.linspace(-12, 12, 41), torch.tensor([1e-9, -1e-9, 0.3, -0.3, 40.0, -40.0])])
    z = z[z != 0].requires_grad_()
    cases = {}
    for name, function in ACTIVATIONS.items():
        a = function(z)
        (slope,) = torch.autograd.grad(a.sum(), z)
        cases[name] = {"a": a.tolist(), "slope": slope.tolist()}
    return {"z": z.tolist(), "cases": cases}


def loss_cases() -> list[dict[str, object]]:
    p = torch.randn(6, 4) * 2
    y = torch.randn(6, 4)
    counts, yes_no, labels = torch.poisson(torch.ones(6, 4) * 3), (torch.rand(6, 4) > 0.5).double(), torch.arange(6) % 4
    extreme = torch.tensor([[1000.0, -1000.0, 0.0, 5.0], [-1000.0, 1000.0, 1000.0, -3.0]])
    levels = torch.tensor([0.1, 0.8])
    one = torch.randn(6, 2)

    def pinball(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        error = y.repeat_interleave(2, dim=1) - p
        return torch.maximum(levels.repeat(2) * error, (levels.repeat(2) - 1) * error).mean()

    def log_cosh(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.log(torch.cosh(p - y)).mean()

    def gaussian(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.gaussian_nll_loss(p[:, :2], y, torch.exp(p[:, 2:]), eps=0.0)

    cases = [
        ("mse", {}, p, y, F.mse_loss),
        ("mae", {}, p, y, F.l1_loss),
        ("huber", {"delta": 0.7}, p, y, lambda p, y: F.huber_loss(p, y, delta=0.7)),
        ("log_cosh", {}, p, y, log_cosh),
        ("quantile", {"levels": levels.tolist()}, p, one, pinball),
        ("poisson", {}, p, counts, lambda p, y: F.poisson_nll_loss(p, y, log_input=True)),
        ("binary_cross_entropy", {}, p, yes_no, F.binary_cross_entropy_with_logits),
        ("binary_cross_entropy", {}, extreme, yes_no[:2], F.binary_cross_entropy_with_logits),
        ("cross_entropy", {}, p, labels, F.cross_entropy),
        ("cross_entropy", {}, extreme, labels[:2], F.cross_entropy),
        ("gaussian_nll", {}, p, one, gaussian),
    ]
    results = []
    for name, options, predicted, actual, function in cases:
        predicted = predicted.clone().requires_grad_()
        value = function(predicted, actual)
        (slope,) = torch.autograd.grad(value, predicted)
        results.append({
            "loss": name, "options": options, "p": predicted.tolist(), "y": actual.tolist(),
            "value": value.item(), "slope": slope.tolist(),
        })  # fmt: skip
    return results


def schedule_cases() -> list[dict[str, object]]:
    def rates(make, steps=40, losses=None):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = make(optimizer)
        seen = []
        for step in range(steps):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step(losses[step]) if losses else scheduler.step()
        return seen

    falling = [-1, -2, -2.00005, -2.0001, -2.0003, -2.0002, -2.0002, -3, -3, -3, -3.1, -3.1, -3.1, -3.1, -3.1, -3.1]
    plateau = [5, 4, 3, 3, 3, 3, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9, 2.9, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    return [
        {"name": "StepDecay", "options": {"every": 7, "factor": 0.5}, "rates": rates(lambda o: lr_scheduler.StepLR(o, 7, 0.5))},
        {"name": "Exponential", "options": {"every": 1, "factor": 0.9}, "rates": rates(lambda o: lr_scheduler.ExponentialLR(o, 0.9))},
        {"name": "Cosine", "options": {"steps": 39, "final": 0.01}, "rates": rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 39, 0.01))},
        {"name": "CosineRestarts", "options": {"period": 4, "multiply": 2, "final": 0.02},
         "rates": rates(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2, 0.02))},
        {"name": "CosineRestarts", "options": {"period": 6}, "rates": rates(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 6))},
        {"name": "OneCycle", "options": {"steps": 41}, "rates": rates(lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=41), 41)},
        {"name": "ReduceOnPlateau", "options": {"factor": 0.5, "patience": 2, "least": 0.05}, "losses": plateau,
         "rates": rates(lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=2, min_lr=0.05), len(plateau), plateau)},
        {"name": "ReduceOnPlateau", "options": {"factor": 0.5, "patience": 1, "eps": 0.05}, "losses": falling,
         "rates": rates(lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1, eps=0.05), len(falling), falling)},
        *({"name": "OneCycle", "options": {"steps": n}, "rates": rates(lambda o, n=n: lr_scheduler.OneCycleLR(o, 0.3, total_steps=n), n)}
          for n in (2, 3, 5)),
    ]  # fmt: skip


if __name__ == "__main__":
    golden = {
        "torch": torch.__version__,
        "training": training_cases(),
        "activations": activation_cases(),
        "losses": loss_cases(),
        "schedules": schedule_cases(),
    }
    Path(__file__).with_name("golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")
