"""What users type: names, whole numbers, yes or no; a mistake is answered with what would be right."""

from __future__ import annotations

import fractions

import numpy as np
import pytest

import fastgd
from fastgd.errors import InvalidInputError
from fastgd.options import (
    checked_names,
    is_number,
    layer_number,
    look_up,
    positive_integer,
    printable,
    shortened,
    side_by_side,
    yes_or_no,
)

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rlu", r"^There is no activation 'rlu'; there are: relu, tanh\. Did you mean 'relu'\?$"),
        ("swish", r"^There is no activation 'swish'; there are: relu, tanh\.$"),
        (["relu"], r"^There is no activation \['relu'\]; there are: relu, tanh\."),
        (None, r"^There is no activation None; there are: relu, tanh\.$"),
    ],
)
def test_an_unknown_name_lists_the_right_ones(name, message):
    table = {"relu": 1, "tanh": 2}
    assert look_up("tanh", table, "activation") == 2
    with pytest.raises(InvalidInputError, match=message):
        look_up(name, table, "activation")


@checked_names
def trained(rows, epochs=1, batch_size=32, optimizer=None):
    return rows, epochs, batch_size, optimizer


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("n_epochs", "^`n_epochs` is called `epochs`.$"),
        ("Max_Iter", "^`Max_Iter` is called `epochs`.$"),
        ("batch_sizes", "^`batch_sizes` is called `batch_size`.$"),
        ("lr", r"^`lr` belongs to the optimizer: optimizer=fastgd\.SGD\(learning_rate=…\)\.$"),
        ("momentum", r"^`momentum` belongs to the optimizer: optimizer=fastgd\.SGD\(momentum=…\)\.$"),
        ("colour", "^There is no option `colour`; the options are: rows, epochs, batch_size, optimizer.$"),
    ],
)
def test_an_unknown_option_is_told_its_right_name(option, message):
    assert trained(3, epochs=2) == (3, 2, 32, None)
    with pytest.raises(InvalidInputError, match=message):
        trained(3, **{option: 1})


@pytest.mark.parametrize("value", [True, np.True_, 0, -1, 1.0, np.float32(2), "1", None, [1]])
def test_what_is_no_positive_whole_number(value):
    with pytest.raises(InvalidInputError, match="epochs must be a whole number of at least 1, not "):
        positive_integer(value, "epochs")


@pytest.mark.parametrize("value", [1, np.int8(1), np.uint64(1)])
def test_what_is_a_positive_whole_number(value):
    number = positive_integer(value, "epochs")
    assert (number, type(number)) == (1, int)
    assert positive_integer(0, "epochs", least=0) == 0


@pytest.mark.parametrize(("layer", "expected"), [(0, 0), (2, 2), (-1, 2), (-3, 0), (np.int64(1), 1)])
def test_layers_are_counted_from_either_end(layer, expected):
    assert layer_number(layer, 3) == expected


@pytest.mark.parametrize("layer", [3, -4, 1.0, True, "0", None])
def test_what_is_no_layer(layer):
    with pytest.raises(InvalidInputError, match="layer must be a whole number from 0 to 2, not "):
        layer_number(layer, 3)


def test_yes_and_no():
    for yes in (True, np.True_, 1):
        assert yes_or_no(yes, "shuffle") is True
    for no in (False, np.False_, 0):
        assert yes_or_no(no, "shuffle") is False
    for neither in ("no", None, 2, 1.0, []):
        with pytest.raises(InvalidInputError, match="shuffle must be True or False, not "):
            yes_or_no(neither, "shuffle")


def test_numbers_are_what_a_float_can_hold():
    assert all(map(is_number, (0, 1.5, np.float32(1), np.int8(1), fractions.Fraction(1, 3), float("nan"))))
    assert not any(map(is_number, (True, np.True_, "1", None, 1j, 10**400, [1])))


def test_a_long_name_keeps_both_ends():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcde…hijk"
    assert len(shortened("x" * 1000, 61)) == 61


def test_text_from_files_is_one_harmless_line():
    assert printable("price, €\n\x1b[2J\u202e") == r"price, €\n\x1b[2J\u202e"
    assert printable("a\udcffb") == r"a\udcffb"


@pytest.mark.parametrize(
    ("room", "groups"),
    [(16, [[0, 1, 2, 3]]), (15, [[0, 1, 2], [0, 3]]), (8, [[0, 1], [0, 2], [0, 3]]), (1, [[0, 1], [0, 2], [0, 3]])],
)
def test_columns_that_do_not_fit_follow_below_with_the_first_one(room, groups):
    assert side_by_side([4, 2, 2, 2], 2, room) == groups


def test_a_single_column_is_a_table():
    assert side_by_side([9], 2, 1) == [[0]]


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: fastgd.MLP([2, 2, 1], activation="softmax"), "With loss='cross_entropy' it is built in"),
        (lambda: fastgd.MLP([2, 3], output_activation="Softmax"), "ask predict_proba for the probabilities"),
        (lambda: fastgd.MLP([2, 3], loss="softmax"), "'cross_entropy' has it built in"),
        (lambda: fastgd.MLP([2, 1], loss="mean_squared_error"), "Did you mean 'mse'"),
        (lambda: fastgd.MLP([2, 1], loss="Binary Crossentropy"), "Did you mean 'binary_cross_entropy'"),
        (lambda: fastgd.MLP([2, 3], loss="sparse_categorical_crossentropy"), "Did you mean 'cross_entropy'"),
        (lambda: fastgd.MLP([2, 2, 1], activation="ReLU"), "Did you mean 'relu'"),
        (lambda: fastgd.MLP([2, 2, 1], activation="swish"), "Did you mean 'silu'"),
        (lambda: fastgd.MLP([2, 2, 1], activation="linear"), "Did you mean 'identity'"),
        (lambda: fastgd.MLP([2, 2, 1], initializer="xavier_uniform"), "Did you mean 'glorot_uniform'"),
        (lambda: fastgd.MLP([2, 1], dtype="double"), "Did you mean 'float64'"),
        (lambda: fastgd.MLP([2, 1]).fit([[1, 2]], [1], optimizer="adam"), r"such as fastgd.Adam\(\), not 'adam'"),
        (lambda: fastgd.MLP([2, 1]).fit([[1, 2]], [1], optimizer="RMSProp"), r"such as fastgd.RMSprop\(\)"),
        (lambda: fastgd.MLP([2, 1]).fit([[1, 2]], [1], optimizer=fastgd.AdamW), r"fastgd.AdamW\(\), not AdamW"),
        (lambda: fastgd.MLP([2, 1]).fit([[1, 2]], [1], optimizer="lbfgs"), r"such as fastgd.SGD\(learning_rate=0.05\)"),
    ],
)
def test_names_of_other_libraries_lead_to_ours(make, hint):
    with pytest.raises(InvalidInputError, match=hint):
        make()


def test_every_synonym_leads_somewhere():
    from fastgd.network.activations import ACTIVATIONS
    from fastgd.network.initializers import INITIALIZERS
    from fastgd.network.losses import LOSSES
    from fastgd.options import SYNONYMS

    names = {*ACTIVATIONS, *INITIALIZERS, *LOSSES, "float32", "float64"}
    assert set(SYNONYMS.values()) <= names
    assert not set(SYNONYMS) & names


def test_a_short_name_is_not_taken_for_another():
    model = fastgd.MLP([2, 1])
    with pytest.raises(InvalidInputError, match="There is no option `by`"):
        model.nudge([[1, 2]], [1], by="input")
    with pytest.raises(InvalidInputError, match="`layers` is called `layer`"):
        model.nudge([[1, 2]], [1], layers=0)
