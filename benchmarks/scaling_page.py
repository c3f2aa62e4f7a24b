"""What docs/machines.md says of scaling: tables of what was measured, and of what the model makes of it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .many import aligned
from .scaling_chart import chart
from .scaling_model import Costs, Line, Point, errors, fitted, joined_by, limits, rows_of_the_rest, seconds
from .scaling_model import step_of_machines as step_of
from .summary import duration
from .tool import ToolError

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE = DOCS / "machines.md", DOCS / "scaling.svg"
BEGIN, END = "<!-- benchmarks/scaling.py -->\n", "<!-- end of benchmarks/scaling.py -->\n"
# Assumed, not measured: usual figures of messages of MPI, over TCP and over InfiniBand.
LINES = [Line("Ethernet, 10 Gbit/s", 30e-6, 10e9 / 8), Line("InfiniBand, 100 Gbit/s", 2e-6, 100e9 / 8)]
MACHINES = 10, 100, 1000
WEIGHTS = [10**power for power in range(4, 10)]
BATCH, BATCH_OF_MACHINE = 8192, 256


def points_of(record: dict[str, Any]) -> list[Point]:
    """The medians of a run."""
    points = [Point(*what, statistics.median(times)) for *what, times in record["points"]]
    if any(point.seconds <= 0 for point in points):
        raise ToolError("long trainings took less time than short ones: the machine is too busy to measure anything.")
    return points


def measurements(record: dict[str, Any], cores: int) -> list[str]:
    """Everything that was measured, beside the fit, and its costs."""
    points = points_of(record)
    costs = fitted(points, cores)
    names = {_weights(sizes): "-".join(map(str, sizes)) for sizes, _ in record["networks"]}
    of = {kind: [point for point in points if point.kind == kind] for kind in ("step", "sum", "alone")}
    sizes = sorted({point.size for point in of["step"]})

    def cell(point: Point) -> str:
        return f"{duration(point.seconds)} ({errors([point], costs, cores)[0]:+.0%})"

    def by_size(found: list[Point], is_told: bool) -> list[str]:
        first = found[0].seconds
        faster = (f", ×{first / point.seconds:.2f}" if is_told and point.size > 1 else "" for point in found)
        return [cell(point) + times for point, times in zip(found, faster, strict=True)]

    heads = [f"{size} process{'es' * (size > 1)}" for size in sizes]
    steps = [["network", "weights", "rows", *heads]]
    for key in dict.fromkeys((point.n, point.batch) for point in of["step"]):
        found = [point for point in of["step"] if (point.n, point.batch) == key]
        steps.append([names[key[0]], f"{key[0]:,}", f"{key[1]:,}", *by_size(found, True)])
    sums = [["weights", *heads]]
    for n in dict.fromkeys(point.n for point in of["sum"]):
        sums.append([f"{n:,}", *by_size([point for point in of["sum"] if point.n == n], False)])
    alone = [["network", "rows", "a step"], *([names[p.n], f"{p.batch:,}", cell(p)] for p in of["alone"])]
    off = [abs(error) for error in errors(points, costs, cores)]
    crowded = [size for size in sizes if size > cores]
    return [
        "Steps of all processes, with Adam; × is against one process:", "", *aligned(steps), "",
        *([f"There are {cores} cores here: more processes take turns on them, and cannot be faster.", ""]
          if crowded else []),
        "Sums over the processes by themselves:", "", *aligned(sums), "",
        "Steps of `fit` without `comm`, with one thread:", "", *aligned(alone), "",
        f"In brackets is how far the model is off: {statistics.median(off):.0%} in the middle, {max(off):.0%} at most. "
        "It was fitted to all of these at once, and says:", "", *aligned(_costs(costs)), "",
    ]  # fmt: skip


def _weights(sizes: list[int]) -> int:
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))


def _costs(costs: Costs) -> list[list[str]]:
    def rate(seconds: float, unit: str, scale: float) -> str:
        each = 1 / seconds / scale if seconds else 0.0
        return f"{each:,.0f} {unit}" if each >= 1000 else f"{each:.3g} {unit}" if each else "too fast to be seen"

    return [
        ["of one process here", "fitted"],
        ["gradient, at 6 operations a weight and row", rate(costs.gradient / 6, "GFLOP/s", 1e9)],
        ["update, of Adam, in the cache", rate(costs.update, "million weights/s", 1e6)],
        ["a step of ranks, in Python", duration(costs.step)],
        ["a sum over ranks, in Python", duration(costs.call)],
        ["latency of a round of messages", duration(costs.latency)],
        ["a round's wait for a core that others use, too", duration(costs.turn)],
        ["bandwidth, from process to process", rate(costs.byte, "GB/s", 1e9)],
        ["packing and adding up, in the cache", rate(costs.cached, "GB/s", 1e9)],
        ["the same, and updates, of more than the cache holds", rate(costs.memory, "GB/s", 1e9)],
    ]


def of_machines(costs: Costs) -> list[str]:
    """What the model says of other machines."""
    return [
        text
        for line in LINES
        for text in [f"### {line.name}, {duration(line.latency)}", "", *_of_line(joined_by(line, costs)), ""]
    ]


def _of_line(costs: Costs) -> list[str]:
    same = [["weights", "one machine", *map("{:,}".format, MACHINES), "fastest with", "half used up to"]]
    each = [["weights", "one machine", *map("{:,}".format, MACHINES)]]
    for n in WEIGHTS:
        power = f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[len(str(n)) - 1]}"

        def step(batch: Callable[[int], int], size: int, n: int = n) -> float:
            return step_of(n, batch(size), size, costs)

        def fixed(_: int) -> int:
            return BATCH

        def growing(size: int) -> int:
            return BATCH_OF_MACHINE * size

        alone, found = step(fixed, 1), limits(n, BATCH, costs)
        times = [f"×{alone / step(fixed, size):.3g}" for size in MACHINES]
        same.append([power, duration(alone), *times, f"{found.size:,}, ×{found.speed_up:.3g}", f"{found.half:,}"])
        used = [f"{step(growing, 1) / step(growing, size):.0%}" for size in MACHINES]
        each.append([power, duration(step(growing, 1)), *used])
    rest = rows_of_the_rest(costs)
    totals = ", ".join(f"{BATCH_OF_MACHINE * size:,}" for size in MACHINES)
    return [
        f"{BATCH:,} rows a step, however many machines: how many times faster than one. \"Half used\" is where the "
        "machines wait as long as they work.", "", *aligned(same), "",
        f"{BATCH_OF_MACHINE} rows a step on each machine, so that a step has {totals} rows: the share of the time that "
        "is not waited.", "", *aligned(each), "",
        "What more machines do not make less (exchange, adding up, update) takes as long as the gradient of "
        f"{rest:,.0f} rows where a network is too large for the cache, whatever its size. So a step of {BATCH:,} rows "
        f"gets at most about {BATCH / rest:,.0f} times faster, and latency takes its part of that.",
    ]  # fmt: skip


def pages(run: dict[str, Any]) -> dict[Path, str]:
    """What each file should hold, by the run."""
    record, facts = run["records"], run["machine"]
    points = points_of(record)
    costs = fitted(points, facts["cores"])
    rounds = len(record["points"][0][-1])
    where = (
        f"{facts['processor']}, {facts['cores']} cores; {record['library']}; {run['time'][:10]}, the median of "
        f"{rounds} rounds; float32. The load of others before it began: {record['load']:.1f}."
    )
    lines = [
        "## What was measured here", "", where, "", *measurements(record, facts["cores"]),
        "## What the model says of more machines", "",
        "Each machine is one process on a core like this one, with the costs above, but without waits for a shared "
        "core. Latency and bandwidth are assumed, such as are usual for messages of MPI over TCP and over InfiniBand. "
        "They were not measured.", "",
        "![Steps measured and modelled, and how many times faster more machines are](scaling.svg)", "",
        *of_machines(costs),
    ]  # fmt: skip
    return {PAGE: between(PAGE, "\n".join(lines)), PICTURE: drawing(points, costs, facts["cores"])}


def drawing(points: list[Point], costs: Costs, cores: int) -> str:
    """The picture."""
    largest = {p.n: p.batch for p in points if p.kind == "step"}  # the last of a network has most rows
    shown = [p for p in points if p.kind == "step" and p.batch == largest[p.n]]

    def model(n: int, size: int) -> float:
        return seconds("step", n, largest[n], size, costs, cores)

    def speed_up(line: Line, n: int, size: int) -> float:
        of_line = joined_by(line, costs)
        return step_of(n, BATCH, 1, of_line) / step_of(n, BATCH, size, of_line)

    return chart(shown, model, {line.name: lambda n, size, line=line: speed_up(line, n, size) for line in LINES}, BATCH)


def between(page: Path, text: str) -> str:
    """The page with this text between its marks."""
    old = page.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        raise ToolError(f"{page} needs the lines {BEGIN.strip()} and {END.strip()}, once each.")
    before, rest = old.split(BEGIN)
    return f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}"
