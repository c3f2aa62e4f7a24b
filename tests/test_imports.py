"""Networks of PyTorch and of scikit-learn predict here what they did there; nothing of theirs is executed."""

from __future__ import annotations

import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exported import apart
from safetensors.numpy import save_file
from samples import refused

import fastgd
from fastgd.errors import ModelFileError
from fastgd.network.activations import ACTIVATIONS

GOLDEN = Path(__file__).parent / "golden"  # written by make_torch.py
TOLD = json.loads((GOLDEN / "torch.json").read_text())
LARGEST = 1e-6
X = np.array(TOLD["X"])


def state(name="relu", dtype="float64"):
    return {key: np.array(value, dtype) for key, value in TOLD["cases"][name]["state"].items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_state_of_torch(name, dtype):
    want = np.array(TOLD["cases"][name]["out"])
    model = fastgd.from_torch(state(name, dtype), activation=name)
    assert (model.dtype, model.standardize, model.network.sizes) == (dtype, False, (3, 5, 4, 2))
    assert apart(model.predict(X), want) < LARGEST
    other = fastgd.from_torch(state(name, dtype), activation="tanh" if name != "tanh" else "relu")
    assert apart(other.predict(X), want) > LARGEST
    wrong = state(name, dtype)
    wrong["2.weight"] = wrong["2.weight"][:, ::-1]
    assert apart(fastgd.from_torch(wrong, activation=name).predict(X), want) > LARGEST


def test_the_other_gelu_of_torch_differs_by_what_is_told():
    z = np.linspace(-10, 10, 20_001)
    exact = np.array([x / 2 * (1 + math.erf(x / math.sqrt(2))) for x in z])
    one_unit = {"0.weight": [[1.0]], "0.bias": [0.0], "2.weight": [[1.0]], "2.bias": [0.0]}
    here = fastgd.from_torch({key: np.array(value) for key, value in one_unit.items()}, activation="gelu")
    differences = np.abs(here.predict(z[:, None]) - exact)
    assert f"{differences.max():.5f}" == "0.00047"
    assert f"{abs(z[differences.argmax()]):.1f}" == "2.7"
    page = (Path(__file__).parents[1] / "docs/exports.md").read_text(encoding="utf-8")
    for told in (fastgd.from_torch.__doc__, page):
        assert "0.00047" in told
        assert 'approximate="tanh"' in told


def test_a_file_of_torch(tmp_path):
    want = np.array(TOLD["deep"])
    for path in (GOLDEN / "torch_deep.safetensors", str(GOLDEN / "torch_deep.safetensors")):
        model = fastgd.from_torch(path, activation="tanh")
        assert apart(model.predict(X)[:, None], want) < LARGEST
    assert apart(fastgd.from_torch(GOLDEN / "torch_deep.safetensors").predict(X)[:, None], want) > LARGEST
    save_file({"hidden.weight": np.ones((3, 2)), "a.weight": np.ones((1, 3))}, tmp_path / "m.safetensors")
    refused("layers without an order", fastgd.from_torch, tmp_path / "m.safetensors")


def test_what_it_is_made_into_is_a_model(tmp_path):
    names = ["a", "b", "c"]
    model = fastgd.from_torch(
        state(), loss="cross_entropy", classes=["no", "yes"], feature_names=names, activation=["relu", "tanh"]
    )
    frame = pd.DataFrame(X, columns=names)
    assert set(model.predict(frame[names[::-1]])) <= {"no", "yes"}
    before = model.evaluate(frame, ["no", "yes"] * 3)["loss"]
    model.fit(frame, ["no", "yes"] * 3, epochs=50, optimizer=fastgd.Adam(0.01), verbose=0)
    assert model.evaluate(frame, ["no", "yes"] * 3)["loss"] < before
    model.save(tmp_path / "m")
    assert (fastgd.load(tmp_path / "m").predict(X) == model.predict(X)).all()
    for ending in ("h", "py"):
        model.export(tmp_path / f"m.{ending}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"1.weight": np.ones(3), "1.running_mean": np.ones(3)}, "layer '1' is BatchNorm: only Linear layers"),
        ({"0.weight": np.ones((3, 2, 1, 1))}, r"layer '0' has a weight of shape \(3, 2, 1, 1\), as has Conv2d: only"),
        ({"0.weight": np.ones(3), "0.bias": np.ones(3)}, "as has a norm, such as LayerNorm: only Linear"),
        ({"weight_ih_l0": np.ones((12, 2))}, "weight_ih_l0 belongs to no Linear layer: only"),
        ({"0.weight": np.ones((3, 2)), "1.weight": np.ones((3, 2))}, "'1' has 2 inputs, but '0' before it 3 outputs"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(2)}, r"a weight of shape \(3, 2\) and a bias of shape \(2,\)"),
        ({"0.bias": np.ones(2)}, "layer '0' has a bias, but no weight"),
        ({"0.weight": np.array([[np.nan]])}, "must be finite numbers"),
        ({"0.weight": np.array([["a"]])}, "must be finite numbers"),
        ({"0.weight": [[1, 2], [3]]}, "layer '0', its weight cannot be read: its rows differ in length"),
        ({}, "There is no Linear layer"),
    ],
)  # fmt: skip
def test_what_is_no_row_of_linear_layers(given, message):
    refused(message, fastgd.from_torch, given)


def test_options_that_do_not_fit():
    refused("activation has 1 entries, but there are 2 hidden layers", fastgd.from_torch, state(), activation=["relu"])
    refused("cross_entropy and output_activation='tanh'", fastgd.from_torch, state(), "relu", "tanh", "cross_entropy")
    refused("feature_names must be a list of 3", fastgd.from_torch, state(), feature_names=["a"])

    class Module:
        def state_dict(self):
            return state()

    refused(r"Module is a module: pass its state_dict\(\)", fastgd.from_torch, Module())


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self):
        return (sys.exit, ("executed",))


@pytest.mark.parametrize("name", ["m.pt", "m.PTH", "m.bin", "m.ckpt", "m.safetensors", "m"])
def test_no_pickle_is_read(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SystemExit):
        pickle.loads(path.read_bytes())
    with pytest.raises(ModelFileError, match=r"is a pickle.*save_file\(|is no safetensors file") as caught:
        fastgd.from_torch(path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelFileError, match=r"none.safetensors is not there: name a file\."):
        fastgd.from_torch(tmp_path / "none.safetensors")
    content = (GOLDEN / "torch_deep.safetensors").read_bytes()
    for length in (0, 7, 100, len(content) - 1):
        (tmp_path / "m.safetensors").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="is no safetensors file"):
            fastgd.from_torch(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="is not the name of a file"):
        fastgd.from_torch(5)


def table():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 3))
    return X, X[:, 0] + np.sin(2 * X[:, 1])


def theirs(kind, y, dtype=np.float64, X=None, **options):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    made = (MLPRegressor if kind == "regressor" else MLPClassifier)(
        hidden_layer_sizes=[6, 5], random_state=0, **options
    )
    X = table()[0].astype(dtype) if X is None else X
    made.set_params(solver="adam", max_iter=20, tol=0)
    return made.fit(X, y), X


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_regressors_of_sklearn(activation, dtype):
    y = table()[1]
    for target in (y, np.stack([y, -3 * y], axis=1)):
        given, X = theirs("regressor", target.astype(dtype), dtype, activation=activation)
        model = fastgd.from_sklearn(given)
        want = given.predict(X).reshape(len(X), -1)
        assert model.dtype == dtype
        assert apart(model.predict(X).reshape(want.shape), want) < LARGEST
        weights, biases = model.get_parameters()[0]
        model.set_parameters([(weights * 1.001, biases), *model.get_parameters()[1:]])
        assert apart(model.predict(X).reshape(want.shape), want) > LARGEST


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("labels", [["low", "mid", "top"], [3, 5, 9], ["no", "yes"], [False, True], [1.0, 2.0]])
def test_classifiers_of_sklearn(activation, labels):
    y = table()[1]
    named = np.array(labels)[np.digitize(y, np.quantile(y, np.arange(1, len(labels)) / len(labels)))]
    given, X = theirs("classifier", named, activation=activation)
    model = fastgd.from_sklearn(given)
    assert model.classes.tolist() == given.classes_.tolist()
    assert apart(model.predict_proba(X), given.predict_proba(X)) < LARGEST
    assert (model.predict(X) == given.predict(X)).all()


def test_several_labels_of_sklearn():
    y = table()[1]
    given, X = theirs("classifier", np.stack([y > 0, y > 1], axis=1).astype(int))
    model = fastgd.from_sklearn(given)
    assert apart(model.predict_proba(X), given.predict_proba(X)) < LARGEST
    assert (model.predict(X) == given.predict(X)).all()


def test_counts_of_sklearn():
    y = table()[1]
    given, X = theirs("regressor", np.floor(np.abs(y)), loss="poisson")
    assert apart(fastgd.from_sklearn(given).predict(X)[:, None], given.predict(X)[:, None]) < LARGEST


def test_names_of_sklearn_and_learning_on():
    X, y = table()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    given, _ = theirs("regressor", y, X=frame)
    model = fastgd.from_sklearn(given)
    assert model.feature_names == ("a", "b", "c")
    before = model.evaluate(frame, y)["rmse"]
    model.fit(frame, y, epochs=100, verbose=0)
    assert model.evaluate(frame, y)["rmse"] < before


def test_what_is_no_network_of_sklearn():
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline

    refused("MLPRegressor has not been fitted: call its fit first", fastgd.from_sklearn, MLPRegressor())
    refused("LinearRegression is no MLPRegressor or MLPClassifier", fastgd.from_sklearn, LinearRegression())
    refused("Pipeline is no .*: pass its last step", fastgd.from_sklearn, make_pipeline(MLPRegressor()))
