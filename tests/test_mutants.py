"""Faults are planted where they are meant to be, and each that is listed still fits the sources."""

from __future__ import annotations

import json

import pytest

from tools import mutants

SOURCE = """
def add(a, b):
    total = a  # a comment
    total = total + b
    return total


class Sum:
    def add(self, b):
        self.total = self.total + b
        return self.total
"""


def fault(old, new, function=None):
    return mutants.Fault("a fault", "fastgd/sums.py", function, old, new, ("test_sums",))


@pytest.mark.parametrize(
    ("old", "new", "function", "line"),
    [
        ("total = total + b", "total = total - b", None, "    total = total - b"),
        ("total + b", "total - b", "Sum.add", "        self.total = self.total - b"),
        ("total + b\nreturn total", "total", "add", None),
        ("total = total + b\nreturn total", "return total", "add", "    return total"),
    ],
)
def test_code_is_replaced_where_it_stands_once(old, new, function, line):
    planted = fault(old, new, function)
    if line is None:
        with pytest.raises(mutants.CannotPlantError):
            mutants.planted(SOURCE, planted)
        return
    changed = mutants.planted(SOURCE, planted).splitlines()
    assert line in changed
    assert len([entry for entry in SOURCE.splitlines() if entry not in changed]) == 1


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        (fault("a + b", "a - b"), "fastgd/sums.py has 'a \\+ b' 0 times instead of once"),
        (fault("total", "sum"), "has 'total' [0-9]+ times instead of once"),
        (fault("total + b", "total - b", "subtract"), "has 0 functions subtract instead of one"),
        (fault("return total", "return (total", "add"), "is no Python"),
        (fault("# a comment", "# another"), "is what it was before"),
    ],
)
def test_what_cannot_be_planted_is_told(planted, message):
    with pytest.raises(mutants.CannotPlantError, match=message):
        mutants.planted(SOURCE, planted)


def test_every_fault_of_the_list_fits_the_sources():
    faults = mutants.read_faults(mutants.TABLE.read_text(encoding="utf-8"))
    assert len(faults) > 100
    for listed in faults:
        mutants.planted((mutants.ROOT / listed.file).read_text(encoding="utf-8"), listed)
        for name in listed.tests:
            assert (mutants.ROOT / "tests" / f"{name}.py").exists(), f"{listed.name}: there is no {name}"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a name", "'a name' is no entry such as"),
        ("a name\nfastgd/mlp.py: test_mlp\n- old", "is no entry such as"),
        ("a name\nfastgd/mlp.py\n- old\n+ new", "is no entry such as"),
        ("\n\n".join(2 * ["a name\nfastgd/mlp.py: test_mlp\n- old\n+ new"]), "two faults with the name 'a name'"),
    ],
)
def test_entries_that_are_none(entry, message):
    with pytest.raises(mutants.CannotPlantError, match=message):
        mutants.read_faults(entry)


def test_parts_have_every_fault_once():
    listed = mutants.read_faults(mutants.TABLE.read_text(encoding="utf-8"))
    parts = [mutants.part_of(listed, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(each.name for part in parts for each in part) == sorted(each.name for each in listed)
    for wrong in ("0/3", "4/3", "2"):
        with pytest.raises(ValueError, match=f"{wrong}|unpack"):
            mutants.part_of(listed, wrong)


def test_what_was_found_is_kept_beside_what_others_found(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "RECORD", tmp_path / "faults.json")
    mutants.record({"a": "test_a", "gone": "test_b"}, ["a", "b", "gone"])
    mutants.record({"b": None}, ["a", "b"])
    assert json.loads(mutants.RECORD.read_text(encoding="utf-8")) == {"a": "test_a", "b": None}
