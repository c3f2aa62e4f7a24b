"""The picture of accuracy against seconds: a panel for each table, up is better in all of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

from .report import style

COLOURS = {  # light, dark
    "fastgd": ("#c2410c", "#fb923c"),
    "HistGradientBoosting": ("#a16207", "#facc15"),
    "LightGBM": ("#15803d", "#4ade80"),
    "XGBoost": ("#1d4ed8", "#60a5fa"),
    "CatBoost": ("#7e22ce", "#c084fc"),
}
LEFT, TOP, WIDTH, HEIGHT, GAP = 56, 34, 320, 260, 76
BESIDE = "one network"  # whose name stands left of its point; others stand above a peak of the line, else below
TICKS = 6  # about so many steps of an axis of scores


class Point(NamedTuple):
    """One method."""

    setting: str
    seconds: float
    score: float


class Panel(NamedTuple):
    """One table: its places, from seconds and scores."""

    left: float
    seconds: tuple[float, float]  # powers of ten
    scores: tuple[float, float]  # the worst, below, and the best
    step: float

    def x(self, seconds: float) -> float:
        low, high = self.seconds
        return self.left + WIDTH * (math.log10(seconds) - low) / (high - low)

    def y(self, score: float) -> float:
        worst, best = self.scores
        return TOP + HEIGHT * (best - score) / (best - worst)


def chart(records: list[dict[str, Any]], lower_is_better: tuple[str, ...]) -> str:
    """An SVG for light and dark pages; of each table its first score."""
    tables = list(dict.fromkeys(record["table"] for record in records))
    families = [family for family in COLOURS if any(record["family"] == family for record in records)]
    parts = [f"<style>{style([COLOURS[family] for family in families])}.s{{font-size:11px}}</style>"]
    for number, table in enumerate(tables):
        of_table = [record for record in records if record["table"] == table]
        score = next(iter(of_table[0]["scores"]))
        lines = {family: points(of_table, family, score) for family in families}
        panel = panel_of(
            LEFT + number * (WIDTH + GAP), [p for line in lines.values() for p in line], score in lower_is_better
        )
        parts += axes(panel, f"{table}, {score}")
        for i, (family, line) in enumerate(lines.items()):
            parts += drawn(panel, i, line, is_ours=family == "fastgd")
    parts += legend(families)
    width = LEFT + len(tables) * (WIDTH + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 88}">\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def points(records: list[dict[str, Any]], family: str, score: str) -> list[Point]:
    """Those of one library, by seconds."""
    found = [
        Point(record["setting"], statistics.median(record["seconds"]), statistics.fmean(record["scores"][score]))
        for record in records
        if record["family"] == family
    ]
    return sorted(found, key=lambda point: point.seconds)


def panel_of(left: float, found: list[Point], lower_is_better: bool) -> Panel:
    """Axes that hold all points: seconds in decades, scores in steps of 1, 2 or 5."""
    seconds, scores = [point.seconds for point in found], [point.score for point in found]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    rough = max(max(scores) - min(scores), 1e-9) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    least, most = math.floor(min(scores) / step) * step, math.ceil(max(scores) / step) * step
    if least == most:
        most += step
    return Panel(left, (low, max(high, low + 1)), (most, least) if lower_is_better else (least, most), step)


def axes(panel: Panel, title: str) -> Iterator[str]:
    """Grid, figures and titles."""
    left, bottom = panel.left, TOP + HEIGHT
    yield f'<text x="{left}" y="16">{title} (up is better)</text>'
    least, most = sorted(panel.scores)
    digits = max(0, -math.floor(math.log10(panel.step)))
    for i in range(round((most - least) / panel.step) + 1):
        value = least + i * panel.step
        at = panel.y(value)
        yield f'<line class="g" x1="{left}" x2="{left + WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class="s" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.{digits}f}</text>'
    for power in range(panel.seconds[0], panel.seconds[1] + 1):
        at = panel.x(10**power)
        yield f'<line class="g" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="s" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{10**power:g}</text>'
    yield f'<text x="{left + WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">seconds of fit and predict</text>'


def drawn(panel: Panel, number: int, line: list[Point], is_ours: bool) -> Iterator[str]:
    """One library: its points joined; hollow is what it does by default, and ours have their names."""
    path = " ".join(f"{panel.x(p.seconds):.1f},{panel.y(p.score):.1f}" for p in line)
    dashes = "" if is_ours else ";stroke-dasharray:3 3"
    yield f'<polyline class="c{number}" style="fill:none;stroke-width:{2 if is_ours else 1}{dashes}" points="{path}"/>'
    for place, point in enumerate(line):
        x, y = panel.x(point.seconds), panel.y(point.score)
        hollow = ' style="fill-opacity:0.15;stroke-width:1.5"' if point.setting in ("defaults", "one network") else ""
        yield f'<circle class="c{number}"{hollow} cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        if is_ours:
            is_peak = all(panel.y(other.score) >= y for other in line[max(place - 1, 0) : place + 2])
            right, down, anchor = (0, -9 if is_peak else 17, "middle")
            if point.setting == BESIDE:
                right, down, anchor = (-8, 4, "end")
            at = f'x="{x + right:.1f}" y="{y + down:.1f}" text-anchor="{anchor}"'
            yield f'<text class="s" {at}>{point.setting}</text>'


def legend(families: list[str]) -> Iterator[str]:
    """Names and colours, and what is hollow."""
    x, y = LEFT, TOP + HEIGHT + 58
    for number, family in enumerate(families):
        yield f'<circle class="c{number}" cx="{x}" cy="{y - 4}" r="4"/><text x="{x + 9}" y="{y}">{family}</text>'
        x += 8 * len(family) + 30
    text = (
        "hollow: defaults; full: trees with early stopping, and several networks, 8 or as many as fit into the seconds"
    )
    yield f'<text class="s" x="{LEFT}" y="{y + 20}">{text}</text>'
