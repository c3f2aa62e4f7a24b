"""What the threads of a block share: a tuple `c` of arrays, and a tuple `turn` that says where they are.

Tuples, because not every compiler for GPUs can make a record with names; these are the names of their entries. `real` is
the precision of the network; how entries are laid out is in layout.py.
"""

from __future__ import annotations

SPAN = 256  # rows of an epoch whose numbers are found at once: for one tile it would take as long as a layer
ROUNDS = 8  # of the order of rows
STRANDS, GROUPS = 256, 16  # parts of a sum over all parameters, and of these, whatever the number of threads

# Entries of c.
S = 0  # real: the tile
W = 1  # real: the parameters that phases read and move
PARAMETERS = 2  # real: those in global memory; the same array where a block has no room for them
G = 3  # real: their gradient
VELOCITY = 4  # real: what the update rule remembers; something else, which is not looked at, where it needs none
SQUARES = 5
AVERAGE = 6
DECAYED = 7  # real: 1 where weight decay holds
SIGNS = 8  # real: see records.Net
SCALES = 9  # real: see layout.Scales
HYPER = 10  # float64: see layout.MOMENTUM and what follows it
FEATURES = 11  # int64 (n, 3): see layout.features_of
NUMBERS = 12  # int64: the rows of a span, then keys
WIDE = 13  # float64: see below
X = 14  # real (n_rows, n_columns)
Y = 15  # real (n_rows, n_targets)
ROW_WEIGHTS = 16  # real (n_rows,); of one entry where all rows count the same
PARTIALS = 17  # real (n_shards, parameters): the gradient of each shard
SHARDS = 18  # float64 (n_shards, 3): their results, as below
NORMS = 19  # float64: what another launch has left in `wide` of the gradient's length
GIVEN = 20  # int64 (n_rows,): what rows are called where none are found
OUT = 21  # real: predictions (n_rows, outputs + 1), or outputs and slopes (2, all of a block)
RESULTS = 22  # float64 (any, 3): steps taken, loss, weight; of each network, step, shard or tile
ORDER = 23  # what the order of rows is made from, a tuple:
N_ROWS, N_LEFT, SEED_LOW, SEED_HIGH, EPOCH, SHUFFLE = range(6)

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


def numbers_of(n_layers: int) -> int:
    """How many whole numbers a block holds."""
    return KEYS + ROUNDS + n_layers
