"""Houses and their prices, in words and numbers of the story; those of a training that has overshot are short, too."""

from __future__ import annotations

from typing import Any

from ..mlp import MLP
from .page import Listing, number

LONGEST = 1e10  # EUR: beyond it a price is written with a power of ten


def euros(value: float) -> str:
    """A price."""
    return f"{_digits(value)} EUR"


def described(house: Any) -> str:
    """A row of HOUSE_FEATURES in words."""
    size, bedrooms, distance, age = house
    rooms, years = (f"{n:.0f} {one}{'' if round(n) == 1 else 's'}" for n, one in ((bedrooms, "bedroom"), (age, "year")))
    return f"{size:.0f} m² with {rooms}, {distance:.1f} km from the centre, {years} old"


def priced(model: MLP, X: Any, y: Any) -> Listing:
    """Houses (n_rows, 4), what a model takes them to be worth, and what they are."""
    rows = [
        [f"{s:.0f} m²", f"{b:.0f}", f"{d:.1f} km", f"{a:.0f} years", _digits(p), _digits(t), _percent((p - t) / t)]
        for (s, b, d, a), p, t in zip(X, model.predict(X).astype(float), y.astype(float), strict=True)
    ]
    return Listing(["size", "bedrooms", "distance", "age", "predicted", "actual", "error"], rows)


def share(value: float) -> str:
    """R²."""
    return f"{value:.3f}" if abs(value) < 1000 else number(value)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) < LONGEST else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{value:+.1%}" if abs(value) < 1000 else f"{100 * value:+.3g}%"
