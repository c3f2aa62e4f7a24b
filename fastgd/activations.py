"""Activation functions by name: formula and code of each; the loops are in kernels/."""

from __future__ import annotations

from dataclasses import dataclass

from .kernels import codes


@dataclass(frozen=True)
class Activation:
    """What a layer does to its weighted sums z."""

    name: str
    formula: str
    code: int
    initializer: str  # the starting weights that keep the size of a signal from layer to layer


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", "z", codes.IDENTITY, "glorot_uniform"),
        Activation("relu", "max(z, 0)", codes.RELU, "he_normal"),
        Activation("tanh", "(eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)", codes.TANH, "glorot_uniform"),
        Activation("sigmoid", "1 / (1 + e⁻ᶻ)", codes.SIGMOID, "glorot_uniform"),
    )
}
