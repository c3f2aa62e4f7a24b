"""What the threads of a block share: a tuple `c` of arrays, and a tuple `turn` that says where they are.

Tuples, because not every compiler for GPUs can make a record with names; these are the names of their entries. `real`
is the precision of the network; how entries are laid out is in layout.py.
"""

from __future__ import annotations

SPAN = 256  # rows of an epoch whose numbers are found at once: for one tile it would take as long as a layer
ROUNDS = 8  # of the order of rows
STRANDS, GROUPS = 256, 16  # parts of a sum over all parameters, and of these, whatever the number of threads

# Entries of c. Few, because a compiler takes every function apart that gets them: with twice as many one took twice as
# long.
S = 0  # real: the tile
W = 1  # real: the parameters that phases read and move
G = 2  # real: their gradient
STATE = 3  # real (rows, parameters), see packing.Held: the parameters in global memory, and what the rule remembers
SCALES = 4  # real: see layout.Scales
HYPER = 5  # float64: see layout.MOMENTUM and what follows it
FEATURES = 6  # int64 (n, 3): see packing.features_of
NUMBERS = 7  # int64: the rows of a span, then keys
WIDE = 8  # float64: see below
X = 9  # real (n_rows, n_columns)
Y = 10  # real (n_rows, n_targets)
ROW_WEIGHTS = 11  # real (n_rows,); of one entry, that of all rows, where these count the same
RESULTS = 12  # float64 (any, 3): steps taken, loss, weight; of each network, step, shard or tile
ORDER = 13  # what the order of rows is made from, a tuple:
N_ROWS, N_LEFT, SEED_LOW, SEED_HIGH, EPOCH, SHUFFLE = range(6)

# What stands in these places where there are no targets, but something is put out.
OUT = Y  # real: predictions (n_rows, outputs + 1), or outputs and slopes (2, all of a block)
GIVEN = ROW_WEIGHTS  # int64 (n_rows,): what rows are called where none are found
# And where many blocks take a step together, which look at no rows.
PARTIALS = X  # real (n_shards, parameters): the gradient of each shard
SHARDS = Y  # float64 (n_shards, 3): their results
NORMS = ROW_WEIGHTS  # float64: what another launch has left in `wide` of the gradient's length

# Entries of turn: a tile, or a step.
PLACE = 0  # in the epoch, of the first of the rows that are found or gathered
ROWS = 1  # how many these are; a tile has T at most
AT = 2  # where in `numbers` they stand
SCALE = 3  # 1 / the rows of the batch
FRESH = 4  # whether the tile is the first of its sum
RATE = 5  # learning rate
STEP = 6  # number of the step, from 1
INDEX = 7  # where results go
# The first of them where many blocks take a step together.
BLOCK, N_BLOCKS, N_SHARDS = 0, 1, 2

# Places in `numbers`: the keys of the order; those of dropout, one for each layer, follow.
KEYS = SPAN

# Places in `wide`.
LOSS, WEIGHT = 0, 1  # of the batch so far: its loss and its weight
CONSTANTS, MOST_CONSTANTS = 2, 7  # of the update rule in this step
KEPT = CONSTANTS + MOST_CONSTANTS  # part of the moving average that is kept in this step
PARTS = KEPT + 1  # STRANDS, then GROUPS numbers
N_WIDE = PARTS + STRANDS + GROUPS

RESERVED = 1 << 10  # bytes of a block's shared memory, which the system may keep for itself


def numbers_of(n_layers: int) -> int:
    """How many whole numbers a block holds."""
    return KEYS + ROUNDS + n_layers
