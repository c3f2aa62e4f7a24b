"""A model owns its engine: the device that was asked for fits, validates, evaluates, explains and predicts."""

from __future__ import annotations

import copy
import types
import warnings

import numpy as np
import pytest
from samples import houses

import fastgd
from fastgd.errors import DivergenceError, InvalidInputError
from fastgd.kernels import REQUIRED, cpu, plain


@pytest.fixture
def without_cpu(monkeypatch):
    """Every kernel of the compiled engine that the package asks for is out of reach."""

    def refused(*arguments, **options):
        raise AssertionError("the compiled engine was asked")

    for name in REQUIRED:
        monkeypatch.setattr(cpu, name, refused)


def everything(model, X, y):
    """What a user may ask of a model, by name."""
    recorder = fastgd.callbacks.Recorder()
    fit = {"epochs": 1, "batch_size": 50, "verbose": 0}
    yield "fit", lambda: model.fit(X, y, validation_split=0.2, callbacks=[recorder], **fit)
    yield "predict", lambda: model.predict(X)
    yield "evaluate", lambda: model.evaluate(X, y)
    yield "gradient", lambda: model.gradient(X, y)
    yield "blame", lambda: model.blame(X, y, per_row=True)
    yield "nudge", lambda: model.nudge(X, y)
    yield "step", lambda: model.step(X, y)
    yield "health", lambda: model.health(X, y)
    yield "find_learning_rate", lambda: model.find_learning_rate(X, y, epochs=1)
    yield "learning_rates", lambda: fastgd.explain.learning_rates(model, X, y, [0.01], steps=4)
    yield "permutation_importance", lambda: fastgd.features.permutation_importance(model, X, y, repeats=1)
    yield "partial_dependence", lambda: fastgd.features.partial_dependence(model, X, 0, grid=3)
    yield "loss_surface", lambda: fastgd.plots.loss_surface(model, X, y, recorder, points=3)


def test_what_was_fitted_on_a_device_stays_there(without_cpu):
    X, y = houses(100)
    model = fastgd.MLP([4, 5, 1])
    model.fit(X, y, epochs=1, device="plain", verbose=0)
    asked = dict(everything(model, X, y))
    for ask in asked.values():
        ask()
    assert len(asked) == 13
    assert model.device == "plain"
    assert copy.deepcopy(model).device == "plain"


def test_that_the_compiled_engine_is_asked_can_be_seen(without_cpu):
    with pytest.raises(AssertionError, match="the compiled engine was asked"):
        fastgd.MLP([4, 5, 1]).predict(houses(10)[0])


def test_a_further_fit_stays_on_the_device_until_another_is_asked_for():
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    assert model.device == "cpu"
    seen = [
        model.fit(X, y, epochs=1, verbose=0, **options).device
        for options in ({}, {"device": "plain"}, {}, {"device": "cpu"}, {})
    ]
    assert seen == ["cpu", "plain", "plain", "cpu", "cpu"]


def test_a_fit_that_fails_at_its_start_leaves_the_device():
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    with pytest.raises(InvalidInputError, match="learning-rate schedule returned nan"):
        model.fit(X, y, optimizer=fastgd.SGD(lambda step: float("nan")), device="plain", verbose=0)
    assert model.device == "cpu"
    with pytest.raises(InvalidInputError, match="There is no device 'gpu'"):
        model.device = "gpu"


def test_another_device_means_other_predictions_at_once(monkeypatch):
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    model.fit(X, y, epochs=1, verbose=0)
    before, asked = model.predict(X), []
    right = plain.predicting
    monkeypatch.setattr(plain, "predicting", lambda *arguments: asked.append(1) or right(*arguments))
    model.device = "plain"
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-5)
    assert asked == [1]


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_numbers_out_of_range_are_errors_of_ours_and_never_warnings_of_numpy(device):
    X, y = houses(60)
    model = fastgd.MLP([4, 5, 1])
    model.fit(X, y, epochs=1, device=device, verbose=0)
    far = X.copy()
    far[3, 0] = 1e38
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(InvalidInputError, match="row 3"):
            model.predict(far)
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(DivergenceError):
            model.fit(X, y, epochs=5, optimizer=fastgd.SGD(1e6), verbose=0)


def test_a_subclass_may_have_a_fit_of_its_own():
    class Mine(fastgd.MLP):
        def fit(self, X, y, epochs=10, batch_size=32, optimizer=None, shuffle=True, sample_weight=None, verbose=0):
            return super().fit(
                X, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, shuffle=shuffle, verbose=verbose
            )

    X, y = houses(60)
    model = Mine([4, 5, 1])
    model.fit(X, y, epochs=1)
    assert len(model.nudge(X, y)) == 20


def test_public_modules_say_what_is_in_them():
    for name in ("callbacks", "datasets", "features", "losses", "plots", "schedules"):
        module = getattr(fastgd, name)
        assert isinstance(module, types.ModuleType)
        assert len(module.__doc__) > 80
        assert all(hasattr(module, public) for public in module.__all__)
