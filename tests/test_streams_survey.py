"""One pass over the batches of a stream teaches what the whole table in memory does."""

from __future__ import annotations

import math
import pickle
import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgd
from fastgd.data.encoding import MOST_LOOKED_AT
from fastgd.data.lesson import prepared
from fastgd.data.streams import counts, survey
from fastgd.data.streams.located import in_stream
from fastgd.data.streams.moments import moments, weighed
from fastgd.data.streams.sample import Sample
from fastgd.data.streams.source import Batch
from fastgd.data.streams.survey import Survey
from fastgd.errors import InputWarning, InvalidInputError, PrecisionWarning, kept_warnings

NONE = np.zeros(0)
N = 90
SCALING = ["input_mean", "input_std", "target_mean", "target_std"]


def batches(X, y, weights=None, cuts=(), rank=""):
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(X)}), len(X)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        part = slice(start, stop)
        yield Batch(X[part], y[part], None if weights is None else weights[part], f"{rank}batch {number}", 0)


def surveyed(model, stream, rank=0, **options):
    found = Survey(model.schema, model.net, model.random_state, rank=rank, **options)
    for batch in stream:
        found.look_at(batch)
    return found


def both(model, X, y, weights=None, cuts=(20, 50), class_weight=None, validation_data=None):
    """What a stream and the whole table teach, and what each warns of."""
    with kept_warnings() as told:
        found = surveyed(model, batches(X, y, weights, cuts), class_weight=class_weight)
        taught = found.learned(model.net, model.initializer, validation_data=validation_data)
    with kept_warnings() as told_of_table:
        lesson = prepared(
            model.schema, model.net, X, y, seed=model.random_state, sample_weight=weights, class_weight=class_weight,
            validation_data=validation_data, initializer=model.initializer,
        )  # fmt: skip
    assert told == told_of_table
    return taught, lesson


def assert_same(taught, lesson, X, y, weights=None, rtol=1e-12):
    for name in SCALING:
        np.testing.assert_allclose(getattr(taught.net, name), getattr(lesson.net, name), rtol=rtol, atol=0)
    for name in ("classes_known", "feature_names", "target_names", "scaled"):
        assert getattr(taught.schema, name) == getattr(lesson.schema, name)
    for one, other in (
        (taught.schema.classes, lesson.schema.classes),
        (taught.schema.target.range, lesson.schema.target.range),
    ):
        assert (one is None and other is None) or (one.dtype == other.dtype and (one == other).all())
    parts = [taught.rows_of(batch) for batch in batches(X, y, weights, (7, 40))]
    for place, name in enumerate(("X", "Y", "weights")):
        streamed, whole = np.concatenate([part[place] for part in parts]), getattr(lesson.rows, name)
        if name == "weights":
            np.testing.assert_allclose(streamed, whole, rtol=1e-6 if whole.dtype == np.float32 else 1e-14)
        else:
            assert streamed.dtype == whole.dtype
            assert (streamed == whole).all()


# Moments.

COLUMNS = {
    "plain": lambda g, n: g.normal(size=n),
    "far": lambda g, n: 1e8 + g.normal(size=n) * 1e-4,
    "farther": lambda g, n: -1e15 + g.integers(0, 3, n),
    "constant": lambda g, n: np.full(n, 0.1),
    "one differs": lambda g, n: np.where(np.arange(n) == n // 2, 0.1 * (1 + 1e-15), 0.1),
    "steps": lambda g, n: np.repeat([1e10, 1.0], [n // 2, n - n // 2]) + g.normal(size=n),
    "tiny": lambda g, n: g.normal(size=n) * 1e-150,
    "huge": lambda g, n: g.normal(size=n) * 1e150,
    "an outlier": lambda g, n: np.where(np.arange(n) == 0, 1e9, g.normal(size=n)),
    "far, an outlier": lambda g, n: np.where(np.arange(n) == 0, 0, 1e8 + g.normal(size=n) * 1e-3),
}


def exact(column, weights):
    shares = [Fraction(weight) for weight in (weights if weights.size else np.ones(len(column)))]
    values = [Fraction(value) for value in column]
    mean = sum(w * v for w, v in zip(shares, values, strict=True)) / sum(shares)
    variance = sum(w * (v - mean) ** 2 for w, v in zip(shares, values, strict=True)) / sum(shares)
    return float(mean), math.sqrt(variance)


def merged_moments(table, weights, cuts):
    edges = [0, *sorted(set(cuts)), len(table)]
    found = None
    for start, stop in pairwise(edges):
        part, each = table[start:stop], weights[start:stop]
        more = moments(part, each), weighed(each, len(part))
        if found:
            whole, share = found[1].merged(more[1])
            more = found[0].merged(more[0], share), whole
        found = more
    return found[0]


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, N - 1), max_size=N),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["none", "zeros", "tiny", "huge"]),
)
def test_moments_are_exact_however_rows_are_cut(cuts, seed, kind):
    generator = np.random.default_rng(seed)
    table = np.column_stack([make(generator, N) for make in COLUMNS.values()])
    weights = {"none": NONE, "zeros": generator.choice([0.0, 0.3, 5.0], N), "tiny": generator.uniform(size=N) * 1e-300,
               "huge": generator.uniform(size=N) * 1e306}[kind]  # fmt: skip
    found = merged_moments(table, weights, cuts)
    for place, (name, column) in enumerate(zip(COLUMNS, table.T, strict=True)):
        mean, std = exact(column, weights)
        assert found.std[place] == pytest.approx(std, rel=1e-12, abs=0), name
        assert abs(found.mean[place] - mean) <= 1e-15 * abs(mean) + 1e-12 * std, name
    constant = list(COLUMNS).index("constant")
    assert (found.mean[constant], found.std[constant]) == (0.1, 0.0)


def test_the_formula_that_cancels_would_be_noticed():
    column = COLUMNS["far"](np.random.default_rng(0), N)
    naive = np.sqrt(max((column**2).mean() - column.mean() ** 2, 0))
    assert naive != pytest.approx(exact(column, NONE)[1], rel=1e-3)


def test_moments_across_chunks_of_a_batch(monkeypatch):
    table = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 1e-3, 1e6] + [5, 0, -1e6]
    weights = np.random.default_rng(1).choice([0.0, 1.0, 2.5], 1000)
    whole = [moments(table, each) for each in (NONE, weights)]
    monkeypatch.setattr("fastgd.data.arrays.CHUNK", 64)
    for each, wanted in zip((NONE, weights), whole, strict=True):
        found = moments(table, each)
        np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-12)
        np.testing.assert_allclose(found.std, wanted.std, rtol=1e-12)
    weights[:500] = 0
    np.testing.assert_allclose(moments(table, weights).std, moments(table[500:], weights[500:]).std, rtol=1e-12)


def test_many_rows_without_a_column_have_moments():
    """As of a model that knows its scaling already, and looks at nothing but the number of rows."""
    assert [field.shape for field in moments(np.ones((100_000, 0), np.float32), NONE)] == [(0,)] * 5


# The whole road against tables in memory.

CASES = {
    "mse": ([3, 4, 1], {}),
    "plain": ([3, 4, 1], {"standardize": False}),
    "two targets": ([3, 4, 2], {"loss": "mae", "clip_predictions": True}),
    "logarithms": ([3, 4, 1], {"log_target": True, "clip_predictions": True}),
    "counts": ([3, 4, 1], {"loss": "poisson"}),
    "two classes": ([3, 4, 1], {"loss": "binary_cross_entropy"}),
    "classes": ([3, 4, 4], {"loss": "cross_entropy"}),
    "known classes": ([3, 4, 4], {"loss": "cross_entropy", "classes": ["d", "c", "b", "a"]}),
    "labels": ([3, 4, 2], {"loss": "binary_cross_entropy"}),
}


def made(case, seed=0, dtype="float64"):
    sizes, options = CASES[case]
    generator = np.random.default_rng(seed)
    model = fastgd.MLP(sizes, dtype=dtype, **options)
    X = generator.normal(size=(N, 3)) * [1, 1e5, 1e-2] + [0, 1e6, 3]
    y = {
        "two targets": lambda: generator.normal(size=(N, 2)) * [1, 100],
        "counts": lambda: generator.poisson(3, N),
        "two classes": lambda: generator.integers(0, 2, N),
        "classes": lambda: generator.choice(["x", "b", "c", "aa"], N),
        "known classes": lambda: generator.choice(["b", "c", "a"], N),
        "labels": lambda: generator.integers(0, 2, (N, 2)),
    }.get(case, lambda: generator.uniform(1, 9, N))()
    return model, X, y, generator.choice([0.0, 0.5, 3.0], N)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("is_weighted", [False, True])
@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, N - 1), max_size=30), seed=st.integers(0, 9))
def test_any_cut_teaches_what_the_table_does(case, is_weighted, cuts, seed):
    model, X, y, weights = made(case, seed)
    weights = weights if is_weighted else None
    taught, lesson = both(model, X, y, weights, cuts)
    assert_same(taught, lesson, X, y, weights)


@pytest.mark.parametrize("case", ["two classes", "classes", "known classes"])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", "dict", "zero"])
def test_class_weights(case, is_weighted, class_weight):
    model, X, y, weights = made(case)
    label = y[0].item()
    X[y == label] += 1e6  # the weight of the class moves the means
    wanted = {"dict": {label: 3.5}, "zero": {label: 0.0}}.get(class_weight, class_weight)
    weights = weights if is_weighted else None
    taught, lesson = both(model, X, y, weights, [1, 2, 30, 80], wanted)
    assert_same(taught, lesson, X, y, weights)
    unweighted, _ = both(model, X, y, weights)
    assert abs(taught.net.input_mean / unweighted.net.input_mean - 1).max() > 1e-6


@pytest.mark.parametrize("class_weight", [None, {0: 2, 1: 1}])
def test_equal_weights_are_none(class_weight):
    model, X, y, _ = made("two classes")
    weights = np.where(y == 0, 0.15, 0.3) if class_weight else np.full(N, 0.7)
    taught, lesson = both(model, X, y, weights, [40], class_weight)
    assert lesson.rows.weights.size == 0
    assert_same(taught, lesson, X, y, weights)


def test_float32_is_scaled_as_cast():
    model, X, y, _ = made("mse", dtype="float32")
    taught, lesson = both(model, X, y)
    assert_same(taught, lesson, X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("frame", [None, pd.DataFrame, pl.DataFrame])
def test_what_hardly_varies_is_told_once_as_of_a_table(dtype, frame):
    model = fastgd.MLP([5, 3, 2], dtype=dtype)
    generator = np.random.default_rng(0)
    X = np.column_stack([
        generator.normal(size=N),
        1_600_000_000 + np.arange(N) * 100.0,
        1e9 + generator.normal(size=N),
        np.full(N, 3e7 + 1),
        np.where(np.arange(N) == 70, 1e16 + 2, 1e16),
    ])  # fmt: skip
    y = np.column_stack([np.full(N, 7.25), 1e12 + np.arange(N)])
    if frame:
        X = frame(X, columns=list("abcde")) if frame is pd.DataFrame else frame(X, schema=list("abcde"))
    taught, lesson = both(model, X, y, None, range(1, N, 8))
    assert_same(taught, lesson, X, y)
    assert np.isinf(taught.net.input_std[3])


def test_a_single_row_says_nothing_of_what_varies():
    model, X, y, _ = made("mse")
    taught, lesson = both(model, X[:1], y[:1])
    assert (taught.net.input_std == 1).all()
    assert (lesson.net.input_std == 1).all()
    weights = np.zeros(N)
    weights[50] = 2
    taught, _ = both(model, X, y, weights)
    assert (taught.net.input_std == 1).all()


def test_a_fitted_model_keeps_its_scaling_and_learns_what_varies_now():
    model, X, y, _ = made("two targets")
    X[:, 1] = 5
    model.fit(X, y, epochs=1, verbose=0)
    before = model.net.input_mean.copy()
    taught, lesson = both(model, X * 2, y * 10)  # another constant
    assert_same(taught, lesson, X * 2, y * 10)
    assert taught.net.input_std[1] == 2.5
    again = X.copy()
    again[33:, 1] = np.arange(N - 33)
    taught, lesson = both(model, again, y)
    assert_same(taught, lesson, again, y)
    assert np.isfinite(taught.net.input_std).all()
    assert (model.net.input_mean == before).all()
    same, _ = both(model, X, y)
    assert same.net is not model.net
    assert np.isinf(same.net.input_std[1])


def test_validation_data_teach_classes_and_count_by_class():
    model = fastgd.MLP([3, 4, 4], loss="cross_entropy", classes=None)
    _, X, y, _ = made("classes")
    y = np.where(y == "aa", "x", y)
    held = X[:10], np.array(["new", "b"] * 5)
    taught, lesson = both(model, X, y, None, (20,), {"b": 2.0}, held)
    assert taught.schema.classes.tolist() == lesson.schema.classes.tolist() == ["b", "c", "x", "new"]
    assert (taught.held_out.Y == lesson.held_out.Y).all()
    assert (taught.held_out.in_loss == lesson.held_out.in_loss).all()


# Classes.


def test_classes_that_come_late_have_the_numbers_of_the_whole_table():
    model, X, y, _ = made("classes")
    y = np.sort(y)[::-1].astype("<U2")  # the last class comes first
    taught, lesson = both(model, X, y, None, range(1, N, 5))
    assert_same(taught, lesson, X, y)
    places = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in taught.probe.X]
    assert (taught.probe.Y[:, 0] == lesson.rows.Y[places, 0]).all()


def test_further_classes_stand_behind_those_that_are_known():
    model = fastgd.MLP([3, 4, 5], loss="cross_entropy", classes=None)
    _, X, y, _ = made("classes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        model.fit(X, np.where(y == "x", "b", y), epochs=1, verbose=0)
    y = np.where(y == "x", "b", y)
    y[5], y[60] = "zz", "ne"  # in this order they come, in the other they stand
    for cuts in ([3, 50], [70]):
        taught, lesson = both(model, X, y, None, cuts)
        assert taught.schema.classes.tolist() == ["aa", "b", "c", "ne", "zz"]
        assert_same(taught, lesson, X, y)
    y[80] = "no"
    with pytest.raises(InvalidInputError, match=r"^batch 2, row 10: y has the label 'ne', which .*: aa, b, c, zz\.$"):
        surveyed(model, batches(X, y, None, [3, 50]))


@pytest.mark.parametrize("dtypes", [(bool, int), (np.int8, np.uint64), (np.uint64, np.int64), (float, int)])
def test_labels_of_several_types_are_one_class(dtypes):
    model = fastgd.MLP([3, 4, 2], loss="cross_entropy")
    _, X, _, _ = made("classes")
    y = np.arange(N) % 2
    stream = [
        Batch(X[:40], y[:40].astype(dtypes[0]), None, "a", 0),
        Batch(X[40:], y[40:].astype(dtypes[1]), None, "b", 0),
    ]
    taught = surveyed(model, stream).learned(model.net)
    assert taught.schema.classes.tolist() == [0, 1]
    assert (taught.rows_of(stream[1])[1][:, 0] == y[40:]).all()


def test_categories_that_all_batches_name_are_the_classes():
    model = fastgd.MLP([3, 4, 4], loss="cross_entropy")
    _, X, y, _ = made("classes")
    y = pl.Series(np.where(y == "x", "b", y), dtype=pl.Enum(["x", "c", "b", "aa"]))
    taught, lesson = both(model, X, y)
    assert taught.schema.classes.tolist() == lesson.schema.classes.tolist() == ["x", "c", "b", "aa"]


def test_categories_that_batches_name_differently_are_labels_that_occur():
    model = fastgd.MLP([3, 4, 3], loss="cross_entropy")
    _, X, _, _ = made("classes")
    parts = [pd.Categorical(list(text), list(text)[::-1]) for text in ("cba", "cb", "abc")]
    stream = [Batch(X[: len(part)], pd.Series(part), None, "a", 0) for part in parts]
    assert surveyed(model, stream[-1:]).learned(model.net).schema.classes.tolist() == ["c", "b", "a"]
    assert surveyed(model, stream).learned(model.net).schema.classes.tolist() == ["a", "b", "c"]


def test_probabilities_may_come_after_whole_numbers():
    model, X, y, _ = made("two classes")
    y = np.where(np.arange(N) > 60, 0.25, y)
    taught, lesson = both(model, X, y, None, [20, 50])
    assert_same(taught, lesson, X, y)
    assert taught.are_shares
    turned = fastgd.MLP([3, 4, 1], loss="binary_cross_entropy", classes=[1, 0], dtype="float64")
    taught, lesson = both(turned, X, y, None, [20, 50])
    assert_same(taught, lesson, X, y)


# Tables that are encoded.


def houses(n=3000, seed=0):
    generator = np.random.default_rng(seed)
    sizes = generator.lognormal(4, 1, n).round(1)
    town = generator.choice(["Rome", "Oslo", "Lima", None, "rare"], n, p=[0.4, 0.3, 0.25, 0.045, 0.005])
    frame = pl.DataFrame({
        "size": [None if g < 0.02 else s for g, s in zip(generator.uniform(size=n), sizes, strict=True)],
        "town": town,
        "new": generator.integers(0, 2, n).astype(bool),
        "rooms": generator.integers(1, 7, n),
    })  # fmt: skip
    return frame, np.log(sizes) + (town == "Rome") + generator.normal(size=n) / 10, generator.choice([1.0, 2.5], n)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("n", [200, 3000])
@pytest.mark.parametrize("cuts", [(), range(1, 3000, 101)])
def test_a_table_that_the_sample_holds_is_encoded_to_the_bit_as_in_memory(is_weighted, n, cuts):
    frame, y, weights = houses(n)
    weights = weights if is_weighted else None
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    taught, lesson = both(model, frame, y, weights, cuts)
    assert repr(taught.schema.encoder) == repr(lesson.schema.encoder)
    assert pickle.dumps(taught.schema.encoder.codes) == pickle.dumps(lesson.schema.encoder.codes)
    assert_same(taught, lesson, frame, y, weights, rtol=1e-7)
    for name in ("input_mean", "input_std", "bin_mean", "bin_scale", "parameters"):
        assert (getattr(taught.net, name) == getattr(lesson.net, name)).all()
    rows = {row.tobytes() for row in lesson.rows.X}
    assert all(row.tobytes() in rows for row in taught.probe.X)
    assert len(taught.probe.X) == min(n, survey.PROBE_ROWS)


def test_classes_choose_bins_as_in_memory():
    frame, y, _ = houses()
    labels = np.digitize(y, [4, 5])
    model = fastgd.MLP([4, 8, 3], loss="cross_entropy", encoding="auto")
    for class_weight in (None, "balanced"):
        taught, lesson = both(model, frame, labels, None, range(1, 3000, 500), class_weight)
        assert pickle.dumps(taught.schema.encoder.codes) == pickle.dumps(lesson.schema.encoder.codes)
        np.testing.assert_allclose(taught.net.input_std, lesson.net.input_std, rtol=1e-6)


def test_of_a_longer_table_levels_and_gaps_are_counted_in_all_rows(monkeypatch):
    monkeypatch.setattr(survey, "MOST_ROWS", 300)
    frame, y, _ = houses()
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    taught, lesson = both(model, frame, y, None, range(1, 3000, 97))
    for place in (1, 2):
        assert taught.schema.encoder.codes[place] == lesson.schema.encoder.codes[place]
    assert taught.schema.encoder.codes[0].has_gaps
    np.testing.assert_allclose(taught.net.target_std, lesson.net.target_std, rtol=1e-6)
    assert len(taught.probe.X) == 300


def test_a_level_that_counts_least_is_never_lost_by_chance(monkeypatch):
    monkeypatch.setattr(survey, "MOST_ROWS", 50)
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=5000), "b": ["x"] * 4990 + ["y"] * 10})
    model = fastgd.MLP([2, 3, 1], encoding="auto")
    taught = surveyed(model, batches(frame, frame["a"], None, [100, 4991])).learned(model.net)
    assert taught.schema.encoder.codes[1].levels == ("x", "y")


def test_gaps_alone_have_no_kind():
    a = pl.DataFrame({"a": [1.0, 2.0], "b": pl.Series([None, None], dtype=pl.Float64)})
    b = pl.DataFrame({"a": [3.0, 4.0], "b": ["x", "y"]})
    c = pl.DataFrame({"a": pl.Series([None, None], dtype=pl.String), "b": [None, "y"]})
    for order in ((a, b, c), (b, a, c), (c, b, a)):
        model = fastgd.MLP([2, 3, 1], encoding=fastgd.Encoding(least_rows=1))
        stream = [Batch(frame, np.array([1.0, k]), None, f"batch {k}", 0) for k, frame in enumerate(order)]
        number, label = surveyed(model, stream).learned(model.net).schema.encoder.codes
        assert (number.has_gaps, label.levels, label.has_gaps) == (True, ("x", "y"), True)


def test_labels_beyond_the_bound_count_as_rare_and_are_told(monkeypatch):
    monkeypatch.setattr(counts, "MOST_LABELS", 20)
    n = 1000
    names = [f"n{row}" if row % 2 else "often" for row in range(n)]
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=n), "b": names})
    model = fastgd.MLP([2, 3, 1], encoding="auto")
    found = surveyed(model, batches(frame, frame["a"], None, [300, 600]))
    with pytest.warns(
        InputWarning, match=r"^X, column 1 \(b\) has more than 20 different labels: .* in 481 rows, count"
    ):
        taught = found.learned(model.net)
    code = taught.schema.encoder.codes[1]
    assert (code.levels, code.has_rare, code.known) == (("often",), True, None)
    encoded = taught.rows_of(Batch(frame[700:702], frame["a"][700:702], None, "b", 0))[0]
    assert encoded[:, -1].tolist() == [1, 2]


def test_a_column_that_counts_the_rows_is_told_as_of_a_table():
    frame, y, _ = houses(1500)
    frame = frame.with_columns(rooms=pl.int_range(5, 1505).cast(pl.Float64))
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    with kept_warnings() as told:
        surveyed(model, batches(frame, y, None, [1, 2, 700])).learned(model.net)
    assert "counts the rows" in told[0][0]
    both(model, frame, y, np.arange(1500) % 3 * 1.0, [1, 2, 700])
    shifted = frame.with_columns(rooms=pl.col("rooms") + 10 * (pl.int_range(1500) >= 700))
    with kept_warnings() as told:
        surveyed(model, batches(shifted, y, None, [700])).learned(model.net)
    assert not told


def test_a_fitted_encoder_stays_and_tells_of_new_rows_once():
    frame, y, _ = houses()
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    model.fit(frame, y, epochs=1, verbose=0)
    new = frame.with_columns(town=pl.lit("Bern"))
    with pytest.warns(
        InputWarning, match=r"^batch 0, row 0: X, column 1 \(town\) is 'Bern', which the fit has not seen"
    ):
        found = surveyed(model, batches(new, y, None, range(1, 3000, 500)))
    taught = found.learned(model.net)
    assert taught.schema.encoder is model.schema.encoder
    assert taught.net is model.net


# The sample.


def drawn(sizes, rank=0, most=100, seed=0, counting=None):
    sample, start = Sample(most, seed, rank), 0
    for size in sizes:
        rows = np.arange(start, start + size)
        sample.add(size, None if counting is None else counting[rows], lambda places, rows=rows: (rows[places],))
        start += size
    return sample


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 700), max_size=12))
def test_a_sample_depends_on_no_batch(sizes):
    rows = drawn([*sizes, max(5000 - sum(sizes), 1)]).rows()
    n = max(5000, sum(sizes) + 1)
    wanted = np.sort(np.argsort(np.random.PCG64(np.random.SeedSequence([0, 0])).random_raw(n))[:100])
    assert rows.fields[0].tolist() == rows.numbers.tolist() == wanted.tolist()


def test_samples_are_merged_in_any_order_to_the_same_rows():
    def three():
        return [drawn([n, 50], rank) for rank, n in enumerate((900, 30, 2000))]

    a, b, c = three()
    a.merge(b)
    a.merge(c)
    d, e, f = three()
    e.merge(f)
    e.merge(d)
    for one, other in zip(a.rows()[:3], e.rows()[:3], strict=True):
        assert (one == other).all()
    of_rank = [set(a.rows().numbers[a.rows().ranks == rank].tolist()) for rank in (0, 2)]
    assert len(of_rank[0] & of_rank[1]) < len(of_rank[0]) / 2  # machines draw keys of their own
    shares = np.bincount(a.rows().ranks, minlength=3)
    assert shares.sum() == 100
    assert abs(shares - 100 * np.array([950, 80, 2050]) / 3080).max() < 15


def test_every_row_is_drawn_as_often_as_any_other():
    times = np.zeros(400)
    for seed in range(500):
        times[drawn([150, 250], seed=seed).rows().numbers] += 1
    statistic = ((times - 125) ** 2 / (125 * 0.75)).sum()
    assert abs(statistic - 400) < 6 * math.sqrt(2 * 400)
    times[:200] += 20  # a draw that favours the first rows would be noticed
    assert abs(((times - 125) ** 2 / (125 * 0.75)).sum() - 400) > 6 * math.sqrt(2 * 400)


def test_rows_that_do_not_count_are_not_drawn():
    counting = np.arange(1000) % 10 == 3
    assert drawn([300, 700], counting=counting).rows().numbers.tolist() == np.flatnonzero(counting).tolist()


def test_quantiles_of_a_sample_are_as_near_as_the_bound_says():
    n, most, tables = 20_000, 1000, 200
    bound = math.sqrt(math.log(2 / 0.05) / (2 * most))
    off = []
    for seed in range(tables):
        ranks = np.sort(drawn([n // 2, n // 2], most=most, seed=seed).rows().numbers) / n
        off.append(
            max(np.abs(ranks - np.arange(1, most + 1) / most).max(), np.abs(ranks - np.arange(most) / most).max())
        )
    assert np.mean(np.array(off) > bound) <= 0.05
    assert np.mean(np.array(off) > bound / 2) > 0.2  # a bound half as large would not hold
    first = np.arange(most) / n  # nor does it for the first rows
    assert np.abs(first - np.arange(most) / most).max() > bound


def test_the_error_that_is_stated():
    for share, stated in ((0.05, 0.0038), (0.001, 0.0054)):
        assert math.sqrt(math.log(2 / share) / (2 * survey.MOST_ROWS)) == pytest.approx(stated, abs=5e-5)
    assert survey.MOST_ROWS == MOST_LOOKED_AT


# Several machines.


@pytest.mark.parametrize("case", CASES)
def test_shares_are_merged_to_what_all_rows_teach(case):
    model, X, y, weights = made(case)
    shares = []
    for rank, part in enumerate((slice(0, 30), slice(30, 33), slice(33, N))):
        stream = batches(X[part], y[part], weights[part], [2, 11], f"machine {rank}, ")
        shares.append(surveyed(model, stream, rank))
    shares.insert(1, Survey(model.schema, model.net, 0, rank=9))  # one without rows
    first, *others = pickle.loads(pickle.dumps(shares))
    for other in others:
        first.merge(other)
    _, lesson = both(model, X, y, weights)
    taught = first.learned(model.net)
    assert_same(taught, lesson, X, y, weights)
    assert first.n_rows == N


def test_shares_of_an_encoded_table():
    frame, y, weights = houses()
    model = fastgd.MLP([4, 8, 1], encoding="auto")
    first, other = (
        surveyed(model, batches(frame[part], y[part], weights[part], [500]), rank)
        for rank, part in enumerate((slice(0, 1000), slice(1000, 3000)))
    )
    empty = Survey(model.schema, model.net, 0, rank=7)
    empty.merge(first)
    empty.merge(other)
    taught, lesson = empty.learned(model.net), both(model, frame, y, weights)[1]
    assert pickle.dumps(taught.schema.encoder.codes) == pickle.dumps(lesson.schema.encoder.codes)
    assert (taught.probe.X[:, 0] != taught.probe.X[0, 0]).any()


def test_a_survey_does_not_grow_with_the_stream():
    model, X, y, _ = made("mse")
    sizes = []
    for times in (30, 300):
        found = surveyed(model, (batch for _ in range(times) for batch in batches(X, y)))
        sizes.append(len(pickle.dumps(found)))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.3)
    assert sizes[1] < 200_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda X, y, w: (X.rename(columns={"a": "z"}), y, w),
            r"^rank 1, batch 0: the columns of X are z, b, c, but a",
        ),
        (lambda X, y, w: (X[["b", "a", "c"]], y, w), "need the same columns in the same order"),
        (lambda X, y, w: (X, y, None), r"^Only one of rank 1, batch 0 and rank 0, batch 0 has weights of rows"),
        (lambda X, y, w: (X.to_numpy(), y, w), "^rank 1, batch 0: the columns of X are none, but a, b, c in rank 0"),
        (
            lambda X, y, w: (X, np.arange(N) % 4, w),
            r"^y has labels of text \(aa\) in some batches, and of numbers \(0\)",
        ),
        (
            lambda X, y, w: (X, np.array(list("pqr") * 30), w),
            r"^y has 7 classes \(aa, b, c, p, q, …\), but the network",
        ),
    ],
)
def test_shares_that_differ(change, message):
    model, X, y, weights = made("classes")
    X = pd.DataFrame(X, columns=list("abc"))
    first = surveyed(model, batches(X, y, weights, rank="rank 0, "))
    other = surveyed(model, batches(*change(X, y, weights), rank="rank 1, "), 1)
    with pytest.raises(InvalidInputError, match=message):
        first.merge(other)


# What is refused.


def bad(X, row=3, column=1, value=np.nan):
    X = X.copy()
    X[row, column] = value
    return X


@pytest.mark.parametrize(
    ("case", "change", "message"),
    [
        ("mse", lambda b: b._replace(X=bad(b.X)), r"^part 2, row 1003: X, column 1 is nan: fill it"),
        ("mse", lambda b: b._replace(X=b.X[:, :2]), r"^part 2: X has 2 columns, but the network has 3 inputs\.$"),
        ("mse", lambda b: b._replace(X=b.X.astype(str)), r"^part 2, row 1000: X, column 0 holds text"),
        (
            "mse",
            lambda b: b._replace(X=pd.DataFrame(b.X)),
            r"^part 2: X has names of columns, but had none in batch 0\.$",
        ),
        ("mse", lambda b: b._replace(y=None), r"^part 2: there is no y, but each row needs its actual value\.$"),
        ("mse", lambda b: b._replace(y=b.y[:-1]), "^part 2: X and y have different lengths"),
        ("mse", lambda b: b._replace(y=b.y[:, None].repeat(2, 1)), r"^part 2: y has shape \(\d+, 2\), but the network"),
        (
            "mse",
            lambda b: b._replace(weights=np.ones(len(b.X))),
            r"^part 2: there are weights of rows, but there were n",
        ),
        ("logarithms", lambda b: b._replace(y=b.y - 5), r"^part 2, row 100\d: y is -?\d.*log_target needs positive"),
        ("counts", lambda b: b._replace(y=-1 - b.y), r"^part 2, row 1000: y is -\d\.0: poisson needs counts"),
        (
            "classes",
            lambda b: b._replace(y=np.array(list("pqr") * 30)[:40]),
            r"^part 2: y has 7 classes \(aa, b, c, p, q",
        ),
        ("classes", lambda b: b._replace(y=np.arange(40)), r"^part 2: y has labels of text \(aa\) in some batches"),
        ("known classes", lambda b: b._replace(y=np.array(["c", "q"] * 20)), r"^part 2, row 1001: y has the label 'q'"),
        (
            "two classes",
            lambda b: b._replace(y=b.y + 0.5),
            r"^part 2, row 100\d: y is 1\.5: binary_cross_entropy needs",
        ),
        ("mse", lambda b: b._replace(X=b.X[:0], y=b.y[:0]), r"^part 2: X is empty"),
    ],
)
def test_bad_batches_are_named(case, change, message):
    model, X, y, _ = made(case)
    first, second = batches(X, y, None, [50])
    second = change(second._replace(where="part 2", first=1000))
    found = surveyed(model, [first])
    with pytest.raises(InvalidInputError, match=message):
        found.look_at(second)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": [1.0, 2.0], "c": ["x", "y"]}, r"^part 2: X lacks b and has c besides: the model was made for a, b\.$"),
        (
            {"a": ["u", "v"], "b": ["x", "y"]},
            r"^part 2: X, column 0 \(a\) holds text here, but held numbers before: make",
        ),
        ({"a": [1.0, 2.0], "b": [1, 2]}, r"^part 2: X, column 1 \(b\) holds numbers here, but held text before"),
        ({"a": [1.0, np.inf], "b": ["x", "y"]}, r"^part 2, row 1001: X, column 0 \(a\) is inf: correct it"),
    ],
)
def test_bad_batches_of_a_table_that_is_encoded(table, message):
    model = fastgd.MLP([2, 3, 1], encoding="auto")
    found = surveyed(model, [Batch(pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), np.arange(2.0), None, "a", 0)])
    with pytest.raises(InvalidInputError, match=message):
        found.look_at(Batch(pl.DataFrame(table), np.arange(2.0), None, "part 2", 1000))


def test_columns_in_another_order_are_read_by_name():
    model, X, y, _ = made("mse")
    frame = pd.DataFrame(X, columns=list("abc"))
    first, second = batches(frame, y, None, [40])
    taught = surveyed(model, [first, second._replace(X=second.X[["c", "a", "b"]])]).learned(model.net)
    np.testing.assert_allclose(taught.net.input_mean, X.mean(axis=0), rtol=1e-12)


def test_what_cannot_be_learned_from():
    model, X, y, _ = made("classes")
    with pytest.raises(InvalidInputError, match=r"^The stream has no rows: there is nothing to learn from\.$"):
        Survey(model.schema, model.net, 0).learned(model.net)
    with pytest.raises(InvalidInputError, match=r"^sample_weight is 0 in every row: nothing is left to learn from\.$"):
        surveyed(model, batches(X, y, np.zeros(N), [30])).learned(model.net)
    for class_weight, message in (
        ({"nobody": 2}, "class_weight names the class 'nobody', which the model does not know"),
        (dict.fromkeys(["aa", "b", "c", "x"], 0), "class_weight leaves every row with weight 0"),
    ):
        found = surveyed(model, batches(X, y, None, [30]), class_weight=class_weight)
        with pytest.raises(InvalidInputError, match=message):
            found.learned(model.net)
    with pytest.raises(InvalidInputError, match=r"^class_weight must be a dict"):
        Survey(model.schema, model.net, 0, class_weight="fair")
    only_b = np.where(y == "b", 1.0, 0.0)
    found = surveyed(model, batches(X, y, only_b, [30]), class_weight={"b": 0})
    with pytest.raises(
        InvalidInputError, match=r"^class_weight and sample_weight leave every row with weight 0: nothing"
    ):
        found.learned(model.net)
    numbers = made("mse")[0]
    with pytest.raises(InvalidInputError, match="class_weight is for classes; with loss='mse' there are none"):
        Survey(numbers.schema, numbers.net, 0, class_weight="balanced")
    two, X, _, _ = made("two classes")
    with pytest.raises(InvalidInputError, match=r"^batch 0: class_weight is for labels of classes; y holds probab"):
        surveyed(two, batches(X, np.full(N, 0.5)), class_weight="balanced")


def test_labels_that_are_no_probabilities_do_not_go_with_some():
    model, X, _, _ = made("two classes")
    first, second = batches(X, np.where(np.arange(N) < 40, 2 + np.arange(N) % 2, 0.5), None, [40])
    for stream in ([first, second], [second, first]):
        with pytest.raises(InvalidInputError, match=r"^batch \d.* y "):
            surveyed(model, stream)


def test_what_is_too_large_is_told_in_the_end():
    model, X, y, _ = made("mse")
    X[::2, 1] = 1e200
    with pytest.raises(InvalidInputError, match=r"^X, column 1 has a spread too large for float64: use other units\.$"):
        surveyed(model, batches(X, y, None, [30])).learned(model.net)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("X, row 3, column 2 is nan: fill it.", "b, row 13: X, column 2 is nan: fill it."),
        ("X, column 2 (a, row 7), row 3 is inf.", "b, row 13: X, column 2 (a, row 7) is inf."),
        ("y, row 3 has the label 'a, row 5'.", "b, row 13: y has the label 'a, row 5'."),
        ("X, column 1 has both; row 3 holds 'x'.", "b, row 13: X, column 1 has both; this row holds 'x'."),
        ("X has 2 columns.", "b: X has 2 columns."),
    ],
)
def test_messages_name_the_row_in_the_stream(message, told):
    assert in_stream(message, Batch(None, None, None, "b", 10)) == told


# Batches as kernels take them.


def test_rows_that_are_ready_are_not_copied():
    model, X, y, _ = made("mse", dtype="float32")
    taught = surveyed(model, batches(X, y)).learned(model.net)
    ready = X.astype(np.float32)
    table, targets, weights = taught.rows_of(Batch(ready, y, None, "b", 0))
    assert table.base is ready
    assert ready.flags.writeable
    for part in (table, targets, weights):
        assert part.dtype == np.float32
        assert part.flags.c_contiguous
        assert not part.flags.writeable
    assert targets.shape == (N, 1)
    fortran = taught.rows_of(Batch(np.asfortranarray(ready), y, None, "b", 0))[0]
    assert fortran.flags.c_contiguous


def test_later_passes_are_checked_as_the_first():
    model, X, y, weights = made("mse")
    taught = surveyed(model, batches(X, y, weights)).learned(model.net)
    with pytest.raises(InvalidInputError, match=r"^batch 4, row 12: X, column 1 is nan"):
        taught.rows_of(Batch(bad(X), y, weights, "batch 4", 9))
    with pytest.raises(
        InvalidInputError, match=r"^batch 4: there are no weights of rows, but there were some when the"
    ):
        taught.rows_of(Batch(X, y, None, "batch 4", 9))


def test_the_rows_of_a_probe_are_drawn_from_all_over_the_stream():
    n = 20_000
    X = np.arange(n)[:, None] * np.ones(3)
    model = fastgd.MLP([3, 4, 1], dtype="float64")
    taught = surveyed(model, batches(X, X[:, 0], None, [5000])).learned(model.net, shuffle=False)
    rows = taught.probe.X[:, 0]
    assert (len(rows), taught.probe.shuffle, int(taught.probe.seed)) == (survey.PROBE_ROWS, False, model.random_state)
    assert (np.diff(rows) > 0).all()
    assert np.histogram(rows, 10, (0, n))[0].min() > 60
    assert taught.probe.weights.size == 0


def test_precision_is_told_where_labels_have_weights():
    model, X, y, _ = made("two classes", dtype="float32")
    X[:, 1] = 1e9 + np.arange(N)
    with pytest.warns(PrecisionWarning, match=r"^X, column 1 varies by 30.8 around 1e"):
        surveyed(model, batches(X, y, None, [9]), class_weight="balanced").learned(model.net)
