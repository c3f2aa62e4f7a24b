"""
Houses learned
==============

A network learns the prices of 20,000 houses, and is then shown 4,000 that it has never seen.
"""

from matplotlib import pyplot

import fastgd

X, y = fastgd.datasets.houses(24_000, random_state=0)
train, test = slice(0, 20_000), slice(20_000, None)

model = fastgd.MLP([4, 64, 64, 1], feature_names=["size", "bedrooms", "distance", "age"], random_state=0)
history = model.fit(X[train], y[train], epochs=10, validation_split=0.2, verbose=0)
print(f"typical error  {model.evaluate(X[test], y[test])['rmse']:,.0f} EUR")
print(f"best possible  {fastgd.datasets.irreducible_error(X[test]):,.0f} EUR")

# %%
# The loss of every epoch, and predicted against actual prices of houses that it has not seen.

figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
fastgd.plots.loss(history, ax=left)
fastgd.plots.predicted_against_actual(model, X[test][:1_000], y[test][:1_000], ax=right)

# %%
# What it has found out: a price by the distance from the centre, all else as it is.

curve = fastgd.features.partial_dependence(model, X[test], "distance")
fastgd.plots.partial_dependence(curve)
