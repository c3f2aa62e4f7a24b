"""search: networks with options drawn at random, cross-validated side by side, of which the best go on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.on_device import only_on_host
from ..data.shared import SharedTable
from ..errors import InvalidInputError, TrainingWarning, kept_warnings, warn
from ..kernels import DEFAULT_DEVICE
from ..options import check_names, positive_integer, seed, yes_or_no
from ..training.cores import allowance
from ..training.devices import asked_device, chosen
from .candidates import OPTIONS, Candidate, check_names_of, spec_of
from .cluster import cluster_of, device_there
from .crew import Crew
from .fit_many import tell_of
from .folds import Fold, folds_of
from .found import SearchResult, ranked
from .progress import Overview
from .rounds import Plan, Search, Telling, plan_of
from .scores import check_metric
from .space import as_space, drawn
from .tasks import Task, tasks_of

OF_SEARCH = ("n_candidates", "cv", "groups", "halving", "metric", "refit", "n_threads", "device", "verbose", "client")


def search(
    space: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    n_candidates: int = 32,
    cv: Any = 5,
    groups: Any = None,
    halving: bool | int = True,
    metric: str = "loss",
    refit: bool = True,
    random_state: int | None = 0,
    n_threads: int | str = "auto",
    device: str = DEFAULT_DEVICE,
    verbose: str | int = "auto",
    client: Any = None,
    **defaults: Any,
) -> SearchResult:
    """Find good options: draw candidates at random, cross-validate all, and let the best go on with more epochs.

    A space has for each option a list of choices or a distribution: fastgd.space.Uniform, LogUniform, Integer, Choice,
    or one of scipy.stats. Options are those of fastgd.MLP and of its `fit` (see fastgd.fit_many); learning_rate and
    weight_decay, and such as "optimizer.beta2", are those of the optimizer, and "encoding.bins" that of the encoding.
    A learning rate that is drawn scales the optimizer's schedule, if there is one. Where there are only lists, no
    combination comes twice.

    Everything is checked before anything trains. The networks of all folds train side by side on one copy of the table.
    The result is the same for any number of threads. What diverges stays in the table with its reason. Ctrl-C returns
    what there is.

    Args:
        space: a dict of names, such as {"learning_rate": fastgd.space.LogUniform(1e-3, 1e-1)}.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,) or (n_rows, n_targets); labels for classes, of which each fold has the same share.
        n_candidates: how many are drawn.
        cv: number of folds; a share, such as 0.2, of rows that are held out once; or a list of
            (rows, validation_rows).
        groups: (n_rows,), for rows that belong together: a group is never on both sides.
        halving: whether candidates are given up on the way: the best third goes on with three times the epochs, exactly
            where they stood, until some reach `epochs`. A number is another factor than 3.
        metric: "loss", or what `evaluate` has, such as "rmse", "r2", "roc_auc".
        refit: whether the best candidate is trained on all rows, as `.model`. It has no callbacks there, but as many
            epochs as early stopping kept on average.
        random_state: seed of the draws, the folds and the networks.
        n_threads: how many networks train at the same time, as for fastgd.fit_many.
        device: "cpu" for the compiled loops, "plain" for the same in NumPy, "cuda" for an NVIDIA GPU; "auto" chooses by
            the networks of the first round, as for fastgd.fit_many, and for the refit as for `fit`.
        verbose: "auto" (a live bar on a terminal, a line for each round elsewhere), 0, 1 (bar), 2 (a line for each
            network).
        client: whose workers train the candidates in place of this machine, as for fastgd.fit_many; networks that go on
            come back after each round, and are sent again. The refit is done here.
        defaults: options of all candidates, such as layer_sizes, epochs, batch_size, optimizer, sample_weight.

    Returns:
        The candidates from best to worst, what mattered, and the best as a model.

    Raises:
        InvalidInputError: a space, table or option that cannot be used; nothing was trained.
        DeviceError: device="cuda" cannot run here; nothing was trained.
        ClusterError: nobody answers at the client's address, or workers lack this version of the package; likewise.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(1000, random_state=0)
        >>> space = {
        ...     "learning_rate": fastgd.space.LogUniform(1e-3, 1e-1),
        ...     "layer_sizes": [[4, 8, 1], [4, 32, 1]],
        ... }
        >>> result = fastgd.search(space, X, y, n_candidates=9, cv=3, epochs=9, metric="rmse", verbose=0)
        >>> sorted(result.best)
        ['layer_sizes', 'learning_rate']
        >>> [candidate.epochs for candidate in result.candidates]
        [9, 3, 3, 1, 1, 1, 1, 1, 1]
        >>> result.model.predict(X[:2]).shape
        (2,)
    """
    started = time.perf_counter()
    n_threads_most = allowance(n_threads).most
    asked = asked_device(device)
    only_on_host("search chooses folds", X=X, y=y)
    n_candidates, refit = positive_integer(n_candidates, "n_candidates"), yes_or_no(refit, "refit")
    halving = bool(halving) if isinstance(halving, bool | np.bool_) else positive_integer(halving, "halving", least=2)
    random_state = seed(random_state)
    check_names(defaults, (*OPTIONS, *OF_SEARCH))
    candidates = _candidates(space, n_candidates, {"random_state": random_state, **defaults})
    folds, tasks = _tasks(candidates, X, y, cv, groups, random_state)
    check_metric(metric, tasks[0], candidates[0].options)
    plan = _plan(halving, candidates, tasks)
    if refit:
        _check_refit(tasks)
    n_trainings, n_left = 0, len(candidates)
    for _ in range(plan.n_rounds):
        n_trainings, n_left = n_trainings + n_left * len(folds), plan.going_on(n_left)
    telling = Telling(verbose, n_trainings, plan.work(len(candidates)))
    table = tasks[0][0].table
    if client is None:
        choice = chosen(asked, [
            task.work_in(plan.epochs(task.options["epochs"], 0)) for of_folds in tasks.values() for task in of_folds
        ])  # fmt: skip

        def train(tasks: Sequence[Task], shown: Overview) -> None:
            Crew(tasks, choice.device, n_threads_most).work(shown)

        interrupted = Search(candidates, tasks, plan, metric, train, telling).run()
    else:
        choice, n = device_there(asked), len(folds)
        names = [f"candidate {candidate.number}, fold {fold}" for candidate in candidates for fold in range(n)]
        with cluster_of(client, choice.device, n_threads, len(names), names.__getitem__) as cluster:
            interrupted = Search(candidates, tasks, plan, metric, cluster.work, telling).run()
        cluster.tell("candidate", lambda number: candidates[number // n].number)
    result = SearchResult(
        ranked(candidates, metric), metric, len(folds), plan.n_rounds, interrupted=interrupted, device=choice.device,
        device_reason=choice.reason,
    )  # fmt: skip
    tell_of([(candidate.number, candidate.warnings, candidate.error) for candidate in candidates], "candidate")
    if all(candidate.error is not None for candidate in candidates):
        why = result.candidates[0]
        warn(f"All candidates failed; candidate {why.number}: {why.error}", TrainingWarning)
    elif refit and not interrupted and result.best is not None:
        _refit(result, table, n_threads, asked)
    result.seconds = time.perf_counter() - started
    return result


def _candidates(space: Any, n: int, defaults: dict[str, Any]) -> list[Candidate]:
    """Drawn, and made to specs."""
    distributions = as_space(space)
    try:
        check_names_of(distributions)
        twice = [name for name in distributions if name in defaults and name != "random_state"]
        if twice:
            raise InvalidInputError(f"{twice[0]} is given beside the space, too: leave one out.")
    except InvalidInputError as error:
        raise InvalidInputError(f"space: {error}") from error
    candidates = []
    for number, options in enumerate(drawn(distributions, n, defaults["random_state"])):
        try:
            candidates.append(Candidate(number, options, spec_of(options, defaults)))
        except InvalidInputError as error:
            raise InvalidInputError(f"candidate {number}: {error}") from error
    return candidates


def _tasks(
    candidates: list[Candidate], X: Any, y: Any, cv: Any, groups: Any, random_state: int
) -> tuple[list[Fold], dict[int, list[Task]]]:
    """The folds, and for each candidate a task for each of them."""
    alone = {**candidates[0].spec, "validation_split": 0.5}  # so that callbacks may look at "val_loss"
    (one,) = tasks_of([alone], X, y, {}, ["candidate 0"])
    try:
        # All rows, so that messages count them as the table does.
        replace(one, options={**one.options, "validation_split": 0.0}).check()
    except InvalidInputError as error:
        raise InvalidInputError(f"candidate 0: {error}") from error
    schema = one.model.schema
    n_rows = one.table.inputs(schema).n_rows
    classes: NDArray[Any] | None = None
    targets = one.table.targets(schema, n_rows)
    if not isinstance(targets, np.ndarray):
        classes = targets.values
    folds = folds_of(cv, n_rows, groups, classes, random_state)
    specs = [
        {**candidate.spec, "rows": fold.rows, "validation_rows": fold.held}
        for candidate in candidates
        for fold in folds
    ]
    names = [f"candidate {candidate.number}, fold {fold}" for candidate in candidates for fold in range(len(folds))]
    tasks = tasks_of(specs, one.table, None, {}, names)
    if len(tasks) == 1:
        try:
            tasks[0].check()
        except InvalidInputError as error:
            raise InvalidInputError(f"{names[0]}: {error}") from error
    n = len(folds)
    return folds, {candidate.number: tasks[i * n : (i + 1) * n] for i, candidate in enumerate(candidates)}


def _plan(halving: bool | int, candidates: list[Candidate], tasks: dict[int, list[Task]]) -> Plan:
    epochs = [int(tasks[candidate.number][0].options["epochs"]) for candidate in candidates]
    if not min(epochs):
        raise InvalidInputError(
            f"candidate {int(np.argmin(epochs))}: epochs=0 trains nothing, so that nothing is compared."
        )
    plan = plan_of(halving, len(candidates), min(epochs))
    if plan.n_rounds > 1 and any(task.options["callbacks"] for of_folds in tasks.values() for task in of_folds):
        raise InvalidInputError("callbacks would begin anew in each round of halving: give halving=False with them.")
    return plan


def _check_refit(tasks: dict[int, list[Task]]) -> None:
    for number, (task, *_) in tasks.items():
        optimizer = task.options["optimizer"]
        plateau = optimizer.schedule.plateau() if optimizer is not None else None
        if plateau is not None and plateau.monitor.startswith("val_"):
            raise InvalidInputError(
                f"candidate {number}: ReduceOnPlateau looks at {plateau.monitor!r}, which the training on all rows "
                "does not have: give monitor='loss', or refit=False."
            )


def _refit(result: SearchResult, table: SharedTable, n_threads: int | str, device: str) -> None:
    """Train the best candidate on all rows."""
    best = result.candidates[0]
    spec = {**best.spec, "callbacks": []}
    if best.spec.get("callbacks"):  # such as EarlyStopping, which has nothing to look at here
        spec["epochs"] = max(round(float(np.mean(best.epochs_kept))), 1)
    (task,) = tasks_of([spec], table, None, {}, [f"candidate {best.number}"])
    try:
        with kept_warnings() as told:
            options = task.options | task.data()
            history = task.model.fit(**options, n_threads=n_threads, device=device, verbose=0)
    except KeyboardInterrupt:
        result.interrupted = True
        return
    except ArithmeticError as error:
        warn(
            f"Candidate {best.number} is the best one, but failed on all rows, so that .model is None: {error}",
            TrainingWarning,
        )
        return
    for message, category in told:
        if category not in {known for _, known in best.warnings}:
            warn(message, category)
    if history.ended != "completed":
        result.interrupted = True
        return
    result.model, result.history = task.model, history
