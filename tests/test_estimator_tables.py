"""Estimators of tables as they come: text and gaps, several libraries, scikit-learn's tools around them."""

from __future__ import annotations

import pickle
import warnings

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import fastgd
from fastgd.errors import InputWarning, InvalidInputError

matplotlib.use("Agg")
KINDS = [lambda frame: frame, pl.from_pandas, pa.Table.from_pandas]


def homes(n=400, seed=0):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": generator.uniform(30, 200, n),
            "city": generator.choice(["Lyon", "Nice", "Paris"], n, p=[0.5, 0.3, 0.2]),
            "lift": generator.random(n) < 0.5,
            "noise": generator.normal(size=n),
        }
    )
    rate = frame["city"].map({"Lyon": 4000.0, "Nice": 6000.0, "Paris": 11_000.0})
    price = frame["size"] * rate + 50_000 * frame["lift"]
    frame.loc[::20, "size"] = np.nan
    frame.loc[7::20, "city"] = None
    return frame, price.to_numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_with_text_and_gaps(kind):
    frame, price = homes()
    new, actual = homes(300, seed=1)
    model = fastgd.MLPRegressor(random_state=0).fit(kind(frame), price)
    assert model.score(kind(new), actual) > 0.8
    assert model.feature_names_in_.tolist() == ["size", "city", "lift", "noise"]
    without = fastgd.MLPRegressor(random_state=0).fit(kind(frame[["size", "noise"]]), price)
    assert without.score(kind(new[["size", "noise"]]), actual) < 0.7
    is_dear = np.where(price > 800_000, "dear", "cheap")
    classifier = fastgd.MLPClassifier(random_state=0).fit(kind(frame), is_dear)
    assert classifier.score(kind(new), np.where(actual > 800_000, "dear", "cheap")) > 0.85
    assert classifier.predict_proba(kind(new)).shape == (300, 2)
    assert classifier.decision_function(kind(new)).shape == (300,)


def test_arrays_and_lists_with_text():
    frame, price = homes(100)
    rows = frame.to_numpy(object)
    model = fastgd.MLPRegressor(epochs=3, random_state=0).fit(rows, price)
    np.testing.assert_array_equal(model.predict(rows.tolist()), model.predict(rows))
    assert model.n_features_in_ == 4
    assert len(model.model_.encoder.codes[1].levels) == 3


def test_gaps_in_arrays_of_numbers():
    X, y = fastgd.datasets.houses(300, random_state=0)
    X[::7, 0] = np.nan
    model = fastgd.MLPRegressor(random_state=0).fit(X, y)
    assert model.model_.encoder.codes[0].has_gaps
    assert np.isfinite(model.predict(X)).all()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="city"), "Feature names seen at fit time, yet now missing"),
        (lambda frame: frame.assign(more=1), "Feature names unseen at fit time"),
        (lambda frame: frame.rename(columns={"city": "town"}), "feature names should match"),
        (lambda frame: frame.assign(size="large"), r"X, column 0 \(size\), row 0 holds text"),
        (lambda frame: frame.assign(lift=np.inf), ""),
    ],
)
def test_frames_unlike_that_of_the_fit(change, message):
    frame, price = homes(60)
    model = fastgd.MLPRegressor(epochs=1).fit(frame, price)
    if not message:
        with pytest.raises(InvalidInputError, match="row 0 is inf"):
            model.predict(change(frame))
        return
    with pytest.raises(ValueError, match=message):
        model.predict(change(frame))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (homes(60)[0].assign(day=pd.Timestamp("2024-01-01")), r"X, column 4 \(day\) is a date or a time"),
        (homes(60)[0].assign(mixed=[1, "a"] * 30), r"X, column 4 \(mixed\) has both numbers and text"),
    ],
)
def test_columns_that_cannot_be_learned_from(frame, message):
    with pytest.raises(ValueError, match=message):
        fastgd.MLPRegressor().fit(frame, np.arange(60.0))


def test_a_target_with_gaps():
    frame, price = homes(60)
    price = np.where(np.arange(60) == 3, np.nan, price)
    with pytest.raises(ValueError, match="NaN"):
        fastgd.MLPRegressor().fit(frame, price)


def test_categories_that_the_fit_has_not_seen_are_counted():
    frame, price = homes(60)
    model = fastgd.MLPRegressor(epochs=1).fit(frame, price)
    with pytest.warns(InputWarning, match=r"row 0 is 'Metz', which the fit has not seen \(60 of 60 rows"):
        model.predict(frame.assign(city="Metz"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(frame.assign(city="Metz"))


def test_ten_thousand_levels():
    n = 3000
    frame = pd.DataFrame({"name": [f"n{i % 1500}" for i in range(n)], "x": np.random.default_rng(0).normal(size=n)})
    with pytest.warns(InputWarning, match="1,500 categories, none of which has 10 rows, which tells nothing"):
        model = fastgd.MLPRegressor(random_state=0).fit(frame, frame["x"])
    assert model.score(frame, frame["x"]) > 0.99


def test_early_stopping_and_validation_rows():
    frame, price = homes()
    model = fastgd.MLPRegressor(early_stopping=True, epochs=20, random_state=0).fit(frame, price)
    assert len(model.validation_scores_) == model.n_iter_
    given = fastgd.MLPRegressor(early_stopping=True, epochs=20, random_state=0)
    given.fit(frame[:300], price[:300], X_val=frame[300:], y_val=price[300:])
    assert given.best_validation_score_ > 0


def test_partial_fit_and_warm_start():
    frame, price = homes()
    model = fastgd.MLPRegressor(random_state=0)
    for start in range(0, 400, 100):
        model.partial_fit(frame[start : start + 100], price[start : start + 100])
    assert model.n_iter_ == 4
    warm = fastgd.MLPRegressor(epochs=2, warm_start=True, random_state=0)
    assert warm.fit(frame, price).fit(frame, price).n_iter_ == 4


def test_inside_of_scikit_learns_tools():
    frame, price = homes()
    search = GridSearchCV(fastgd.MLPRegressor(epochs=30, random_state=0), {"weight_decay": [0.0, 0.1]}, n_jobs=2, cv=2)
    assert search.fit(frame, price).best_score_ > 0.3
    columns = make_column_transformer(("passthrough", ["size", "city"])).set_output(transform="pandas")
    piped = make_pipeline(columns, fastgd.MLPRegressor(epochs=30, random_state=0))
    assert np.isfinite(cross_val_score(piped, frame, price, cv=2)).all()
    model = search.best_estimator_
    importance = permutation_importance(model, frame, price, n_repeats=2, random_state=0)["importances_mean"]
    assert importance[3] < importance[0]
    assert importance[3] < importance[1]
    display = PartialDependenceDisplay.from_estimator(model, frame.dropna(), ["city"], categorical_features=["city"])
    by_city = dict(zip(display.pd_results[0]["grid_values"][0], display.pd_results[0]["average"][0], strict=True))
    assert by_city["Lyon"] < by_city["Nice"] < by_city["Paris"]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))


def test_precision_by_size():
    X, y = fastgd.datasets.houses(1200, random_state=0)
    X = X.astype(np.float64)
    model = fastgd.MLPRegressor(epochs=1).fit(X, y)
    assert model.model_.dtype == np.float32
    assert model.predict(X).dtype == np.float64
    assert model.predict(X.astype(np.float32)).dtype == np.float32
    assert fastgd.MLPRegressor(epochs=1).fit(X[:900], y[:900]).model_.dtype == np.float64
    assert fastgd.MLPRegressor(epochs=1, dtype="float64").fit(X, y).model_.dtype == np.float64


def test_bins_are_chosen_by_size_and_said():
    X, y = fastgd.datasets.houses(1200, random_state=0)
    with_bins = fastgd.MLPRegressor(random_state=0).fit(X, y)
    assert with_bins.model_.encoder.has_bins
    assert with_bins.recipe_.optimizer.ema_decay == 0.998
    few = fastgd.MLPRegressor(random_state=0).fit(X[:500], y[:500])
    assert not few.model_.encoder.has_bins
    assert few.recipe_.optimizer.ema_decay == 0.995


def test_logarithms_and_range():
    frame, price = homes()
    model = fastgd.MLPRegressor(log_target=True, clip_predictions=True, random_state=0).fit(frame, price)
    far = frame.assign(size=1e6)
    assert model.predict(far).max() <= price.max() * (1 + 1e-6)
    with pytest.raises(ValueError, match="log_target needs positive values"):
        fastgd.MLPRegressor(log_target=True).fit(frame, -price)


def test_logarithms_are_offered_and_never_taken_unasked(capfd):
    X, y = fastgd.datasets.houses(200, random_state=0)

    def said(y, **options):
        fastgd.MLPRegressor(epochs=1, verbose=2, random_state=0, **options).fit(X, y)
        return "log_target=True is worth a try" in "".join(capfd.readouterr())

    skewed = np.exp(y / y.std())
    assert said(skewed)
    assert fastgd.MLPRegressor(epochs=1).fit(X, skewed).model_.schema.target.log is False
    assert not said(skewed, log_target=True)
    assert not said(-skewed)
    assert not said(np.linspace(1, 2, 200))
    assert not said(skewed, loss="poisson")


def test_a_target_far_from_zero_is_learned_in_float64():
    frame, price = homes(1200)
    far = 1e9 + price / price.std()
    model = fastgd.MLPRegressor(epochs=10, random_state=0).fit(frame, far)
    assert model.model_.dtype == np.float64
    assert model.score(frame, far) > 0.8
    assert fastgd.MLPRegressor(epochs=1).fit(frame, price).model_.dtype == np.float32


def test_probabilities_add_up_to_the_precision_of_the_table():
    frame, price = homes(1200)
    y = np.digitize(price, np.quantile(price, [0.3, 0.6]))
    for labels in (y, y > 0):
        model = fastgd.MLPClassifier(epochs=2, random_state=0).fit(frame, labels)
        assert model.model_.dtype == np.float32
        assert abs(model.predict_proba(frame).sum(axis=1) - 1).max() < 1e-15


def test_a_label_that_is_missing_is_named():
    frame, _ = homes(60)
    with pytest.raises(ValueError, match="y, row 1 is empty: fill it"):
        fastgd.MLPClassifier().fit(frame, np.array(["a", None, "b"] * 20, object))


def test_explanations_say_what_to_pass():
    frame, price = homes(60)
    model = fastgd.MLPRegressor(epochs=1).fit(frame, price)
    with pytest.raises(InvalidInputError, match="not MLPRegressor: pass its model_"):
        fastgd.features.permutation_importance(model, frame, price)
