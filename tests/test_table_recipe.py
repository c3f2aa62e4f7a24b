"""What estimators choose by the number of rows; the choice names its arguments, and each can be overridden."""

from __future__ import annotations

import math

import numpy as np
import pytest
from samples import houses, waves

import fastgd
from fastgd import schedules
from fastgd.training.optimizers import DEFAULT_OPTIMIZER
from fastgd.training.recipe import recipe


def last_rate(choice, n_rows):
    """The learning rate of the last step, as a share of the highest."""
    steps = choice.epochs * math.ceil(n_rows / choice.batch_size)
    rates = choice.optimizer.schedule.rates(np.arange(steps), steps)
    assert np.argmax(rates) == pytest.approx(0.05 * steps, abs=1)
    return rates[-1] / rates.max()


@pytest.mark.tiny
@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [(100, 32), (999, 32), (1000, 64), (2999, 64), (3000, 128), (9999, 128), (10_000, 256), (100_000, 256),
     (100_001, 512), (10**6, 1024)],
)  # fmt: skip
def test_batches_grow_with_the_table_and_the_rate_falls_to_nothing(n_rows, batch_size, encoded):
    choice = recipe(n_rows, encoded=encoded)
    assert choice.batch_size == batch_size
    steps = choice.epochs * math.ceil(n_rows / batch_size)
    assert 1000 < steps < 6100 or choice.epochs == 12
    assert last_rate(choice, n_rows) < 1e-4


@pytest.mark.tiny
def test_few_rows_are_one_batch_without_dropout():
    for n_rows in (1, 5, 32):
        choice = recipe(n_rows)
        assert (choice.batch_size, choice.epochs, choice.dropout) == (n_rows, 300, 0.0)
    assert recipe(33).dropout > 0


@pytest.mark.tiny
def test_encoded_tables_need_more_decay_and_fewer_steps():
    plain, encoded = recipe(20_000), recipe(20_000, encoded=True)
    assert encoded.optimizer.weight_decay > plain.optimizer.weight_decay
    assert encoded.epochs < plain.epochs
    assert recipe(50_000, encoded=True).optimizer.weight_decay < encoded.optimizer.weight_decay
    classes = recipe(20_000, encoded=True, classes=True)
    assert classes.optimizer.weight_decay > encoded.optimizer.weight_decay
    assert classes.epochs < encoded.epochs
    assert recipe(20_000, classes=True) == plain


@pytest.mark.tiny
def test_within_a_budget_many_rows_are_learned_longer():
    one, long = (recipe(20_000, encoded=True, longer=longer) for longer in (False, True))
    assert long.epochs == 2 * one.epochs
    assert last_rate(long, 20_000) < 1e-4
    for n_rows, options in ((19_999, {"encoded": True}), (50_000, {}), (50_000, {"encoded": True, "classes": True})):
        assert recipe(n_rows, longer=True, **options) == recipe(n_rows, **options)


@pytest.mark.tiny
def test_a_choice_prints_as_the_arguments_that_say_it():
    choice = recipe(20_000, epochs=20)
    assert str(choice) == (
        "256 rows a step, 20 epochs, AdamW(learning_rate=WarmUp(Cosine(0.006), 79), weight_decay=0.1, ema_decay=0.995, "
        "beta2=0.99), dropout 0.1, 96-96 silu"
    )
    names = vars(schedules) | {"AdamW": fastgd.AdamW}
    assert eval(repr(choice.optimizer), names) == choice.optimizer
    assert str(recipe(50, hidden_layer_sizes=(), optimizer=fastgd.SGD())).endswith(
        "SGD(learning_rate=0.05), dropout 0.3, no hidden layer silu"
    )
    assert "8 relu" in str(recipe(50, hidden_layer_sizes=8, activation=["relu"]))


@pytest.mark.parametrize(("n_rows", "kind"), [(20, "numbers"), (300, "numbers"), (300, "classes"), (1200, "numbers")])
def test_explicit_arguments_are_the_same_bits(n_rows, kind):
    X, y = houses(n_rows)
    make = fastgd.MLPRegressor if kind == "numbers" else fastgd.MLPClassifier
    y = y if kind == "numbers" else y > np.median(y)
    chosen = make(random_state=0).fit(X, y)
    named = {name: getattr(chosen.recipe_, name) for name in chosen.recipe_.__dataclass_fields__}
    if n_rows >= 1000:
        named["dropout"] = "auto"  # which fades; a given one stays, see test_fading_dropout.py
    explicit = make(random_state=0, **named).fit(X, y)
    np.testing.assert_array_equal(explicit.model_.parameters, chosen.model_.parameters)
    assert explicit.recipe_ == chosen.recipe_
    other = make(random_state=0, **{**named, "epochs": named["epochs"] - 1}).fit(X, y)
    assert (other.model_.parameters != chosen.model_.parameters).any(), "the control"


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"hidden_layer_sizes": (5,)}, {"hidden_layer_sizes": (5,)}),
        ({"activation": "tanh"}, {"activation": "tanh"}),
        ({"dropout": 0.0}, {"dropout": 0.0}),
        ({"optimizer": fastgd.SGD()}, {"optimizer": fastgd.SGD()}),
        ({"batch_size": 10}, {"batch_size": 10, "epochs": 200, "optimizer": ("rate", 0.008)}),
        ({"epochs": 7}, {"epochs": 7, "optimizer": ("rate", 0.008)}),
        ({"learning_rate": 0.001}, {"optimizer": ("rate", 0.001)}),
        ({"weight_decay": 0.2}, {"optimizer": ("decay", 0.2)}),
    ],
)
def test_each_argument_overrides_its_part(options, changed):
    X, y = waves(100)
    plain = fastgd.MLPRegressor(random_state=0).fit(X, y).recipe_
    chosen = fastgd.MLPRegressor(random_state=0, **options).fit(X, y).recipe_
    for name in plain.__dataclass_fields__:
        before, after, wanted = getattr(plain, name), getattr(chosen, name), changed.get(name)
        if wanted is None:
            assert after == before
        elif wanted[0:1] == ("rate",) if isinstance(wanted, tuple) and name == "optimizer" else False:
            assert after.schedule.schedule == schedules.Cosine(wanted[1])
            assert after.schedule.steps == round(0.05 * chosen.epochs * math.ceil(100 / chosen.batch_size))
        elif name == "optimizer" and isinstance(wanted, tuple):
            assert after.weight_decay == wanted[1]
        else:
            assert after == wanted


def test_a_schedule_of_ones_own_is_not_warmed_up():
    X, y = waves(100)
    rate = schedules.Constant(0.003)
    chosen = fastgd.MLPRegressor(random_state=0, learning_rate=rate).fit(X, y)
    assert chosen.recipe_.optimizer.schedule == rate
    assert chosen.history_.history["learning_rate"][-1] == 0.003


def test_with_early_stopping_the_rate_falls_over_all_epochs():
    X, y = waves(200)
    model = fastgd.MLPRegressor(early_stopping=True, n_iter_no_change=math.inf, random_state=0).fit(X, y)
    assert model.n_iter_ == model.recipe_.epochs == recipe(180).epochs
    rates = model.history_.history["learning_rate"]
    assert rates[-1] < 1e-4 < 1e-3 < max(rates)
    for epochs, waited in ((12, 10), (80, 20)):
        stopped = fastgd.MLPRegressor(early_stopping=True, epochs=epochs, tol=10.0, random_state=0).fit(X, y)
        assert stopped.n_iter_ == 1 + waited
    assert fastgd.MLPRegressor(tol=10.0, random_state=0).fit(X, y).n_iter_ == recipe(200).epochs, "no patience without"


def test_partial_fit_has_a_constant_rate_and_keeps_its_network():
    X, y = waves(2000)
    model = fastgd.MLPRegressor(random_state=0).partial_fit(X[:40], y[:40])
    first = model.recipe_
    assert first.optimizer == DEFAULT_OPTIMIZER
    assert (first.batch_size, first.dropout, first.hidden_layer_sizes) == (32, 0.0, (96, 96)), "whatever the rows"
    for _ in range(5):
        model.partial_fit(X, y)
    assert model.recipe_ == first
    assert model.score(X, y) > 0.95
    small = fastgd.MLPRegressor(random_state=0, epochs=3).fit(X[:40], y[:40])
    assert small.recipe_.hidden_layer_sizes == (96,)
    small.partial_fit(X, y)
    assert small.model_.network.n_parameters == (3 + 1) * 96 + 97, "that of the fit goes on"
    assert (small.recipe_.hidden_layer_sizes, small.recipe_.dropout) == ((96,), 0.3)


def test_a_warm_start_with_a_larger_table_keeps_its_network():
    X, y = waves(1500)
    model = fastgd.MLPRegressor(warm_start=True, random_state=0, epochs=5).fit(X[:20], y[:20])
    before = model.model_.network
    assert model.fit(X, y).model_.network == before
    assert fastgd.MLPRegressor(random_state=0, epochs=5).fit(X, y).model_.network != before, "the control"


def test_what_was_chosen_is_said_first(capsys, monkeypatch):
    X, y = waves(50)
    model = fastgd.MLPRegressor(epochs=3, verbose=2).fit(X, y)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == str(model.recipe_)
    assert others[-1].startswith("epoch 3/3")
    monkeypatch.setenv("COLUMNS", "40")
    fastgd.MLPRegressor(epochs=3, verbose=2).fit(X, y)
    assert max(map(len, capsys.readouterr().out.splitlines()[:4])) <= 40
    fastgd.MLPRegressor(epochs=3).fit(X, y)
    assert capsys.readouterr().out == ""
