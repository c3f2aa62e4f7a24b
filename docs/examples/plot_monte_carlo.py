"""
A surrogate inside a Monte Carlo loop
=====================================

A call option pays what a share is worth above a strike price at the end of a year. What is it worth where the share's
volatility wanders? A simulation of a thousand paths says it, a millisecond or two for each case. A bank that asks what
may happen to an option by tomorrow needs the price in a million cases: a network learns it from some thousand
simulations, and then answers inside the compiled loop.
"""

import time

import numba
import numpy as np
from matplotlib import pyplot

import fastgd

# %%
# The exact answer, slowly
# ------------------------
# Heston's model (1993) in steps of a week: the variance is drawn back to its mean, and falls as the share rises. A case
# is the share's price beside the strike, its variance now, and the years that are left.

PATHS, STEPS = 1_000, 52
PULL, MEAN, SHAKE, CORRELATION = 2.0, 0.04, 0.5, -0.7


@numba.njit(nogil=True)
def simulated(share, variance, years, n_paths):
    """The mean payoff of a call with strike 1, without interest, and its standard error; each path goes both ways."""
    total = squares = 0.0
    step = years / STEPS
    for _ in range(n_paths // 2):
        log_up = log_down = np.log(share)
        up = down = variance
        for _ in range(STEPS):
            first, second = np.random.normal(), np.random.normal()
            other = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second
            root, back = np.sqrt(max(up, 0.0) * step), np.sqrt(max(down, 0.0) * step)
            log_up += root * first - root * root / 2
            log_down -= back * first + back * back / 2
            up += PULL * (MEAN - max(up, 0.0)) * step + SHAKE * root * other
            down += PULL * (MEAN - max(down, 0.0)) * step - SHAKE * back * other
        payoff = (max(np.exp(log_up) - 1, 0.0) + max(np.exp(log_down) - 1, 0.0)) / 2
        total += payoff
        squares += payoff * payoff
    n = n_paths // 2
    return total / n, np.sqrt((squares / n - (total / n) ** 2) / n)


@numba.njit(parallel=True)
def simulate_all(cases, n_paths):
    """Prices of many cases, and their standard errors."""
    prices, errors = np.empty(len(cases)), np.empty(len(cases))
    for case in numba.prange(len(cases)):
        np.random.seed(case)
        prices[case], errors[case] = simulated(cases[case, 0], cases[case, 1], cases[case, 2], n_paths)
    return prices, errors


# %%
# Three thousand cases to learn from
# ----------------------------------

random = np.random.default_rng(0)
LOW, HIGH = np.array([0.7, 0.01, 0.2]), np.array([1.3, 0.12, 1.0])
cases = random.uniform(LOW, HIGH, (3_000, 3))
simulate_all(cases[:2], PATHS)  # compiles
begun = time.perf_counter()
prices, _ = simulate_all(cases, PATHS)
each = (time.perf_counter() - begun) / len(cases)
print(f"{1e6 * each:,.0f} µs for a simulated price")

model = fastgd.MLP([3, 32, 32, 1], activation="silu", random_state=0)
history = model.fit(cases, prices, epochs=300, verbose=0)

# %%
# How good is it?
# ---------------
# Against simulations with fifty times as many paths, in cases that the network has not seen. A plane through the same
# prices is what it has to beat.

unseen = random.uniform(LOW, HIGH, (50, 3))
exact, uncertain = simulate_all(unseen, 50 * PATHS)
error = np.sqrt(np.mean((model.predict(unseen) - exact) ** 2))
plane = np.linalg.lstsq(np.column_stack([cases, np.ones(len(cases))]), prices, rcond=None)[0]
error_of_plane = np.sqrt(np.mean((np.column_stack([unseen, np.ones(len(unseen))]) @ plane - exact) ** 2))
print(f"typical error {error:.5f}, of a plane {error_of_plane:.5f}; the simulations' own {uncertain.mean():.5f}")

# %%
# The loop that needs it
# ----------------------
# What may an option lose by tomorrow? Share and variance move at random, and the network prices what comes of
# it: one call to ``fastgd.predict_row`` a case, without a look back to Python.


@numba.njit
def losses_of_a_day(net, share, variance, years, n_cases, seed):
    """What an option loses until tomorrow, in each of many cases."""
    np.random.seed(seed)
    x, price, lost, day = np.empty(3, np.float32), np.empty(1, np.float32), np.empty(n_cases), 1 / 252
    x[0], x[1], x[2] = share, variance, years
    fastgd.predict_row(net, x, price)
    now = price[0]
    for case in range(n_cases):
        first, second = np.random.normal(), np.random.normal()
        other = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second
        x[0] = share * np.exp(np.sqrt(variance * day) * first - variance * day / 2)
        x[1] = max(variance + PULL * (MEAN - variance) * day + SHAKE * np.sqrt(variance * day) * other, 0.0)
        x[2] = years - day
        fastgd.predict_row(net, x, price)
        lost[case] = now - price[0]
    return lost


net = model.compiled()
losses_of_a_day(net, 1.0, 0.04, 0.75, 10, seed=0)  # compiles
begun = time.perf_counter()
lost = losses_of_a_day(net, 1.0, 0.04, 0.75, 1_000_000, seed=0)
seconds = time.perf_counter() - begun
at_risk = np.quantile(lost, 0.99)
print(f"a million cases in {seconds:.2f} s, {each / (seconds / 1e6):,.0f} times as fast as by simulation")
print(f"in one day of a hundred the option loses more than {at_risk:.4f}, of a price of {exact.mean():.4f} on average")

# %%
# The losses, and the one that is exceeded on one day of a hundred.

figure, ax = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
ax.hist(lost, bins=100, color="#94a3b8")
ax.axvline(at_risk, color="#c2410c")
ax.set(xlabel="loss in a day, in strikes", yticks=[])
