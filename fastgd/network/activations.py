"""Activation functions by name: what is said of each, and its code; the formulas are in kernels/formulas.py."""

from __future__ import annotations

from dataclasses import dataclass

from ..kernels.formulas import ACTIVATION_CODES
from ..kernels.formulas import ACTIVATIONS as FORMULAS


@dataclass(frozen=True)
class Activation:
    """What a layer does to its weighted sums z."""

    name: str
    formula: str
    source: str
    initializer: str  # the starting weights that keep the size of a signal from layer to layer

    @property
    def code(self) -> int:
        """Its number in the table of layers."""
        return ACTIVATION_CODES[self.name]

    @property
    def needs_slopes(self) -> bool:
        """Whether f′(z) cannot be told from f(z) alone."""
        return FORMULAS[self.code].slope is not None


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", "z", "", "glorot_uniform"),
        Activation("relu", "max(z, 0)", "Nair and Hinton 2010", "he_normal"),
        Activation("leaky_relu", "z, or 0.01 z where z < 0", "Maas et al. 2013", "he_normal"),
        Activation("elu", "z, or eᶻ − 1 where z < 0", "Clevert et al. 2015", "he_normal"),
        Activation("gelu", "½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))", "Hendrycks and Gimpel 2016", "he_normal"),
        Activation("silu", "z / (1 + e⁻ᶻ)", "Elfwing et al. 2017", "he_normal"),
        Activation("softplus", "ln(1 + eᶻ)", "Dugas et al. 2000", "he_normal"),
        Activation("tanh", "(eᶻ − e⁻ᶻ) / (eᶻ + e⁻ᶻ)", "", "glorot_uniform"),
        Activation("sigmoid", "1 / (1 + e⁻ᶻ)", "", "glorot_uniform"),
    )
}
