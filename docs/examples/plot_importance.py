"""
Which columns matter, of a table with text
==========================================

Rents by size, district, year and lift; some cells are empty. ``encoding="auto"`` takes the table as it comes, and all
that explains the model speaks of its columns.
"""

import numpy as np
import pandas as pd

import fastgd

draw, n = np.random.default_rng(0), 4_000
homes = pd.DataFrame(
    {
        "size": draw.lognormal(4, 0.5, n).round(),
        "district": draw.choice(["Hafen", "Mitte", "Nord"], n),
        "built": draw.integers(1900, 2024, n),
        "lift": draw.random(n) < 0.4,
    }
)
factor = homes["district"].map({"Hafen": 1.2, "Mitte": 1.5, "Nord": 1.0}) + 0.1 * homes["lift"]
rent = (15 * homes["size"] ** 0.9 * factor * np.exp(0.1 * draw.normal(size=n))).round()
homes["district"] = homes["district"].where(draw.random(n) < 0.95)  # some are not known

model = fastgd.MLP([4, 32, 1], encoding="auto", random_state=0)
model.fit(homes[:3_000], rent[:3_000], epochs=20, verbose=0)
print(model.encoder)

# %%
# How much the error grows when the values of one column are shuffled among the rows. The year of building plays no part
# in these rents, and the network has seen that.

importance = fastgd.features.permutation_importance(model, homes[3_000:], rent[3_000:])
print(importance)
fastgd.plots.importance(importance)

# %%
# What each district does to a rent, all else as it is.

fastgd.plots.partial_dependence(fastgd.features.partial_dependence(model, homes[3_000:], "district"))
