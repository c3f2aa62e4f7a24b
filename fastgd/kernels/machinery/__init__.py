"""How kernels are compiled, kept, called by address, and run by several threads: the only code that imports Numba."""
