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
@overwrite_option
@quiet_option
@one_line_errors
def export(model: Path, out: Path, overwrite: bool) -> None:
    """Write MODEL for programs without fastgd, as the ending of OUT says.

    .onnx is for ONNX runtimes, .h a C99 header with one function that needs nothing else, .py a script that needs NumPy
    alone. All predict what `fastgd predict` does (of classes the probabilities).

    Example: fastgd export house.safetensors house.onnx
    """
    from ..many.ensemble import load

    check_can_write(out, table=model, overwrite=overwrite)
    load(model).export(out)
    remark(f"{out} is written.")
