"""The command `warmup` compiles all that there is."""

from __future__ import annotations

import re

from shell import run


def test_warmup():
    result = run("warmup")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 9
    assert "float64: 9 losses" in result.output
    assert re.fullmatch(r" +[\d.]+ s  in all; what was ready before takes no time", lines[-1])
