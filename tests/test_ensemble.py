"""Several networks as one: what is averaged, what must fit together, what the whole says, and its file."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from model_files import with_header

import fastgd
from fastgd.data import columns
from fastgd.errors import InputWarning, InvalidInputError, ModelFileError
from fastgd.model import mean
from fastgd.training.cores import Allowance

NAMES = ["size", "rooms", "distance", "age"]


def houses(n=600):
    return fastgd.datasets.houses(n, random_state=0)


def fitted(X, y, sizes=(4, 8, 1), epochs=2, **options):
    model = fastgd.MLP(list(sizes), **options)
    model.fit(X, y, epochs=epochs, verbose=0, n_threads=1)
    return model


def various(n=3):
    """Networks that differ in all that may differ."""
    X, y = houses()
    options = [
        {"random_state": 1},
        {"sizes": (4, 16, 8, 1), "activation": "gelu", "dtype": "float64", "loss": "huber"},
        {"encoding": fastgd.Encoding(bins=8), "log_target": True, "feature_names": NAMES},
    ]
    return [fitted(X, y, **each) for each in options[:n]], X, y


def test_the_mean_of_predictions_in_the_users_units():
    models, X, y = various()
    ensemble = fastgd.Ensemble(models)
    mean = np.mean([model.predict(X).astype(np.float64) for model in models], axis=0)
    np.testing.assert_allclose(ensemble.predict(X), mean, rtol=1e-12)
    weighted = fastgd.Ensemble(models, weights=[3, 1, 1])
    np.testing.assert_allclose(
        weighted.predict(X), np.average([model.predict(X) for model in models], axis=0, weights=[3, 1, 1]), rtol=1e-12
    )
    assert np.abs(weighted.predict(X) - mean).max() > 1  # euros: weights matter
    assert ensemble.predict(X).dtype == np.float64  # the widest of the members
    assert fastgd.Ensemble(models[:1]).predict(X).dtype == np.float32
    np.testing.assert_array_equal(ensemble.predict(X[7:8]), ensemble.predict(X)[7:8])
    wanted = np.sqrt(np.mean((mean - y) ** 2))
    assert ensemble.evaluate(X, y)["rmse"] == pytest.approx(wanted)
    assert (len(ensemble), list(ensemble), ensemble[1]) == (3, models, models[1])


def test_many_rows_are_predicted_in_threads_and_the_table_is_read_once(monkeypatch):
    models, _, _ = various()
    X, _ = houses(5000)
    frame, threads, read = pd.DataFrame(X, columns=NAMES), set(), []
    outputs_for, as_frame = type(models[0]).outputs_for, columns.as_frame

    def noted(model, table):
        threads.add(threading.get_ident())
        return outputs_for(model, table)

    monkeypatch.setattr(type(models[0]), "outputs_for", noted)
    monkeypatch.setattr(mean, "allowance", lambda asked: Allowance(3, ""))
    monkeypatch.setattr(columns, "as_frame", lambda table, what: read.append(what) or as_frame(table, what))
    whole = fastgd.Ensemble(models).predict(X)
    assert threading.get_ident() not in threads
    read.clear()
    fastgd.Ensemble(models[2:] * 3).predict(frame)
    assert len(read) == 1
    threads.clear()
    parts = [fastgd.Ensemble(models).predict(X[start : start + 500]) for start in range(0, 5000, 500)]
    assert threads == {threading.get_ident()}
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((4, 8, 1), {}),
        ((4, 8, 1), {"loss": "huber", "log_target": True}),
        ((4, 8, 3), {"loss": fastgd.losses.Quantile([0.1, 0.5, 0.9])}),
        ((4, 8, 2), {"loss": "gaussian_nll"}),
        ((4, 8, 1), {"loss": "poisson"}),
        ((4, 8, 3), {"loss": "cross_entropy"}),
        ((4, 8, 1), {"loss": "binary_cross_entropy"}),
        ((4, 8, 2), {"loss": "binary_cross_entropy"}),
    ],
)
def test_an_ensemble_of_one_says_what_its_network_says(sizes, options):
    X, price = houses()
    loss = options.get("loss")
    y = {"poisson": np.round(price / 1e5), "cross_entropy": np.digitize(price, [3e5, 5e5])}.get(loss, price)
    if loss == "binary_cross_entropy":
        y = np.column_stack([price > 4e5, price > 6e5])[:, : sizes[-1]].astype(int)
        y = y[:, 0] if sizes[-1] == 1 else y
    model = fitted(X, y, sizes=sizes, epochs=5, **options)
    alone, other = fastgd.Ensemble([model]), fitted(X, y, sizes=sizes, random_state=1, **options)
    np.testing.assert_allclose(alone.predict(X), model.predict(X), rtol=1e-6)
    weights = np.linspace(0, 1, len(X))
    mine, its = alone.evaluate(X, y, weights), model.evaluate(X, y, weights)
    assert mine == pytest.approx(its, rel=1e-6)
    assert fastgd.Ensemble([model, other]).evaluate(X, y, weights) != pytest.approx(its, rel=1e-6)


def test_probabilities_are_averaged_and_their_loss_keeps_its_digits():
    X, price = houses()
    labels = np.array(["cheap", "fair", "dear"])[np.digitize(price, [3e5, 5e5])]
    models = [fitted(X, labels, sizes=(4, 8, 3), loss="cross_entropy", random_state=k) for k in range(3)]
    ensemble = fastgd.Ensemble(models)
    mean = np.mean([model.predict_proba(X) for model in models], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, atol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(X), models[0].classes[mean.argmax(axis=1)])
    truth = mean[np.arange(len(X)), np.searchsorted(models[0].classes, labels)]
    assert ensemble.evaluate(X, labels)["loss"] == pytest.approx(-np.log(truth).mean(), rel=1e-5)
    sure = fitted(X, (price > 4e5).astype(int), sizes=(4, 1), loss="binary_cross_entropy", epochs=0)
    sure.set_parameters([(np.zeros((4, 1)), [60.0])])  # a probability of 1 − 9e-27
    assert fastgd.Ensemble([sure, sure]).evaluate(X, np.zeros(len(X), int))["loss"] == pytest.approx(60)


def test_spreads_are_those_of_the_mixture():
    X, y = houses()
    models = [fitted(X, y, sizes=(4, 8, 2), loss="gaussian_nll", random_state=k) for k in range(2)]
    (m1, s1), (m2, s2) = (model.predict(X).astype(np.float64).T for model in models)
    drawn = np.random.default_rng(0).normal(size=(2, 200_000))
    mixture = np.concatenate([m1[0] + s1[0] * drawn[0], m2[0] + s2[0] * drawn[1]])
    mean, spread = fastgd.Ensemble(models).predict(X)[0]
    assert mean == pytest.approx((m1[0] + m2[0]) / 2, rel=1e-6)
    assert spread == pytest.approx(mixture.std(), rel=0.01)
    assert (s1[0] + s2[0]) / 2 != pytest.approx(spread, rel=1e-6)


def test_data_frames():
    models, X, _ = various()
    ensemble, frame = fastgd.Ensemble(models), pd.DataFrame(X, columns=NAMES)
    np.testing.assert_array_equal(ensemble.predict(frame, as_frame=True)["prediction"], ensemble.predict(X))
    assert ensemble.feature_names == tuple(NAMES)


def test_what_does_not_fit_together_is_refused():
    X, y = houses()
    model, dear = fitted(X, y), (y > 4e5).astype(int)
    classes = {"sizes": (4, 8, 1), "loss": "binary_cross_entropy"}
    for others, told in [
        ([], "at least one"),
        (model, "must be a list"),
        ([model, "net"], "number 1 is 'net'"),
        ([model, fastgd.MLP([4, 1])], "Model 1 has never been fitted"),
        ([model, fitted(X[:, :3], y, sizes=(3, 1))], "number of inputs of model 1: 3, of those before it: 4"),
        ([model, fitted(X, dear, **classes)], "the task of model 1: 'labels', of those before it: 'regression'"),
        ([model, fitted(X, np.column_stack([y, y]), sizes=(4, 2))], "outputs of model 1"),
        ([model, fitted(X, y, loss=fastgd.losses.Quantile([0.9]))], "levels of quantiles"),
        (
            [fitted(X, y, feature_names=NAMES), model, fitted(X, y, feature_names=NAMES[::-1])],
            "the columns of model 2",
        ),
        (
            [fitted(X, dear, **classes), fitted(X, np.array(["no", "yes"])[dear], **classes)],
            r"classes of model 1: \['no', 'yes'\]",
        ),
    ]:
        with pytest.raises(InvalidInputError, match=told):
            fastgd.Ensemble(others)
    for weights in ([1], [1, -1], [1, np.inf], ["a", 1]):
        with pytest.raises(InvalidInputError, match="2 positive numbers"):
            fastgd.Ensemble([model, model], weights=weights)
    with pytest.raises(InvalidInputError, match="has no probabilities"):
        fastgd.Ensemble([model]).predict_proba(X)


def test_the_whole_explains_itself():
    models, X, y = various()
    ensemble = fastgd.Ensemble(models)
    importance = fastgd.features.permutation_importance(ensemble, X, y, repeats=2)
    assert (importance.features, importance.baseline) == (NAMES, pytest.approx(ensemble.evaluate(X, y)["rmse"]))
    shuffled = X.copy()
    order = np.random.default_rng(0).permutation(len(X))
    shuffled[:, 0] = X[order, 0]
    once = fastgd.features.permutation_importance(ensemble, X, y, repeats=1)
    assert once.increase[0] == pytest.approx(ensemble.evaluate(shuffled, y)["rmse"] - once.baseline, rel=1e-4)
    curve = fastgd.features.partial_dependence(ensemble, X, "size", grid=5)
    X[:, 0] = curve.values[2]
    assert curve.predictions[2] == pytest.approx(ensemble.predict(X).mean(), rel=1e-5)
    single = fastgd.features.partial_dependence(models[0], X, 0, grid=5)
    assert not np.allclose(single.predictions, curve.predictions, rtol=1e-5)


def test_blame_of_the_whole_is_the_mean_by_column():
    models, X, y = various()
    table = fastgd.Ensemble(models, weights=[2, 1, 1]).blame(X, y)
    each = [model.blame(X, y, by="input") for model in models]
    assert table["input"] == NAMES
    np.testing.assert_allclose(table["gain"], np.average([one["gain"] for one in each], axis=0, weights=[2, 1, 1]))
    assert set(table["severity"]) <= {"way off", "slightly off", "close", "nothing left to blame"}


def test_one_file(tmp_path):
    models, X, y = various()
    ensemble = fastgd.Ensemble(models, weights=[0.1, 0.2, 0.4])
    path = tmp_path / "houses.safetensors"
    ensemble.save(path)
    loaded = fastgd.load(path)
    assert (type(loaded), repr(loaded)) == (fastgd.Ensemble, repr(ensemble))
    np.testing.assert_array_equal(loaded.predict(X), ensemble.predict(X))
    assert loaded.evaluate(X, y) == ensemble.evaluate(X, y)
    models[0].save(path)
    assert type(fastgd.load(path)) is fastgd.MLP
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["models"].pop(),
        lambda header: header.update(models=[]),
        lambda header: header.update(weights=[1, 1]),
        lambda header: header.update(weights=[1, 1, -1]),
        lambda header: header.update(more=1),
        lambda header: header.update(format=1),
        lambda header: header["models"][1].update(format=2),
        lambda header: header["models"][1].update(training={}),
        lambda header: header["models"][1].update(layer_sizes=[4, 9, 8, 1]),
        lambda header: header["models"][2].update(feature_names=NAMES[:3]),
    ],
)
def test_damaged_files_are_refused(tmp_path, change):
    path = tmp_path / "m"
    fastgd.Ensemble(various()[0]).save(path)
    with_header(path, lambda header: None)
    fastgd.load(path)
    with_header(path, change)
    with pytest.raises(ModelFileError, match="does not hold a whole model"):
        fastgd.load(path)


def test_it_prints_and_completes():
    ensemble = fastgd.Ensemble(various()[0])
    assert repr(ensemble).startswith("<Ensemble of 3: 4-8-1")
    assert len(repr(ensemble)) <= 80
    shown = [name for name in dir(ensemble) if not name.startswith("_")]
    assert shown == [
        "blame", "calibrate", "calibration", "classes", "compiled", "evaluate", "export", "feature_names", "members",
        "network", "predict", "predict_interval", "predict_proba", "save", "shares", "target_names", "weights",
    ]  # fmt: skip


def test_weights_that_are_no_list_and_labels_that_are_new(monkeypatch):
    X, y = houses(1200)
    frame = pd.DataFrame(X, columns=NAMES).assign(town=np.resize(["Bonn", "Ulm"], len(X)))
    options = {"encoding": "auto", "feature_names": [*NAMES, "town"]}
    new = frame.assign(town="Rome")
    for n_threads, rows in ((1, new[:50]), (3, new)):
        models = [fitted(frame, y, (5, 4, 1), random_state=k, **options) for k in range(3)]  # each tells once
        monkeypatch.setattr(mean, "allowance", lambda asked, most=n_threads: Allowance(most, ""))
        with pytest.warns(InputWarning, match="Rome") as caught:
            fastgd.Ensemble(models).predict(rows)
        assert len(caught) == 1  # all of them say the same
        assert caught[0].filename == __file__
    with pytest.raises(InvalidInputError, match="weights must be 3 positive numbers"):
        fastgd.Ensemble(models, weights=3)


def test_the_loss_of_logarithms_and_numbers_together_is_a_number():
    X, y = houses()
    y = y - y.min() + 1
    models = [fitted(X, y, log_target=True), fitted(X, y, epochs=1, random_state=3)]
    models[1].set_parameters([(weights, biases - 9) for weights, biases in models[1].get_parameters()])
    ensemble = fastgd.Ensemble(models)
    assert ensemble.predict(X).min() < 0
    assert np.isfinite(ensemble.evaluate(X, y)["loss"])


def test_plots_of_the_whole():
    pytest.importorskip("matplotlib")
    models, X, y = various()
    drawn = fastgd.plots.predicted_against_actual(fastgd.Ensemble(models), X, y)
    assert drawn is not None
