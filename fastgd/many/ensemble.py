"""Ensemble, the mean of several networks as one model: it predicts, measures, explains and is kept like one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..mlp import MLP
from ..model.mean import Mean
from ..options import checked_names, shortened

if TYPE_CHECKING:
    from ..explain.table import Table

INNER = {"loss_of", "net", "outputs_for", "outputs_of", "schema"}  # what the rooms around ask for, as of an MLP
LONGEST = 78  # characters of what is printed


class Ensemble(Mean):
    """Networks whose predictions are averaged: the mean of several is nearer to the truth than most of them alone.

    Networks may differ in everything but what they read and predict: the columns, the task (numbers, counts, classes or
    labels), targets or classes, and levels of quantiles. Numbers and rates are averaged in the units of y,
    probabilities as they are; means and standard deviations (gaussian_nll) are those of the mixture.
    fastgd.features, `blame` and `save` take the whole.

    Args:
        models: a list of fitted fastgd.MLP; they are kept, not copied.
        weights: how much each counts, (n_models,); None for all the same.

    Attributes:
        members: the models.
        weights: as they were given; `shares` are the same with a sum of 1.

    Raises:
        InvalidInputError: models that do not fit together.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(2000, random_state=0)
        >>> models = [fastgd.MLP([4, 16, 1], random_state=k) for k in range(3)]
        >>> histories = [model.fit(X[:1500], y[:1500], epochs=20, verbose=0) for model in models]
        >>> ensemble = fastgd.Ensemble(models)
        >>> errors = [model.evaluate(X[1500:], y[1500:])["rmse"] for model in models]
        >>> ensemble.evaluate(X[1500:], y[1500:])["rmse"] < sum(errors) / 3
        True
    """

    @checked_names
    def __init__(self, models: Sequence[MLP], weights: Sequence[float] | None = None) -> None:
        super().__init__(models, weights)

    @checked_names
    def blame(self, X: Any, y: Any, sample_weight: Any = None) -> Table:
        """Which columns are to blame for the error: the mean over the networks of what `MLP.blame` says by input.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            InvalidInputError: a table that cannot be used.
        """
        from ..explain.blame import blame_of_all

        return blame_of_all(self, X, y, sample_weight)

    def save(self, path: str | Path) -> None:
        """Write all networks to one file, whole or not at all; `fastgd.load` reads it.

        Args:
            path: such as "houses.safetensors"; a file of that name is replaced.

        Raises:
            ModelFileError: the file cannot be written, or a network has numbers that `load` would refuse.
        """
        from ..files.disk import save_ensemble

        save_ensemble(self, path)

    def export(self, path: str | Path) -> None:
        """Write all networks as one for programs without fastgd, see `MLP.export`; intervals cannot be exported.

        Args:
            path: such as "houses.onnx", "houses.h" or "houses.py"; a file of that name is replaced.

        Raises:
            InvalidInputError: another ending, or models that this language cannot express.
            ModelFileError: the file cannot be written.
        """
        from ..files.export import export

        export(self, path)

    def __dir__(self) -> list[str]:
        """What tab completion shows."""
        return [name for name in super().__dir__() if name not in INNER]

    def __repr__(self) -> str:
        networks = ", ".join(str(member.network) for member in self.members)
        return f"<{shortened(f'Ensemble of {len(self)}: {networks}', LONGEST)}>"


def load(path: str | Path) -> MLP | Ensemble:
    """Read what `MLP.save` or `Ensemble.save` wrote; it is on the CPU, wherever it was before.

    Args:
        path: the file.

    Raises:
        ModelFileError: no such file, a file of another kind, a truncated or damaged one, or one from a newer version.

    Example:
        >>> import fastgd, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "house.safetensors"
        >>> model = fastgd.MLP([4, 8, 1])
        >>> model.save(path)
        >>> bool((fastgd.load(path).parameters == model.parameters).all())
        True
    """
    from ..files.disk import read

    return read(path, MLP, Ensemble)
