"""What the measured ratios say about a case: slower, faster, the same, or that it cannot be told.

A bootstrap over processes and rounds gives an interval for the median ratio; what the machine does to identical code,
the control, is the least that counts as a difference. A difference must also be seen from process to process, by
Student's t of their medians: three processes that all happen to lie on one side are one chance in four, and a bootstrap
over three would take them for proof.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 1000
# Student's t that one identical case in 100 exceeds on either side, by the number of processes.
T_99 = {2: 63.66, 3: 9.925, 4: 5.841, 5: 4.604, 6: 4.032, 7: 3.707, 8: 3.499, 9: 3.355, 10: 3.250}


class Verdict(NamedTuple):
    """What can be said about one case."""

    word: str  # slower, faster, same, cannot tell, unchanged, answers differ, not comparable
    ratio: float = float("nan")  # now / base
    low: float = float("nan")
    high: float = float("nan")
    note: str = ""


def interval(processes: list[list[float]], generator: np.random.Generator) -> tuple[float, float, float]:
    """The median of all ratios, and the middle 95 % of medians over resampled processes and ratios."""
    lengths = np.array([len(ratios) for ratios in processes])
    chosen = generator.integers(len(processes), size=(RESAMPLES, len(processes)))
    places = generator.integers(lengths[chosen][:, :, None], size=(*chosen.shape, lengths.max()))
    drawn = np.concatenate(processes)[(lengths.cumsum() - lengths)[chosen][:, :, None] + places]
    low, high = np.percentile(np.median(drawn.reshape(RESAMPLES, -1), axis=1), [2.5, 97.5])
    return float(np.median(np.concatenate(processes))), float(low), float(high)


def is_apart(processes: list[list[float]]) -> bool:
    """Whether the medians of the processes differ from 1 by more than they scatter."""
    logarithms = np.log([np.median(ratios) for ratios in processes])
    n = len(logarithms)
    if n == 1:
        return False
    t = T_99[min(n, max(T_99))]
    return bool(abs(logarithms.mean()) > t * logarithms.std(ddof=1) / np.sqrt(n))


def judged(ratios: list[list[float]], control: list[list[float]], limit: float) -> Verdict:
    """The verdict for ratios now / base, beside those of each version to itself."""
    generator = np.random.default_rng(0)
    ratio, low, high = interval(ratios, generator)
    _, control_low, control_high = interval(control, generator)
    wide = max(limit, control_high - 1, 1 - control_low)  # what the machine does to identical code is no difference
    apart = is_apart(ratios)
    if apart and ratio > 1 + wide and low > 1:
        return Verdict("slower", ratio, low, high)
    if apart and ratio < 1 - wide and high < 1:
        return Verdict("faster", ratio, low, high)
    if low > 1 - limit and high < 1 + limit:
        return Verdict("same", ratio, low, high)
    return Verdict("cannot tell", ratio, low, high, f"identical code: {control_low:.3f} to {control_high:.3f}")


def verdict_on(results: list[dict[str, Any]], limit: float) -> Verdict:
    """The verdict on one case from what the processes measured."""
    for result in results:
        if "error" in result:
            return Verdict("not comparable", note=result["error"])
        if "differs" in result:
            return Verdict("answers differ", note=result["differs"])
    verdict = judged([r["ratios"] for r in results], [r["control"] for r in results], limit)
    note = "" if all(r["same_bits"] for r in results) else "answers equal but for rounding"
    return verdict._replace(note="; ".join(filter(None, [verdict.note, note])))


def exit_code(verdicts: dict[str, Verdict]) -> int:
    """1 if anything is slower, 2 if anything has no answer, else 0."""
    words = {verdict.word for verdict in verdicts.values()}
    if "slower" in words:
        return 1
    return 2 if words & {"cannot tell", "answers differ", "not comparable"} else 0
