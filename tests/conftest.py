"""Fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # plots in tests and examples open no windows


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data that FASTGD_DATA names."""
    if "FASTGD_DATA" not in os.environ:
        pytest.skip("FASTGD_DATA does not name a folder with the real data")
    return Path(os.environ["FASTGD_DATA"])
