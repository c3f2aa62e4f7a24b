"""Pages that explain a training: the parts of a page, and the page itself, one HTML file that needs nothing else.

A part is a paragraph, a table or a chart. The command line prints the same parts as text.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files.atomic import write_whole
from ..options import printable

WIDTH, HEIGHT = 460.0, 250.0  # of a chart in its own units; on a phone they are nearly pixels, so that text is read
LEFT, RIGHT, TOP, BOTTOM = 64.0, 14.0, 14.0, 44.0
TICKS = 5
FEW = 12  # points: a line of no more has each of them marked
LABELS, WIDEST = 10, 64  # columns of a chart in plain characters: for the numbers beside it, and for its frame
COLOURS = 4  # lines that can be told apart, also by the colour-blind


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A table of text; the first column is aligned left, the others right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Line:
    """A named series of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Lines in one frame; `level` is a horizontal one with a name, such as the price that a prediction should reach."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    level: tuple[str, float] | None = None
    low: float | None = None  # the frame's lower and upper edge, where the values do not decide
    high: float | None = None


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn already: an SVG element."""

    title: str
    svg: str


Part = Text | Listing | Chart | Picture


@dataclass
class Scene:
    """A heading and what stands below it."""

    title: str
    parts: list[Part] = field(default_factory=list)


def write_page(path: Path, title: str, scenes: Sequence[Scene]) -> None:
    """Write the page to a file, whole or not at all.

    Raises:
        ModelFileError: the file cannot be written.
    """
    write_whole(path, page(title, scenes).encode("utf-8"))


def page(title: str, scenes: Sequence[Scene]) -> str:
    """One self-contained HTML page: no network, light and dark, readable on a phone."""
    body = "\n".join(
        f"<section><h2>{escaped(scene.title)}</h2>\n{''.join(map(_part, scene.parts))}</section>" for scene in scenes
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escaped(title)}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{escaped(title)}</h1>\n{body}\n</body></html>\n"
    )


STYLE = """
:root{color-scheme:light dark;--ink:#1e293b;--soft:#64748b;--paper:#fff;--rule:#e2e8f0;
--c0:#0369a1;--c1:#c2410c;--c2:#047857;--c3:#7e22ce}
@media(prefers-color-scheme:dark){:root{--ink:#e2e8f0;--soft:#94a3b8;--paper:#0f172a;--rule:#334155;
--c0:#38bdf8;--c1:#fb923c;--c2:#34d399;--c3:#c084fc}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:46rem;margin:0 auto;
padding:1rem}
h1,h2,p,figcaption{overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.2rem}
.table{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.88rem;width:100%}
th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap;
font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}
@media(max-width:30rem){table{font-size:.78rem}th,td{padding:.25rem .3rem}th{white-space:normal}}
figure{margin:1.2rem 0}figcaption{font-weight:600;margin-bottom:.3rem}
svg{width:100%;max-width:36rem;height:auto;display:block}
.chart text{font:13px system-ui,sans-serif;fill:var(--soft)}
.frame{stroke:var(--rule);fill:none}.level{stroke:var(--soft);stroke-dasharray:5 4}
.chart .label{stroke:var(--paper);stroke-width:4px;paint-order:stroke}
.line{fill:none;stroke-width:2}
""" + "".join(
    f".c{i}{{stroke:var(--c{i});}}.f{i}{{fill:var(--c{i})}}.k{i}{{color:var(--c{i})}}\n" for i in range(COLOURS)
)


def escaped(text: str) -> str:
    """Text from anywhere within a page."""
    return html.escape(printable(text))


def _part(part: Part) -> str:
    if isinstance(part, Text):
        return f"<p>{escaped(part.text)}</p>\n"
    if isinstance(part, Listing):
        head = "".join(f"<th>{escaped(cell)}</th>" for cell in part.header)
        body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in part.rows)
        return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'
    drawn, legend = (svg(part), _legend(part)) if isinstance(part, Chart) else (part.svg, "")
    return f"<figure><figcaption>{escaped(part.title)}{legend}</figcaption>{drawn}</figure>\n"


def _legend(chart: Chart) -> str:
    if len(chart.lines) < 2:
        return ""
    entries = (f'<span class="k{i % COLOURS}">● {escaped(line.name)}</span>' for i, line in enumerate(chart.lines))
    return "<br><small>" + " &nbsp; ".join(entries) + "</small>"


def svg(chart: Chart) -> str:
    """The chart as an SVG element whose colours are the page's."""
    (x_low, x_high), (y_low, y_high) = _ranges(chart)

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - x_low) / (x_high - x_low)

    def up(y: float) -> float:
        inside = min(max(y, y_low), y_high)  # a training that blows up leaves the frame at its edge
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (inside - y_low) / (y_high - y_low)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="{escaped(chart.title)}">',
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>',
    ]
    for tick in ticks(y_low, y_high):
        parts.append(f'<line class="frame" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(tick):.1f}" y2="{up(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(x_low, x_high, whole=all(float(x).is_integer() for line in chart.lines for x in line.x)):
        at = HEIGHT - BOTTOM + 16
        parts.append(f'<text x="{across(tick):.1f}" y="{at}" text-anchor="middle">{short(tick)}</text>')
    for i, line in enumerate(chart.lines):
        points = [(across(x), up(y)) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{i % COLOURS}" points="{path}"/>')
        if len(points) <= FEW:
            parts += [f'<circle class="f{i % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    if chart.level:
        name, value = chart.level
        parts.append(
            f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>'
        )
        label = f"{escaped(name)} {short(value)}"
        above = not chart.lines[0].y or chart.lines[0].y[-1] < value  # on the side where the first line does not end
        place = f'x="{WIDTH - RIGHT - 4}" y="{up(value) + (-6 if above else 16):.1f}"'
        parts.append(f'<text class="label" {place} text-anchor="end">{label}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escaped(chart.x_label)}</text>')
    parts.append(f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">')
    parts.append(f"{escaped(chart.y_label)}</text></svg>")
    return "".join(parts)


def _ranges(chart: Chart) -> tuple[tuple[float, float], tuple[float, float]]:
    xs = [x for line in chart.lines for x in line.x]
    ys = [y for line in chart.lines for y in line.y if math.isfinite(y)]
    ys += [chart.level[1]] if chart.level else []
    low = chart.low if chart.low is not None else min(ys, default=0.0)
    high = chart.high if chart.high is not None else max(ys, default=1.0)
    return _widened(min(xs, default=0.0), max(xs, default=1.0)), _widened(low, high)


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Some round numbers within a range, without fractions if they count something."""
    rough = max((high - low) / TICKS, 1.0 if whole else 0.0)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A number in a sentence or a table: 128,839 or 0.05123."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"


def short(value: float) -> str:
    """A number in few characters: 380k, 1.2M, 0.05."""
    value = float(f"{value:.3g}")  # 999,999 is 1M
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= abs(value) < 1e15:
            return f"{value / limit:.3g}{unit}"
    return "0" if abs(value) < 1e-12 else f"{value:.3g}"


# The same as text.


def text_chart(chart: Chart, columns: int = 79, height: int = 8) -> list[str]:
    """The first line of a chart in plain characters, so many columns wide, with its level as a dotted line."""
    width = min(max(columns - LABELS, 1), WIDEST)
    (x_low, x_high), (y_low, y_high) = _ranges(chart)
    grid = [[" "] * width for _ in range(height)]
    beyond = False

    def row_of(y: float) -> int:
        inside = min(max(y, y_low), y_high)
        return height - 1 - round((height - 1) * (inside - y_low) / (y_high - y_low))

    if chart.level:
        grid[row_of(chart.level[1])] = list("·" * width)
    for x, y in zip(chart.lines[0].x, chart.lines[0].y, strict=True):
        if not math.isnan(y):
            dot = "^" if y > y_high else "v" if y < y_low else "●"
            beyond |= dot != "●"
            grid[row_of(y)][round((width - 1) * (x - x_low) / (x_high - x_low))] = dot
    labels = {0: short(y_high), height - 1: short(y_low)}
    if chart.level:
        labels[row_of(chart.level[1])] = short(chart.level[1])
    drawn = [f"{labels.get(i, ''):>{LABELS - 2}} │{''.join(line).rstrip()}" for i, line in enumerate(grid)]
    return [*drawn, f"{'':{LABELS}}(^ and v: beyond the edge)"] if beyond else drawn
