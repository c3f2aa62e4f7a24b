"""What users write, with types: mypy --strict finds nothing wrong here. It uses every public name, and is not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastgd


class Teller(fastgd.callbacks.Callback):
    """A callback of one's own."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell the loss."""
        print(epoch, (logs or {}).get("loss"))


def learn(X: NDArray[np.float32], y: NDArray[np.float32]) -> fastgd.MLP:
    """Train a network."""
    model = fastgd.MLP(
        [4, 64, 64, 1], activation="relu", loss=fastgd.losses.Huber(delta=2), encoding=fastgd.Encoding(bins=32),
        monotone={"size": 1}, random_state=None,
    )  # fmt: skip
    schedule = fastgd.schedules.Cosine(0.15)
    history: fastgd.History = model.fit(
        X, y, epochs=10, optimizer=fastgd.SGD(learning_rate=schedule, momentum=0.9),
        callbacks=[Teller(), fastgd.callbacks.EarlyStopping(), fastgd.callbacks.Checkpoint("m", resume=True)],
        class_weight=None,
    )  # fmt: skip
    piece: fastgd.History = model.partial_fit(
        X[:32], y[:32], optimizer=fastgd.Adam(), sample_weight=None, class_weight={}
    )
    losses: list[float] = history.history["loss"] + piece.loss
    told: dict[str, float] = model.evaluate(X, y)
    rate: float = model.find_learning_rate(X, y, optimizer=fastgd.Adam()).learning_rate
    model.fit(X, y, optimizer=fastgd.AdamW(learning_rate=rate, weight_decay=0.1))
    model.fit(X, y, optimizer=fastgd.AdamW(0.003, weight_decay=0.1))  # its first number is the rate, for checkers, too
    print(fastgd.__version__, losses, told, model.blame(X, y)["gradient"], model.nudge(X, y), model.health(X).findings)
    weights, biases = model.get_parameters()[0]
    model.set_parameters([(weights, biases)])
    model.parameters[:] = model.gradient(X, y)
    return model


def explain(model: fastgd.MLP, X: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    """Look into a network."""
    importance = fastgd.features.permutation_importance(model, X, y)
    increase: NDArray[np.float64] = importance.increase
    verdicts: list[str] = [regime.verdict for regime in fastgd.explain.learning_rates(model, X, y, [0.1, 1.0])]
    print(increase, verdicts)
    fastgd.plots.loss(model.fit(X, y))


def keep(model: fastgd.MLP, path: Path) -> fastgd.MLP | fastgd.Ensemble:
    """A network in a file."""
    try:
        model.save(path)
        return fastgd.load(path)
    except fastgd.errors.ModelFileError as error:
        raise SystemExit(str(error)) from None


def many(X: NDArray[np.float32], y: NDArray[np.float32]) -> fastgd.Ensemble:
    """Several networks."""
    rules = [fastgd.SGD(), fastgd.Adagrad(), fastgd.RMSprop()]
    specs: list[dict[str, Any]] = [{"layer_sizes": [4, 16, 1], "optimizer": rule} for rule in rules]
    models = [record.model for record in fastgd.fit_many(specs, X, y) if record.model is not None]
    ensemble = fastgd.Ensemble(models, weights=[1.0, 2.0, 1.0])
    found = fastgd.search({"layer_sizes": [4, 16, 1], "dropout": fastgd.space.Uniform(0, 0.5)}, X, y)
    best: dict[str, Any] | None = found.best
    print(best, found.score, ensemble.predict_interval(X, coverage=0.8), ensemble.members[0].dtype)
    return ensemble


def compiled(model: fastgd.MLP, x: NDArray[np.float32], out: NDArray[np.float32]) -> float:
    """What compiled code calls, from Python."""
    net = model.compiled()
    fine: bool = fastgd.predict_row(net, x, out) and fastgd.predict_rows(net, x.reshape(1, -1), out.reshape(1, -1))
    loss: float = fastgd.train_batch(net, x.reshape(1, -1), out, 0.1)
    sizes: tuple[int, int] = net.n_in, net.n_out
    print(fine, sizes)
    return loss


def streams(path: Path) -> fastgd.Stream:
    """Tables that are read a part at a time."""
    batches = fastgd.Stream(lambda: iter([([[1.0, 2.0]], [3.0])]))
    print(batches)
    return fastgd.Stream(path, target="price", columns=["size"], missing=["-9"], spool=False, buffer_rows=1000)


def estimate(X: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    """As scikit-learn has it."""
    print(fastgd.MLPRegressor(n_networks=1).fit(X, y).predict(X), fastgd.MLPClassifier().fit(X, y).predict_proba(X))
    print(fastgd.MLPRegressor().partial_fit(X, y), fastgd.MLPClassifier().partial_fit(X, y, classes=[0, 1]))


def of_others(state: dict[str, NDArray[np.float32]], theirs: object) -> list[fastgd.MLP]:
    """Networks of other libraries."""
    return [fastgd.from_torch(state, activation="tanh", classes=None), fastgd.from_sklearn(theirs)]


def main() -> None:
    """All of it."""
    X, y = fastgd.datasets.houses(1000, random_state=0)
    model = learn(X, y)
    explain(model, X, y)
    keep(model, Path("house.safetensors"))
    many(X, y)
    compiled(model, X[0].astype(np.float32), np.empty(1, np.float32))
    estimate(X, y)
