"""
Learning rates: too high, too low, well chosen
==============================================

A step goes against the gradient, but how far? Three copies of one network, 40 steps each: one overshoots, one creeps,
one arrives.
"""

import fastgd

X, y = fastgd.datasets.houses(32, random_state=0)
model = fastgd.MLP([4, 1], random_state=0)
regimes = fastgd.explain.learning_rates(model, X, y, [0.6, 0.002, 0.15], steps=40)
for regime in regimes:
    print(regime)

# %%
fastgd.plots.learning_rates(regimes)

# %%
# For a training of many steps, ``find_learning_rate`` tries rates on copies of the model and says where the loss ends
# lowest.

X, y = fastgd.datasets.houses(2_000, random_state=0)
search = fastgd.MLP([4, 32, 1], random_state=0).find_learning_rate(X, y, epochs=5, optimizer=fastgd.SGD())
print(search.reason)
fastgd.plots.learning_rate_search(search)
