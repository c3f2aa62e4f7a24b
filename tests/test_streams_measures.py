"""Loss and metrics over batches equal those of the whole table, however it is cut."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgd
from fastgd.data.streams.checked import measured
from fastgd.data.streams.source import Batch
from fastgd.errors import InvalidInputError, NonFiniteWarning
from fastgd.losses import Quantile
from fastgd.model.metrics import regression_metrics
from fastgd.model.streamed_measures import StreamedMeasures

N = 60
CASES = {
    "mse": ([3, 4, 1], {}),
    "two targets": ([3, 4, 2], {"loss": "huber"}),
    "log": ([3, 4, 1], {"log_target": True}),
    "quantiles": ([3, 4, 6], {"loss": Quantile([0.1, 0.5, 0.9])}),
    "counts": ([3, 4, 1], {"loss": "poisson"}),
    "variances": ([3, 4, 2], {"loss": "gaussian_nll"}),
    "two classes": ([3, 4, 1], {"loss": "binary_cross_entropy"}),
    "classes": ([3, 4, 4], {"loss": "cross_entropy", "classes": ["a", "b", "c", "never"]}),
    "many classes": ([3, 4, 12], {"loss": "cross_entropy"}),
    "labels": ([3, 4, 3], {"loss": "binary_cross_entropy"}),
}
RANKINGS = {"roc_auc", "average_precision"}


def made(case, seed=0):
    sizes, options = CASES[case]
    generator = np.random.default_rng(seed)
    model = fastgd.MLP(sizes, dtype="float64", **options)
    X = generator.normal(size=(N, 3))
    y = np.exp(generator.normal(size=(N, model.network.n_targets)))
    y = {
        "counts": lambda: generator.poisson(3, N),
        "two classes": lambda: generator.integers(0, 2, N),
        "classes": lambda: generator.choice(["a", "b", "c"], N),
        "many classes": lambda: generator.integers(0, 12, N),
        "labels": lambda: generator.integers(0, 2, (N, 3)),
    }.get(case, lambda: y)()
    weights = generator.choice([0.0, 0.5, 1.0, 7.0], N)
    return model, X, y, weights


def streamed(model, X, y, weights, cuts):
    measures = StreamedMeasures(model.schema, model.net)
    predictor = model.predictor()
    edges = [0, *sorted({cut for cut in cuts if cut < len(X)}), len(X)]
    for start, stop in pairwise(edges):
        batch = Batch(X[start:stop], y[start:stop], None if weights is None else weights[start:stop], "batch", start)
        rows = measured(model.schema, batch)
        outputs, _ = predictor.outputs_as_they_are(rows.X)
        measures.add(rows, outputs, predictor.in_user_units(outputs), batch.at)
    return measures


def expected(model, X, y, weights):
    return {name: value for name, value in model.evaluate(X, y, weights).items() if name not in RANKINGS}


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("is_weighted", [False, True])
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, N - 1), max_size=20), seed=st.integers(0, 5))
def test_any_cut_into_batches_measures_the_same(case, is_weighted, cuts, seed):
    model, X, y, weights = made(case, seed)
    weights = weights if is_weighted else None
    assert_same(streamed(model, X, y, weights, cuts).metrics(), expected(model, X, y, weights))


@pytest.mark.parametrize("case", CASES)
def test_shares_of_several_machines_are_put_together(case):
    model, X, y, weights = made(case)
    parts = [streamed(model, X[at], y[at], weights[at], [5, 9]) for at in (slice(0, 20), slice(20, 21), slice(21, N))]
    first, *others = pickle.loads(pickle.dumps(parts))
    for other in others:
        first.merge(other)
    assert_same(first.metrics(), expected(model, X, y, weights))


def test_a_machine_without_rows_changes_nothing():
    model, X, y, _ = made("mse")
    empty, whole = StreamedMeasures(model.schema, model.net), streamed(model, X, y, None, [7])
    empty.merge(whole)
    whole.merge(StreamedMeasures(model.schema, model.net))
    assert empty.metrics() == whole.metrics()
    assert_same(whole.metrics(), expected(model, X, y, None))


def test_weights_of_any_size_count_by_their_ratios():
    model, X, y, weights = made("two targets")
    huge = weights * 1e306
    huge[30:] = weights[30:] * 1e306
    tiny = weights * 1e-310
    for scaled in (huge, tiny):
        assert_same(streamed(model, X, y, scaled, [10, 30, 50]).metrics(), expected(model, X, y, scaled))


def test_r2_does_not_cancel_where_targets_lie_far_from_zero():
    model, X, _, _ = made("mse")
    y = 1e9 + np.random.default_rng(0).normal(size=N) * 1e-3
    model.fit(X, y, epochs=1, verbose=0)
    found = streamed(model, X, y, None, range(1, N)).metrics()
    predicted = model.predict(X)
    exact = [Fraction(value) for value in y]
    mean = sum(exact) / N
    spread = sum((value - mean) ** 2 for value in exact)
    squares = sum((value - Fraction(out)) ** 2 for value, out in zip(exact, predicted, strict=True))
    np.testing.assert_allclose(found["r2"], float(1 - squares / spread), rtol=1e-12)
    cancelled = 1 - float(squares) / float((y**2).sum() - y.sum() ** 2 / N)  # the formula that cancels is told apart
    assert abs(cancelled / found["r2"] - 1) > 1e-3


@pytest.mark.parametrize("is_met", [True, False])
def test_r2_of_a_constant_target(is_met):
    model, X, _, _ = made("mse")
    y = np.full(N, 0.1)
    out = np.full((N, 1), 0.1)
    out[10] += 0 if is_met else 1
    measures = StreamedMeasures(model.schema, model.net)
    for rows in (slice(0, 30), slice(30, 35), slice(35, N)):
        some = measured(model.schema, Batch(X[rows], y[rows], None, "batch", 0))
        measures.add(some, out[rows], out[rows], str)
    found = measures.metrics()
    assert found["r2"] == regression_metrics(out, y[:, None], np.zeros(0))["r2"] == float(is_met)


def test_what_is_infinite_is_told_with_the_place_of_the_largest_value():
    model, X, y, _ = made("mse")
    y[41] = -1e200
    measures = streamed(model, X, y, None, [10, 40, 50])
    with pytest.warns(NonFiniteWarning, match=r"rmse.*: not finite.* is -1e\+200, in batch, row 41\.$"):
        measures.metrics()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b._replace(y=None), r"^batch 7: there is no y, but each row needs its actual value\.$"),
        (lambda b: b._replace(y=b.y[:-1]), "^batch 7: X and y have different lengths"),
        (lambda b: b._replace(weights=-np.ones(N)), r"^batch 7, row 100: sample_weight is -1\.0: a weight must be at"),
        (lambda b: b._replace(X=b.X[:, :2]), "^batch 7: X has 2 columns, but the network has 3 inputs"),
    ],
)
def test_bad_batches_are_named(change, message):
    model, X, y, _ = made("mse")
    with pytest.raises(InvalidInputError, match=message):
        measured(model.schema, change(Batch(X, y, None, "batch 7", 100)))


def test_a_batch_whose_rows_do_not_count_is_no_error():
    model, X, y, weights = made("classes")
    weights[10:20] = 0
    assert_same(streamed(model, X, y, weights, [10, 20]).metrics(), expected(model, X, y, weights))
