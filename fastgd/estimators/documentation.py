"""What the documentation of both estimators says of the options and attributes that they share."""

from __future__ import annotations

from ..network.activations import ACTIVATIONS
from ..network.initializers import INITIALIZERS
from ..options import with_names
from ..training.devices import CHOICES

SHARED = {
    "options": """hidden_layer_sizes: units of each hidden layer, such as (64, 64); () for none; "auto" for (96,)
            where there are less than 1,000 rows, else (96, 96).
        activation: of the hidden layers, "auto" for silu, or a list with one for each:
            {activations}.
        initializer: of the weights; "auto" for what suits each activation, a list of (weights, biases), or
            {initializers}.
        dropout: share of each hidden layer's outputs that training sets to zero, or a list with one for each; "auto"
            for 0.3 where there are less than 1,000 rows, 0.2 below 3,000, else 0.1; of many rows less, where the loss
            (mse) is small.
        optimizer: such as fastgd.SGD(momentum=0.9); None for what suits the number of rows, an AdamW whose rate falls
            to 0 over the epochs. partial_fit, which knows no end, then has the constant rate of fastgd.MLP's default,
            and where nothing else is given network and batches of its own.
        learning_rate, weight_decay: of the optimizer, instead of its own; a rate may be a schedule. Where there is no
            optimizer, a number is the rate from which it falls.
        epochs: passes over all rows; "auto" for about 2,000 steps, 4,000 from 3,000 rows on, but 12 to 300 epochs;
            from 20,000 rows with bins on, twice as many for numbers within a time_budget.
        batch_size: rows per step; "auto" for 32 where there are less than 1,000, 1,024 where there are millions.
        shuffle: whether each epoch has its own random order of rows.
        standardize: whether inputs and targets are scaled to mean 0 and standard deviation 1 inside the network.
        encoding: how columns become numbers: "auto" for text, gaps and numbers as they come, fastgd.Encoding(...) for
            rules of your own, None for numbers alone, as they are.
        monotone: columns of numbers with which predictions never fall (1), or never rise (-1), such as
            {"size": 1, "age": -1}, by name or number; see fastgd.MLP. Then "auto" for the activation is relu,
            softplus from 1,000 to 10,000 rows.
        dtype: "float32" or "float64", in which the network calculates; "auto" for float32 from 1,000 rows on, else that
            of X, as where a target hardly varies beside its size.
        early_stopping: whether rows are held out, the score on them ends the training, and the weights of the best
            epoch are kept.
        validation_fraction: share of the rows that early stopping holds out (of each class the same), where `fit` is
            not given X_val and y_val.
        n_iter_no_change: after how many epochs without an improvement by more than `tol` the training ends; math.inf
            for all epochs, "auto" for a quarter of them with early stopping, but at least 10, and else for
            all.
        tol: the improvement, of the loss in standard deviations of the target, or of the score with early stopping.
        warm_start: whether a further `fit` goes on exactly where the last one stopped.
        n_networks: how many networks are trained, side by side, whose mean predicts. Each has a recipe of its own,
            drawn at random around what suits the table: rate, decay, dropout, units and layers, activation, bins and
            epochs. What is given, such as a learning_rate, stays.
        selection: "mean" of all networks, or "greedy": of those that make the best mean on a validation_fraction of the
            rows; they are then trained again on all rows (but not with early_stopping). "auto" for the mean, and for
            greedy with a time_budget of 10 seconds or more in which there is time for eight.
        time_budget: seconds that a fit may take: as many networks as fit into them, n_networks at most, where that is
            more than 1; where none fits, with fewer epochs. One epoch tells how fast it goes. Loops that are still to
            be compiled count, too.
        random_state: seed of the starting weights, the order of rows, dropout and splits.
        n_threads: how many threads may share the work; "auto" for all cores, one inside of workers.
        device: where it learns and predicts, see `fit` of fastgd.MLP, and fastgd.fit_many for several networks:
            {devices}.
        verbose: 0 (nothing), "auto" or 1 (a bar), 2 (every epoch); not 0, what was chosen is said first.""",
    "attributes": """recipe_: what was chosen where nothing else was given; print(recipe_) names the arguments.
            recipes_ are those of several networks.
        model_: the fastgd.MLP that learned, with blame, health, save and all the rest; of several networks a
            fastgd.Ensemble.
        history_: the History of the last training; of several networks a list of them.
        loss_curve_: the mean loss of each epoch's steps, in the units of y; loss_ is the last, best_loss_ the lowest
            (None with early stopping). Of several networks the mean, likewise of the scores.
        validation_scores_: with early stopping the score after each epoch, else None; best_validation_score_ is the
            highest.
        n_iter_: how many epochs there were; t_ how many rows they looked at.
        n_features_in_, feature_names_in_: number and names of the inputs.""",
}


def documented(text: str | None) -> str | None:
    """A docstring with what both share, in the places of {options} and {attributes}."""
    for place, shared in SHARED.items():
        text = text and text.replace(f"{{{place}}}", shared)
    return with_names(text, activations=ACTIVATIONS, initializers=INITIALIZERS, devices=dict.fromkeys(CHOICES))
