"""The trials of bad inputs, and of bad words after commands, with few cases."""

from __future__ import annotations

from trials import bad_commands, bad_inputs, recipes
from trials.public_names import public_names


def test_some_bad_inputs_of_everything():
    outcome = bad_inputs.bad_inputs(240, 1)
    assert outcome.failures == []
    assert outcome.cases == 240


def test_every_public_name_is_tried():
    assert recipes.without_recipe(public_names()) == []


def test_some_bad_words_after_every_command():
    outcome = bad_commands.bad_commands(60, 0)
    assert outcome.failures == []
