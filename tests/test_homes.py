"""Read-only homes and packages, and no home at all: everything works, and one sentence says what is unusual."""

from __future__ import annotations

import pytest

from trials.homes import BESIDE, ELSEWHERE, HOMES, KERNEL, NOT_KEPT, homes

UNUSUAL = tuple(home for home in HOMES if home.name in ("the package is read-only", "NUMBA_CACHE_DIR is a file"))


def test_every_home_works_and_says_once_what_is_unusual():
    outcome = homes(len(UNUSUAL), seed=0, known=UNUSUAL, work=(KERNEL,))
    assert outcome.failures == []
    assert outcome.cases or "read-only folders" in outcome.figure


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kept": "home/.cache/fastgd"}, "kernels are kept in"), ({"warned": NOT_KEPT}, "it says []"),
        ({"environment": {"NUMBA_CACHE_DIR": "~x"}, "warned": ELSEWHERE}, ""),
    ],
)  # fmt: skip
def test_what_is_not_as_promised_is_found(fault, message):
    """The home where all is open, and something else is expected of it; the last one is as it should be."""
    home = HOMES[0]._replace(**fault)
    assert (home.kept == BESIDE) or "kept" in fault
    found = homes(1, seed=0, known=(home,), work=(KERNEL,)).failures
    assert (message in "".join(found)) if message else found == []
