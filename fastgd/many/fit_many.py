"""fit_many: independent networks of any mix of options, side by side on one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..data.shared import SharedTable
from ..errors import FastgdWarning, InvalidInputError, Told, TrainingWarning, warn
from ..kernels import DEFAULT_DEVICE
from ..training.cores import allowance
from ..training.devices import AUTO, Choice, asked_device, chosen
from .cluster import cluster_of, device_there
from .crew import Crew
from .progress import Overview, overview
from .records import Records
from .tasks import Task, tasks_of

NAMED = 5  # specs that a warning names


def fit_many(
    specs: Sequence[Mapping[str, Any]],
    X: Any,
    y: Any,
    *,
    n_threads: int | str = "auto",
    device: str = DEFAULT_DEVICE,
    verbose: str | int = "auto",
    client: Any = None,
    **defaults: Any,
) -> Records:
    """Train independent networks side by side, each as its own `fit` would, to the bit.

    A spec is a dict of options: those of fastgd.MLP (layer_sizes, activation, loss, dropout, random_state, …), those of
    its `fit` (epochs, batch_size, optimizer, sample_weight, class_weight, validation_data, validation_split, shuffle,
    callbacks), and

    - rows: which rows to learn from, numbers or a mask of booleans; by default all, but validation_rows;
    - validation_rows: rows whose loss is measured after each epoch, as "val_loss";
    - model: a fastgd.MLP to go on with, in place of a new network.

    All specs are checked before anything trains. The table is read once, and an array of a network's dtype is not
    copied. Each thread takes the next network, the longest first. One that diverges, or meets another error, becomes a
    record with that error, and the others go on. Callbacks are copied for each network, because they remember; a
    record has its own. Ctrl-C returns what there is: networks that were training stop within a moment, as `fit` does,
    and those whose turn never came have no history.

    Args:
        specs: a dict of options for each network.
        X: inputs, (n_rows, n_in) numbers or a data frame; with device="cuda" also an array that lies on the GPU.
        y: actual values, (n_rows,) or (n_rows, n_targets), likewise; labels for classes.
        n_threads: how many networks train at the same time; "auto": one for each core that the process may use. On a
            GPU, which trains many in one launch, it says nothing: up to 1,024 are under way.
        device: "cpu" for the compiled loops, "plain" for the same in NumPy, "cuda" for an NVIDIA GPU. "auto" is "cuda"
            where that can run, there are 64 networks or more of each shape, and all their rows × epochs × parameters
            are 1e12 or more (one network alone: as for `fit`), which is an estimate, not measured on a card; else
            "cpu". The histories say why.
        verbose: "auto" (a live bar on a terminal, a few lines elsewhere), 0 (nothing), 1 (bar), 2 (a line for each).
        client: whose workers train in place of this machine: a dask.distributed.Client, the address of a scheduler
            such as "tcp://10.0.0.1:8786", or "joblib" for the backend that joblib.parallel_config sets. The records are
            the same to the bit; see docs/clusters.md.
        defaults: any options of specs, for all that do not have their own.

    Returns:
        A record for each spec, in their order; the list prints as a table.

    Raises:
        InvalidInputError: a table or option that cannot be used; the message names the spec, and nothing was trained.
        DeviceError: device="cuda" cannot run here; nothing was trained.
        ClusterError: nobody answers at the client's address, or workers lack this version of the package; likewise.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(500, random_state=0)
        >>> specs = [{"layer_sizes": [4, n_hidden, 1], "random_state": 1} for n_hidden in (4, 8, 16)]
        >>> records = fastgd.fit_many(specs, X, y, epochs=20, validation_split=0.2, verbose=0)
        >>> [record.history.epochs for record in records]
        [20, 20, 20]
        >>> best = min(records, key=lambda record: record.measured["val_loss"])
        >>> best.model.predict(X[:2]).shape
        (2,)
    """
    n_most = allowance(n_threads).most
    asked = asked_device(device)
    tasks = tasks_of(specs, SharedTable(X, y, DEFAULT_DEVICE if asked == AUTO else asked), None, defaults)
    shown = overview(verbose, len(tasks))
    if client is None:
        choice = chosen(asked, [task.work_in(task.options["epochs"]) for task in tasks])
        crew = Crew(tasks, choice.device, n_most)
        crew.work(shown)
        refused = crew.refused
    else:
        choice, refused = _on_cluster(client, tasks, asked, n_threads, shown), None
    records = Records(task.record for task in tasks)
    if len(tasks) == 1 and isinstance(refused, InvalidInputError):
        raise InvalidInputError(f"spec 0: {tasks[0].of_the_table(str(refused))}") from refused
    for record in records:
        if record.history is not None:
            record.history.device_reason = choice.reason
        if record.model is None:
            record.error = KeyboardInterrupt("given up while it trained")
    tell_of([(record.number, record.warnings, record.error) for record in records], "spec")
    return records


def _on_cluster(client: Any, tasks: list[Task], asked: str, n_threads: Any, shown: Overview) -> Choice:
    """Have workers train them."""
    try:
        tasks[0].check()  # tasks_of has checked several
    except InvalidInputError as error:
        raise InvalidInputError(f"spec 0: {error}") from error
    choice = device_there(asked)
    with cluster_of(client, choice.device, n_threads, len(tasks), lambda number: f"spec {number}") as cluster:
        cluster.work(tasks, shown)
    cluster.tell("spec")
    return choice


def tell_of(trained: Iterable[tuple[int, list[Told], BaseException | None]], what: str) -> None:
    """Warn once of what several networks would have warned of, perhaps in other numbers; errors have said it better.

    Of each network: its number, what it would have warned of, and the error that ended it.
    """
    said: dict[type[FastgdWarning], tuple[str, list[int]]] = {}
    for number, told, error in trained:
        for message, category in told:
            if error is None or not issubclass(category, TrainingWarning):
                said.setdefault(category, (message, []))[1].append(number)
    for category, (message, numbers) in said.items():
        others = list(dict.fromkeys(numbers))[1:]
        named = ", ".join(map(str, others[:NAMED])) + f" and {len(others) - NAMED:,} more" * (len(others) > NAMED)
        where = "records" if what == "spec" else "candidates"
        alike = f" (The like holds for {what}{'s' * (len(others) > 1)} {named}: see `warnings` of the {where}.)"
        warn(f"{what} {numbers[0]}: {message}{alike if others else ''}", category)
