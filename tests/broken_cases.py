"""Cases for trials.apart that go wrong in every way."""

from __future__ import annotations

import os
import time


def case(seed, number):
    """0 is fine, 1 hangs, 2 ends the process, 3 says what broke, 4 raises an error."""
    if number == 1:
        time.sleep(1000)
    if number == 2:
        os.abort()
    if number == 4:
        raise ValueError("such a case")
    return "it broke" if number == 3 else ""
