"""A model written for what knows no fastgd; the ending of the file says for what."""

from __future__ import annotations

from pathlib import Path

from ..errors import InvalidInputError
from ..model.core import Core
from ..model.mean import Mean
from ..options import called, shown
from .atomic import write_whole
from .disk import as_path
from .exports.c_header import c_header
from .exports.numpy_script import numpy_script
from .exports.onnx_graph import onnx_file
from .exports.plan import plan_of

LANGUAGES = {".onnx": onnx_file, ".h": c_header, ".py": numpy_script}


def export(model: Core | Mean, path: str | Path) -> None:
    """Write a model as ONNX (.onnx), as a C99 header (.h) or as a script of NumPy (.py); see fastgd.MLP.export."""
    path = as_path(path)
    language = LANGUAGES.get(path.suffix.lower())
    if language is None:
        raise InvalidInputError(
            f"{called(path)} has the ending {shown(path.suffix)}, but models are exported as .onnx, .h (C99) or .py "
            "(NumPy); save() writes fastgd's own files."
        )
    write_whole(path, language(plan_of(model), path.stem))
