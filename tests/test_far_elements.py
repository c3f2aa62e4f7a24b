"""Arrays of more than 2³¹ entries: a few of the cases of trials/far_elements.py, and an index that is too short."""

from __future__ import annotations

import numpy as np
import pytest

from trials import far_elements
from trials.far_elements import N_ROWS, WIDTH
from trials.guarded import unavailable
from trials.periodic import PERIOD, periodic

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


def test_entries_beyond_two_to_the_31_are_found():
    assert N_ROWS * WIDTH > 1 << 31
    outcome = far_elements.run(6, seed=0)
    assert outcome.cases == 6
    assert outcome.failures == []


def gather_with_a_short_index(it):
    """As a kernel would that computes places in 32 bits."""
    numbers = np.arange(N_ROWS - 3, N_ROWS)
    places = (numbers[:, None] * WIDTH + np.arange(WIDTH)).astype(np.int32)
    return it.rows.X.reshape(-1)[places], it.X[numbers % PERIOD]


def test_a_short_index_would_be_noticed(monkeypatch):
    monkeypatch.setattr(far_elements, "TRIED", (gather_with_a_short_index,))
    (failure,) = far_elements.run(1, seed=0).failures
    assert failure.startswith("gather_with_a_short_index of 2,147,")


def test_rows_repeat_and_what_is_written_to_one_is_written_to_all():
    rows = np.arange(PERIOD * WIDTH, dtype=np.float32).reshape(PERIOD, WIDTH)
    far = periodic(3 * PERIOD + 5, rows)
    assert far.shape == (3 * PERIOD + 5, WIDTH)
    np.testing.assert_array_equal(far[PERIOD : 2 * PERIOD], rows)
    np.testing.assert_array_equal(far[-5:], rows[:5])
    far[PERIOD + 2, 7] = -1
    assert far[2, 7] == far[-3, 7] == -1
    with pytest.raises(ValueError, match="that fill whole pages"):
        periodic(10, rows[:-1])
