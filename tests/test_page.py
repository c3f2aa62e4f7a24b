"""Numbers on a page are short."""

from __future__ import annotations

from fastgd.pages.page import short


def test_numbers_in_few_characters():
    values = (0, 0.05, 999, 999.9, 12_345, 999_999, -1e6, 2.5e9, 1e12, 1e15)
    shown = ["0", "0.05", "999", "1k", "12.3k", "1M", "-1M", "2.5G", "1T", "1e+15"]
    assert [short(value) for value in values] == shown
