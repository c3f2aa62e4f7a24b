"""Anything that a user has becomes rows that kernels read."""
