"""No learning rate ends a training silently, and deaths are told of: the trial with few cases, and controls."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastgd
from fastgd.errors import DeadNetworkWarning
from fastgd.training import divergence, pieces
from trials import rates


def test_no_rate_ends_silently():
    assert rates.try_rates(40, seed=0).failures == []


def dead_cases(cases=400):
    """The first cases in which a network dies."""
    for number in range(cases):
        case = rates.case_of(0, number)
        if case.face == "fit" and DeadNetworkWarning in rates.trained(case).told:
            yield case


def test_a_death_that_is_not_told_of_is_found(monkeypatch):
    case = next(dead_cases())
    monkeypatch.setattr(divergence, "tell_if_dead", lambda *_: False)
    assert any("is dead and was not told of" in found for found in rates.objections(case, rates.trained(case)))


def test_a_living_network_that_is_called_dead_is_found():
    case = rates.case_of(0, 0)._replace(face="fit", optimizer=fastgd.SGD(1e-3))
    ended = rates.trained(case)
    called_dead = ended._replace(told=[DeadNetworkWarning])
    assert list(rates.objections(case, ended)) == []
    assert any("was called dead" in found for found in rates.objections(case, called_dead))


def test_parameters_that_are_not_finite_are_found():
    case = rates.case_of(0, 0)._replace(face="fit", optimizer=fastgd.SGD(1e-3))
    ended = rates.trained(case)
    ended.model.parameters[0] = np.nan
    assert any("not finite" in found for found in rates.objections(case, ended))


def killed(n_in=3, **options):
    """A network whose hidden units give 0 for every row."""
    model = fastgd.MLP([n_in, 8, 1], random_state=0, **options)
    return model


def kill(model):
    (weights, biases), last = model.get_parameters()
    model.set_parameters([(weights, biases - 1e4), last])


RARE = np.array([77, 1503, 2503])


@pytest.mark.parametrize("face", ["fit", "weights", "stream", "fit_many"])
@pytest.mark.parametrize("rare", ["targets", "inputs"])
def test_a_death_is_told_of_where_hardly_any_rows_differ(face, rare):
    """None of the rows that are looked at first may be among those that differ."""
    X, y = np.random.default_rng(0).normal(size=(3000, 3)), np.zeros(3000)
    y[RARE] = 1
    if rare == "inputs":
        X, y = np.zeros((3000, 3)), X[:, 0]
        X[RARE] = 1
    model = killed(loss="binary_cross_entropy" if rare == "targets" else "mse")
    model.fit(X, y, epochs=0, verbose=0)
    kill(model)
    options = {"epochs": 1, "optimizer": fastgd.SGD(1e-3), "verbose": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if face == "fit_many":
            del options["verbose"]
            (record,) = fastgd.fit_many([{"model": model, **options}], X, y, verbose=0)
            told = [category for _, category in record.warnings]
        else:
            weights = {"sample_weight": 1.0 + np.arange(3000) % 2} if face == "weights" else {}
            batches = [(X[first : first + 500], y[first : first + 500]) for first in range(0, 3000, 500)]
            data = (lambda: iter(batches),) if face == "stream" else (X, y)
            model.fit(*data, **weights, **options)
            told = [warning.category for warning in caught]
    assert DeadNetworkWarning in told


@pytest.mark.parametrize("n", [1, 3])
def test_a_death_over_pieces_of_few_rows_is_told_of_once(n):
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = killed()
    model.fit(X, X[:, 0], epochs=0, verbose=0)
    kill(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for first in range(0, 300, n):
            model.partial_fit(X[first : first + n], X[first : first + n, 0], optimizer=fastgd.SGD(1e-3))
    assert [warning.category for warning in caught] == [DeadNetworkWarning]


@pytest.mark.filterwarnings("error")
def test_pieces_of_one_row_of_a_network_that_lives_are_no_death():
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = killed()
    model.fit(X, X[:, 0], epochs=0, verbose=0)
    for row in range(300):
        model.partial_fit(X[row : row + 1], X[row : row + 1, 0], optimizer=fastgd.SGD(1e-3))
    assert len(model.fit_state.pieces.small) < pieces.ROWS <= 300
