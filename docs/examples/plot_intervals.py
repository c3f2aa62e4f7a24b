"""
An ensemble's intervals
=======================

How far off may a price be? Four networks learn, rows that none of them has seen tell how far off they are, and new
rows get an interval that holds nine times out of ten.
"""

import numpy as np
from matplotlib import pyplot

import fastgd

X, price = fastgd.datasets.houses(6_000, random_state=0)
model = fastgd.MLPRegressor(n_networks=4, calibration_fraction=0.25, random_state=0).fit(X[:4_000], price[:4_000])
low, high = model.predict_interval(X[4_000:], coverage=0.9).T
actual = price[4_000:]
inside = (low <= actual) & (actual <= high)
print(f"{inside.mean():.1%} are inside; intervals are {np.mean(high - low):,.0f} EUR wide")

# %%
# Sixty of the houses, cheapest first; those outside their interval stand out.

shown = np.argsort(actual)[:: len(actual) // 60]
place = np.arange(len(shown))
figure, ax = pyplot.subplots(figsize=(8, 4), layout="constrained")
ax.vlines(place, low[shown] / 1e3, high[shown] / 1e3, color="#94a3b8", linewidth=4, label="90 % interval")
for held, colour, label in ((True, "#1d4ed8", "inside"), (False, "#c2410c", "outside")):
    chosen = inside[shown] == held
    ax.plot(place[chosen], actual[shown][chosen] / 1e3, ".", color=colour, label=f"actual price, {label}")
ax.set(xlabel="houses, cheapest first", ylabel="price, thousand EUR")
ax.legend()
