"""model.scaling: with it and the weights a user predicts by hand, whatever the loss, and it prints as a table."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import fastgd


def softmax(out):
    grown = np.exp(out - out.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


# For each loss: how many outputs, the targets, and what the docstring says that outputs become.
BY_HAND = {
    "mse": (2, lambda y: np.column_stack([y, 3 * y + 1]), lambda out, s: out * s.target_std + s.target_mean),
    "mae": (1, lambda y: y, lambda out, s: out * s.target_std + s.target_mean),
    "huber": (1, lambda y: y, lambda out, s: out * s.target_std + s.target_mean),
    "log_cosh": (1, lambda y: y, lambda out, s: out * s.target_std + s.target_mean),
    "quantile": (
        4,
        lambda y: np.column_stack([y, 3 * y + 1]),
        lambda out, s: out * np.repeat(s.target_std, 2) + np.repeat(s.target_mean, 2),
    ),
    "gaussian_nll": (
        2,
        lambda y: y,
        lambda out, s: np.hstack(
            [out[:, :1] * s.target_std + s.target_mean, np.exp(out[:, 1:] / 2) * s.target_std]
        ),
    ),
    "poisson": (1, lambda y: np.floor(abs(y)), lambda out, s: np.exp(out) * s.target_std),
    "binary_cross_entropy": (1, lambda y: (y > 20).astype(int), lambda out, s: 1 / (1 + np.exp(-out))),
    "cross_entropy": (3, lambda y: np.clip(y // 10, 0, 2).astype(int), lambda out, s: softmax(out)),
}  # fmt: skip


def table(n=200):
    generator = np.random.default_rng(0)
    X = generator.normal([5, -100, 0.1], [2, 30, 0.01], size=(n, 3))
    return X, 20 + 4 * X[:, 0] + generator.normal(size=n)


def learned(loss, n_out, y, X, **options):
    loss = fastgd.losses.Quantile([0.1, 0.9]) if loss == "quantile" else loss
    model = fastgd.MLP([X.shape[1], 8, n_out], loss=loss, dtype="float64", **options)
    model.fit(X, y, epochs=3, optimizer=fastgd.Adam(), verbose=0)
    return model


def outputs(model, X, scaling):
    (W0, b0), (W1, b1) = model.get_parameters()
    return np.maximum((X - scaling.input_mean) / scaling.input_std @ W0 + b0, 0) @ W1 + b1


@pytest.mark.parametrize("loss", fastgd.losses.LOSSES)
def test_a_prediction_by_hand(loss):
    n_out, targets, become = BY_HAND[loss]
    X, y = table()
    model = learned(loss, n_out, targets(y), X)
    by_model = (model.predict_proba if "cross_entropy" in loss else model.predict)(X)
    by_hand = become(outputs(model, X, model.scaling), model.scaling)
    if by_model.shape != by_hand.shape:  # one column as a vector, two probabilities for yes and no
        by_hand = by_hand[:, 0] if by_model.ndim == 1 else np.hstack([1 - by_hand, by_hand])
    np.testing.assert_allclose(by_hand, by_model, rtol=1e-9)
    unscaled = fastgd.MLP([3, 8, n_out], loss=model.network.loss, dtype="float64").scaling
    assert not np.allclose(become(outputs(model, X, unscaled), unscaled).ravel()[:5], by_hand.ravel()[:5])


def test_a_column_that_never_varied_is_marked_and_the_formula_ignores_it():
    X, y = table()
    X[:, 1] = 7.0
    model = learned("mse", 1, y, X, feature_names=["size", "rooms", "age"])
    scaling = model.scaling
    assert scaling.ignored.tolist() == [False, True, False]
    assert scaling.input_std[1] == np.inf
    by_hand = outputs(model, X, scaling) * scaling.target_std + scaling.target_mean
    np.testing.assert_allclose(by_hand[:, 0], model.predict(X), rtol=1e-9)
    line = next(line for line in repr(scaling).splitlines() if line.startswith("rooms"))
    assert line.split() == ["rooms", "7", "ignored:", "never", "varied"]
    assert repr(scaling).count("never varied") == 1


def test_it_is_a_record_of_now_that_cannot_be_written():
    X, y = table()
    model = fastgd.MLP([3, 1])
    before = model.scaling
    model.fit(X, y, epochs=1, verbose=0)
    assert before.input_std.tolist() == [1, 1, 1]
    after = model.scaling
    np.testing.assert_allclose(after.input_mean, X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(after.target_std, y.std(), rtol=1e-5)
    assert after.input_mean.dtype == model.dtype
    for name in ("input_mean", "input_std", "target_mean", "target_std"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(after, name)[:] = 0
    with pytest.raises(AttributeError):
        after.input_mean = np.zeros(3)
    with pytest.raises(AttributeError):
        model.scaling = before
    assert repr(pickle.loads(pickle.dumps(after))) == repr(after)


def test_it_prints_as_a_table():
    X, y = table()
    model = fastgd.MLP([3, 1])
    nothing = "Nothing is scaled, as before the first fit, and with standardize=False."
    assert repr(model.scaling).splitlines()[-1] == nothing
    model.fit(pd.DataFrame(X, columns=["size", "rooms", "age"]), y, epochs=0, verbose=0)
    lines = repr(model.scaling).splitlines()
    assert lines[0].split() == ["mean", "standard", "deviation"]
    assert [line.split()[0] for line in lines[2:]] == ["size", "rooms", "age", "y"]
    assert lines[2].split()[1:] == [f"{X[:, 0].mean():.6g}", f"{X[:, 0].std():.6g}"]
    assert [line.split()[:3] for line in repr(learned("mse", 2, np.c_[y, y], X).scaling).splitlines()[-2:]] == [
        ["y,", "column", "0"],
        ["y,", "column", "1"],
    ]


@pytest.mark.parametrize("n_in", [20, 21, 500])
def test_a_long_table_fits_a_terminal(n_in):
    names = [f"{'x' * 100}\n{i}" for i in range(n_in)]
    lines = repr(fastgd.MLP([n_in, 1], feature_names=names).scaling).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 2 + min(n_in, 20) + (n_in > 20) + 1 + 1
    assert (lines[-3] == f"… and {n_in - 20:,} more") == (n_in > 20)
