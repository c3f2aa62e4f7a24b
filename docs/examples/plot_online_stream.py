"""
Learning row by row from a stream
=================================

Measurements arrive one at a time, and none is kept: each is predicted before its answer is known, and learned from when
it is. Half way, what is measured changes. A network that goes on learning inside the compiled loop follows; one that
stopped learning does not.
"""

import numba
import numpy as np
from matplotlib import pyplot

import fastgd

# %%
# The stream
# ----------
# The power that a wind turbine gives: it grows with the cube of the wind, up to a limit, and falls with warm air and
# with ice on the blades. After 60,000 measurements a blade is damaged: a fifth of the power is gone, and more in a
# strong wind.

N, DAMAGE = 120_000, 60_000


@numba.njit
def measure(x, number):
    """Write what is known to x (wind in m/s, temperature in °C, humidity); returns the power in kW."""
    wind, temperature, humidity = 12 * np.random.weibull(2), np.random.normal(5, 8), np.random.random()
    x[0], x[1], x[2] = min(wind, 30), temperature, humidity
    ice = 0.3 if temperature < 0 and humidity > 0.6 else 0.0
    power = 2_000 * min((x[0] / 13) ** 3, 1) * (1 - 0.004 * temperature) * (1 - ice)
    if number >= DAMAGE:
        power *= 0.8 - 0.01 * x[0]
    return power + np.random.normal(0, 30)


# %%
# A model that knows the units
# ----------------------------
# The first measurements teach the model its scaling and make a start. ``train_batch`` takes plain steps from there on,
# on one row each: the model's own parameters change, and what it predicts.


@numba.njit
def measured(n, seed):
    """Some measurements as a table."""
    np.random.seed(seed)
    X, y = np.empty((n, 3), np.float32), np.empty(n, np.float32)
    for row in range(n):
        y[row] = measure(X[row], 0)
    return X, y


model = fastgd.MLP([3, 32, 32, 1], activation="tanh", random_state=0)
X, y = measured(1_000, seed=1)
history = model.fit(X, y, epochs=20, verbose=0)

# %%
# One loop
# --------
# Predict, compare, learn. ``net`` learns, ``still`` is the same model as it was at the start. The errors are running
# means of the last thousand squared errors or so.


@numba.njit
def follow(net, still, n, learning_rate, seed):
    """The typical errors of both after every hundredth measurement, (n / 100, 2), and how often no step was taken."""
    np.random.seed(seed)
    X, y, out = np.empty((1, 3), np.float32), np.empty(1, np.float32), np.empty(1, np.float32)
    of_net, of_still, errors, lost = 0.0, 0.0, np.empty((n // 100, 2)), 0
    for number in range(n):
        y[0] = measure(X[0], number)
        fastgd.predict_row(net, X[0], out)
        of_net += 0.001 * ((out[0] - y[0]) ** 2 - of_net)
        fastgd.predict_row(still, X[0], out)
        of_still += 0.001 * ((out[0] - y[0]) ** 2 - of_still)
        lost += not np.isfinite(fastgd.train_batch(net, X, y, learning_rate))
        if number % 100 == 99:
            errors[number // 100] = np.sqrt(of_net), np.sqrt(of_still)
    return errors, lost


at_first = fastgd.MLP([3, 32, 32, 1], activation="tanh", random_state=0)
at_first.fit(X, y, epochs=20, verbose=0)
errors, lost = follow(model.compiled(), at_first.compiled(), N, 0.02, seed=2)
before, after = DAMAGE // 100 - 1, N // 100 - 1
for name, column in (("learns on", 0), ("stands still", 1)):
    print(f"{name}: {errors[before, column]:.0f} kW before the damage, {errors[after, column]:.0f} kW at the end")

# %%
# The noise of the measurements is 30 kW: nothing predicts better than that.

figure, ax = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
for name, column, colour in (("learns on", 0, "#1d4ed8"), ("stands still", 1, "#c2410c")):
    ax.plot(np.arange(1, len(errors) + 1) / 10, errors[:, column], color=colour, label=name)
ax.set(xlabel="thousand measurements", ylabel="typical error, kW", yscale="log")
ax.legend()
