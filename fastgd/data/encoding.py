"""What a user can say of how tables are encoded, and how that is learned from the rows of a fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputWarning, InvalidInputError, warn
from ..kernels.records import Reals
from ..options import is_number, positive_integer, says, shown
from . import numbers
from .column_codes import LevelCode, NumberCode
from .columns import Column, Columns, Numbers
from .encoder import Encoder

# With fewer rows bins learn the noise by heart (diabetes), while California gains from 8 bins at 1,000 rows on.
FEWEST_ROWS = 1000
ROWS_PER_BIN, FEWEST_BINS, MOST_BINS = 192, 8, 192
# Tables of very many columns, as of pixels, do better without: all of their bins together may be at most so many, and
# a quarter of the rows.
MOST_OF_TABLE, ROWS_PER_BIN_OF_TABLE = 4096, 4
ROWS_OF_A_LEVEL, ROWS_PER_ROW_OF_A_LEVEL = 10, 50
MOST_LOOKED_AT = 1 << 17  # rows that quantiles are taken from
MOST_ASKED_FOR = 10_000  # bins
MOST_REMEMBERED = 10_000  # labels of a column
MOST_CLASSES = 10  # that bins are chosen by, the most frequent ones: each takes as long as a target


@dataclass(frozen=True)
class Encoding:
    """How a model turns columns of numbers, text and gaps into what its first layer reads.

    Numbers are standardised; an outlier, ten times the range of the middle half beyond it, counts as lying there. With
    bins they become normally distributed by their rank, and beside that each has
    piecewise-linear bins between quantiles: a bin's value rises from 0 to 1 as the number runs through it (Gorishniy,
    Rubachev and Babenko 2022, arXiv 2203.05556). A number that many rows share has bins of its own. Numbers beyond
    those of the fit count as the outermost. Where nothing is known, the number stands at its mean, and a column of its
    own says so.

    A column has as many bins as tell of the target: twice as many are taken where the means of the target in them leave
    less of its variance, by more than noise would (Mallows 1973, with a price of 4 for each bin).

    Text, categories and booleans become levels, one-hot; a gap is a level, too. Levels of fewer than `least_rows` rows,
    and all but the `most_levels` most frequent, are one level, rare; a level that the fit has not seen counts as rare,
    or as none where there is no such level.

    Args:
        bins: of each column of numbers; 0 for none; "auto" for none below 1,000 rows, else from 8 to 192, at most one
            for each 192 rows; all columns of numbers together have at most 4,096, and one for each 4 rows (where that
            leaves fewer than 8 for each: none, as for images).
        least_rows: rows that a level needs; "auto" for 10, less below 500 rows: one for each 50.
        most_levels: levels that a column may have besides rare and missing.
        finer: how many times as many bins a column gets as bins="auto" finds to tell of the target.

    Raises:
        InvalidInputError: an option that cannot be used.
    """

    bins: int | str = "auto"
    least_rows: int | str = "auto"
    most_levels: int = 255
    finer: float = 1.0

    def __post_init__(self) -> None:
        if not says(self.bins, "auto"):
            n_bins = positive_integer(self.bins, "bins", least=0)
            if n_bins > MOST_ASKED_FOR:
                raise InvalidInputError(f"bins must be at most {MOST_ASKED_FOR:,}, not {n_bins}.")
            object.__setattr__(self, "bins", n_bins)
        if not says(self.least_rows, "auto"):
            object.__setattr__(self, "least_rows", positive_integer(self.least_rows, "least_rows"))
        object.__setattr__(self, "most_levels", positive_integer(self.most_levels, "most_levels"))
        if not is_number(self.finer) or not 0.01 <= self.finer <= 100:
            raise InvalidInputError(f"finer must be a number from 0.01 to 100, not {shown(self.finer)}.")
        object.__setattr__(self, "finer", float(self.finer))

    def least_rows_for(self, n_rows: int) -> int:
        """How many rows a level needs."""
        if self.least_rows == "auto":
            return max(1, min(ROWS_OF_A_LEVEL, n_rows // ROWS_PER_ROW_OF_A_LEVEL))
        return int(self.least_rows)

    def bins_for(self, n_rows: int, n_columns: int) -> int:
        """How many bins a column of numbers gets."""
        if self.bins != "auto":
            return int(self.bins)
        of_table = min(MOST_OF_TABLE, n_rows // ROWS_PER_BIN_OF_TABLE) // max(n_columns, 1)
        if n_rows < FEWEST_ROWS or of_table < FEWEST_BINS:
            return 0
        return min(max(n_rows // ROWS_PER_BIN, FEWEST_BINS), MOST_BINS, of_table)


def as_encoding(value: Any) -> Encoding | None:
    """What a user gave as the option `encoding`."""
    if value is None or isinstance(value, Encoding):
        return value
    if says(value, "auto"):
        return Encoding()
    raise InvalidInputError(f"encoding must be None, 'auto' or such as fastgd.Encoding(bins=32), not {shown(value)}.")


class Seen(NamedTuple):
    """What the rows that count tell of a column."""

    where: str  # what messages call it
    numbers: Numbers | None = None  # of the rows that are looked at, NaN for a gap
    levels: Mapping[str, int] | None = None  # or of each label the number of its rows
    has_gaps: bool = False
    counts_rows: bool = False  # whether it is a number that grows by 1 from row to row
    n_uncounted: int = 0  # rows with labels that are not among `levels`


class Evidence(NamedTuple):
    """What is learned from: the rows that are looked at, and what all that count tell of each column."""

    columns: Iterator[Seen]
    n_numbers: int  # of the columns are numbers
    n_rows: int  # count
    weights: Numbers  # of the rows that are looked at, or (0,)
    targets: Reals  # likewise, (n_rows, n_targets)


def learn(
    encoding: Encoding,
    table: Columns,
    weights: Numbers,
    chosen: NDArray[np.int64] | None,
    targets: Reals,
    n_classes: int = 0,
) -> Encoder:
    """The encoder for these rows of a table, of which `chosen` (None: all) are learned from.

    weights are (n_rows,) or (0,), targets (n_rows, n_targets): numbers, or those of classes where there are some, each
    of which is then a target of 0 and 1.
    """
    kept = np.arange(table.n_rows) if chosen is None else chosen
    kept = kept[weights[kept] > 0] if weights.size else kept
    some = (
        kept if len(kept) <= MOST_LOOKED_AT else np.sort(np.random.default_rng(0).choice(kept, MOST_LOOKED_AT, False))
    )
    columns = (_seen(column, kept, some) for column in table.columns)
    n_numbers = sum(column.numbers is not None for column in table.columns)
    each = weights[some] if weights.size else weights
    return learn_from(encoding, Evidence(columns, n_numbers, len(kept), each, targets[some]), n_classes)


def _seen(column: Column, kept: NDArray[np.int64], some: NDArray[np.int64]) -> Seen:
    """What the rows `kept` tell of a column, whose numbers are looked at in `some` of them."""
    if column.numbers is not None:
        of_kept = column.numbers[kept]
        counts_rows = len(kept) > 10 and bool((np.diff(of_kept) == np.diff(kept)).all())
        return Seen(column.where, column.numbers[some], None, bool(np.isnan(of_kept).any()), counts_rows)
    assert column.labels is not None
    labels = column.labels if len(kept) == len(column.labels) else [column.labels[row] for row in kept.tolist()]
    counts = Counter(labels)
    n_gaps = counts.pop(None, 0)
    return Seen(column.where, None, counts, n_gaps > 0)  # type: ignore[arg-type]


def learn_from(encoding: Encoding, evidence: Evidence, n_classes: int = 0) -> Encoder:
    """The same from what such rows tell, wherever they are."""
    n_rows, targets = evidence.n_rows, evidence.targets
    n_bins = encoding.bins_for(n_rows, evidence.n_numbers)
    told: Numbers | None = None  # of the rows that are looked at alone: classes take much room
    if encoding.bins == "auto" and n_bins:
        told = _indicators(targets[:, 0], n_classes) if n_classes else targets.astype(np.float64)
    codes: list[NumberCode | LevelCode] = []
    silent: list[str] = []  # what tells nothing
    for column in evidence.columns:
        if column.numbers is not None:
            code, why = _learn_numbers(column.numbers, evidence.weights, n_bins, told, encoding.finer)
            codes.append(code._replace(has_gaps=column.has_gaps and not why))
            _tell_of_row_numbers(column)
        else:
            levels, why = _learn_levels(column, n_rows, encoding)
            codes.append(levels)
        silent += [f"{column.where} {why}"] if why else []
    if not any(code.is_dense or code.n_levels for code in codes):
        raise InvalidInputError(f"{silent[0]}, and there is nothing else to learn from: choose other columns.")
    if silent:
        more = f"; so do {len(silent) - 1} more" if len(silent) > 1 else ""
        warn(f"{silent[0]}, which tells nothing{more}: left out of what is learned.", InputWarning)
    return Encoder(tuple(codes))


def _indicators(numbers_of_classes: Reals, n_classes: int) -> Numbers:
    """A column of 0 and 1 for each of the most frequent classes."""
    counts = np.bincount(numbers_of_classes.astype(np.int64), minlength=n_classes)
    frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    indicators: Numbers = np.equal(numbers_of_classes[:, None], frequent).astype(np.float64)
    return indicators


def _learn_numbers(
    values: Numbers, weights: Numbers, n_bins: int, targets: Numbers | None, finer: float
) -> tuple[NumberCode, str]:
    """The code, and what makes the column useless; with targets there may be fewer bins, as many as tell of them."""
    none = np.zeros(0)
    known = ~np.isnan(values)
    each = weights[known] if weights.size else weights
    plain = NumberCode(none, none, none, none, 0.0, False, -np.inf, np.inf)
    if not known.any():
        return plain, "is empty in every row"
    given = values[known]
    found, weight = numbers.distinct(given, each)
    if not n_bins:
        low, high = numbers.fences(found, weight)
        plain, given = plain._replace(low=low, high=high), given.clip(low, high)
    mean = float(np.average(given, weights=each if each.size else None))
    mean = mean if len(found) > 1 and np.isfinite(mean) else float(found[len(found) // 2])
    why = f"is {found[0]:.6g} in every row" if len(found) == 1 and known.all() else ""
    if not n_bins or len(found) == 1:
        return plain._replace(mean=mean), why
    if targets is None:
        edges = numbers.bin_edges(found, weight, n_bins)
    else:
        edges = numbers.telling_edges(given, each, targets[known], n_bins)
        if finer != 1:
            edges = numbers.bin_edges(found, weight, max(round(finer * (len(edges) - 1)), 1))
    means, stds = numbers.bin_moments(given, each, edges)
    normal = numbers.normal_values(found, weight, edges)
    return plain._replace(edges=edges, normal=normal, bin_mean=means, bin_std=stds, mean=mean), ""


def _learn_levels(column: Seen, n_rows: int, encoding: Encoding) -> tuple[LevelCode, str]:
    """The code, and what makes the column useless."""
    assert column.levels is not None
    counts = column.levels
    ranked = sorted(counts, key=lambda label: (-counts[label], str(label)))
    least = encoding.least_rows_for(n_rows)
    frequent = [label for label in ranked[: encoding.most_levels] if counts[label] >= least]
    if len(ranked) == len(frequent) + 1 and not column.n_uncounted:  # one rare label needs no pool
        frequent = ranked
    levels = tuple(sorted(str(label) for label in frequent))
    has_rare = len(ranked) > len(frequent) or column.n_uncounted > 0
    is_short = len(ranked) <= MOST_REMEMBERED and not column.n_uncounted
    known = frozenset(str(label) for label in ranked) if is_short else None
    code = LevelCode(levels, has_rare, column.has_gaps, known)
    if code.n_levels > 1:
        return code, ""
    why = f"is {levels[0]!r} in every row" if levels else "is empty in every row"
    if has_rare:
        why = f"has {len(ranked):,} categories{' and more' * (column.n_uncounted > 0)}, none of which has {least} rows"
        if all(map(_reads_as_a_number, ranked)):
            why = f"has {why[4:]}, though its text reads as numbers (make them numbers)"
    return LevelCode((), False, False, known), why


def _reads_as_a_number(label: str | None) -> bool:
    try:
        return float(label or "") == float(label or "")
    except ValueError:
        return False


def _tell_of_row_numbers(column: Seen) -> None:
    if column.counts_rows:
        warn(
            f"{column.where} counts the rows: leave it out, unless new rows will have numbers of the same kind.",
            InputWarning,
        )
