"""What users type, checked: names (an unknown one is answered with the right ones), numbers, seeds, dtypes.

Beside it, text that is made safe to print.
"""

from __future__ import annotations

import functools
import html
import inspect
import numbers
import operator
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields
from difflib import get_close_matches
from textwrap import fill
from typing import Any, TypeVar

import numpy as np

from .errors import InvalidInputError
from .errors import printable as printable

MOST_SHOWN = 100  # characters of a value in a message
MOST_LISTED = 1_000_000  # entries of an array that is taken for a list of options
MOST_OF_NAME = 300  # characters of a file's name there

Value = TypeVar("Value")
Function = TypeVar("Function", bound=Callable[..., Any])

# What other libraries call our options.
ALIASES = {
    "lr": "learning_rate",
    "learning_rate_init": "learning_rate",
    "eta": "learning_rate",
    "n_epochs": "epochs",
    "max_iter": "epochs",
    "num_epochs": "epochs",
    "batchsize": "batch_size",
    "seed": "random_state",
    "random_seed": "random_state",
    "l2": "weight_decay",
    "alpha": "weight_decay",
    "n_jobs": "n_threads",
    "num_threads": "n_threads",
    "hidden_sizes": "layer_sizes",
    "sizes": "layer_sizes",
    "optim": "optimizer",
    "monotonic_cst": "monotone",
    "monotone_constraints": "monotone",
    "normalize": "standardize",
    "standardise": "standardize",
}

# What other libraries call our activations, losses, starting weights and dtypes.
SYNONYMS = {
    "linear": "identity",
    "none": "identity",
    "logistic": "sigmoid",
    "swish": "silu",
    "leakyrelu": "leaky_relu",
    "mean_squared_error": "mse",
    "squared_error": "mse",
    "l2": "mse",
    "mean_absolute_error": "mae",
    "absolute_error": "mae",
    "l1": "mae",
    "smooth_l1": "huber",
    "logcosh": "log_cosh",
    "pinball": "quantile",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "crossentropy": "cross_entropy",
    "log_loss": "cross_entropy",
    "nll": "gaussian_nll",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "single": "float32",
    "double": "float64",
}
# What is done in another way here.
ELSEWHERE = {
    ("activation", "softmax"): "With loss='cross_entropy' it is built in: give the last layer no activation, and ask "
    "predict_proba for the probabilities.",
    ("loss", "softmax"): "'cross_entropy' has it built in.",
}


def look_up(name: object, table: Mapping[str, Value], what: str) -> Value:
    """The entry of `table` called `name`; an unknown name lists the right ones."""
    if isinstance(name, str) and name in table:
        return table[name]
    raise InvalidInputError(
        f"There is no {what} {shown(name)}; there are: {', '.join(table)}.{_hint(name, table, what)}"
    )


def _hint(name: object, table: Mapping[str, Any], what: str) -> str:
    """The name that is meant, or where to find the thing."""
    if not isinstance(name, str) or len(name) > MOST_SHOWN:
        return ""
    plain = name.lower().replace(" ", "_").replace("-", "_")
    if (what, plain) in ELSEWHERE:
        return f" {ELSEWHERE[what, plain]}"
    synonym = SYNONYMS.get(plain, plain)
    near = [synonym] if synonym in table else get_close_matches(name, table, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def checked_names(function: Function) -> Function:
    """Make a call with an unknown option an error that names the right one."""
    known = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        check_names(options, known)
        return function(*args, **options)

    return wrapper  # type: ignore[return-value]


def check_names(options: Iterable[str], known: Sequence[str]) -> None:
    """Make an option that is not known an error that names the right one."""
    for name in options:
        if name not in known:
            raise InvalidInputError(_unknown_option(name, [k for k in known if k != "self"]))


def checked_places(kind: type[Any]) -> Callable[..., None]:
    """The __init__ of a dataclass, checked: values by place that need a name are told the one that they can have."""
    init: Callable[..., None] = checked_names(kind.__init__)
    places = [entry.name for entry in fields(kind) if not entry.kw_only]
    names = [entry.name for entry in fields(kind) if entry.kw_only]

    def fits(value: Any, name: str, first: tuple[Any, ...]) -> bool:
        try:
            kind(*first, **{name: value})
        except InvalidInputError:
            return False
        return True

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **options: Any) -> None:
        first, others = args[: len(places)], args[len(places) :]
        if others:
            given: dict[str, str] = {}
            for value in others:
                name = next((name for name in names if name not in given and fits(value, name, first)), None)
                given |= {name: repr(value)} if name else dict.fromkeys(names, "…")
            example = ", ".join([*map(repr, first), *(f"{name}={value}" for name, value in given.items())])
            words = f"{kind.__name__} takes only {' and '.join(places)} by place"
            raise InvalidInputError(f"{words}; write {kind.__name__}({example}).")
        init(self, *args, **options)

    return wrapper


def _unknown_option(name: str, known: list[str]) -> str:
    if name == "betas" and "beta1" in known:
        return "`betas` are called `beta1` and `beta2`."
    if (
        name in ("lr", "learning_rate", "momentum", "weight_decay")
        and "optimizer" in known
        and "learning_rate" not in known
    ):
        return f"`{name}` belongs to the optimizer: optimizer=fastgd.SGD({ALIASES.get(name, name)}=…)."
    right = ALIASES.get(name.lower())
    if right not in known:
        near = get_close_matches(name, known, n=1) if len(name) > 2 else []  # `by` is not `y`
        right = near[0] if near else None
    if right:
        return f"`{name}` is called `{right}`."
    return f"There is no option `{name}`; the options are: {', '.join(known)}."


def positive_integer(value: object, what: str, *, least: int = 1) -> int:
    """`value` as an int, or an error that says what it should have been."""
    try:
        number = least - 1 if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise InvalidInputError(f"{what} must be a whole number of at least {least}, not {shown(value)}.")
    return number


def seed(random_state: object) -> int:
    """A seed as it was given; None draws a seed."""
    value = positive_integer(secrets.randbits(32) if random_state is None else random_state, "random_state", least=0)
    if value >= 1 << 64:
        raise InvalidInputError(f"random_state must be below 2**64, not {shown(random_state)}.")
    return value


def real_dtype(dtype: object) -> np.dtype[Any]:
    """float32 or float64, from its name or as a dtype."""
    name = np.dtype(dtype).name if isinstance(dtype, type | np.dtype) else dtype
    return look_up(name, {name: np.dtype(name) for name in ("float32", "float64")}, "dtype")


def layer_number(layer: object, n_layers: int) -> int:
    """Which of n_layers layers is meant, counted from 0; negative numbers count from the last layer."""
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer) or not -n_layers <= layer < n_layers:
        raise InvalidInputError(f"layer must be a whole number from 0 to {n_layers - 1}, not {shown(layer)}.")
    return int(layer) % n_layers


def layer_numbers(layer: object, n_layers: int) -> list[int]:
    """The same, or every layer for "all"."""
    if isinstance(layer, str) and layer != "all":
        raise InvalidInputError(f"layer must be a whole number from 0 to {n_layers - 1}, or 'all', not {shown(layer)}.")
    return list(range(n_layers)) if isinstance(layer, str) else [layer_number(layer, n_layers)]


def with_names(text: str | None, **tables: Mapping[str, Any]) -> str | None:
    """A docstring in which the names of tables stand where it says so, such as {losses}, on lines of their own."""
    for what, table in tables.items():
        names = fill(", ".join(f'"{name}"' for name in table), 108).replace("\n", "\n" + " " * 12)
        text = text and text.replace(f"{{{what}}}", names)
    return text


def shortened(name: str, most: int) -> str:
    """A name in at most `most` characters. Long names lose their middle, because they often differ at the end."""
    if len(name) <= most:
        return name
    tail = (most - 1) // 2
    return f"{name[: most - 1 - tail]}…{name[len(name) - tail :]}"


def shown(value: object) -> str:
    """What someone has typed or passed, as messages show it: in one line, and not much of it."""
    try:
        text = repr(value)
    except Exception:  # also a number of more digits than Python writes
        text = f"a {type(value).__name__}"
    return shortened(printable(" ".join(text.split())), MOST_SHOWN)


def called(path: object) -> str:
    """A file as messages name it: a name may be long, and have ends of lines in it."""
    return shortened(printable(str(path)), MOST_OF_NAME)


def listed(value: Any, n: int | None = None) -> list[Any] | None:
    """The entries of a list, or of what is like one, such as an array or a column; None where it is none.

    n: how many there must be, where that is known: nobody walks through more.
    """
    if isinstance(value, str | bytes | Mapping | Set) or getattr(value, "ndim", 1) != 1:
        return None
    try:
        too_many = n != len(value) if n is not None else isinstance(value, np.ndarray) and value.size > MOST_LISTED
        return None if too_many else list(value)
    except Exception:  # whatever a foreign object does when it is asked
        return None


def counted(n: int, what: str) -> str:
    """So many of a thing: 1 row, 2,000 rows."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def html_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", below: Iterable[str] = ()
) -> str:
    """A table for notebooks, which give it their own colours, light or dark; cells are text, not HTML."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    table = f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + "".join(f"<p>{html.escape(line)}</p>" for line in below if line)


def side_by_side(widths: Sequence[int], gap: int, room: int) -> list[list[int]]:
    """Which columns of a table stand side by side in so much room: all, or groups of which each has the first one."""
    groups = [[0]]
    for place in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[k] + gap for k in groups[-1]) + widths[place] > room:
            groups.append([0])
        groups[-1].append(place)
    return groups


def yes_or_no(value: object, what: str) -> bool:
    """`value` as a bool, or an error: "no" would otherwise count as true."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise InvalidInputError(f"{what} must be True or False, not {shown(value)}.")


def name_in_logs(monitor: object) -> str:
    """What is to be looked at after each epoch."""
    if not isinstance(monitor, str):
        raise InvalidInputError(f"monitor must be a name in the logs, such as 'val_loss', not {shown(monitor)}.")
    return monitor


def says(value: object, word: str) -> bool:
    """Whether an option that takes other things, too, is this word; arrays and the like compare to no truth value."""
    return isinstance(value, str) and value == word


def plain_number(value: Any) -> int | float:
    """A number as Python's own: fractions make arrays of objects, and NumPy's have bounds and digits of their own."""
    if isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def is_number(value: object) -> bool:
    """Whether `value` is a real number that a float can hold, and not a bool."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
