"""Fixtures."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from model_files import stateful

import fastgd
from fastgd.callbacks import Recorder

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # asked for when SciPy is loaded: no check of estimators is skipped
os.environ.setdefault("MPLBACKEND", "Agg")  # plots in tests and examples open no windows
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background: Ctrl-C is tested
    signal.signal(signal.SIGINT, signal.default_int_handler)

FIRST_LOOK = {"test_known_answers", "test_options", "test_recipe", "test_tables"}


def pytest_report_header() -> str:
    """What to expect of the run that begins."""
    return "all tests: about ten minutes on two cores; a first look in about one: pytest -m first_look"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a first look: they compile little, train, and use most of what users touch."""
    for item in items:
        if item.path.stem in FIRST_LOOK and not item.get_closest_marker("slow"):
            item.add_marker("first_look")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seeds that a test leaves to chance are the same in every run of it: what fails once can be run again."""
    fastgd.options.secrets = SimpleNamespace(randbits=random.Random(item.nodeid).getrandbits)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data that FASTGD_DATA names."""
    if "FASTGD_DATA" not in os.environ:
        pytest.skip("FASTGD_DATA does not name a folder with the real data")
    return Path(os.environ["FASTGD_DATA"])


@pytest.fixture
def no_figure_is_left():
    """Figures that a test has drawn are closed after it."""
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="session")
def houses():
    """A small market to draw."""
    return fastgd.datasets.houses(300, random_state=1)


@pytest.fixture(scope="session")
def training(houses):
    """A training with everything that can be drawn of it. Tests leave it as it is."""
    recorder, model = Recorder(), fastgd.MLP([4, 8, 1], feature_names=["size", "rooms", "distance", "age"])
    history = model.fit(*houses, epochs=6, validation_split=0.2, callbacks=[recorder], verbose=0)
    return SimpleNamespace(model=model, recorder=recorder, history=history)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A model with everything that a file can hold, and its file. Tests leave both as they are."""
    path = tmp_path_factory.mktemp("whole") / "m"
    return stateful(path), path
