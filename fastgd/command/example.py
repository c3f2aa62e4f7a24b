"""`fastgd example FILE`: a small table to try the other commands on."""

from __future__ import annotations

import math
from pathlib import Path

import click

from ..options import counted
from .guard import one_line_errors
from .options import overwrite_option, quiet_option
from .paths import check_can_write
from .terminal import remark

HEADER = ("house_id", "size_m2", "bedrooms", "distance_km", "age_years", "district", "price_eur")
DISTRICTS = {"harbour": 1.25, "old town": 1.15, "park": 1.1, "station": 1.0, "mill": 0.95, "north": 0.85}
SHARES = (0.1, 0.15, 0.1, 0.25, 0.2, 0.2)  # of the houses
GAPS = {"age_years": 0.08, "bedrooms": 0.03, "district": 0.05}  # shares of the cells that are empty


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rows", default=3000, show_default=True, type=click.IntRange(1, 10_000_000), help="So many houses.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Other houses for each number.")
@overwrite_option
@quiet_option
@one_line_errors
def example(file: Path, rows: int, seed: int, overwrite: bool) -> None:
    """Write a table of houses and their prices to FILE, to try the other commands on.

    The houses are generated. Prices follow size, bedrooms, distance, age and district, and some cells are empty.

    Example: fastgd example houses.csv
    """
    from ..files.atomic import written_whole

    check_can_write(file, overwrite=overwrite)
    with written_whole(file) as out:
        out.write("".join(f"{','.join(row)}\n" for row in [HEADER, *_houses(rows, seed)]).encode())
    are = "is" if rows == 1 else "are"
    advice = f"fastgd train {file} --target price_eur --save house.safetensors"
    remark(f"{counted(rows, 'house')} {are} in {file}. Now: {advice}")


def _houses(n: int, seed: int) -> list[list[str]]:
    """Rows of cells."""
    import numpy as np

    from ..data.houses import houses

    X, prices = houses(n, random_state=seed)
    random = np.random.default_rng((seed, n))
    districts = random.choice(list(DISTRICTS), n, p=SHARES)
    prices = np.rint(prices * [DISTRICTS[district] for district in districts])
    digits = math.floor(math.log10(n)) + 1
    cells = [
        [f"h{number:0{digits}}" for number in range(1, n + 1)],
        *(list(map("{:g}".format, column.tolist())) for column in X.astype(np.float64).round(2).T),
        districts.tolist(),
        [f"{price:.0f}" for price in prices.tolist()],
    ]
    columns = dict(zip(HEADER, cells, strict=True))
    for name, share in GAPS.items():
        empty = random.random(n) < share
        columns[name] = ["" if gap else cell for gap, cell in zip(empty, columns[name], strict=True)]
    return [list(row) for row in zip(*columns.values(), strict=True)]
