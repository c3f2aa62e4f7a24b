"""`fastgd export MODEL OUT`: the model for programs without fastgd."""

from __future__ import annotations

from pathlib import Path

import click

from .guard import one_line_errors
from .options import overwrite_option, quiet_option
from .paths import check_can_write
from .terminal import remark


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--without-intervals", is_flag=True, help="Leave the intervals of the model behind, which no other "
              "program can be given.")  # fmt: skip
@overwrite_option
@quiet_option
@one_line_errors
def export(model: Path, out: Path, without_intervals: bool, overwrite: bool) -> None:
    """Write MODEL for programs without fastgd, as the ending of OUT says.

    .onnx is for ONNX runtimes, .h a C99 header with one function that needs nothing else, .py a script that needs NumPy
    alone. All predict what `fastgd predict` does (of classes the probabilities).

    Example: fastgd export house.safetensors house.onnx
    """
    from ..errors import InvalidInputError
    from ..files.export import LANGUAGES
    from ..many.ensemble import Ensemble, load

    check_can_write(out, table=model, overwrite=overwrite)
    if out.suffix not in LANGUAGES:
        raise InvalidInputError(
            f"{out} has the ending {out.suffix!r}, but models are exported as .onnx, .h (C99) or .py (NumPy): choose "
            "one of these."
        )
    loaded = load(model)
    if isinstance(loaded, Ensemble) and loaded.calibration is not None:
        if not without_intervals:
            raise InvalidInputError(
                f"{model} has intervals, which cannot be exported: say --without-intervals to export predictions alone."
            )
        loaded = Ensemble(loaded.members, loaded.weights)  # type: ignore[arg-type]
    loaded.export(out)
    remark(f"{out} is written.")
