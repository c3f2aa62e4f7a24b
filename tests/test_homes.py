"""Read-only homes and packages, and no home at all: everything works, and one sentence says what is unusual."""

from __future__ import annotations

from trials.homes import HOMES, KERNEL, NOT_KEPT, homes

UNUSUAL = tuple(home for home in HOMES if home.name in ("the package is read-only", "NUMBA_CACHE_DIR is a file"))


def test_every_home_works_and_says_once_what_is_unusual():
    outcome = homes(len(UNUSUAL), seed=0, known=UNUSUAL, work=(KERNEL,))
    assert outcome.failures == []
    assert outcome.cases or "read-only folders" in outcome.figure


def test_what_is_not_as_promised_is_found():
    """The home where all is open, and something else is expected of it."""
    home = HOMES[0]._replace(kept="home/.cache/fastgd", warned=NOT_KEPT)
    (found,) = homes(1, seed=0, known=(home,), work=(KERNEL,)).failures
    assert "it says []; kernels are kept in ['site/fastgd/kernels/__pycache__'] instead of" in found
