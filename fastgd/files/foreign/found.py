"""What is read of another library's network: all that it takes to make one of fastgd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...kernels.records import Reals


class Found(NamedTuple):
    """A network as another library has it."""

    pairs: list[tuple[Reals, Reals]]  # of each layer its weights (n_in, n_out) and biases (n_out,)
    activation: str | Sequence[str]
    output_activation: str = "identity"
    loss: Any = "mse"
    classes: Any = None
    feature_names: Sequence[str] | None = None

    @property
    def layer_sizes(self) -> list[int]:
        """Inputs, units of each hidden layer, outputs."""
        return [len(self.pairs[0][0]), *(len(biases) for _, biases in self.pairs)]

    @property
    def dtype(self) -> str:
        """float64 where all weights have it, else float32."""
        return "float64" if all(weights.dtype == "float64" for weights, _ in self.pairs) else "float32"
