"""The picture of scaling: steps measured beside the model, and how many times faster more machines are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from .report import style
from .scaling_model import Point
from .summary import duration

COLOURS = [  # light, dark; of 10⁴, 10⁵, … weights
    ("#be185d", "#f472b6"),
    ("#c2410c", "#fb923c"),
    ("#a16207", "#facc15"),
    ("#15803d", "#4ade80"),
    ("#1d4ed8", "#60a5fa"),
    ("#7e22ce", "#c084fc"),
]
FIRST = 4  # power of ten of the first colour
LEFT, TOP, WIDTH, HEIGHT, GAP = 60, 34, 240, 260, 64


class Panel(NamedTuple):
    """Logarithmic axes: their ends."""

    left: float
    across: tuple[float, float]
    up: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.across
        return self.left + WIDTH * math.log(value / low) / math.log(high / low)

    def y(self, value: float) -> float:
        low, high = self.up
        return TOP + HEIGHT * (1 - math.log(value / low) / math.log(high / low))


def chart(
    points: list[Point],
    model: Callable[[int, int], float],
    speed_ups: Mapping[str, Callable[[int, int], float]],
    batch: int,
) -> str:
    """An SVG for light and dark pages.

    points: steps that were measured; model(n, size): their seconds; speed_ups: by the name of a line, (n, size).
    """
    parts = [f"<style>{style(COLOURS)}.s{{font-size:11px}}</style>"]
    parts += measured(points, model)
    for number, (name, speed_up) in enumerate(speed_ups.items(), start=1):
        parts += predicted(LEFT + number * (WIDTH + GAP), name, speed_up, batch)
    parts += legend(batch)
    width = LEFT + (1 + len(speed_ups)) * (WIDTH + GAP)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 90}">\n' + "\n".join(
        [*parts, "</svg>\n"]
    )


def colour_of(n: int) -> int:
    """By the power of ten that is nearest."""
    return min(max(round(math.log10(n)) - FIRST, 0), len(COLOURS) - 1)


def measured(points: list[Point], model: Callable[[int, int], float]) -> Iterator[str]:
    """Points that were measured, and lines of the model."""
    times = [point.seconds for point in points] + [model(point.n, point.size) for point in points]
    sizes = sorted({point.size for point in points})
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    panel = Panel(LEFT, (sizes[0] / 1.2, sizes[-1] * 1.2), (10.0**low, 10.0**high))
    powers = [10.0**power for power in range(low, high + 1)]
    yield from axes(panel, "a step here", sizes, powers, "processes", duration)
    for n in dict.fromkeys(point.n for point in points):
        line = " ".join(f"{panel.x(size):.1f},{panel.y(model(n, size)):.1f}" for size in sizes)
        yield f'<polyline class="c{colour_of(n)}" style="fill:none;stroke-width:1.5" points="{line}"/>'
    for point in points:
        at = f'cx="{panel.x(point.size):.1f}" cy="{panel.y(point.seconds):.1f}"'
        yield f'<circle class="c{colour_of(point.n)}" {at} r="4"/>'


def predicted(left: float, name: str, speed_up: Callable[[int, int], float], batch: int) -> Iterator[str]:
    """A line for each number of weights, and one for machines that never wait."""
    most = 10.0 ** math.ceil(math.log10(batch))
    panel = Panel(left, (1, most), (1, most))
    powers = [10**power for power in range(round(math.log10(most)) + 1)]
    yield from axes(panel, f"times faster: {name}", powers, powers, "machines", "{:,}".format)
    ideal = f'x1="{panel.x(1):.1f}" y1="{panel.y(1):.1f}" x2="{panel.x(batch):.1f}" y2="{panel.y(batch):.1f}"'
    yield f'<line class="g" style="stroke-dasharray:4 4;stroke:#94a3b8" {ideal}/>'
    sizes = sorted({round(batch ** (i / 80)) for i in range(81)})
    for power in range(len(COLOURS)):
        found = ((size, speed_up(10 ** (FIRST + power), size)) for size in sizes)
        line = " ".join(f"{panel.x(size):.1f},{panel.y(times):.1f}" for size, times in found if times >= 1)
        yield f'<polyline class="c{power}" style="fill:none;stroke-width:1.5" points="{line}"/>'


def axes(
    panel: Panel, title: str, across: list[int], up: list[float], below: str, told: Callable[[float], str]
) -> Iterator[str]:
    """Grid, figures and titles."""
    left, bottom = panel.left, TOP + HEIGHT
    yield f'<text x="{left}" y="16">{title}</text>'
    for value in up:
        at = panel.y(value)
        yield f'<line class="g" x1="{left}" x2="{left + WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class="s" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{told(value)}</text>'
    for size in across:
        at = panel.x(size)
        yield f'<line class="g" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="s" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{size:,}</text>'
    yield f'<text x="{left + WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">{below}</text>'


def legend(batch: int) -> Iterator[str]:
    """Colours, and what is drawn how."""
    x, y = LEFT, TOP + HEIGHT + 60
    for power in range(len(COLOURS)):
        name = f"10<tspan dy='-5' font-size='9'>{FIRST + power}</tspan>"
        yield f'<circle class="c{power}" cx="{x}" cy="{y - 4}" r="4"/><text x="{x + 9}" y="{y}">{name}</text>'
        x += 56
    yield f'<text x="{x}" y="{y}">weights</text>'
    text = (
        "left: points measured, lines the model, most rows of each network; right: the model, one process a machine, "
        f"{batch:,} rows a step; dashed: no waiting"
    )
    yield f'<text class="s" x="{LEFT}" y="{y + 20}">{text}</text>'
