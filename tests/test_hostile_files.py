"""Hostile files and names: a few of the cases of trials/hostile_*.py, what they have found, and whether the watch sees."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import struct

import hostile_doubles
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell import run

import fastgd
from fastgd.data.files import Format, read_chunks, read_table
from fastgd.errors import InvalidInputError, ModelFileError, printable
from fastgd.files.exports.c_header import _in_comment
from trials import hostile_commands as commands
from trials import hostile_models as models
from trials import hostile_names as names
from trials import hostile_tables as tables
from trials.hostile_watch import UNSEEN, faults_of, watched

linux = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux has /proc/self/clear_refs")


@linux
def test_hostile_models():
    found = models.hostile_models(60, 7)
    assert (found.cases, found.failures) == (60, [])


@linux
def test_hostile_tables():
    found = tables.hostile_tables(40, 7)
    assert (found.cases, found.failures) == (40, [])


@linux
def test_hostile_names():
    found = names.hostile_names(4, 7)
    assert (found.cases, found.failures) == (4, [])


@linux
def test_hostile_commands():
    found = commands.hostile_commands(5, 7)
    assert (found.cases, found.failures) == (5, [])


@linux
@pytest.mark.parametrize("kind", hostile_doubles.KINDS)
def test_the_watch_sees(kind, watch):
    told = [failure for failure in watch if f", {kind}: " in failure]
    assert [hostile_doubles.TOLD[kind] in failure for failure in told] == [True] * (kind in hostile_doubles.TOLD)


@pytest.fixture(scope="module")
def watch():
    return watched("hostile_doubles:does", len(hostile_doubles.KINDS), 0, seconds=2).failures
