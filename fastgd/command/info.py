"""`fastgd info MODEL`: what is in a file. It is read and checked in full, and nothing of it is run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .guard import one_line_errors
from .options import json_option
from .terminal import answer, facts, say

if TYPE_CHECKING:
    from ..data.column_codes import LevelCode, NumberCode
    from ..many.ensemble import Ensemble
    from ..mlp import MLP


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@json_option
@one_line_errors
def info(model: Path, as_json: bool) -> None:
    """Tell what is in the file MODEL: networks, columns, classes, training.

    The file is read and checked in full; nothing of it is run.

    Example: fastgd info house.safetensors
    """
    from ..files import tensors
    from ..many.ensemble import load
    from ..model.mean import Mean

    loaded = load(model)
    with tensors.opened(model) as file:
        metadata, _ = tensors.index(file)
    told = {
        "file": str(model),
        "bytes": model.stat().st_size,
        "format": tensors.parsed(metadata["fastgd"])["format"],
        "checksum": "right" if "checksum" in metadata else "none",
        **(_of_ensemble(loaded) if isinstance(loaded, Mean) else {"kind": "network", **_of_network(loaded)}),
        "target": loaded.target_names,
        "classes": loaded.classes,
        "columns": _columns(loaded),
    }
    if as_json:
        answer(told)
    else:
        _show(told, loaded)


def _of_network(model: MLP) -> dict[str, Any]:
    network, target, kept = model.network, model.schema.target, model.fit_state
    told: dict[str, Any] = {
        "layer_sizes": network.sizes,
        "activations": [activation.name for activation in network.activations],
        "loss": {"name": network.loss.name, **asdict(network.loss)},
        "parameters": network.n_parameters,
        "dtype": model.dtype.name,
        "fitted": model.schema.scaled or not model.standardize,
        "log_target": target.log,
        "clip_predictions": target.clip,
    }
    if kept is not None:
        told["training"] = {"optimizer": str(kept.optimizer), "epochs": kept.epoch, "steps": kept.steps}
    return told


def _of_ensemble(ensemble: Ensemble) -> dict[str, Any]:
    found = ensemble.calibration
    return {
        "kind": "ensemble",
        "networks": [_of_network(member) for member in ensemble],  # type: ignore[arg-type]
        "weights": ensemble.weights,
        "intervals": None if found is None else {"rows": len(found.scores), "groups": found.n_groups},
    }


def _columns(model: MLP | Ensemble) -> list[dict[str, Any]]:
    """What the model, or the first of several, reads of each column of a table."""
    names = model.feature_names or tuple(f"column {place + 1}" for place in range(model.network.n_in))
    encoder = model.schema.encoder
    if encoder is None:
        return [{"name": name, "holds": "numbers", "encoding": "as it is"} for name in names]
    return [_column(name, code) for name, code in zip(names, encoder.codes, strict=True)]


def _column(name: str, code: NumberCode | LevelCode) -> dict[str, Any]:
    from ..data.column_codes import NumberCode

    labels = {} if isinstance(code, NumberCode) else {"levels": code.levels}
    return {
        "name": name, "holds": "labels" if labels else "numbers", "encoding": code.described(),
        "gaps": code.has_gaps, **labels,
    }  # fmt: skip


def _show(told: dict[str, Any], model: MLP | Ensemble) -> None:
    """The same for a person."""
    from ..options import counted, printable, shortened

    checked = "its checksum is right" if told["checksum"] == "right" else "it has no checksum"
    say(f"{told['file']}: {told['bytes']:,} bytes, format {told['format']}, {checked}.")
    networks = [f"{member.network}, {member.dtype}" for member in model.members]
    weights = told.get("weights", ())
    rows = [
        ("network" if len(networks) == 1 else f"network {place}", network) for place, network in enumerate(networks)
    ]
    if len(set(weights)) > 1:
        rows.append(("weights", ", ".join(f"{weight:g}" for weight in weights)))
    rows.append(("target", _target(model)))
    if told.get("intervals"):
        rows.append(("intervals", f"learned from {told['intervals']['rows']:,} rows"))
    if "networks" not in told:
        rows.append(("training", _training(told)))
    facts([(name, shortened(printable(value), 400)) for name, value in rows])
    of = " (of the first network)" if len(networks) > 1 and model.schema.encoder is not None else ""
    say(f"It reads {counted(len(told['columns']), 'column')}{of}:")
    facts([(printable(column["name"]), printable(column["encoding"])) for column in told["columns"]])


def _target(model: MLP | Ensemble) -> str:
    network, name = model.network, f"{', '.join(model.target_names)}: " if model.target_names else ""
    if network.loss.task in ("classes", "labels"):
        known = [] if model.classes is None else model.classes.tolist()
        what = f"one of {', '.join(map(str, known))}" if known else f"{network.n_out} labels, each yes or no"
        return name + what
    target = model.schema.target
    how = [", its logarithm is learned"] * target.log + [", kept within the range of the training"] * target.clip
    numbers = "a number" if network.n_targets == 1 else f"{network.n_targets} numbers"
    return name + numbers + "".join(how)


def _training(told: dict[str, Any]) -> str:
    from ..options import counted

    if "training" not in told:
        return "fitted, and nothing is kept to go on with" if told["fitted"] else "never fitted"
    kept = told["training"]
    return f"{counted(kept['epochs'], 'epoch')}, {counted(kept['steps'], 'step')}; can go on with {kept['optimizer']}"
