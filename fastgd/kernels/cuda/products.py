"""The three products of a dense layer over a tile of rows, as phases.

Each output is summed by one thread in one order, so that no bit depends on the number of threads or on how outputs are
shared out. Where there are outputs enough, a thread holds 4 × 4 of them in registers: two operands of four numbers make
16 multiply-adds. Else each thread sums one output at a time. Nothing beyond the rows and columns named is read. What
becomes of a sum is up to who asks for it: it is handed over while it is in a register.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .block import FRESH, G, S, W
from .sources import Phase, Target, together


class Product(NamedTuple):
    """A layer z (T, O) = b + x (T, I) @ w (I, O): its sizes, and where each begins; a row lies `pitch` after the last.

    Pitches and places should be multiples of 4, so that four numbers are loaded at once; a pitch that is 4 times an odd
    number has no two threads wait for one bank of shared memory.
    """

    dtype: str
    T: int
    NT: int  # threads
    I: int
    O: int
    x: int
    x_pitch: int
    w: int
    w_pitch: int
    b: int
    z: int
    z_pitch: int


class Matrix(NamedTuple):
    """Where the entry (row, column) of a matrix lies: first + row · down + column · right, in an entry of c."""

    array: int
    first: int
    down: int
    right: int

    def transposed(self) -> Matrix:
        """The same numbers, rows as columns."""
        return self._replace(down=self.right, right=self.down)


def forward(target: Target, p: Product, store: Any) -> Phase:
    """`store(c, turn, r, j, z)` for each z = b + x @ w."""
    x, w = Matrix(S, p.x, p.x_pitch, 1), Matrix(W, p.w, p.w_pitch, 1)
    return product(target, p, (p.T, p.I, p.O), x, w, store, bias=p.b)


def to_inputs(target: Target, p: Product, store: Any) -> Phase:
    """`store(c, turn, r, k, dx)` for each dx (T, I) = dz @ wᵀ; dz lies where p has z."""
    dz, w = Matrix(S, p.z, p.z_pitch, 1), Matrix(W, p.w, p.w_pitch, 1)
    return product(target, p, (p.T, p.O, p.I), dz, w.transposed(), store)


def to_weights(target: Target, p: Product, first: int = 0) -> Phase:
    """c[G] (= where fresh, else +=) dw (I, O) = xᵀ @ dz, and db (O,) = the sums of dz's columns, likewise.

    They lie in c[G] as w and b lie in c[W] from `first` on.
    """
    x, dz = Matrix(S, p.x, p.x_pitch, 1), Matrix(S, p.z, p.z_pitch, 1)
    w0, w_pitch, b0 = p.w - first, p.w_pitch, p.b - first

    @target.compile
    def add(c, turn, at, s):
        c[G][at] = s if turn[FRESH] else c[G][at] + s

    @target.compile
    def store(c, turn, k, j, s):
        add(c, turn, w0 + k * w_pitch + j, s)

    @target.compile
    def store_sum(c, turn, j, s):
        add(c, turn, b0 + j, s)

    return product(target, p, (p.I, p.T, p.O), x.transposed(), dz, store, store_sum=store_sum)


def product(
    target: Target, p: Product, sizes: tuple[int, int, int], a: Matrix, b: Matrix, store: Any, *,
    bias: int | None = None, store_sum: Any = None,
) -> Phase:  # fmt: skip
    """`store(c, turn, i, j, s)` for each entry of a (M, K) @ b (K, N), k ascending; sums begin at b's array[bias:].

    `store_sum(c, turn, j, s)` gets the sums of b's columns. A thread holds tiles of outputs where a quarter of the
    threads gets one. Beyond the end of a matrix a tile repeats its first row or column.
    """
    # Tried for 32 × 64 × 64 in shared memory (benchmarks/gpu_code.py): a plain loop over k, unrolled as the compiler
    # likes, which loads but two numbers at once where four lie side by side: multiply-adds are 0.77 to 0.87 of the
    # instructions in the inner loop. Four steps a turn, as here: 0.81 to 0.83, all loads of four numbers. Eight steps:
    # 0.77 to 0.86, and an eighth more registers.
    (M, K, N), NT, zero = sizes, p.NT, np.dtype(p.dtype).type(0)
    OF_A, A, A_DOWN, A_RIGHT = a
    OF_B, B, B_DOWN, B_RIGHT = b
    BIASED, BIAS = bias is not None, bias or 0
    MASK = NT - 1 if NT & (NT - 1) == 0 else -1  # tells the compiler that no index is negative
    TILES_DOWN, I_SCALE, I_STEP = tiling(M, A_DOWN)
    TILES_ACROSS, J_SCALE, J_STEP = tiling(N, B_RIGHT)
    TILES = TILES_DOWN * TILES_ACROSS
    TILED = 4 * TILES >= NT
    STEPS = 4 if K % 4 == 0 else 1
    M_TAIL, N_TAIL = M % 4 > 0, N % 4 > 0

    @target.compile
    def store_row(c, turn, i, j0, j1, j2, j3, s0, s1, s2, s3):
        store(c, turn, i, j0, s0)
        if j1 > j0:
            store(c, turn, i, j1, s1)
        if j2 > j0:
            store(c, turn, i, j2, s2)
        if j3 > j0:
            store(c, turn, i, j3, s3)

    @target.compile
    def tiles(tid, c, turn):
        a, b = c[OF_A], c[OF_B]
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
            s00 = s10 = s20 = s30 = b[BIAS + j0] if BIASED else zero
            s01 = s11 = s21 = s31 = b[BIAS + j1] if BIASED else zero
            s02 = s12 = s22 = s32 = b[BIAS + j2] if BIASED else zero
            s03 = s13 = s23 = s33 = b[BIAS + j3] if BIASED else zero
            a0_, a1_, a2_, a3_ = A + i0 * A_DOWN, A + i1 * A_DOWN, A + i2 * A_DOWN, A + i3 * A_DOWN
            b0_, b1_, b2_, b3_ = B + j0 * B_RIGHT, B + j1 * B_RIGHT, B + j2 * B_RIGHT, B + j3 * B_RIGHT
            k = 0
            while k < K:
                step = 0
                while step < STEPS:
                    u, v = (k + step) * A_RIGHT, (k + step) * B_DOWN
                    a0, a1, a2, a3 = a[a0_ + u], a[a1_ + u], a[a2_ + u], a[a3_ + u]
                    b0, b1, b2, b3 = b[b0_ + v], b[b1_ + v], b[b2_ + v], b[b3_ + v]
                    s00, s01, s02, s03 = s00 + a0 * b0, s01 + a0 * b1, s02 + a0 * b2, s03 + a0 * b3
                    s10, s11, s12, s13 = s10 + a1 * b0, s11 + a1 * b1, s12 + a1 * b2, s13 + a1 * b3
                    s20, s21, s22, s23 = s20 + a2 * b0, s21 + a2 * b1, s22 + a2 * b2, s23 + a2 * b3
                    s30, s31, s32, s33 = s30 + a3 * b0, s31 + a3 * b1, s32 + a3 * b2, s33 + a3 * b3
                    step += 1
                k += STEPS
            store_row(c, turn, i0, j0, j1, j2, j3, s00, s01, s02, s03)
            if i1 > i0:
                store_row(c, turn, i1, j0, j1, j2, j3, s10, s11, s12, s13)
            if i2 > i0:
                store_row(c, turn, i2, j0, j1, j2, j3, s20, s21, s22, s23)
            if i3 > i0:
                store_row(c, turn, i3, j0, j1, j2, j3, s30, s31, s32, s33)
            tile += NT

    @target.compile
    def single(c, turn, i, j):
        a, b, k = c[OF_A], c[OF_B], 0
        s = b[BIAS + j] if BIASED else zero
        while k < K:
            s = s + a[A + i * A_DOWN + k * A_RIGHT] * b[B + k * B_DOWN + j * B_RIGHT]
            k += 1
        store(c, turn, i, j, s)

    @target.compile
    def singles(tid, c, turn):
        place = tid & MASK
        while place < M * N:
            single(c, turn, place // N, place - place // N * N)
            place += NT

    if store_sum is None:
        return tiles if TILED else singles

    @target.compile
    def column_sums(tid, c, turn):
        b, j = c[OF_B], NT - 1 - (tid & MASK)  # from the last thread on: the first ones have most to do
        while j < N:
            s, k = zero, 0
            while k < K:
                s = s + b[B + k * B_DOWN + j * B_RIGHT]
                k += 1
            store_sum(c, turn, j, s)
            j += NT

    return together(target, tiles if TILED else singles, column_sums)


def tiling(n: int, apart: int) -> tuple[int, int, int]:
    """How many tiles cover n rows or columns, and where the m-th of tile t is: t · scale + m · step.

    Neighbours that lie side by side belong to one tile, which loads them at once. Others belong to neighbouring
    threads, each of which loads four steps of k at once: that way they find them in different banks.
    """
    count = -(-n // 4)
    return (count, 4, 1) if apart == 1 else (count, 1, count)
