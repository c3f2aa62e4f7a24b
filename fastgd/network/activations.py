"""Activation functions by name: formula and code of each; the loops are in kernels/."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels import codes


@dataclass(frozen=True)
class Activation:
    """What a layer does to its weighted sums z."""

    name: str
    formula: str
    source: str
    code: int
    initializer: str  # the starting weights that keep the size of a signal from layer to layer
    needs_slopes: bool = False  # whether f′(z) cannot be told from f(z) alone


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", "z", "", codes.IDENTITY, "glorot_uniform"),
        Activation("relu", "max(z, 0)", "Nair and Hinton 2010", codes.RELU, "he_normal"),
        Activation("leaky_relu", "z, or 0.01 z where z < 0", "Maas et al. 2013", codes.LEAKY_RELU, "he_normal"),
        Activation("elu", "z, or eᶻ − 1 where z < 0", "Clevert et al. 2015", codes.ELU, "he_normal"),
        Activation(
            "gelu",
            "½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))",
            "Hendrycks and Gimpel 2016",
            codes.GELU,
            "he_normal",
            needs_slopes=True,
        ),
        Activation("silu", "z / (1 + e⁻ᶻ)", "Elfwing et al. 2017", codes.SILU, "he_normal", needs_slopes=True),
        Activation("softplus", "ln(1 + eᶻ)", "Dugas et al. 2000", codes.SOFTPLUS, "he_normal"),
        Activation("tanh", "(eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)", "", codes.TANH, "glorot_uniform"),
        Activation("sigmoid", "1 / (1 + e⁻ᶻ)", "", codes.SIGMOID, "glorot_uniform"),
    )
}
