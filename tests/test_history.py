"""A history says what ran."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from samples import houses

import fastgd
from fastgd.errors import InvalidInputError


@pytest.mark.parametrize("device", ["cpu", "plain"])
def test_training_makes_it_better_and_the_history_says_what_ran(device):
    X, y = houses(2000)
    model = fastgd.MLP([4, 16, 1])
    before = model.evaluate(X, y)
    history = model.fit(X, y, epochs=5, device=device, verbose=0)
    after = model.evaluate(X, y)
    assert after["r2"] > 0.85 > before["r2"]
    losses = history.history["loss"]
    assert len(losses) == history.epochs == 5
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(after["loss"], rel=0.3)
    assert (history.stop_reason, history.engine) == ("completed", device)
    assert (history.steps, history.rows_seen) == (5 * 63, 10_000)
    assert history.rows_per_second == pytest.approx(10_000 / history.seconds)
    assert json.loads(json.dumps(history.to_dict()))["history"]["loss"] == losses
    assert repr(history).startswith("<History: 5 epochs, loss ")


def stopped(rates, restore=True, epochs=8):
    """A training with the learning rate of each epoch, and early stopping."""
    X, y = houses(320)
    stop = fastgd.callbacks.EarlyStopping(patience=3, restore_best_weights=restore)
    optimizer = fastgd.Adam(lambda step: rates[min(step // 10, len(rates) - 1)])
    model = fastgd.MLP([4, 8, 1])
    held_out = tuple(part[320:] for part in houses(400))
    history = model.fit(X, y, epochs=epochs, optimizer=optimizer, validation_data=held_out, callbacks=stop, verbose=2)
    return model, history, held_out


@pytest.mark.filterwarnings("ignore::fastgd.errors.TrainingWarning")
def test_the_history_says_whose_weights_were_kept(capsys):
    model, history, held_out = stopped([0.01, 0.01, 1.0])
    assert (history.epochs, history.best_epoch) == (5, 2)
    assert history.kept == {name: values[1] for name, values in history.history.items()}
    assert history.kept["val_loss"] == pytest.approx(model.evaluate(*held_out)["loss"])
    assert history["val_loss"][-1] != pytest.approx(history.kept["val_loss"]), "the last epoch was another"
    words = f"weights of epoch 2: loss {history.loss[1]:.4g}, val_loss {history.val_loss[1]:.4g}"
    assert words in repr(history)
    assert f"the model has the {words}" in capsys.readouterr().out
    assert history.to_dict()["best_epoch"] == 2


@pytest.mark.filterwarnings("ignore::fastgd.errors.TrainingWarning")
@pytest.mark.parametrize(
    ("rates", "options", "best", "told"),
    [
        ([0.01], {"epochs": 3}, 3, False),  # the last epoch was the best
        ([0.01, 0.01, 1.0], {"restore": False}, None, False),
        ([3.0], {}, 0, True),
    ],
    ids=["last", "not restored", "start"],
)
def test_whose_weights_a_model_has_is_told_where_it_is_not_the_last(rates, options, best, told, capsys):
    model, history, held_out = stopped(rates, **options)
    assert history.best_epoch == best
    assert ("weights" in repr(history)) == told == ("the model has the weights" in capsys.readouterr().out)
    if best == 0:
        assert history.kept == {}
        assert "weights from before the first step" in repr(history)
    else:
        assert history.kept["val_loss"] == pytest.approx(model.evaluate(*held_out)["loss"], rel=1e-6)


def test_values_are_found_by_their_names():
    X, y = houses(100)
    history = fastgd.MLP([4, 3, 1]).fit(X, y, epochs=2, validation_split=0.2, verbose=0)
    assert history.loss == history["loss"] == history.history["loss"]
    assert history.val_loss == history["val_loss"]
    assert {"loss", "val_loss", "epochs"} <= set(dir(history))
    with pytest.raises(
        AttributeError, match=r"has no 'accuracy'; it has the values of each epoch \(loss, learning_rate"
    ):
        _ = history.accuracy
    with pytest.raises(InvalidInputError, match="There is no quantity in this history 'losses'"):
        history["losses"]
    for twin in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert twin == history
