"""fastgd: dense neural networks that learn by explicit, compiled loops.

The way of the data is the order of the rooms: network, data, training (with kernels that gather, go forward, measure,
go backward and update), model, explain, files, and the faces that a user touches. Public names are loaded when they
are first touched, so that `import fastgd` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {  # public name → the module that holds it; None: it is a module itself
    "Encoding": "data.encoding",
    "Ensemble": "many.ensemble",
    "MLP": "mlp",
    "MLPClassifier": "sklearn",
    "MLPRegressor": "sklearn",
    "History": "training.history",
    "Stream": "data.streams.stream",
    "fit_many": "many.fit_many",
    "from_sklearn": "imports",
    "from_torch": "imports",
    "load": "many.ensemble",
    "predict_row": "kernels.cpu.compiled_calls",
    "predict_rows": "kernels.cpu.compiled_calls",
    "search": "many.search",
    "train_batch": "kernels.cpu.compiled_calls",
    "SGD": "training.optimizers",
    "Adagrad": "training.optimizers",
    "RMSprop": "training.optimizers",
    "Adam": "training.optimizers",
    "AdamW": "training.optimizers",
    "callbacks": None,
    "datasets": None,
    "errors": None,
    "explain": None,
    "features": None,
    "losses": None,
    "plots": None,
    "schedules": None,
    "space": None,
}

# What needs an optional library is not for `from fastgd import *`, which works without it.
_OPTIONAL = {"MLPClassifier", "MLPRegressor"}

__all__ = ["__version__", *(name for name in _HOME if name not in _OPTIONAL)]

if TYPE_CHECKING:
    from . import callbacks as callbacks
    from . import datasets as datasets
    from . import errors as errors
    from . import explain as explain
    from . import features as features
    from . import losses as losses
    from . import plots as plots
    from . import schedules as schedules
    from . import space as space
    from .data.encoding import Encoding as Encoding
    from .data.streams.stream import Stream as Stream
    from .imports import from_sklearn as from_sklearn
    from .imports import from_torch as from_torch
    from .kernels.cpu.compiled_calls import predict_row as predict_row
    from .kernels.cpu.compiled_calls import predict_rows as predict_rows
    from .kernels.cpu.compiled_calls import train_batch as train_batch
    from .many.ensemble import Ensemble as Ensemble
    from .many.ensemble import load as load
    from .many.fit_many import fit_many as fit_many
    from .many.search import search as search
    from .mlp import MLP as MLP
    from .sklearn import MLPClassifier as MLPClassifier
    from .sklearn import MLPRegressor as MLPRegressor
    from .training.history import History as History
    from .training.optimizers import SGD as SGD
    from .training.optimizers import Adagrad as Adagrad
    from .training.optimizers import Adam as Adam
    from .training.optimizers import AdamW as AdamW
    from .training.optimizers import RMSprop as RMSprop


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME[name]
    value = import_module(f".{name}", __name__) if home is None else getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_OPTIONAL])
