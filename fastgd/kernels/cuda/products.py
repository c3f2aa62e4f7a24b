"""The three products of a dense layer over a tile of T rows, as phases: what a thread does between two barriers.

A phase is a plain function of the thread's number and of flat arrays, a closure over constants alone, so that one
source is compiled for the GPU, for the simulator and for the CPU. Its arrays may be one buffer at different offsets.
Each output is summed by one thread in one order, so that no bit depends on the number of threads or on how outputs are
shared out. Nothing beyond the rows and columns named is read or written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ZERO = np.float32(0)  # and a float64 plus this is a float64
Phase = Callable[..., Any]


class Shapes(NamedTuple):
    """T rows (a multiple of 4), NT threads, I inputs, O outputs, and how far apart the rows of x, w and z begin.

    Where these pitches and all offsets are multiples of 4, four numbers are loaded at once; where a pitch is 4 times an
    odd number, threads that read one column of several rows find them in different banks of shared memory.
    """

    T: int
    NT: int
    I: int
    O: int
    x_pitch: int
    w_pitch: int
    z_pitch: int


class Matrix(NamedTuple):
    """Where the entry in row i and column j lies: at first + i · down + j · right."""

    first: int
    down: int
    right: int

    def transposed(self) -> Matrix:
        """The same numbers with rows and columns exchanged."""
        return Matrix(self.first, self.right, self.down)


def forward(shapes: Shapes, x0: int, w0: int, b0: int, z0: int) -> Phase:
    """phase(tid, x, w, z): z (T, O) = b (O,) + x (T, I) @ w (I, O), where b begins at w[b0]."""
    x, w, z = matrices(shapes, x0, w0, z0)
    return product(shapes.NT, (shapes.T, shapes.I, shapes.O), x, w, z, bias=b0)


def to_inputs(shapes: Shapes, z0: int, w0: int, x0: int) -> Phase:
    """phase(tid, dz, w, dx): dx (T, I) = dz (T, O) @ wᵀ, because z = b + x @ w."""
    dx, w, dz = matrices(shapes, x0, w0, z0)
    return product(shapes.NT, (shapes.T, shapes.O, shapes.I), dz, w.transposed(), dx)


def to_weights(shapes: Shapes, x0: int, z0: int, w0: int, b0: int) -> Phase:
    """phase(tid, x, dz, g, fresh): dw (I, O) = xᵀ @ dz and db (O,) = the sums of dz's columns, because z = b + x @ w.

    They lie in g as w and b lie in w. Where not `fresh`, the sums go on from what is there, so that tile after tile of
    rows gives the bits of one sum over all rows.
    """
    x, dw, dz = matrices(shapes, x0, w0, z0)
    return product(shapes.NT, (shapes.I, shapes.T, shapes.O), x.transposed(), dz, dw, sums=b0)


def matrices(shapes: Shapes, x0: int, w0: int, z0: int) -> tuple[Matrix, Matrix, Matrix]:
    """x (T, I), w (I, O) and z (T, O), or their derivatives, which lie likewise."""
    return Matrix(x0, shapes.x_pitch, 1), Matrix(w0, shapes.w_pitch, 1), Matrix(z0, shapes.z_pitch, 1)


def product(
    NT: int, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix, bias: int | None = None,
    sums: int | None = None,
) -> Phase:  # fmt: skip
    """phase(tid, a, b, c, fresh): c (M, N) = a (M, K) @ b (K, N), k ascending.

    The sums begin at b[bias:], at zero where there is no bias and `fresh`, else at c itself. The sums of b's columns go
    to c[sums:], if such a place is given.

    Where there are tiles of 4 × 4 outputs for a quarter of the threads or more, a thread holds such tiles in registers:
    two operands of four numbers make 16 multiply-adds. Else, and for the sums of columns, each thread has one output at
    a time. Beyond the end of a matrix a tile repeats its first row or column.
    """
    # Tried for 32 × 64 × 64 in shared memory (benchmarks/gpu_code.py): a plain loop over k, unrolled as the compiler
    # likes, which loads but two numbers at once where four lie side by side: multiply-adds are 0.77 to 0.87 of the
    # instructions in the inner loop. Four steps a turn, as here: 0.81 to 0.83, all loads of four numbers, at most 64
    # registers. Eight steps: 0.77 to 0.86, up to 72 registers, too many for four blocks of 256 threads.
    M, K, N = sizes
    A, A_DOWN, A_RIGHT = a
    B, B_DOWN, B_RIGHT = b
    C, C_DOWN, C_RIGHT = c
    BIASED, BIAS = bias is not None, bias or 0
    SUMMED, SUMS = sums is not None, sums or 0
    MASK = NT - 1 if NT & (NT - 1) == 0 else -1  # tells the compiler that no index is negative
    TILES_DOWN, I_SCALE, I_STEP = tiling(M, A_DOWN)
    TILES_ACROSS, J_SCALE, J_STEP = tiling(N, B_RIGHT)
    TILES = TILES_DOWN * TILES_ACROSS
    TILED = 4 * TILES >= NT
    STEPS = 4 if K % 4 == 0 else 1
    M_TAIL, N_TAIL = M % 4 > 0, N % 4 > 0
    FIRST, END = M * N if TILED else 0, M * N + N if SUMMED else M * N
    SINGLES = END > FIRST

    def phase(tid, a, b, c, fresh=True):  # type: ignore[no-untyped-def]
        if TILED:
            tile = tid & MASK
            while tile < TILES:
                down = tile // TILES_ACROSS
                i0, j0 = down * I_SCALE, (tile - down * TILES_ACROSS) * J_SCALE
                i1, i2, i3 = i0 + I_STEP, i0 + 2 * I_STEP, i0 + 3 * I_STEP
                j1, j2, j3 = j0 + J_STEP, j0 + 2 * J_STEP, j0 + 3 * J_STEP
                if M_TAIL:
                    i1, i2, i3 = i1 if i1 < M else i0, i2 if i2 < M else i0, i3 if i3 < M else i0
                if N_TAIL:
                    j1, j2, j3 = j1 if j1 < N else j0, j2 if j2 < N else j0, j3 if j3 < N else j0
                c0, c1, c2, c3 = C + i0 * C_DOWN, C + i1 * C_DOWN, C + i2 * C_DOWN, C + i3 * C_DOWN
                e0, e1, e2, e3 = j0 * C_RIGHT, j1 * C_RIGHT, j2 * C_RIGHT, j3 * C_RIGHT
                s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = ZERO
                s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = ZERO
                if BIASED:
                    s00 = s10 = s20 = s30 = b[BIAS + j0]
                    s01 = s11 = s21 = s31 = b[BIAS + j1]
                    s02 = s12 = s22 = s32 = b[BIAS + j2]
                    s03 = s13 = s23 = s33 = b[BIAS + j3]
                elif not fresh:
                    s00, s01, s02, s03 = c[c0 + e0], c[c0 + e1], c[c0 + e2], c[c0 + e3]
                    s10, s11, s12, s13 = c[c1 + e0], c[c1 + e1], c[c1 + e2], c[c1 + e3]
                    s20, s21, s22, s23 = c[c2 + e0], c[c2 + e1], c[c2 + e2], c[c2 + e3]
                    s30, s31, s32, s33 = c[c3 + e0], c[c3 + e1], c[c3 + e2], c[c3 + e3]
                i0, i1, i2, i3 = A + i0 * A_DOWN, A + i1 * A_DOWN, A + i2 * A_DOWN, A + i3 * A_DOWN
                j0, j1, j2, j3 = B + j0 * B_RIGHT, B + j1 * B_RIGHT, B + j2 * B_RIGHT, B + j3 * B_RIGHT
                k = 0
                while k < K:
                    step = 0
                    while step < STEPS:
                        u, v = (k + step) * A_RIGHT, (k + step) * B_DOWN
                        a0, a1, a2, a3 = a[i0 + u], a[i1 + u], a[i2 + u], a[i3 + u]
                        b0, b1, b2, b3 = b[j0 + v], b[j1 + v], b[j2 + v], b[j3 + v]
                        s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
                        s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
                        s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
                        s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
                        step += 1
                    k += STEPS
                c[c0 + e0], c[c0 + e1], c[c0 + e2], c[c0 + e3] = s00, s01, s02, s03
                c[c1 + e0], c[c1 + e1], c[c1 + e2], c[c1 + e3] = s10, s11, s12, s13
                c[c2 + e0], c[c2 + e1], c[c2 + e2], c[c2 + e3] = s20, s21, s22, s23
                c[c3 + e0], c[c3 + e1], c[c3 + e2], c[c3 + e3] = s30, s31, s32, s33
                tile += NT
        if SINGLES:
            place = FIRST + (tid & MASK)
            while place < END:
                i = place // N
                j = place - i * N
                k = 0
                if SUMMED and i == M:
                    at = SUMS + j
                    s = ZERO if fresh else c[at]
                    while k < K:
                        s = s + b[B + k * B_DOWN + j * B_RIGHT]
                        k += 1
                else:
                    at = C + i * C_DOWN + j * C_RIGHT
                    s = b[BIAS + j] if BIASED else ZERO
                    if not BIASED and not fresh:
                        s = c[at]
                    while k < K:
                        s = s + a[A + i * A_DOWN + k * A_RIGHT] * b[B + k * B_DOWN + j * B_RIGHT]
                        k += 1
                c[at] = s
                place += NT

    return phase


def tiling(n: int, apart: int) -> tuple[int, int, int]:
    """How many tiles cover n rows or columns, and where the m-th of tile t is: t · scale + m · step.

    Neighbours that lie side by side belong to one tile, which loads them at once. Others belong to neighbouring
    threads, each of which loads four steps of k at once: that way they find them in different banks.
    """
    count = -(-n // 4)
    return (count, 4, 1) if apart == 1 else (count, 1, count)
