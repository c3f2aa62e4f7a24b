"""How kernels are compiled, kept, called by address, and run by several threads: what imports Numba."""
