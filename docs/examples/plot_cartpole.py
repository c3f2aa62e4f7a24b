"""
A value network that learns to balance a pole
=============================================

A pole stands on a cart, and every fiftieth of a second the cart is pushed to the left or to the right. How long does
the pole stay up? Physics, decisions, memory and learning are one loop in compiled code: ``fastgd.predict_row`` says how
near a state is to its fall, ``fastgd.train_batch`` makes the network say it better. Some thousand steps take seconds.
"""

import time

import numba
import numpy as np
from matplotlib import pyplot

import fastgd

# %%
# The physics
# -----------
# The equations of Barto, Sutton and Anderson (1983), in the form that everybody uses: a state is the cart's position
# and speed, the pole's angle and its speed. The episode is over when the cart is 2.4 m or the pole 12° off.

LIMIT = 500  # steps of an episode
PUSH, GRAVITY, STEP = 10.0, 9.8, 0.02
MASS, MASS_OF_POLE, HALF_LENGTH = 1.1, 0.1, 0.5
FAR = np.array([2.4, 3.0, 12 * np.pi / 180, 3.0])  # the network sees states in these units


@numba.njit
def move(after, state, push):
    """The state after a push to the right (1) or to the left (0)."""
    x, speed, angle, turning = state
    sine, cosine = np.sin(angle), np.cos(angle)
    force = PUSH if push == 1 else -PUSH
    common = (force + MASS_OF_POLE * HALF_LENGTH * turning**2 * sine) / MASS
    inertia = HALF_LENGTH * (4 / 3 - MASS_OF_POLE * cosine**2 / MASS)
    turns = (GRAVITY * sine - cosine * common) / inertia
    after[0], after[1] = x + STEP * speed, speed + STEP * (common - MASS_OF_POLE * HALF_LENGTH * turns * cosine / MASS)
    after[2], after[3] = angle + STEP * turning, turning + STEP * turns


@numba.njit
def is_over(state):
    return abs(state[0]) > FAR[0] or abs(state[2]) > FAR[2]


# %%
# What the network says, and what is done about it
# ------------------------------------------------
# The value of a state is how near its end is: 1 once the pole has fallen or the cart is out, 0.99 a step before that,
# 0.99² two steps before, nearly 0 where that never happens. Of two pushes the better one leads to the lower value.

DISCOUNT = 0.99


@numba.njit
def value(net, state, seen, out):
    """How near a state is to its fall."""
    if is_over(state):
        return 1.0
    for i in range(4):
        seen[i] = state[i] / FAR[i]
    fastgd.predict_row(net, seen, out)
    return out[0]


@numba.njit
def best_push(net, state, after, seen, out):
    """The better push, and the value that it leads to."""
    move(after, state, 0)
    left = value(net, after, seen, out)
    move(after, state, 1)
    right = value(net, after, seen, out)
    return (0, left) if left < right else (1, right)


# %%
# Learning
# --------
# One long loop: act, remember, and after each step learn from some remembered states. What a state should be worth is
# computed by a second network, ``slow``, a copy of the first that is renewed now and then: values that chase
# themselves run away. Both share their parameters with compiled code, so that the copy is one line. Episodes begin
# anywhere in the middle, so that the network comes to know the edges, too.

ROWS, MEMORY, RENEW, SPREAD = 64, 10_000, 200, 0.7


@numba.njit
def learn(net, slow, n_steps, learning_rate, seed):
    """Play and learn; returns the length of every episode."""
    np.random.seed(seed)
    memory, lengths = np.empty((MEMORY, 4)), np.zeros(n_steps, np.int64)
    state, after = np.random.uniform(-0.05, 0.05, 4), np.empty(4)
    seen, out = np.empty(4, np.float32), np.empty(1, np.float32)
    X, y = np.empty((ROWS, 4), np.float32), np.empty(ROWS, np.float32)
    episode = length = 0
    for step in range(n_steps):
        memory[step % MEMORY] = state
        push, _ = best_push(net, state, after, seen, out)
        if np.random.random() < 0.05:
            push = np.random.randint(2)
        move(after, state, push)
        state[:] = after
        length += 1
        if is_over(state) or length == LIMIT:
            lengths[episode] = length
            episode, length = episode + 1, 0
            state[:] = np.random.uniform(-SPREAD, SPREAD, 4) * FAR
        for row in range(ROWS):
            chosen = memory[np.random.randint(min(step + 1, MEMORY))]
            y[row] = DISCOUNT * best_push(slow, chosen, after, seen, out)[1]
            for i in range(4):
                X[row, i] = chosen[i] / FAR[i]
        fastgd.train_batch(net, X, y, learning_rate * (1 - step / n_steps))
        if step % RENEW == 0:
            slow.parameters[:] = net.parameters
    return lengths[:episode]


@numba.njit
def play(net, n_episodes, seed):
    """The lengths of episodes in which nothing is left to chance but the start."""
    np.random.seed(seed)
    lengths = np.zeros(n_episodes, np.int64)
    after, seen, out = np.empty(4), np.empty(4, np.float32), np.empty(1, np.float32)
    for episode in range(n_episodes):
        state = np.random.uniform(-0.05, 0.05, 4)
        while lengths[episode] < LIMIT and not is_over(state):
            move(after, state, best_push(net, state, after, seen, out)[0])
            state[:] = after
            lengths[episode] += 1
    return lengths


# %%
# Two networks of one shape
# -------------------------
# Inputs are scaled by hand, and values lie between 0 and 1: the models shall scale nothing by themselves.


def trained(seed, n_steps=40_000):
    """A model that has learned, and the lengths of its episodes."""
    model, slow = (
        fastgd.MLP([4, 32, 32, 1], activation="tanh", standardize=False, random_state=seed) for _ in range(2)
    )
    return model, learn(model.compiled(), slow.compiled(), n_steps, 0.1, seed)


model, _ = trained(seed=0, n_steps=10)  # compiles
print(f"before: {play(model.compiled(), 20, seed=1).mean():.0f} steps")
begun = time.perf_counter()
model, lengths = trained(seed=0)
seconds = time.perf_counter() - begun
after = play(model.compiled(), 20, seed=1)
print(f"after {len(lengths)} episodes, {seconds:.1f} s: {after.mean():.0f} steps, the shortest {after.min()}")

# %%
# The episodes while it learned, from anywhere in the middle, one of twenty pushes being random.

figure, ax = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(lengths, ".", color="#1d4ed8")
ax.set(xlabel="episode", ylabel="steps until the end", ylim=(0, LIMIT * 1.02))
