"""Estimators of several networks: what they share, how they differ, which are taken, and how long they take."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score

import fastgd
from fastgd.errors import InputWarning, InvalidInputError, TrainingWarning
from fastgd.estimators import choices, several
from fastgd.many import budget, variety
from fastgd.many.records import Record
from fastgd.many.selection import greedy
from fastgd.training.history import INTERRUPTED, History
from fastgd.training.recipe import recipe

QUICK = {"hidden_layer_sizes": (8,), "epochs": 4, "random_state": 0}


@pytest.fixture(scope="module")
def market():
    return fastgd.datasets.houses(1500, random_state=0)


def made(n, **options):
    return fastgd.MLPRegressor(n_networks=n, **{**QUICK, **options})


def test_they_are_an_ensemble_that_predicts_their_mean(market):
    X, y = market
    model = made(3).fit(X, y)
    assert isinstance(model.model_, fastgd.Ensemble)
    assert (len(model.model_), len(model.recipes_), len(model.history_)) == (3, 3, 3)
    mean = np.mean([member.predict(X).astype(np.float64) for member in model.model_], axis=0)
    np.testing.assert_allclose(model.predict(X), mean, rtol=1e-6)
    assert model.loss_curve_ == pytest.approx(np.mean([history.loss for history in model.history_], axis=0))
    assert (model.n_iter_, model.t_) == (4, 3 * 4 * len(X))
    again = made(3, n_threads=1).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert np.abs(made(3, random_state=1).fit(X, y).predict(X) - model.predict(X)).max() > 1
    first = made(2).fit(X, y)  # fewer networks are the first of more
    np.testing.assert_array_equal(first.model_[0].predict(X), model.model_[0].predict(X))


def test_recipes_differ_but_for_what_is_given(market):
    X, y = market
    free = fastgd.MLPRegressor(n_networks=6, epochs=1, random_state=0).fit(X, y).recipes_
    for name in ("hidden_layer_sizes", "activation", "dropout", "optimizer"):
        assert len({str(getattr(each, name)) for each in free}) > 1
    given = {"activation": "tanh", "dropout": 0.2, "learning_rate": 0.01, "weight_decay": 0.3}
    fixed = made(6, **given).fit(X, y)
    assert len(set(map(str, fixed.recipes_))) == 1
    assert str(fixed.recipes_[0]) == str(fixed.recipe_)
    by_optimizer = made(6, optimizer=fastgd.SGD(0.01)).fit(X, y).recipes_
    assert {str(each.optimizer) for each in by_optimizer} == {str(fastgd.SGD(0.01))}
    assert len({member.random_state for member in fixed.model_}) == 6
    bins = {str(member.encoder) for member in fixed.model_}
    assert 2 <= len(bins) <= 3  # half, once and twice as many


def test_what_is_drawn_stays_within_its_bounds():
    base = recipe(20_000, encoded=True)
    everything = frozenset(("hidden_layer_sizes", "activation", "dropout", "learning_rate", "weight_decay", "epochs"))
    drawn = list(itertools.islice(variety.draws(0), 200))
    variants = [draw.around(base, fastgd.Encoding(), everything, True).recipe for draw in drawn]
    top = base.optimizer.learning_rate.schedule.learning_rate
    rates = [variant.optimizer.learning_rate.schedule.learning_rate / top for variant in variants]
    decays = [variant.optimizer.weight_decay / base.optimizer.weight_decay for variant in variants]
    for found, (least, most) in ((rates, variety.OF_BINS.rate), (decays, variety.OF_BINS.decay)):
        assert least * 0.99 < min(found) < max(found) < most * 1.01
        assert np.exp(np.mean(np.log(found))) == pytest.approx(math.sqrt(least * most), rel=0.1)
    assert {len(variant.hidden_layer_sizes) for variant in variants} == {2, 3}
    selected = [draw.around(base, None, everything, True, selects=True).recipe for draw in drawn]
    for recipes, (least, most) in ((variants, variety.OF_BINS.dropout), (selected, variety.SELECTED.dropout)):
        dropouts = [variant.dropout / base.dropout for variant in recipes]
        assert least - 1e-9 <= min(dropouts) < least + 0.1 < most - 0.1 < max(dropouts) < most + 1e-9
    few = [draw.around(recipe(20), None, everything, False).recipe for draw in drawn]
    assert {variant.dropout for variant in few} == {0.0}  # so few rows are learned whole
    assert {draw.around(base, None, frozenset(), True).recipe for draw in drawn} == {base}


@pytest.mark.filterwarnings("ignore:time_budget", "ignore:X, column 0 is")  # a machine may be busy
@pytest.mark.parametrize("several", [{"n_networks": 1}, {"n_networks": 3}, {"time_budget": 0.5}])
def test_what_is_told_is_told_as_of_one_network(market, several):
    X, y = market
    X = np.column_stack([X, np.arange(len(X))])
    with pytest.warns(InputWarning, match=r"^X, column 4 counts the rows: .*kind\.$") as caught:
        fastgd.MLPRegressor(**several, **QUICK).fit(X, y)
    assert len([one for one in caught if issubclass(one.category, InputWarning)]) == 1  # also in rounds of a budget
    with pytest.raises(ValueError, match=r"^X, column 0 is .* nothing else to learn from: choose other columns\.$"):
        fastgd.MLPRegressor(**several, **QUICK).fit(np.full((50, 1), "?"), y[:50])


def test_classes_and_labels(market):
    X, y = market
    names = np.array(["cheap", "fair", "dear"])[np.digitize(y, [3e5, 5e5])]
    model = fastgd.MLPClassifier(n_networks=2, class_weight="balanced", **QUICK).fit(X, names)
    np.testing.assert_allclose(
        model.predict_proba(X), np.mean([member.predict_proba(X) for member in model.model_], axis=0), atol=1e-6
    )
    sums = model.decision_function(X)
    np.testing.assert_allclose(np.exp(sums) / np.exp(sums).sum(axis=1)[:, None], model.predict_proba(X), atol=1e-5)
    two = fastgd.MLPClassifier(n_networks=2, **QUICK).fit(X, y > 4e5)
    np.testing.assert_allclose(1 / (1 + np.exp(-two.decision_function(X))), two.predict_proba(X)[:, 1], atol=1e-5)
    labels = fastgd.MLPClassifier(n_networks=2, **QUICK).fit(X, np.column_stack([y > 4e5, y > 5e5]).astype(int))
    assert labels.predict(X).shape == (len(X), 2)


def test_early_stopping_is_for_each(market):
    X, y = market
    model = made(3, epochs=30, early_stopping=True, n_iter_no_change=1, tol=0.01).fit(X, y)
    epochs = [history.epochs for history in model.history_]
    assert len(set(epochs)) > 1
    assert max(epochs) == model.n_iter_ == len(model.validation_scores_)
    assert model.best_loss_ is None


def network(slope):
    one = fastgd.MLP([1, 1], standardize=False)
    one.set_parameters([([[slope]], [0.0])])
    return one


def test_greedy_selection_finds_the_mean_that_is_right():
    X = np.linspace(-1, 1, 50)[:, None]
    counts = greedy([network(0.0), network(3.0), network(9.0)], X, X[:, 0])
    assert counts.tolist() in ([2, 1, 0], [4, 2, 0])  # (2 · 0 + 3) / 3 = 1
    assert greedy([network(0.0), network(3.0)], X, X[:, 0] * 3).tolist() == [0, 1]
    weights = (X[:, 0] > 0).astype(float)
    assert greedy([network(0.0), network(3.0)], X, np.where(X[:, 0] > 0, 3, 0) * X[:, 0], weights).tolist() == [0, 1]


def test_greedy_selection_leaves_the_useless_out_and_learns_again_from_all_rows(market, monkeypatch):
    X, y = market
    asked = []
    monkeypatch.setattr(
        several, "greedy", lambda *given, **options: asked.append((given, greedy(*given, **options))) or asked[-1][1]
    )
    model = made(4, selection="greedy", epochs=8, validation_fraction=0.3).fit(X, y)
    assert len(model.model_) <= 4
    assert {history.rows_seen for history in model.history_} == {8 * len(X)}
    stopped = made(4, selection="greedy", early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert max(history.rows_seen for history in stopped.history_) <= 4 * 0.71 * len(X)  # these rows stay held out
    given = made(4, selection="greedy").fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
    assert {history.rows_seen for history in given.history_} == {4 * 1000}
    (models, *held_out), counts = asked[-1]
    np.testing.assert_array_equal(held_out[1], y[1000:])
    assert len(models) == 4
    assert given.model_.weights == tuple(sorted(counts[counts > 0].astype(float), reverse=True))


def test_groups_are_held_out_as_a_whole(market):
    X, y = market
    groups = np.repeat(np.arange(150), 10)
    seen = []

    class Spy(fastgd.MLPRegressor):
        def _patience(self, held_out, recipe):
            seen.append(held_out)
            return super()._patience(held_out, recipe)

    Spy(early_stopping=True, validation_fraction=0.2, **QUICK).fit(X, y, groups=groups)
    held = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in seen[0][0]]
    assert len(held) == 300
    assert len({groups[row] for row in held}) == 30
    scores = cross_val_score(made(2), X, y, groups=groups, cv=GroupKFold(3))
    assert len(scores) == 3


def test_what_makes_no_sense_is_refused(market):
    X, y = market
    for options in ({"n_networks": 2}, {"time_budget": 5}):
        with pytest.raises(ValueError, match="One network alone can go on: warm_start takes"):
            fastgd.MLPRegressor(warm_start=True, **options).fit(X, y)
        with pytest.raises(AttributeError, match="partial_fit") as caught:
            fastgd.MLPRegressor(**options).partial_fit(X, y)
        assert "One network alone can go on: partial_fit takes" in str(caught.value.__cause__)
    for options in ({"n_networks": 0}, {"selection": "best"}, {"time_budget": 0}, {"calibration_fraction": 1.0}):
        with pytest.raises(ValueError, match="parameter"):
            fastgd.MLPRegressor(**options).fit(X, y)
    with pytest.raises(ValueError, match=r"^selection='greedy' chooses among several networks: set n_networks=8"):
        fastgd.MLPRegressor(selection="greedy").fit(X, y)
    with pytest.raises(ValueError, match=r"^time_budget=1e-06 allows no network: one epoch takes at least"):
        fastgd.MLPRegressor(time_budget=1e-6).fit(X, y)
    with pytest.raises(InvalidInputError, match="groups has shape"):
        made(2).fit(X, y, groups=[1, 2, 3])


def test_networks_that_diverge_are_left_out(market):
    X, y = market
    with pytest.raises(fastgd.errors.DivergenceError):
        made(2, optimizer=fastgd.SGD(1e6)).fit(X, y)

    class OneDiverges(fastgd.MLPRegressor):
        def _network(self, X, y, recipe, seed, encoding):
            model = super()._network(X, y, recipe, seed, encoding)
            if not hasattr(self, "spoilt_"):
                self.spoilt_ = True
                model.initializer = [(np.full((w.shape), 1e30), b) for w, b in model.get_parameters()]
                model.set_parameters(model.initializer)
            return model

    with pytest.warns(TrainingWarning, match="1 of 3 networks are left out"):
        model = OneDiverges(n_networks=3, encoding=None, **QUICK).fit(X, y)
    assert len(model.model_) == 2


class Clock:
    """Seconds that pass only where networks are trained."""

    def __init__(self, monkeypatch, each):
        self.now, self.each, self.rounds, self.epochs = 0.0, each, [], []
        monkeypatch.setattr(budget.time, "perf_counter", lambda: self.now)

    def train(self, chosen):
        self.rounds.append(len(chosen))
        self.epochs += [variant.recipe.epochs for variant in chosen]
        took = [self.each * budget.work(variant, 4) / 1e5 for variant in chosen]
        self.now += max(sum(took) / 2, max(took))  # two threads
        return [Record(k, {}, None, error=ValueError(), seconds=seconds) for k, seconds in enumerate(took)]

    def within(self, seconds, most, told=1.0):
        """`told`: how fast it seems to be at first, times how fast it is."""
        return budget.within(seconds, variants(), self.train, most, budget.Tempo(self.each / told / 1e5, 2, 4))


def variants():
    base = recipe(20_000, encoded=True)
    free = frozenset(("hidden_layer_sizes", "epochs"))
    return (draw.around(base, None, free, True) for draw in variety.draws(0))


@pytest.mark.parametrize("each", [0.05, 0.2, 0.8, 3.0, 12.0])
def test_a_budget_is_kept_within_a_tenth(monkeypatch, each):
    clock = Clock(monkeypatch, each)
    records = clock.within(60, 10_000)
    assert 52 <= clock.now <= 66
    assert len(records) == sum(clock.rounds)
    assert clock.rounds[0] < len(records)  # those that are measured
    few = Clock(monkeypatch, each)
    assert len(few.within(60, 3)) == 3
    slower = Clock(monkeypatch, each)
    slower.within(60, 10_000, told=1.2)
    assert slower.now <= 66


@pytest.mark.parametrize("told", [1.0, 0.8])
def test_networks_that_take_too_long_have_fewer_epochs(monkeypatch, told):
    clock = Clock(monkeypatch, 100)
    assert len(clock.within(60, 10_000, told)) == 2
    assert 40 * told < clock.now <= 60
    assert max(clock.epochs) < recipe(20_000, encoded=True).epochs / 2
    (one,) = itertools.islice(variants(), 1)
    half = variety.shortened(one, 0.5)
    assert half.recipe.epochs == one.recipe.epochs // 2
    assert half.recipe.optimizer.learning_rate.steps == round(one.recipe.optimizer.learning_rate.steps / 2)


def test_a_budget_that_is_exceeded_or_allows_nothing_is_told(monkeypatch):
    clock = Clock(monkeypatch, 1000)
    assert len(clock.within(0.1, 100)) == 2
    assert clock.epochs == [1, 1]
    (one,) = itertools.islice(variants(), 1)
    with pytest.raises(InvalidInputError, match=r"^time_budget=0.1 allows no network: one epoch takes at least \d"):
        budget.check(0.1, one, 10**6, 4)
    budget.check(0.1, one, 100, 4)
    slow, (X, y) = several.Team._records, fastgd.datasets.houses(40)

    def slower(*given, **options):
        time.sleep(0.1)
        return slow(*given, **options)

    monkeypatch.undo()
    monkeypatch.setattr(several.Team, "_records", slower)
    with pytest.warns(TrainingWarning, match=r"^time_budget=0.05 was exceeded by 0\..* s: networks took longer"):
        fastgd.MLPRegressor(time_budget=0.05, **QUICK).fit(X, y)


def test_what_is_trained_again_fits_into_what_is_left():
    assert budget.fitting([3.0, 2.0, 4.0, 1.0], 5.0, 2) == [0, 1, 3]
    assert budget.fitting([9.0, 9.0], 1.0, 2) == [0]  # one in any case
    assert budget.makespan([3.0, 2.0, 4.0, 1.0], 2) == 5.0
    assert budget.makespan([3.0, 3.0, 3.0], 2) == 6.0


@pytest.mark.filterwarnings("ignore:time_budget")  # a machine may be busy
def test_a_long_budget_selects_and_is_used(market, monkeypatch):
    X, y = market
    pools, again, records = [], [], several.Team._records

    def noted(team, drawn, rows, held_out, verbose=None):
        if verbose is None:  # not the epoch that tells how fast it is
            (again if len(rows.X) == len(X) else pools).append(len(drawn))
        return records(team, drawn, rows, held_out, verbose)

    monkeypatch.setattr(several.Team, "_records", noted)
    monkeypatch.setattr(choices, "LONG", 2.0)
    begun = time.perf_counter()
    model = fastgd.MLPRegressor(time_budget=2, **QUICK).fit(X, y)
    assert time.perf_counter() - begun > 1
    assert sum(pools) > sum(again) == len(model.model_)  # some are selected, and trained once more
    assert len(again) == 1
    for options in ({"time_budget": 1.9}, {"time_budget": 2, "selection": "mean"}, {"n_networks": 2}):
        assert not made(options.pop("n_networks", 1), **options)._selects()
    monkeypatch.setattr(several, "FEWEST_SELECTED", 10**6)  # too few of them for a selection: the mean, of all rows
    pools.clear()
    again.clear()
    assert len(fastgd.MLPRegressor(time_budget=2, **QUICK).fit(X, y).model_) == sum(again)
    assert not pools
    assert not fastgd.MLPRegressor(time_budget=2, early_stopping=True)._selects()


@pytest.mark.filterwarnings("ignore:time_budget")  # a machine may be busy
def test_a_budget_makes_as_many_networks_as_fit(market):
    X, y = market
    model = fastgd.MLPRegressor(time_budget=1.5, **QUICK).fit(X, y)
    assert len(model.model_) > 2
    assert len(made(2, time_budget=60, selection="mean").fit(X, y).model_) == 2  # n_networks at most
    taken = fastgd.MLPRegressor(time_budget=1.5, selection="greedy", **QUICK).fit(X, y)
    assert isinstance(taken.model_, fastgd.Ensemble)


def test_intervals_of_estimators(market):
    X, y = fastgd.datasets.houses(6000, random_state=1)
    groups = np.repeat(np.arange(2000), 3)
    with pytest.raises(ValueError, match=r"fit with calibration_fraction=0.2, or call calibrate"):
        made(2).fit(X, y).predict_interval(X)
    for n in (1, 3):
        model = made(n, calibration_fraction=0.3, epochs=10).fit(X[:4500], y[:4500], groups=groups[:4500])
        assert model.intervals_.calibration.n_groups == 450
        low, high = model.predict_interval(X[4500:]).T
        assert abs(((low <= y[4500:]) & (y[4500:] <= high)).mean() - 0.9) < 0.04
        narrow = model.predict_interval(X[4500:], coverage=0.5)
        assert np.ptp(narrow, axis=1).mean() < (high - low).mean()
    model.fit(*market, groups=None)
    assert model.intervals_.calibration.n_groups == 450  # of these 1,500 rows
    later = made(2).fit(X[:3000], y[:3000]).calibrate(X[3000:], y[3000:])
    assert later.predict_interval(X[:5]).shape == (5, 2)
    assert not hasattr(later.fit(X[:3000], y[:3000]), "intervals_")
    with pytest.raises(ValueError, match="calibration_fraction is for one fit alone"):
        made(1, calibration_fraction=0.3, warm_start=True).fit(X, y)


def test_a_clone_and_a_table_with_text(market):
    import pandas as pd

    X, y = market
    frame = pd.DataFrame(X, columns=["size", "rooms", "distance", "age"])
    frame["town"] = np.where(frame["distance"] > frame["distance"].median(), "Bonn", "Köln")
    model = clone(made(2, selection="greedy")).fit(frame, y)
    assert model.model_.feature_names == ("size", "rooms", "distance", "age", "town")
    assert model.score(frame, y) > 0


def test_calibration_is_checked_before_anything_trains_and_rows_of_no_weight_are_none(market, monkeypatch):
    X, y = market
    weights = np.resize([1.0, 0.0], len(X))
    spoilt = np.where(weights > 0, y, 1e9)
    wide = made(2, calibration_fraction=0.3).fit(X, spoilt, sample_weight=weights).predict_interval(X)
    assert np.ptp(wide, axis=1).mean() < np.ptp(y) * 3
    monkeypatch.setattr(several.Team, "mean", None)  # which would train
    with pytest.raises(
        InvalidInputError, match="To calibrate takes at least 20 rows of which nothing was learned, not"
    ):
        made(2, calibration_fraction=0.01).fit(X, y)
    with pytest.raises(ValueError, match=r"sample_weight is 0 in all rows that validation_fraction=0.1 parts"):
        made(2, selection="greedy").fit(X, y, sample_weight=np.arange(len(X)) == 7)
    with pytest.raises(InvalidInputError, match=r"^groups, row 3 is empty"):
        made(2, selection="greedy").fit(X, y, groups=[1, 2, 3, None, *range(len(X) - 4)])
    with pytest.raises(InvalidInputError, match=r"^groups, row 1 is empty"):
        made(2, selection="greedy").fit(X, y, groups=[1, np.nan, *range(len(X) - 2)])


@pytest.mark.parametrize("how", ["diverges", "interrupted"])
def test_where_the_last_training_fails_the_selected_networks_stay(market, monkeypatch, how):
    X, y = market
    records, sizes = several.Team._records, []

    def spoilt(team, variants, rows, held_out, verbose=None):
        found = records(team, variants, rows, held_out, verbose)
        sizes.append(len(rows.X))
        if len(sizes) == 2 and how == "diverges":
            found[0].error = ArithmeticError("too high a rate")
        elif len(sizes) == 2:
            found[0].history = dataclasses.replace(found[0].history, ended=INTERRUPTED)
        return found

    monkeypatch.setattr(several.Team, "_records", spoilt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = made(3, selection="greedy").fit(X, y)
    assert sizes == [1350, 1500]
    assert {history.rows_seen for history in model.history_} == {4 * 1350}
    told = [str(one.message) for one in caught]
    assert any("Selected networks stay as they are" in one for one in told) == (how == "diverges")


def test_a_budget_ends_with_ctrl_c():
    clock = []

    def train(chosen):
        clock.append(len(chosen))
        history = History({}, ended=INTERRUPTED)
        return [Record(k, {}, object(), history=history) for k in range(len(chosen))]

    assert len(budget.within(60, variants(), train, 100, budget.Tempo(1e-9, 2, 4))) == clock[0]


@pytest.mark.filterwarnings("ignore:time_budget")  # a machine may be busy
def test_a_class_of_one_row_has_no_part_in_a_selection(market, monkeypatch):
    X, y = market
    monkeypatch.setattr(choices, "LONG", 0.5)
    classes = np.where(np.arange(len(X)) == 5, "rare", np.where(y > np.median(y), "dear", "cheap"))
    model = fastgd.MLPClassifier(time_budget=0.5, **QUICK).fit(X, classes)
    assert model.model_.predict(X[:3]).shape == (3,)
    with pytest.raises(ValueError, match="least populated class"):
        fastgd.MLPClassifier(n_networks=2, selection="greedy", **QUICK).fit(X, classes)


def test_a_selection_weighs_classes_as_the_training_does(market):
    X, y = market
    classes = (y > np.quantile(y, 0.9)).astype(int)
    models = [
        fastgd.MLPClassifier(class_weight=weight, **QUICK).fit(X, classes).model_ for weight in (None, {0: 1, 1: 50})
    ]
    assert greedy(models, X, classes).argmax() == 0
    assert greedy(models, X, classes, class_weight={0: 1, 1: 50}).argmax() == 1
