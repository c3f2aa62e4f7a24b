"""The search for a learning rate does what fit does with each rate, and advises the one that ends lowest."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from inside import ctrl_c_in_a_step, memory_of, overheard
from samples import houses, refused, waves

import fastgd
from fastgd.errors import DivergenceError


def ended(model, X, y, search, optimizer, **options):
    """The loss after a training with the advised rate."""
    model = copy.deepcopy(model)
    validation = options.get("validation_data", (X, y))
    model.fit(X, y, optimizer=type(optimizer)(learning_rate=search.learning_rate, **momentum_of(optimizer)),
              verbose=0, **options)  # fmt: skip
    return model.evaluate(*validation)["loss"]


def momentum_of(optimizer):
    return {name: getattr(optimizer, name) for name in ("momentum", "ema_decay") if getattr(optimizer, name, None)}


CASES = {
    "descent": (fastgd.SGD(), {}, {}),
    "momentum": (fastgd.SGD(momentum=0.9), {}, {}),
    "adam": (fastgd.Adam(), {}, {"batch_size": 50}),
    "average": (fastgd.SGD(ema_decay=0.9), {}, {}),
    "dropout": (fastgd.SGD(), {"dropout": 0.2}, {}),
    "held out": (fastgd.SGD(), {}, {"validation_data": houses(150)}),
    "a part of a batch": (fastgd.SGD(), {}, {"batch_size": 1000}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rate_is_told_the_loss_that_fit_comes_to_with_it(case):
    optimizer, construction, options = CASES[case]
    X, y = houses(333)
    model = fastgd.MLP([4, 8, 1], random_state=0, **construction)
    before, predicted = model.parameters.copy(), model.predict(X)
    for _ in range(2):  # from new weights, and from trained ones
        search = model.find_learning_rate(X, y, epochs=3, optimizer=optimizer, **options)
        assert (model.parameters == before).all()
        assert (model.predict(X) == predicted).all(), "nor has it kept a scaling"
        told = search.losses[search.rates == search.learning_rate]
        assert told == search.losses[search.epochs == 3].min()
        np.testing.assert_allclose(ended(model, X, y, search, optimizer, epochs=3, **options), told, rtol=1e-4)
        longer = ended(model, X, y, search, optimizer, epochs=4, **options)
        assert not np.isclose(longer, told, rtol=1e-4), "the control: one epoch more is another loss"
        model.fit(X, y, epochs=2, optimizer=optimizer, verbose=0)
        before, predicted = model.parameters.copy(), model.predict(X)


def test_on_a_quadratic_the_rate_is_that_of_its_curvature():
    """In standard units the loss is (w − 1)² + b², whose second derivative is 2: one step of 1/2 is at its bottom."""
    x = np.linspace(-1, 1, 64)
    model = fastgd.MLP([1, 1], dtype="float64", random_state=0)
    search = model.find_learning_rate(x[:, None], 3 * x + 2, epochs=4, batch_size=64, optimizer=fastgd.SGD())
    assert 0.5 / 2 ** (1 / 8) < search.learning_rate < 0.5 * 2 ** (1 / 8)
    model.fit(x[:, None], 3 * x + 2, epochs=0, verbose=0)
    start = model.evaluate(x[:, None], 3 * x + 2)["loss"]
    assert search.losses[(search.rates > 0.001) & (search.rates < 1)].max() < start
    assert search.losses[search.rates > 1].min() > start, "the control: above 2 / curvature each step overshoots more"


def ramp(model, X, y, rates):
    """The control: a rate that rises from step to step; a tenth of that with the lowest loss before it blows up."""
    order, losses = np.random.default_rng(0).permutation(len(X) - 32), []
    for rate, place in zip(rates, order, strict=False):
        batch = slice(place, place + 32)
        model.fit(X[batch], y[batch], epochs=1, optimizer=fastgd.SGD(rate), verbose=0)
        losses.append(model.evaluate(X, y)["loss"])
        if losses[-1] > 4 * min(losses):
            break
    return rates[np.argmin(losses)] / 10


@pytest.mark.filterwarnings("ignore::fastgd.errors.TrainingWarning")
@pytest.mark.parametrize("n_bad", [0, 8])
def test_a_bad_batch_does_not_lower_the_advice(n_bad):
    X, y = houses(2000)
    y = np.array(y, np.float64)
    y[np.random.default_rng(0).permutation(len(y))[:n_bad]] *= 10
    model = fastgd.MLP([4, 32, 1], loss="huber", random_state=0)

    def loss_with(rate):
        trained = copy.deepcopy(model)
        try:
            trained.fit(X, y, epochs=5, optimizer=fastgd.SGD(rate), verbose=0)
        except DivergenceError:
            return np.inf
        return trained.evaluate(X, y)["loss"]

    advised = loss_with(model.find_learning_rate(X, y, epochs=5, optimizer=fastgd.SGD()).learning_rate)
    assert advised < 1.05 * min(loss_with(rate) for rate in np.geomspace(1e-4, 10, 16))
    fresh = copy.deepcopy(model)
    fresh.fit(X, y, epochs=0, verbose=0)
    assert advised < loss_with(ramp(fresh, X, y, np.geomspace(1e-6, 10, 200))) / 1.1


def test_what_begins_with_trained_weights_says_so(tmp_path):
    X, y = houses(300)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    assert "trained weights" not in model.find_learning_rate(X, y, epochs=2).reason
    model.fit(X, y, epochs=0, verbose=0)
    assert "trained weights" not in model.find_learning_rate(X, y, epochs=2).reason, "only the scaling was learned"
    model.fit(X, y, epochs=1, verbose=0)
    assert "began with trained weights" in model.find_learning_rate(X, y, epochs=2).reason
    assert "trained weights" in model.find_learning_rate(X, y, epochs=2, optimizer=fastgd.Adam()).reason
    model.save(tmp_path / "model.safetensors")
    assert "trained weights" in fastgd.load(tmp_path / "model.safetensors").find_learning_rate(X, y, epochs=2).reason
    model.fit(X, y, epochs=300, optimizer=fastgd.Adam(0.003), verbose=0)
    model.fit(X, y, epochs=300, optimizer=fastgd.Adam(0.0001), verbose=0)
    assert "none made it 1 % smaller" in model.find_learning_rate(X, y, epochs=1, highest=1e-5).reason


def test_bits_depend_on_the_seed_alone():
    X, y = houses(400)
    model = fastgd.MLP([4, 128, 128, 1], random_state=0)
    one, again = (model.find_learning_rate(X, y, epochs=1, n_threads=n, lowest=0.001) for n in (1, 2))
    assert (one.losses == again.losses).all()
    assert repr(one) == repr(again)
    other = fastgd.MLP([4, 128, 128, 1], random_state=1).find_learning_rate(X, y, epochs=1, lowest=0.001)
    assert len(other.losses) != len(one.losses) or (other.losses != one.losses).any(), "the control"


def test_both_engines_find_the_same_rate():
    X, y = houses(200)
    model = fastgd.MLP([4, 6, 1], random_state=0)
    compiled = model.find_learning_rate(X, y, epochs=2, lowest=1e-3)
    model.fit(X, y, epochs=0, device="plain", verbose=0)
    plain = model.find_learning_rate(X, y, epochs=2, lowest=1e-3)
    assert plain.learning_rate == compiled.learning_rate
    calm = plain.rates < 0.1
    np.testing.assert_allclose(plain.losses[calm], compiled.losses[compiled.rates < 0.1], rtol=1e-3)


def test_rates_far_from_the_best_are_given_up_early():
    X, y = houses(3200)
    search = fastgd.MLP([4, 8, 1], random_state=0).find_learning_rate(X, y, epochs=16, optimizer=fastgd.SGD())
    assert repr(search).startswith(f"<LearningRateSearch: {search.learning_rate:.3g} of {len(search.rates)} rates. Of ")
    assert (np.diff(search.rates) > 0).all()
    assert search.epochs[search.rates == search.learning_rate] == 16
    assert search.epochs[0] == 1
    assert search.epochs.sum() < 12 * 16, "about ten trainings, as the documentation says"
    assert (search.losses < np.inf).all()
    assert "blew up" in search.reason


def test_of_a_long_training_the_beginning_is_tried():
    X, y = houses(320)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    search = model.find_learning_rate(X, y, epochs=1000, most_steps=200)
    assert "200 steps, the first of the 10,000 of 1000 epochs" in search.reason
    assert search.epochs.max() == 20
    whole = model.find_learning_rate(X, y, epochs=20)
    assert "the first" not in whole.reason
    assert search.learning_rate == whole.learning_rate


def test_the_schedule_of_the_optimizer_is_not_used():
    X, y = houses(200)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    optimizer = fastgd.SGD(fastgd.schedules.Exponential(5.0, 10))
    search = model.find_learning_rate(X, y, epochs=2, optimizer=optimizer)
    assert search.learning_rate == model.find_learning_rate(X, y, epochs=2, optimizer=fastgd.SGD()).learning_rate


def test_the_ends_of_the_range():
    X, y = houses(500)
    model = fastgd.MLP([4, 8, 1], random_state=0)
    search = model.find_learning_rate(X, y, epochs=2, lowest=1e-4, highest=1e-3)
    np.testing.assert_allclose(search.rates[[0, -1]], [1e-4, 1e-3])
    assert search.learning_rate == search.rates[-1]
    assert "the highest of them: try a wider range" in search.reason
    search = model.find_learning_rate(X, y, epochs=20, optimizer=fastgd.SGD(), lowest=0.1, highest=5)
    assert "the lowest of them: try a wider range" in search.reason
    assert "none made it 1 % smaller" in model.find_learning_rate(X, y, lowest=1e-12, highest=1e-11).reason
    with pytest.raises(DivergenceError, match="at every rate from 1e\\+03 to 1e\\+05: choose a smaller lowest"):
        model.find_learning_rate(X, y, lowest=1e3, highest=1e5)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_few_rows(n_rows):
    X, y = waves(n_rows)
    model = fastgd.MLP([3, 4, 1], activation="tanh", standardize=False, random_state=0)
    search = model.find_learning_rate(X, y, epochs=30, optimizer=fastgd.SGD())
    model.fit(X, y, 30, optimizer=fastgd.SGD(search.learning_rate), verbose=0)
    assert model.evaluate(X, y)["loss"] < 0.1 * (y**2).mean()


def test_weights_and_classes_are_those_of_fit():
    X, y = waves(400)
    labels = np.where(y > 0, "up", "down")
    model = fastgd.MLP([3, 8, 2], loss="cross_entropy", random_state=0)
    weights = np.where(X[:, 0] > 0, 5.0, 0.0)
    search = model.find_learning_rate(X, labels, epochs=3, optimizer=fastgd.SGD(), sample_weight=weights)
    with pytest.raises(AttributeError):
        model.classes_  # noqa: B018
    told = search.losses[search.rates == search.learning_rate]
    model.fit(X, labels, 3, optimizer=fastgd.SGD(search.learning_rate), sample_weight=weights, verbose=0)
    np.testing.assert_allclose(model.evaluate(X, labels, sample_weight=weights)["loss"], told, rtol=1e-4)
    assert not np.isclose(model.evaluate(X, labels)["loss"], told, rtol=1e-4), "the control"
    one = model.find_learning_rate(X, labels, epochs=1, class_weight={"up": 9, "down": 1})
    assert one.losses[0] != model.find_learning_rate(X, labels, epochs=1).losses[0]


def test_mistakes_are_told():
    X, y = houses(50)
    model = fastgd.MLP([4, 4, 1])
    search = model.find_learning_rate
    refused("0 < lowest < highest", search, X, y, lowest=1, highest=0.1)
    refused("0 < lowest < highest", search, X, y, highest="much")
    refused("epochs must be a whole number of at least 1, not 0", search, X, y, epochs=0)
    refused("most_steps must be a whole number of at least 1", search, X, y, most_steps=0)
    refused("`steps` is called `most_steps`", search, X, y, steps=100)
    refused("`learning_rate` belongs to the optimizer", search, X, y, learning_rate=0.1)
    refused("cannot both be given", search, X, y, validation_data=(X, y), validation_split=0.5)
    model.parameters = np.full(model.parameters.size, 1e30)
    refused("not a finite number even before the first step", search, X, y)


def test_ctrl_c_ends_the_search_and_leaves_the_model(monkeypatch):
    X, y = houses(100)
    model = fastgd.MLP([4, 4, 1], random_state=0)
    before = model.parameters.copy()
    with monkeypatch.context() as patch:
        overheard(patch, "train", ctrl_c_in_a_step)
        with pytest.raises(KeyboardInterrupt):
            model.find_learning_rate(X, y)
    assert (model.parameters == before).all()
    assert memory_of(model) is None
    assert model.find_learning_rate(X, y).learning_rate > 0
