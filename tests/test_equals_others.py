"""A network without hidden layer is a model that scikit-learn fits by other means; both must find the same."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, PoissonRegressor

import fastgd

OPTIMIZER = {"optimizer": fastgd.SGD(learning_rate=0.5, momentum=0.9), "batch_size": 10**6, "verbose": 0}


def table(n=400):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, 3)) * [1, 5, 0.2] + [0, 3, 1]
    return X, generator


def test_poisson_is_the_poisson_regressor():
    X, generator = table()
    y = generator.poisson(np.exp(X @ [0.5, 0.1, -1.0] + 1))
    model = fastgd.MLP([3, 1], loss="poisson", dtype="float64")
    optimizer = fastgd.SGD(learning_rate=0.1, momentum=0.9)
    model.fit(X, y, epochs=3000, **{**OPTIMIZER, "optimizer": optimizer})
    theirs = PoissonRegressor(alpha=0, tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-6)
    wrong = fastgd.MLP([3, 1], dtype="float64")  # the control: least squares is another model
    wrong.fit(X, y, epochs=300, **{**OPTIMIZER, "optimizer": optimizer})
    assert np.abs(wrong.predict(X) / theirs.predict(X) - 1).max() > 0.1


@pytest.mark.parametrize(("loss", "n_out"), [("cross_entropy", 3), ("cross_entropy", 2), ("binary_cross_entropy", 1)])
def test_cross_entropy_is_logistic_regression(loss, n_out):
    X, generator = table()
    scores = X @ generator.normal(size=(3, max(n_out, 2))) * [1.0, 0.3, 2.0][: max(n_out, 2)]
    y = np.array(["a", "b", "c"])[(scores + generator.gumbel(size=scores.shape)).argmax(axis=1)]
    model = fastgd.MLP([3, n_out], loss=loss, dtype="float64", initializer="zeros")
    model.fit(X, y, epochs=8000 if n_out == 3 else 2000, **OPTIMIZER)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    assert (model.predict(X) == theirs.predict(X)).all()
    halfway = fastgd.MLP([3, n_out], loss=loss, dtype="float64", initializer="zeros")
    halfway.fit(X, y, epochs=5, **OPTIMIZER)
    assert np.abs(halfway.predict_proba(X) - theirs.predict_proba(X)).max() > 1e-3
