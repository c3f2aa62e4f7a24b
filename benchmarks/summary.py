"""What `pytest --benchmark-only` says at its end: one line a case, of at most 80 characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

HEADER = ("case", "median", "rows/s", "of peak", "NumPy ÷ fastgd")
OURS, RIVAL = "fastgd", "NumPy, tuned"


def summary(taken: Iterable[tuple[str, float, dict[str, Any]]]) -> str:
    """Lines for benchmarks as (name, median in seconds, extra_info): ours beside NumPy at the same case.

    Those that are no case, such as a start, have a name and a time.
    """
    cases: dict[str, dict[str, dict[str, Any]]] = {}
    rows = [HEADER]
    for name, median, info in taken:
        if "case" in info:
            cases.setdefault(info["case"], {})[info["who"]] = info
        else:
            rows.append((name, duration(median), "", "", ""))
    for case, by_name in cases.items():
        ours, rival = by_name.get(OURS), by_name.get(RIVAL)
        figures = [(case, ours)] if ours else [(f"{case}, {who}", info) for who, info in by_name.items()]
        ratio = f"{rival['microseconds'] / ours['microseconds']:.2f}" if ours and rival else ""
        for words, info in figures:
            share = f"{info['fraction_of_peak']:.0%}" if info["gflops"] else ""  # some stages multiply nothing
            rows.append((words, duration(info["microseconds"] / 1e6), f"{info['rows_per_second']:,.0f}", share, ratio))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], 80 - sum(widths[1:]) - 2 * len(widths[1:]))
    return "\n".join(line(row, widths) for row in rows)


def line(row: tuple[str, ...], widths: list[int]) -> str:
    """One row; a name that is too long has a line of its own."""
    figures = "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    if len(row[0]) > widths[0]:
        return f"{row[0]}\n{'':{widths[0]}}{figures}".rstrip()
    return f"{row[0]:{widths[0]}}{figures}".rstrip()


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"
