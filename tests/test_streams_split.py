"""A stream in two: the same rows on each side in every pass, and `validation_split` over streams."""

from __future__ import annotations

import re

import numpy as np
import pytest
from streams import STREAMS, N, frame, pieces, read, table

import fastgd
from fastgd.errors import InvalidInputError

AGAIN = [kind for kind in STREAMS if kind != "frames"]  # which is an iterator


def ids(stream, order=None, most=10**9):
    return set(read(stream.source, order, most)[0][:, 0].astype(int).tolist())


@pytest.mark.parametrize("kind", AGAIN)
def test_each_row_is_on_one_side_and_stays_there(kind, tmp_path):
    stream = STREAMS[kind](tmp_path, *table())
    train, held_out = stream.split(0.2, seed=1)
    sides = ids(train), ids(held_out)
    assert sides[0] | sides[1] == set(range(N))
    assert not sides[0] & sides[1]
    assert 0.1 < len(sides[1]) / N < 0.3
    n_parts = train.source.n_parts
    order = None if n_parts is None else list(range(n_parts))[::-1]
    assert (ids(train, order, 7), ids(held_out, order, 7)) == sides
    other = ids(stream.split(0.2, seed=2)[1])
    assert len(other & sides[1]) < len(sides[1]) / 2


@pytest.mark.parametrize("kind", AGAIN)
def test_machines_hold_out_each_row_once(kind, tmp_path):
    train, held_out = STREAMS[kind](tmp_path, *table()).split(0.2)
    sides = [[ids(side.share(rank, 3)) for rank in range(3)] for side in (train, held_out)]
    assert sorted(row for side in sides for share in side for row in share) == list(range(N))
    if train.source.files:  # as one machine would
        whole = STREAMS[kind](tmp_path, *table()).split(0.2)[1]
        assert set.union(*sides[1]) == ids(whole)


def test_a_side_is_split_again_with_the_same_seed():
    train, _ = fastgd.Stream(*table()).split(0.2)
    less, more = train.split(0.2)
    assert ids(less) | ids(more) == ids(train)
    assert 0.1 < len(ids(more)) / len(ids(train)) < 0.3


def test_files_have_draws_of_their_own(tmp_path):
    X, y, weights = table(400)
    for name in "ab":
        frame(X, y, weights).write_parquet(tmp_path / f"{name}.parquet")
    _, held_out = fastgd.Stream(str(tmp_path / "*.parquet"), target="y").split(0.5)
    rows = {name: set() for name in "ab"}
    for batch in held_out.source.batches(None, 50):
        rows[batch.name[-9]] |= set(batch.places.numbers.tolist())
    assert 60 < len(rows["a"] & rows["b"]) < 140  # of 200, and not all


def test_messages_name_the_row_of_the_file(tmp_path):
    X, y, weights = table()
    path = tmp_path / "0.csv"
    frame(X, y, weights).write_csv(path)
    batch = next(fastgd.Stream(path, target="y").split(0.2)[1].source.batches(None, 100))
    assert batch.at(3) == f"{path}, line {int(batch.X['id'][3]) + 2}"
    batch = list(fastgd.Stream(pieces(*table())).split(0.2)[1].source.batches(None, 100))[2]
    assert batch.at(1) == f"batch 2, row {int(batch.X[1, 0]) - 120}"


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan"), "0.2", True])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InvalidInputError, match="share must be a number between 0 and 1, not"):
        fastgd.Stream(*table()).split(share)


def test_nothing_left_on_a_side_is_a_sentence():
    train, held_out = fastgd.Stream(np.ones((3, 2)), np.ones(3)).split(1e-9)
    assert len(read_rows(train)) == 3
    with pytest.raises(InvalidInputError, match="has 3 rows: to hold out 1e-09 of them leaves none to measure with"):
        read_rows(held_out)
    with pytest.raises(InvalidInputError, match="can be read only once, but both sides of a split are read"):
        fastgd.Stream(iter(pieces(*table()))).split(0.1)


def read_rows(stream):
    return [row for batch in stream.source.batches(None, 100) for row in batch.X]


# validation_split


def fitted(X, y=None, **options):
    model = fastgd.MLP([4, 8, 1], random_state=3)
    return model, model.fit(X, y, **{"epochs": 3, "verbose": 0, "validation_split": 0.25} | options)


@pytest.fixture(scope="module")
def houses():
    return fastgd.datasets.houses(600, random_state=0)


def test_of_a_stream_rows_are_held_out_for_validation(houses):
    stream = fastgd.Stream(*houses, buffer_rows=64)
    train, held_out = stream.split(0.25, seed=3)
    model, history = fitted(stream)
    other, expected = fitted(train, validation_data=held_out, validation_split=0)
    assert history.history == expected.history
    assert np.array_equal(model.parameters, other.parameters)
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(held_out)["loss"])
    assert not np.array_equal(model.parameters, fitted(stream, validation_split=0)[0].parameters)


def test_of_a_stream_that_fits_into_a_buffer_they_are_those_of_the_table(houses):
    model, history = fitted(fastgd.Stream(*houses))
    other, expected = fitted(*houses)
    assert history.history == expected.history
    assert np.array_equal(model.parameters, other.parameters)


@pytest.mark.parametrize("rows", [64, 2000])
def test_of_a_function_they_are_the_same_in_each_pass(houses, rows):
    passes = []

    def batches():
        passes.append(len(passes))
        return iter(pieces(*houses, rows=50))

    _, history = fitted(batches, buffer_rows=rows)
    assert len(history.history["val_loss"]) == 3
    assert len(passes) == 1 + 3 + 3


def test_a_side_of_a_function_is_learned_as_it_is(houses):
    train, _ = fastgd.Stream(lambda: iter(pieces(*houses, rows=50)), buffer_rows=64).split(0.25, seed=3)
    own, _ = fitted(lambda: iter(pieces(*houses, rows=50)), buffer_rows=64, epochs=2)
    other, _ = fitted(train, validation_split=0, epochs=2)
    assert np.array_equal(own.parameters, other.parameters)


def test_early_stopping_watches_them(houses):
    stop = fastgd.callbacks.EarlyStopping(patience=1)
    _, history = fitted(fastgd.Stream(*houses, buffer_rows=64), epochs=500, callbacks=[stop])
    assert 1 < history.epochs < 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": 1.0}, "validation_split must be a share of at least 0 and below 1, not 1.0."),
        ({"validation_split": "a"}, "validation_split must be a share"),
        ({"validation_data": (np.ones((2, 4)), np.ones(2))}, "validation_data and validation_split cannot both"),
    ],
)
def test_splits_that_cannot_be_are_refused(houses, options, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        fitted(fastgd.Stream(*houses, buffer_rows=64), **options)


def test_an_iterator_cannot_hold_rows_out(houses):
    with pytest.raises(InvalidInputError, match="can be read only once, but rows of validation_split are measured"):
        fitted(iter(pieces(*houses, rows=50)), buffer_rows=64, epochs=1)


def test_class_weights_do_not_go_with_it(houses):
    X, y = houses
    model = fastgd.MLP([4, 8, 1], loss="binary_cross_entropy", random_state=0)
    with pytest.raises(InvalidInputError, match="class_weight does not go with validation_split of a stream"):
        model.fit(
            fastgd.Stream(X, y > np.median(y), buffer_rows=64), class_weight="balanced", validation_split=0.2,
            verbose=0,
        )  # fmt: skip
    assert not model.schema.scaled
