"""docs/file_format.md is true: its code predicts, its tables name what is in a file, and its formulas hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

import fastgd

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "file_format.md").read_text(encoding="utf-8")
PREDICTING, ENCODING, CHECKING = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def rows(heading):
    """The rows of the table whose first column has this heading, as lists of cells."""
    found = [part.partition("\n\n")[0] for part in PAGE.split(f"| {heading} | ")[1:]]
    lines = [line for part in found for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "| ---" not in line]


def names(heading):
    return [row[0].strip("`") for row in rows(heading)]


FORMULAS = {row[0]: re.match("`(.+?)`", row[1])[1] for row in rows("activation")}
BECOME = {name: re.match("`(.+?)`", row[1])[1] for row in rows("loss") for name in row[0].split(", ")}


def opened(path):
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        return metadata, json.loads(metadata["fastgd"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def of_page():
    """What the page defines."""
    space = {"__name__": "page"}
    exec(PREDICTING + ENCODING + CHECKING, space)
    return space


def saved(path, targets=lambda y: y, n_out=1, X=None, **options):
    generator = np.random.default_rng(0)
    X = generator.normal([5, -100, 0.1], [2, 30, 0.01], size=(200, 3)) if X is None else X
    y = 20 + 4 * X[:, 0] + generator.normal(size=200)
    model = fastgd.MLP([3, 8, 5, n_out], **{"dtype": "float64", **options})
    model.fit(X, targets(y), epochs=3, optimizer=fastgd.Adam(), verbose=0)
    model.save(path)
    return model, X


@pytest.mark.parametrize("activation", ["relu", "tanh", ["tanh", "relu"]])
def test_ten_lines_predict(tmp_path, activation):
    model, X = saved(tmp_path / "m", activation=activation)
    np.testing.assert_allclose(of_page()["predict"](tmp_path / "m", X)[:, 0], model.predict(X), rtol=1e-9)
    X[:, 1] = 3
    constant, _ = saved(tmp_path / "c", activation=activation, X=X)
    by_hand = of_page()["predict"](tmp_path / "c", X)[:, 0]
    np.testing.assert_allclose(by_hand, constant.predict(X), rtol=1e-9)
    assert not np.allclose(by_hand, of_page()["predict"](tmp_path / "m", X)[:, 0])
    lines = PREDICTING.partition("def predict")[2].partition("\n\n\n")[0].strip().splitlines()
    assert len(lines) <= 10


def test_the_formulas_of_activations(tmp_path):
    from fastgd.network.activations import ACTIVATIONS

    assert list(FORMULAS) == list(ACTIVATIONS)
    for name, formula in FORMULAS.items():
        model, X = saved(tmp_path / name, activation=name)
        space = of_page()
        space["ACTIVATIONS"] |= {name: lambda z, formula=formula: eval(formula, {"np": np, "z": z})}
        by_hand = space["predict"](tmp_path / name, X)[:, 0]
        np.testing.assert_allclose(by_hand, model.predict(X), rtol=1e-9)
        space["ACTIVATIONS"] |= {name: np.sin}
        assert not np.allclose(space["predict"](tmp_path / name, X)[:, 0], by_hand)


def two(y):
    return np.column_stack([y, 1 - 3 * y])


# Outputs, and targets; with two targets where the loss can have them.
CASES = {
    "mse": (2, two), "mae": (2, two), "huber": (2, two), "log_cosh": (2, two), "quantile": (6, two),
    "gaussian_nll": (4, two),
    "poisson": (2, lambda y: np.floor(abs(two(y)))),
    "binary_cross_entropy": (1, lambda y: (y > 40).astype(int)),
    "cross_entropy": (3, lambda y: np.clip(y // 10 - 2, 0, 2).astype(int)),
}  # fmt: skip


@pytest.mark.parametrize("loss", fastgd.losses.LOSSES)
def test_the_formulas_of_predictions(tmp_path, loss):
    n_out, targets = CASES[loss]
    chosen = fastgd.losses.Quantile([0.1, 0.5, 0.9]) if loss == "quantile" else loss
    model, X = saved(tmp_path / "m", targets, n_out, loss=chosen)
    _, _, arrays = opened(tmp_path / "m")
    std, mean = arrays["target_std"], arrays["target_mean"]
    out = (of_page()["predict"](tmp_path / "m", X) - mean) / std if std.size == n_out else None
    if out is None:  # the ten lines do not know such targets
        unscaled = {**of_page()}
        exec(PREDICTING.replace('a * arrays["target_std"] + arrays["target_mean"]', "a"), unscaled)
        out = unscaled["predict"](tmp_path / "m", X)
    space = {"np": np, "out": out, "std": std, "mean": mean, "T": std.size, "n_out": n_out}
    by_hand = eval(BECOME[loss], space)
    by_model = (model.predict_proba if "cross_entropy" in loss else model.predict)(X)
    by_model = by_model[:, 1:] if loss == "binary_cross_entropy" else by_model
    np.testing.assert_allclose(by_hand, by_model, rtol=1e-9)
    other = "poisson" if loss != "poisson" else "mse"
    assert not np.allclose(eval(BECOME[other], {**space, "T": n_out, "std": std[0], "mean": mean[0]}), by_model)


class KeptOnce(fastgd.callbacks.Checkpoint):
    """Ends the training right after the first checkpoint."""

    def save(self, is_over):
        super().save(is_over)
        raise ZeroDivisionError


def test_the_tables_name_what_is_in_a_file(whole, tmp_path):
    _, path = whole
    metadata, header, arrays = opened(path)
    kinds = names("name")
    of_course = {"training.history", "training.best.0"}
    assert set(arrays) | {"training.raw"} == {name for name in kinds if not name.startswith("encoder")} - of_course
    assert len(kinds) == len(set(kinds))
    of_tables = "encoding", "encoder", "target_names", "monotone", "target"
    assert [name for name in names("header") if name not in of_tables] == list(header)
    assert set(metadata) == {"fastgd", "checksum"}
    for part in ("classes", "training"):  # "course" is a table of its own
        description = next(row[1] for row in rows("header") if row[0] == f"`{part}`")
        assert all(f"`{name}`" in description for name in header[part])
    stop, kept = fastgd.callbacks.EarlyStopping(patience=9), KeptOnce(tmp_path / "kept", seconds=0)
    with pytest.raises(ZeroDivisionError):
        fastgd.MLP([4, 1]).fit(*fastgd.datasets.houses(99), validation_split=0.3, callbacks=[stop, kept], verbose=0)
    _, unfinished, of_kept = opened(tmp_path / "kept")
    assert of_course <= set(of_kept)
    course = unfinished["training"]["course"]
    assert re.findall(r"`(\w+)`", " ".join(row[0] for row in rows("course"))) == list(course)
    for part in ("numbers", "waiting"):
        description = next(row[1] for row in rows("course") if row[0] == f"`{part}`")
        told = course[part] if part == "numbers" else course[part][0]
        assert all(f"`{name}`" in description for name in told)
    saved(tmp_path / "plain")
    _, header, arrays = opened(tmp_path / "plain")
    assert set(arrays) == {name for name in kinds if not name.startswith(("training", "encoder"))}
    assert list(header) == [name for name in names("header") if name not in of_tables][:-1]


def test_the_lengths_of_arrays(whole):
    model, path = whole
    _, _, arrays = opened(path)
    sizes = {"n_parameters": model.parameters.size, "n_in": 4, "n_targets": 1, "1": 1, "0": 0}
    for name, length, _ in ((row[0].strip("`"), row[1], row[2]) for row in rows("name")):
        assert name not in arrays or arrays[name].shape in [(sizes[word],) for word in length.split(" or ")], name


def test_the_checksum(whole):
    metadata, _, arrays = opened(whole[1])
    checksum = of_page()["checksum"]
    assert checksum(metadata["fastgd"], arrays) == metadata["checksum"]
    arrays["input_mean"] = arrays["input_mean"] + 1
    assert checksum(metadata["fastgd"], arrays) != metadata["checksum"]


def test_the_same_model_is_the_same_bytes(tmp_path):
    model, found = fastgd.MLP([4, 3, 1], random_state=0, feature_names=["a", "b", "ä", "d"]), set()
    for _ in range(20):  # the library that writes them puts metadata into another order each time
        model.save(tmp_path / "m.safetensors")
        found.add((tmp_path / "m.safetensors").read_bytes())
    assert len(found) == 1
    metadata, _, arrays = opened(tmp_path / "m.safetensors")
    assert set(metadata) == {"checksum", "fastgd"}
    assert np.array_equal(arrays["parameters"], model.parameters)


def test_what_the_first_files_lack():
    metadata, header, _ = opened(ROOT / "tests" / "golden" / "first_version.safetensors")
    assert "checksum" not in metadata
    assert "known" not in header["classes"]
    assert not {"start", "lowest"} & set(header["training"])
    assert header["format"] == 1


@pytest.mark.parametrize("n_rows", [400, 3000])
def test_the_page_encodes_tables(tmp_path, n_rows):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.gamma(3, 30, n_rows),
            "city": generator.choice(
                ["Bonn", "Ulm", "Trier", "Kiel", "Jena"], n_rows, p=[0.4, 0.3, 0.298, 0.001, 0.001]
            ),
            "age": generator.integers(0, 90, n_rows).astype(float),
            "lift": generator.choice(["yes", "no"], n_rows),
        }
    )
    y = np.log(frame["size"]) + (frame["city"] == "Ulm")
    frame.loc[::7, "age"], frame.loc[::9, "city"] = np.nan, None
    model = fastgd.MLP([4, 8, 1], encoding="auto", dtype="float64", activation="tanh")
    model.fit(frame, y, epochs=3, verbose=0)
    model.save(tmp_path / "m")
    _, header, arrays = opened(tmp_path / "m")
    labels = {"city": [None if label is np.nan else label for label in frame["city"].to_numpy(object)]}
    columns = [labels.get(name, frame[name].to_numpy()) for name in frame]
    x = of_page()["inputs"](columns, header, arrays)
    (W, b), (V, c) = model.get_parameters()
    assert x.shape[1] == len(W)
    out = (np.tanh(x @ W + b) @ V + c) * arrays["target_std"] + arrays["target_mean"]
    np.testing.assert_allclose(out[:, 0], model.predict(frame), rtol=1e-9)
    assert (n_rows > 1000) == ("encoder.edges" in arrays and arrays["encoder.edges"].size > 0)
    told = {word for row in rows("of a column of `encoder`") for word in re.findall("`(.+?)`", row[0])}
    assert told == {name for column in header["encoder"] for name in column}


def test_the_page_tells_of_logarithms_and_ranges(tmp_path):
    model, X = saved(tmp_path / "m", targets=np.exp, log_target=True, clip_predictions=True)
    _, header, arrays = opened(tmp_path / "m")
    assert header["target"] == {"log": True, "clip": True, "has_range": True}
    low, high = arrays["target.range"]
    out = np.exp(of_page()["predict"](tmp_path / "m", X * 2)).clip(low, high)[:, 0]
    np.testing.assert_allclose(out, model.predict(X * 2), rtol=1e-9)
