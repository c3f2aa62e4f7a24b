"""Whether this process is one of several that a launcher such as mpiexec has started together."""

from __future__ import annotations

import os

# What launchers tell each process: how many there are, and which of them it is.
LAUNCHERS = (
    ("PMI_SIZE", "PMI_RANK"),  # MPICH, Intel MPI
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),  # MVAPICH
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),  # srun
)


def launched() -> tuple[int, int]:
    """How many processes there are, and the number of this one."""
    for size, rank in LAUNCHERS:
        given = os.environ.get(size, ""), os.environ.get(rank, "")
        if all(word.isdecimal() for word in given):
            return int(given[0]), int(given[1])
    return 1, 0
