"""
Optimizers on a hard surface
============================

Rosenbrock's valley has steep walls and a floor that hardly falls: (1 − a)² + 100 (b − a²)². Plain descent, with the
best rate of a grid, creeps along the floor; momentum adds up the small steps that agree; Adam divides by the size of
recent gradients. Each takes the steps of the loop that trains networks, see `Optimizers <../optimizers.html>`_.
"""

import numpy as np
from hard_surfaces import SURFACES, steps_needed
from matplotlib import pyplot

import fastgd
from fastgd.kernels import engine
from fastgd.network.network import Network

valley = SURFACES[0]
OPTIMIZERS = {
    "plain descent": fastgd.SGD(0.002),
    "momentum 0.9": fastgd.SGD(0.002, momentum=0.9),
    "Adam": fastgd.Adam(1.0),
}
for name, optimizer in OPTIMIZERS.items():
    print(f"{name:13} is through after {steps_needed(valley, optimizer, 5_000):,} steps")


# %%
# The paths of the first 400 steps.


def path(optimizer, n_steps):
    """Where each step leads, (n_steps + 1, 2)."""
    kernels, network = engine("cpu"), Network.from_names([1, 1])
    net = network.new_net("zeros", np.dtype(np.float64), 0)._replace(parameters=np.array(valley.start))
    state, rule = optimizer.new_state(net.parameters), optimizer.rule()
    places = [net.parameters.copy()]
    for _ in range(n_steps):
        _, *gradient = valley.f(*net.parameters.tolist())
        kernels.update(net, state, np.array(gradient), rule, float(optimizer.learning_rate))
        places.append(net.parameters.copy())
    return np.array(places)


a, b = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
figure, ax = pyplot.subplots(figsize=(7, 5), layout="constrained")
ax.contour(a, b, np.log10(valley.f(a, b)[0] + 1e-6), levels=15, cmap="Greys", linewidths=0.7)
for name, optimizer in OPTIMIZERS.items():
    places = path(optimizer, 400)
    ax.plot(*places.T, marker=".", markersize=3, linewidth=0.8, label=name)
ax.plot(1, 1, "k*", markersize=12, label="lowest point")
ax.set(xlim=(-2, 2), ylim=(-1, 3), xlabel="a", ylabel="b")
ax.legend()
