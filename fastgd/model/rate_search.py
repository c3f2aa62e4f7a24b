"""The search for a learning rate on a user's table, with copies of a model."""

from __future__ import annotations

from typing import Any

from ..data.lesson import prepared
from ..options import positive_integer
from ..training.cores import allowance
from ..training.feed import Whole
from ..training.learning_rate import LearningRateSearch
from ..training.learning_rate import find_learning_rate as searched
from ..training.run import Job
from ..training.state import training_state
from ..training.turns import Turns
from .core import Core


def find_learning_rate(
    model: Core,
    X: Any,
    y: Any,
    epochs: Any,
    batch_size: Any,
    optimizer: Any,
    validation_data: Any,
    validation_split: Any,
    sample_weight: Any,
    class_weight: Any,
    lowest: float,
    highest: float,
    most_steps: Any,
    n_threads: Any,
) -> LearningRateSearch:
    """What MLP.find_learning_rate says; the model stays as it is."""
    epochs, batch_size = positive_integer(epochs, "epochs"), positive_integer(batch_size, "batch_size")
    most_steps, threads = positive_integer(most_steps, "most_steps"), allowance(n_threads)
    state = model.training_state(optimizer).copy()
    lesson = prepared(
        model.schema, model.net, X, y, seed=model.random_state, epoch=state.epoch, sample_weight=sample_weight,
        class_weight=class_weight, validation_data=validation_data, validation_split=validation_split,
        initializer=model.initializer,
    )  # fmt: skip
    net = lesson.net._replace(parameters=lesson.net.parameters.copy())
    if net.parameters.size != model.net.parameters.size:  # the encoding of these rows makes other weights
        state = training_state(None, state.optimizer, net.parameters)
    loss, unit = model.network.loss.record(net.target_std), model.network.loss.largest_unit(net.target_std)
    job = Job(
        net, Whole(lesson.rows), loss, state, model.engine, model.device, unit, epochs, batch_size, threads,
        model.store, Turns(),
    )  # fmt: skip
    is_trained = state.epoch > 0 or (model.fit_state is None and model.schema.scaled)  # the latter comes from a file
    return searched(job, lesson.held_out_rows(), lowest, highest, most_steps, is_trained)
