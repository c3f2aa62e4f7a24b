"""Searches: draws, folds, rounds that go on exactly where they stood, what mattered, and what is refused."""

from __future__ import annotations

import gc
import math
import re
import signal
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from inside import overheard
from samples import houses, refused

import fastgd
from fastgd.errors import InputWarning, InvalidInputError, TrainingWarning
from fastgd.many import crew, rounds
from fastgd.many.candidates import Candidate, Whole, spec_of
from fastgd.many.folds import folds_of
from fastgd.many.found import ranked
from fastgd.many.importance import explained, importance_of
from fastgd.many.space import as_space, drawn
from fastgd.space import Choice, Integer, LogUniform, Uniform
from fastgd.training.schedules import at_rate

SPACE = {"learning_rate": LogUniform(1e-4, 0.1), "layer_sizes": [[4, 8, 1], [4, 32, 1]]}
QUIET = {"verbose": 0, "n_threads": 2}


# Draws.


@pytest.mark.parametrize(
    ("distribution", "low", "high"),
    [
        (Uniform(-1, 3), -1, 3),
        (LogUniform(1e-3, 10), 1e-3, 10),
        (Integer(-2, 5), -2, 5),
        (Integer(1, 64, log=True), 1, 64),
    ],
)
def test_draws_fill_the_range(distribution, low, high):
    random = np.random.default_rng(0)
    values = np.array([distribution.draw(random) for _ in range(4000)])
    is_log = isinstance(distribution, LogUniform) or getattr(distribution, "log", False)
    if isinstance(distribution, Integer):
        assert set(values.tolist()) == set(range(low, high + 1))
        middle = math.sqrt((low - 0.5) * (high + 0.5)) if is_log else (low + high) / 2
    else:
        assert low <= values.min() < low + (high - low) / 20
        assert high >= values.max() > high - (high - low) / 20
        middle = math.sqrt(low * high) if is_log else (low + high) / 2
    share = (values < middle).mean() + (values == middle).mean() / 2
    assert abs(share - 0.5) < 0.03 + (values == round(middle)).mean() / 2


def test_more_draws_begin_with_the_same_ones_and_none_comes_twice():
    space = as_space({"a": Uniform(0, 1), "b": scipy.stats.loguniform(1e-3, 1), "c": ["x", "y"]})
    few, many = list(drawn(space, 5, 3)), list(drawn(space, 9, 3))
    assert many[:5] == few
    assert list(drawn(space, 5, 4)) != few
    assert type(few[0]["b"]) is float
    lists = as_space({"a": [1, 2, 3], "b": Choice(["x", "y"])})
    combined = list(drawn(lists, 100, 0))
    assert len(combined) == 6 == len({repr(options) for options in combined})
    assert list(drawn(lists, 3, 0)) == combined[:3]
    narrow = list(drawn(as_space({"a": Integer(1, 3)}), 100, 0))
    assert sorted(options["a"] for options in narrow) == [1, 2, 3]


# Folds.


@pytest.mark.parametrize("cv", [2, 5, 0.3])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_folds_never_share_rows_or_groups(cv, grouped, stratified):
    random = np.random.default_rng(1)
    groups = random.integers(40, size=300) if grouped else None
    classes = (random.random(300) < 0.2).astype(int) if stratified else None
    folds = folds_of(cv, 300, groups, classes, 0)
    assert len(folds) == (cv if isinstance(cv, int) else 1)
    for rows, held in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([rows, held])), np.arange(300))
        if grouped:
            assert not set(groups[rows]) & set(groups[held])
    if isinstance(cv, int):
        np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in folds])), np.arange(300))
        sizes = [len(held) for _, held in folds]
        assert max(sizes) - min(sizes) <= (15 if grouped else 1)
    assert folds_of(cv, 300, groups, classes, 1)[0].held.tolist() != folds[0].held.tolist()


def rarest_shares(classes, folds):
    return [(classes[held] == 1).mean() for _, held in folds]


@pytest.mark.parametrize("cv", [5, 0.2])
def test_each_fold_has_its_share_of_every_class(cv):
    classes = (np.random.default_rng(0).random(500) < 0.06).astype(int)
    shares = rarest_shares(classes, folds_of(cv, 500, None, classes, 0))
    assert max(abs(share - classes.mean()) for share in shares) <= 0.01
    by_chance = [share for seed in range(5) for share in rarest_shares(classes, folds_of(cv, 500, None, None, seed))]
    assert max(abs(share - classes.mean()) for share in by_chance) > 0.02  # which is what chance would do


def test_groups_with_classes():
    """Groups of one class each: without a look at classes some fold would have none of the rare one."""
    groups = np.repeat(np.arange(60), 5)
    classes = (groups < 5).astype(int)
    assert (np.array(rarest_shares(classes, folds_of(5, 300, groups, classes, 0))) == 1 / 12).all()
    blind = [np.array(rarest_shares(classes, folds_of(5, 300, groups, None, seed))) for seed in range(3)]
    assert any((shares == 0).any() for shares in blind)


def test_no_fold_is_empty_where_groups_are_few_and_uneven():
    groups = np.array([0] * 90 + [1] * 5 + [2] * 3 + [3] * 2)
    assert sorted(len(held) for _, held in folds_of(4, 100, groups, None, 0)) == [2, 3, 5, 90]


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (1, None, "cv must be at least 2 folds, or a share of the rows such as 0.2, not 1"),
        (11, None, "cv=11 needs 11 rows, but there are 10: take fewer folds"),
        (4, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2], "cv=4 needs 4 groups, but there are 3"),
        (1.5, None, "cv must be a number of folds such as 5, or a share such as 0.2, not 1.5"),
        ("kfold", None, "cv must be a number of folds, a share of the rows, or a list of"),
        ([], None, "cv is an empty list"),
        ([([0], [2]), ([0, 2], [2, 3])], None, "fold 1: rows and validation_rows overlap in 1 row, such as row 2"),
        ([([0, 1], [10])], None, "fold 0: validation_rows names row 10, but rows count from 0 to 9"),
        ([([0, 1], None)], None, "fold 0: validation_rows are missing"),
        ([([0, 1], [2])], [0, 1, 1, 2, 2, 2, 2, 2, 2, 2], "fold 0: 1 group is on both sides, such as that of row 2"),
        (3, [0, 1], "groups has shape"),
        (0.2, [7] * 10, "All 10 rows are one group"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be(cv, groups, message):
    refused(message, folds_of, cv, 10, groups, None, 0)


def test_groups_keep_what_was_learned_by_heart_out_of_the_score():
    """Rows of a group are alike, and targets are noise: only who has seen the group knows its target."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    X, y = random.normal(size=(40, 4))[groups], random.normal(size=40)[groups]
    asked = {"layer_sizes": [4, 64, 1], "epochs": 100, "refit": False, "halving": False, "metric": "r2", "verbose": 0}
    by_group = fastgd.search({"learning_rate": [0.01]}, X, y, groups=groups, **asked)
    by_row = fastgd.search({"learning_rate": [0.01]}, X, y, **asked)
    assert by_group.score < 0.1
    assert by_row.score > 0.8


def test_each_fold_can_measure_a_rare_class():
    X, _ = houses(100)
    y = np.where(np.arange(100) < 5, "rare", "often")
    asked = {"layer_sizes": [4, 4, 2], "loss": "cross_entropy", "metric": "roc_auc", "epochs": 1, "refit": False}
    result = fastgd.search({"random_state": [1]}, X, y, **asked, **QUIET)
    assert len(result.candidates[0].scores) == 5
    by_chance = [(None, np.arange(k, 100, 6)) for k in range(6)]
    refused("fold 5: There is no metric 'roc_auc'", fastgd.search, {"random_state": [1]}, X, y, cv=by_chance, **asked)


def test_folds_that_are_given():
    mask = np.arange(10) < 3
    (fold,) = folds_of([(None, mask)], 10, None, None, 0)
    assert (fold.rows.tolist(), fold.held.tolist()) == ([3, 4, 5, 6, 7, 8, 9], [0, 1, 2])


# Rounds.


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": fastgd.Adam(learning_rate=fastgd.schedules.Cosine(0.01))},
        {"optimizer": fastgd.SGD(learning_rate=fastgd.schedules.WarmUp(fastgd.schedules.OneCycle(0.05), 7))},
        {"optimizer": fastgd.SGD(learning_rate=fastgd.schedules.ReduceOnPlateau(0.05, patience=0, factor=0.5))},
        {"dropout": 0.3},  # with the default optimizer, which keeps an average
        {"encoding": fastgd.Encoding(bins=4), "dtype": "float64"},
    ],
)
def test_going_on_has_the_bits_of_one_go(options):
    X, y = houses(300)
    space, folds = {"random_state": [1, 2, 3, 4]}, [(np.arange(200), np.arange(200, 300))]
    asked = {"layer_sizes": [4, 8, 1], "epochs": 9, "cv": folds, **options, **QUIET, "refit": False}
    result = fastgd.search(space, X, y, halving=2, **asked)
    assert result.n_rounds == 3
    assert [candidate.epochs for candidate in result.candidates] == [9, 4, 2, 2]
    whole = fastgd.search(space, X, y, halving=False, **asked)
    curves = {candidate.number: candidate.curves[0] for candidate in whole.candidates}
    for candidate in result.candidates:
        for name, values in candidate.curves[0].items():
            assert values == curves[candidate.number][name][: candidate.epochs]
    assert result.candidates[0].score == curves[result.candidates[0].number]["val_loss"][-1]


def test_a_schedule_that_is_not_told_of_all_rounds_would_differ(monkeypatch):
    X, y = houses(300)
    asked = {"layer_sizes": [4, 8, 1], "epochs": 9, "cv": 0.3, "refit": False, **QUIET}
    asked["optimizer"] = fastgd.Adam(learning_rate=fastgd.schedules.Cosine(0.01))
    whole = fastgd.search({"random_state": [1, 2]}, X, y, halving=False, **asked)
    monkeypatch.setattr(rounds, "Whole", lambda schedule, total: schedule)
    parted = fastgd.search({"random_state": [1, 2]}, X, y, halving=2, **asked)
    assert parted.candidates[0].curves != whole.candidates[0].curves


def test_the_schedule_of_all_rounds():
    cosine = fastgd.schedules.Cosine(0.1)
    steps = np.arange(20)
    np.testing.assert_array_equal(Whole(cosine, 20).rates(steps[5:9], 4), cosine.rates(steps, 20)[5:9])
    assert cosine.lasts_one_fit
    assert not Whole(cosine, 20).lasts_one_fit


def test_the_best_get_more_epochs_and_stand_first():
    X, y = houses(600)
    result = fastgd.search(SPACE, X, y, n_candidates=20, cv=3, epochs=9, metric="rmse", **QUIET)
    candidates = result.candidates
    assert [candidate.epochs for candidate in candidates] == [9] * 3 + [3] * 4 + [1] * 13
    assert [candidate.rounds for candidate in candidates] == [3] * 3 + [2] * 4 + [1] * 13
    for one, other in pairwise(candidates):
        assert one.rounds > other.rounds or one.score <= other.score

    def after(candidate, epochs):
        return np.mean([curve["val_loss"][epochs - 1] for curve in candidate.curves])

    first_round = sorted(candidates, key=lambda candidate: after(candidate, 1))
    # rmse is the root of the loss in each fold, so that ranks may differ a little
    assert {c.number for c in candidates[:7]} & {c.number for c in first_round[:5]}
    assert not {c.number for c in candidates[:7]} & {c.number for c in first_round[-8:]}
    assert result.score == candidates[0].score == np.mean(candidates[0].scores)
    assert result.best == candidates[0].options
    assert result.history.epochs == 9


def test_networks_that_were_given_up_take_no_memory(monkeypatch):
    alive, tell = [], rounds.Search._tell

    def count(search, number, candidates):
        gc.collect()
        alive.append(sum(type(found) is fastgd.MLP for found in gc.get_objects()))
        tell(search, number, candidates)

    monkeypatch.setattr(rounds.Search, "_tell", count)
    X, y = houses(100)
    fastgd.search(SPACE, X, y, n_candidates=9, cv=3, epochs=9, **QUIET)
    assert np.diff(alive).tolist() == [-6 * 3, -2 * 3]


def test_scores_are_those_of_evaluate_on_held_out_rows():
    X, y = houses(300)
    weights = np.linspace(0, 1, 300)
    folds = [(np.arange(100, 300), np.arange(100)), (np.arange(200), np.arange(200, 300))]
    asked = {"sample_weight": weights, "epochs": 3, "layer_sizes": [4, 8, 1]}
    result = fastgd.search({"learning_rate": [0.01]}, X, y, cv=folds, metric="mae", **asked, **QUIET)
    for (rows, held), score in zip(folds, result.candidates[0].scores, strict=True):
        model = fastgd.MLP([4, 8, 1])
        optimizer = result.spec["optimizer"]
        model.fit(X[rows], y[rows], epochs=3, sample_weight=weights[rows], optimizer=optimizer, verbose=0)
        assert score == model.evaluate(X[held], y[held], weights[held])["mae"]
    again = fastgd.MLP([4, 8, 1])
    again.fit(X, y, epochs=3, sample_weight=weights, optimizer=optimizer, verbose=0)
    np.testing.assert_array_equal(result.model.parameters, again.parameters)
    (record,) = fastgd.fit_many([result.spec], X, y, verbose=0)
    np.testing.assert_array_equal(result.model.parameters, record.model.parameters)


@pytest.mark.parametrize(("metric", "larger"), [("r2", True), ("rmse", False)])
def test_the_direction_of_a_metric(metric, larger):
    X, y = houses(300)
    asked = {"layer_sizes": [4, 8, 1], "epochs": 5, "metric": metric, "cv": 2, "halving": False, "refit": False}
    scores = [c.score for c in fastgd.search({"learning_rate": [1e-5, 1e-3, 0.05]}, X, y, **asked, **QUIET).candidates]
    assert scores == sorted(scores, reverse=larger)
    assert scores[0] != scores[-1]


def test_threads_do_not_change_a_result(monkeypatch):
    monkeypatch.setattr(crew, "SHORT", 0.0)  # side by side, though they are short
    X, y = houses(300)
    asked = {"n_candidates": 8, "cv": 3, "epochs": 3, "verbose": 0}
    one, two = (fastgd.search(SPACE, X, y, n_threads=n, random_state=5, **asked) for n in (1, 3))
    assert [c.options for c in one.candidates] == [c.options for c in two.candidates]
    assert [c.scores for c in one.candidates] == [c.scores for c in two.candidates]
    np.testing.assert_array_equal(one.model.parameters, two.model.parameters)
    other = fastgd.search(SPACE, X, y, n_threads=1, random_state=6, **asked)
    assert [c.options for c in one.candidates] != [c.options for c in other.candidates]


def test_classes_text_and_gaps():
    X, y = houses(400)
    frame = pd.DataFrame(X, columns=["size", "rooms", "distance", "age"])
    frame["view"] = np.where(X[:, 0] > 80, "sea", None)
    label = pd.Series(np.where(y > np.quantile(y, 0.9), "dear", "cheap"))
    space = {"encoding.bins": [0, 4], "optimizer.beta2": Uniform(0.9, 0.999)}
    asked = {"layer_sizes": [5, 8, 2], "loss": "cross_entropy", "class_weight": "balanced", "epochs": 3}
    result = fastgd.search(space, frame, label, n_candidates=4, cv=3, metric="precision_dear", **asked, **QUIET)
    assert list(result.model.classes) == ["cheap", "dear"]
    assert result.candidates[0].score >= result.candidates[-1].score
    assert result.model.schema.encoding.bins == result.best["encoding.bins"]
    assert result.model.fit_state.optimizer.beta2 == result.best["optimizer.beta2"]
    with pytest.raises(InvalidInputError, match=r"There is no metric 'roc_acu'.*Did you mean 'roc_auc'"):
        fastgd.search(space, frame, label, n_candidates=4, metric="roc_acu", **asked, **QUIET)


def test_early_stopping_without_halving():
    X, y = houses(400)
    stop = fastgd.callbacks.EarlyStopping(patience=2)
    asked = {"layer_sizes": [4, 8, 1], "epochs": 60, "callbacks": [stop], "cv": 3, **QUIET}
    result = fastgd.search({"learning_rate": [0.3]}, X, y, halving=False, **asked)
    lengths = [len(curve["loss"]) for curve in result.candidates[0].curves]
    assert max(lengths) < 60
    best = [int(np.argmin(curve["val_loss"])) + 1 for curve in result.candidates[0].curves]
    assert result.history.epochs == round(np.mean(best))
    refused("callbacks would begin anew in each round", fastgd.search, {"random_state": [1, 2, 3]}, X, y, **asked)


# The same with Optuna.


def test_the_page_has_the_same_in_optuna():
    optuna = pytest.importorskip("optuna")
    page = (Path(__file__).parents[1] / "docs" / "finding_options.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "optuna" in block)
    defined = {}
    exec(code, defined)
    trials = defined["study"].trials
    reports = {
        state: {len(trial.intermediate_values) for trial in trials if trial.state == state}
        for state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    }
    assert len(trials) == 27
    assert reports[optuna.trial.TrialState.COMPLETE] == {len(defined["parts"])}
    assert min(reports[optuna.trial.TrialState.PRUNED]) < len(defined["parts"])
    best, (X, price) = defined["study"].best_params, fastgd.datasets.houses(5_000, random_state=0)
    model = fastgd.MLP(defined["sizes"][best["hidden"]], activation=best["activation"])
    optimizer = fastgd.AdamW(best["learning_rate"], weight_decay=0.1, clip_norm=1.0, ema_decay=0.99)
    model.fit(X[:4000], price[:4000], epochs=27, verbose=0, optimizer=optimizer)
    # What was trained in four parts is what is trained in one go.
    assert model.evaluate(X[4000:], price[4000:])["rmse"] == defined["study"].best_value


# What goes wrong.


def test_what_diverges_stays_last_with_its_reason():
    X, y = houses(300)
    y = y + np.where(np.arange(300) == 7, 1e9, 0)
    space = {"optimizer": [fastgd.SGD(learning_rate=1e6), fastgd.SGD(learning_rate=1e-3)], "random_state": [1, 2]}
    result = fastgd.search(space, X, y, layer_sizes=[4, 8, 1], epochs=3, cv=3, refit=False, **QUIET)
    ended = list(result.table["ended"])
    assert ended[-2:] == ["DivergenceError"] * 2
    assert "DivergenceError" not in ended[:2]
    assert "diverged" in repr(result) or "blew up" in repr(result)
    assert math.isnan(result.candidates[-1].score)
    assert all(candidate.epochs for candidate in result.candidates[:2])
    with pytest.warns(TrainingWarning, match=r"All candidates failed; candidate \d: "):
        failed = fastgd.search(
            {"random_state": [1]}, X, y, layer_sizes=[4, 8, 1], optimizer=space["optimizer"][0], **QUIET
        )
    assert (failed.best, failed.spec, failed.model) == (None, None, None)
    assert math.isnan(failed.score)
    refused("has no candidate with a score", fastgd.plots.search, failed)


def test_warnings_are_told_once():
    X, y = houses(200)
    X = np.column_stack([X, np.ones(200)])
    with pytest.warns(InputWarning) as told:
        result = fastgd.search(
            {"random_state": [1, 2, 3]}, X, y, layer_sizes=[5, 4, 1], encoding="auto", epochs=3, cv=2, **QUIET
        )
    (message,) = (str(warning.message) for warning in told)
    assert message.startswith("candidate 0: X, column 4 is 1 in every row")
    assert "(The like holds for candidates 1, 2: see `warnings` of the candidates.)" in message
    assert result.candidates[0].warnings


@pytest.mark.parametrize(("at", "n_measured"), [(4, 0), (40, 6)])
def test_ctrl_c_returns_what_there_is(monkeypatch, at, n_measured):
    """The first round has 36 epochs, the second one 24."""
    calls = []

    def press(call):
        calls.extend([1] * bool(call.learning_rates.size))
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.5)  # until it is heard

    overheard(monkeypatch, "train", press)
    X, y = houses(200)
    asked = {"layer_sizes": [4, 8, 1], "n_candidates": 6, "cv": 2, "epochs": 9, "n_threads": 1, "verbose": 0}
    result = fastgd.search({"learning_rate": LogUniform(1e-3, 0.1)}, X, y, **asked)
    assert len(calls) < 60
    assert result.interrupted
    assert result.model is None
    assert "ended by Ctrl-C" in repr(result)
    assert sum(len(candidate.scores) == 2 for candidate in result.candidates) == n_measured
    assert (result.best is None) == (n_measured == 0)


SMALL = {"layer_sizes": [4, 8, 1], "epochs": 3}


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({}, {}, "^space is empty: give at least one option"),
        ([("epochs", [1])], {}, "^space must be a dict of options"),
        ({"batch_size": []}, {}, "^space: the list of batch_size is empty"),
        ({"batch_size": 32}, {}, "^space: batch_size is 32; give a list of choices or a distribution"),
        ({"lr": [0.1]}, {}, "^space: `lr` is called `learning_rate`"),
        ({"optimiser": [1]}, {}, "^space: `optimiser` is called `optimizer`"),
        ({"optimizer.betta1": [0.9]}, {}, "^space: `betta1` is called `beta1`"),
        ({"encoding.bin": [8]}, {}, "^space: `bin` is called `bins`"),
        ({"loss.delta": [1]}, {}, "^space: There is no option with parts 'loss'; there are: optimizer, encoding"),
        ({"rows": [[1]]}, {}, "^space: rows cannot be searched: cv says"),
        ({"epochs": [3]}, {"epochs": 3}, "^space: epochs is given beside the space, too"),
        ({"learning_rate": [1], "optimizer.learning_rate": [1]}, {}, "^space: .* stands there twice"),
        ({"activation": ["rellu"]}, {}, "^candidate 0: There is no activation 'rellu'; .* Did you mean 'relu'"),
        ({"learning_rate": [-1.0]}, {}, "^candidate 0: learning_rate must be a number above 0, not -1.0"),
        ({"optimizer.momentum": [0.9]}, {}, "^candidate 0: AdamW: .* `momentum`"),
        (
            {"learning_rate": [0.1]},
            {"optimizer": fastgd.SGD(lambda step: 0.1)},
            "^candidate 0: .* function of the step",
        ),
        ({"loss": ["mse", "mae"]}, {}, "^space: with loss in it losses cannot be compared: give a metric"),
        ({"random_state": [1]}, {"learning_rate": 0.1}, r"^`learning_rate` belongs to the optimizer"),
        ({"random_state": [1]}, {"n_iter": 3}, "^There is no option `n_iter`"),
        ({"random_state": [1]}, {"n_jobs": 3}, "^`n_jobs` is called `n_threads`"),
        ({"random_state": [1]}, {"validation_split": 0.2}, "^There is no option `validation_split`"),
        ({"random_state": [1]}, {"n_candidates": 0}, "^n_candidates must be a whole number of at least 1"),
        ({"random_state": [1]}, {"epochs": 0}, "^candidate 0: epochs=0 trains nothing"),
        ({"random_state": [1, 2]}, {"halving": 3}, "^halving=3 needs at least 3 candidates and epochs, but .* 2 cand"),
        ({"random_state": [1, 2, 3]}, {"halving": 3, "epochs": 2}, "^halving=3 needs .* but there are 2 epochs"),
        ({"random_state": [1, 2]}, {"halving": 1}, "^halving must be a whole number of at least 2"),
        ({"random_state": [1]}, {"metric": "rsme"}, "^There is no metric 'rsme'; .* Did you mean 'rmse'"),
        ({"random_state": [1]}, {"metric": "val_loss"}, "^There is no metric 'val_loss'"),
        ({"random_state": [1]}, {"cv": 101}, "^cv=101 needs 101 rows, but there are 100"),
        ({"random_state": [1]}, {"groups": [1, 2]}, "^groups has shape"),
        ({"random_state": [1]}, {"layer_sizes": [3, 1]}, "^candidate 0: X has 4 columns, but the network has 3"),
        ({"random_state": [1]}, {"sample_weight": [-1] * 100}, "^candidate 0: sample_weight, row 0 is -1"),
        ({"random_state": [1]}, {"cv": 0.2, "loss": "poisson"}, "^candidate 0: y, row 0 is -5"),
        (
            {"random_state": [1]},
            {"sample_weight": [1] + [0] * 99},
            "^candidate 0, fold 0: .*sample_weight is 0 in every",
        ),
        (
            {"random_state": [1]},
            {"sample_weight": [1] + [0] * 99, "cv": 0.2},
            "^candidate 0, fold 0: .*sample_weight is",
        ),
        (
            {"random_state": [1]},
            {"optimizer": fastgd.SGD(fastgd.schedules.ReduceOnPlateau(0.1))},
            "^candidate 0: ReduceOnPlateau looks at 'val_loss', which the training on all rows does not have",
        ),
    ],
)
def test_bad_input_is_one_sentence_before_anything_trains(space, options, message, monkeypatch):
    X, y = houses(100)
    steps = []
    overheard(monkeypatch, "train", lambda call: steps.append(call.learning_rates.size))
    refused(message, fastgd.search, space, X, np.r_[-5.0, y[1:]], **{**SMALL, **options}, **QUIET)
    assert sum(steps) == 0


def test_rows_are_counted_as_in_the_table():
    X, y = houses(100)
    y = np.where(np.arange(100) == 50, np.nan, y)
    folds = [(np.arange(40, 100), np.arange(40))]
    asked = {**SMALL, **QUIET, "cv": folds}
    refused("^candidate 0: y, row 50 is nan", fastgd.search, {"random_state": [1]}, X, y, **asked)


def test_quantiles_have_no_best_share_below():
    X, y = houses(100)
    asked = {"layer_sizes": [4, 2], "loss": fastgd.losses.Quantile([0.1, 0.9]), "metric": "below_0.9"}
    refused("metric 'below_0.9' is best at its level", fastgd.search, {"random_state": [1]}, X, y, **asked, **QUIET)


def test_a_fold_without_a_class_has_no_such_metric():
    X, _ = houses(100)
    classes, folds = np.arange(100) % 2, [(np.arange(50), np.arange(50, 100)), (np.arange(50), np.arange(51, 100, 2))]
    asked = {"layer_sizes": [4, 2], "loss": "cross_entropy", "metric": "roc_auc", "cv": folds}
    refused("fold 1: There is no metric 'roc_auc'", fastgd.search, {"random_state": [1]}, X, classes, **asked, **QUIET)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Uniform(1, 0), "Uniform: low must be below high, not 1 and 0"),
        (lambda: Uniform(0, math.inf), "Uniform: high must be a finite number, not inf"),
        (lambda: LogUniform(0, 1), "LogUniform: low must be above 0, not 0"),
        (lambda: LogUniform(1, 1), "LogUniform: low must be below high"),
        (lambda: Integer(1.5, 3), "Integer: low must be a whole number, not 1.5"),
        (lambda: Integer(0, 3, log=True), "Integer: with log=True low must be a whole number of at least 1, not 0"),
        (lambda: Choice([]), "Choice: the list is empty"),
        (lambda: Choice("relu"), "Choice: values must be a list"),
        (lambda: Uniform(0, 1, lo=3), "`lo`"),
    ],
)
def test_distributions_that_cannot_be(call, message):
    refused(message, call)


# Options of the optimizer.


def test_a_rate_scales_the_schedule():
    default = spec_of({"learning_rate": 0.02, "weight_decay": 0.3}, {})["optimizer"]
    assert default == fastgd.AdamW(
        learning_rate=fastgd.schedules.WarmUp(0.02, 20, start=0.002), weight_decay=0.3, clip_norm=1.0, ema_decay=0.99
    )
    cosine = at_rate(fastgd.schedules.Cosine(0.1, final=0.01), 0.2)
    assert cosine == fastgd.schedules.Cosine(0.2, final=0.02)
    drawn = spec_of({"learning_rate": cosine}, {"optimizer": fastgd.SGD(lambda step: 0.1)})["optimizer"]
    assert drawn == fastgd.SGD(cosine)
    with pytest.raises(fastgd.errors.InvalidInputError, match="a function of the step"):
        spec_of({"learning_rate": 0.2}, {"optimizer": fastgd.SGD(lambda step: 0.1)})
    assert spec_of({"learning_rate": 0.2}, {"optimizer": fastgd.SGD()})["optimizer"] == fastgd.SGD(0.2)
    both = spec_of({"encoding.bins": 8, "encoding.finer": 2.0}, {"encoding": "auto"})
    assert both == {"encoding": fastgd.Encoding(bins=8, finer=2.0)}


# What mattered, and how it is shown.


def planted(score, n=60):
    random = np.random.default_rng(0)
    found = []
    for number in range(n):
        options = {"rate": 10 ** random.uniform(-4, 0), "noise": random.random(), "kind": "abc"[random.integers(3)]}
        found.append(Candidate(number, options, {}, scores=[score(options, random)], rounds=1))
    return sorted(found, key=lambda candidate: candidate.score)


def test_the_option_that_matters_is_found():
    table = importance_of(planted(lambda options, random: (math.log10(options["rate"]) + 2) ** 2))
    assert table["option"][0] == "rate"
    assert table["importance"][0] > 0.6
    assert max(table["importance"][1:]) < 0.15
    low, high = map(float, table["best on average"][0].split(" to "))
    assert low < 0.01 < high
    table = importance_of(planted(lambda options, random: options["kind"] == "b"))
    assert (table["option"][0], table["best on average"][0]) != ("kind", "b")
    assert table["option"][0] == "kind"
    nothing = importance_of(planted(lambda options, random: random.random()))
    assert max(nothing["importance"]) < 0.2  # the control: nothing matters
    assert importance_of(planted(lambda options, random: 0, 5)).note


def test_many_groups_explain_nothing_by_chance():
    random = np.random.default_rng(0)
    draws = [(random.permutation(60).astype(float), random.permutation(60) // 3) for _ in range(40)]
    assert np.mean([explained(*draw) for draw in draws]) < 0.1
    within = np.mean([[ranks[groups == g].var() for g in range(20)] for ranks, groups in draws])
    assert 1 - within / np.arange(60).var() > 0.25  # what they seem to explain without the correction
    assert explained(np.arange(60.0), np.arange(60) // 3) > 0.99


def test_who_went_further_stands_before_who_was_measured_better():
    def candidate(number, rounds, score, error=None):
        return Candidate(number, {}, {}, scores=[] if score is None else [score], rounds=rounds, error=error)

    drawn = [
        candidate(0, 1, 1.0, ArithmeticError()), candidate(1, 0, None), candidate(2, 1, 5.0), candidate(3, 2, 9.0),
        candidate(4, 1, 4.0), candidate(5, 2, 8.0),
    ]  # fmt: skip
    assert [found.number for found in ranked(drawn, "rmse")] == [5, 3, 4, 2, 1, 0]
    assert [found.number for found in ranked(drawn, "r2")] == [3, 5, 2, 4, 1, 0]


def test_the_table_fits_and_names_what_it_needs():
    X, y = houses(300)
    result = fastgd.search(SPACE, X, y, n_candidates=9, cv=3, epochs=9, metric="rmse", **QUIET)
    lines = repr(result).splitlines()
    assert re.fullmatch(r"9 candidates, 3 folds, 3 rounds, \d+\.\d s", lines[0])
    assert max(map(len, lines)) <= 80
    assert list(result.table) == [
        "candidate", "rmse", "spread", "epochs", "learning_rate", "layer_sizes", "seconds", "ended",
    ]  # fmt: skip
    assert f"{result.score:,.0f}" in lines[3]
    assert result.table["ended"][0] == "completed"
    assert result.table["ended"][-1] == "round 1"
    assert "<table>" in result._repr_html_()
    assert re.fullmatch(
        r"<Candidate \d: learning_rate .*, layer_sizes 4-\d+-1; score .* after 9 epochs>", repr(result.candidates[0])
    )


def test_lines_say_what_each_round_came_to(capsys):
    X, y = houses(200)
    asked = {"n_candidates": 4, "cv": 2, "epochs": 4, "halving": 2, "refit": False, "n_threads": 1}
    fastgd.search(SPACE, X, y, **asked)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.match(r"round 1 of 3: 4 candidates after 1 epoch, best loss \S+, \d+\.\d s$", lines[0])
    assert lines[2].startswith("round 3 of 3: 1 candidate after 4 epochs, best loss ")
    fastgd.search(SPACE, X, y, verbose=2, **asked)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("<Record ") for line in lines) == (4 + 2 + 1) * 2
    fastgd.search(SPACE, X, y, verbose=0, **asked)
    assert capsys.readouterr().out == ""


def test_the_plot_has_a_panel_for_each_option():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = houses(200)
    space = SPACE | {"dropout": Uniform(0, 0.3), "activation": ["relu", "tanh"]}
    result = fastgd.search(space, X, y, n_candidates=9, cv=0.3, epochs=9, **QUIET)
    panels = fastgd.plots.search(result)
    assert [ax.get_xlabel() for ax in panels] == list(space)
    assert [ax.get_xscale() for ax in panels[::2]] == ["log", "linear"]
    given_up, completed, best = panels[0].lines
    assert (len(given_up.get_xdata()), len(completed.get_xdata())) == (8, 1)
    assert best.get_xdata()[0] == result.best["learning_rate"]
    assert best.get_ydata()[0] == result.score
    figure, axes = plt.subplots(1, 4)
    assert fastgd.plots.search(result, axes) == list(axes)
    refused("axes must be 4, one for each option, not 1", fastgd.plots.search, result, [axes[0]])
    refused("result must be what fastgd.search returned, not dict", fastgd.plots.search, {})
    figure.canvas.draw()
    plt.close("all")


def test_a_truth_of_numpy_is_one_of_python():
    X, y = houses(60)
    for halving, n_rounds in ((np.bool_(True), 2), (np.bool_(False), 1)):
        result = fastgd.search(
            {"random_state": [1, 2, 3]}, X, y, layer_sizes=[4, 4, 1], epochs=3, cv=2, halving=halving, verbose=0
        )
        assert result.n_rounds == n_rounds
