"""Networks whose answer is known: by hand, or because they are another model."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd


@pytest.mark.tiny
def test_two_weights_by_hand():
    # One input, one hidden tanh unit: p = v · tanh(w x), both biases 0. With x = 0.5, y = 1, w = 0.6, v = 0.8:
    # tanh(0.3) = 0.29131261, p = 0.23305009, error = −0.76694991, loss = 0.58821217
    # d/dv = 2 · error · 0.29131261 = −0.44684436; d/dw = 2 · error · v · (1 − 0.29131261²) · x = −0.56149137
    model = fastgd.MLP([1, 1, 1], activation="tanh", dtype="float64", standardize=False)
    model.set_parameters([([[0.6]], [0.0]), ([[0.8]], [0.0])])
    X, y = [[0.5]], [1.0]
    assert model.predict(X)[0] == pytest.approx(0.23305009, abs=1e-8)
    assert model.evaluate(X, y)["loss"] == pytest.approx(0.58821217, abs=1e-8)
    d_w, d_b, d_v, d_c = model.gradient(X, y)
    assert d_v == pytest.approx(-0.44684436, abs=1e-7)
    assert d_w == pytest.approx(-0.56149137, abs=1e-7)
    assert d_b == pytest.approx(-1.12298274, abs=1e-7)
    assert d_c == pytest.approx(-1.53389982, abs=1e-7)
    history = model.fit(X, y, epochs=1, optimizer=fastgd.SGD(learning_rate=0.1), verbose=0)
    w, b, v, c = model.parameters
    assert history.history["loss"] == [pytest.approx(0.58821217, abs=1e-8)]
    assert w == pytest.approx(0.6 + 0.056149137, abs=1e-8)
    assert v == pytest.approx(0.8 + 0.044684436, abs=1e-8)
    assert b == pytest.approx(0.112298274, abs=1e-8)
    assert c == pytest.approx(0.153389982, abs=1e-8)


@pytest.mark.parametrize("n_out", [1, 3])
def test_no_hidden_layer_is_least_squares(n_out):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(200, 3)) * [1, 10, 100] + [0, 5, 50]
    y = X @ generator.normal(size=(3, n_out)) + generator.normal(size=(200, n_out)) + 7
    model = fastgd.MLP([3, n_out], dtype="float64")
    model.fit(X, y, epochs=2000, batch_size=200, optimizer=fastgd.SGD(learning_rate=0.3 * n_out), verbose=0)
    design = np.column_stack([X, np.ones(200)])
    expected = design @ np.linalg.lstsq(design, y)[0]
    np.testing.assert_allclose(model.predict(X).reshape(y.shape), expected, rtol=1e-6, atol=1e-6)
    half_trained = fastgd.MLP([3, n_out], dtype="float64")  # the control: not yet converged, not yet equal
    half_trained.fit(X, y, epochs=5, batch_size=200, optimizer=fastgd.SGD(learning_rate=0.3), verbose=0)
    assert np.abs(half_trained.predict(X).reshape(y.shape) - expected).max() > 1e-3


@pytest.mark.tiny
def test_a_perfect_prediction_has_no_loss_and_no_gradient():
    model = fastgd.MLP([2, 3, 1], dtype="float64", random_state=4)
    X = np.random.default_rng(0).normal(size=(5, 2))
    y = model.predict(X)
    assert model.evaluate(X, y) == {"loss": 0, "rmse": 0, "mae": 0, "r2": 1}
    assert (model.gradient(X, y) == 0).all()
