"""The product loop, C = S + A @ B, walked tile by tile of C. Training takes its matrix products from here.

Shapes: C (M, N), A (M, K), B (K, N). S is what the sums start from: C itself, the biases (the same row for all), or
zeros. A tile of C stays in registers while k runs, so that a multiply-add waits for nothing but the one before it on
the same element. The vectors run over the columns of C, never over the sum: each element is one chain of multiply-adds
in the order of k, so its bits depend neither on the tile that it is in nor on the rows around it. (A layer of one
output has a loop of its own, `dots`; so have backward and update on a single row, see row_by_row.py.)

A matrix is a pointer to its first entry and its stride, the distance from row to row; A, which may be transposed, has a
step from column to column, too.
"""

from __future__ import annotations

import numpy as np

from ..machinery.compile import kernel
from ..machinery.lanes import (
    MANY_REGISTERS,
    lanes,
    load,
    load_part,
    pointer,
    store,
    store_part,
    sum_lanes,
    transpose_tile,
)

# Strides, as whole numbers of Numba's usual type: a plain 0 or 1 would be a type of its own, and compile a callee anew.
SAME_ROW = np.int64(0)  # every row is the first one, as a layer's biases are
NEXT = np.int64(1)  # neighbours in memory
ONE = np.int64(1)  # a count

# Rows of B that lie this many entries apart, 2 KB or 4 KB, are not read ahead by the processor, and share few places of
# its fastest cache. So panels of B, two vectors wide, are copied before they are used: 784 × 512 weights on 128 rows
# went from 72 to 99 % of the peak, 1,024 × 1,024 from 45 to 93 %, 4,096 × 4,096 from 25 to 77 %. A gradient of weights
# as large is computed row by row: 1,024 × 1,024 from 61 to 98 %. With 256 columns nothing is gained.
FAR_APART = np.int64(512)
LARGE = np.int64(1 << 17)  # entries of a gradient, with those beside the columns of this thread
DEPTH, BREADTH = np.int64(128), np.int64(2048)  # rows of B in a panel: 16 KB; and columns of all panels: 1 MB


def room_for(widest: int) -> int:
    """How many entries of room products with up to this many columns need."""
    return int(DEPTH) * (8 + min(max(widest, 32), int(BREADTH)))


@kernel(inner=True)
def tile_8x2(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, K):
    """Eight rows and two vectors of C: 16 vectors of sums in registers; for each k ten loads and 16 multiply-adds."""
    L = lanes(c)
    c00, c01 = load(s, 0), load(s, L)
    c10, c11 = load(s, s_stride), load(s, s_stride + L)
    c20, c21 = load(s, 2 * s_stride), load(s, 2 * s_stride + L)
    c30, c31 = load(s, 3 * s_stride), load(s, 3 * s_stride + L)
    c40, c41 = load(s, 4 * s_stride), load(s, 4 * s_stride + L)
    c50, c51 = load(s, 5 * s_stride), load(s, 5 * s_stride + L)
    c60, c61 = load(s, 6 * s_stride), load(s, 6 * s_stride + L)
    c70, c71 = load(s, 7 * s_stride), load(s, 7 * s_stride + L)
    for k in range(K):
        b0, b1 = load(b, k * b_stride), load(b, k * b_stride + L)
        ak = pointer(a, k * a_step)
        a0, a1, a2, a3 = ak[0], ak[a_stride], ak[2 * a_stride], ak[3 * a_stride]
        c00, c01 = c00 + a0 * b0, c01 + a0 * b1
        c10, c11 = c10 + a1 * b0, c11 + a1 * b1
        c20, c21 = c20 + a2 * b0, c21 + a2 * b1
        c30, c31 = c30 + a3 * b0, c31 + a3 * b1
        a4, a5, a6, a7 = ak[4 * a_stride], ak[5 * a_stride], ak[6 * a_stride], ak[7 * a_stride]
        c40, c41 = c40 + a4 * b0, c41 + a4 * b1
        c50, c51 = c50 + a5 * b0, c51 + a5 * b1
        c60, c61 = c60 + a6 * b0, c61 + a6 * b1
        c70, c71 = c70 + a7 * b0, c71 + a7 * b1
    for row, v0, v1 in (
        (0, c00, c01), (1, c10, c11), (2, c20, c21), (3, c30, c31),
        (4, c40, c41), (5, c50, c51), (6, c60, c61), (7, c70, c71),
    ):  # fmt: skip
        store(c, row * c_stride, v0)
        store(c, row * c_stride + L, v1)


@kernel(inner=True)
def tile_8x1(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, K, n):
    """Eight rows and one vector of C, of which the first n columns count."""
    c0, c1 = load_part(s, 0, n), load_part(s, s_stride, n)
    c2, c3 = load_part(s, 2 * s_stride, n), load_part(s, 3 * s_stride, n)
    c4, c5 = load_part(s, 4 * s_stride, n), load_part(s, 5 * s_stride, n)
    c6, c7 = load_part(s, 6 * s_stride, n), load_part(s, 7 * s_stride, n)
    for k in range(K):
        bk = load_part(b, k * b_stride, n)
        ak = pointer(a, k * a_step)
        c0, c1 = c0 + ak[0] * bk, c1 + ak[a_stride] * bk
        c2, c3 = c2 + ak[2 * a_stride] * bk, c3 + ak[3 * a_stride] * bk
        c4, c5 = c4 + ak[4 * a_stride] * bk, c5 + ak[5 * a_stride] * bk
        c6, c7 = c6 + ak[6 * a_stride] * bk, c7 + ak[7 * a_stride] * bk
    for row, v in ((0, c0), (1, c1), (2, c2), (3, c3), (4, c4), (5, c5), (6, c6), (7, c7)):
        store_part(c, row * c_stride, v, n)


@kernel(inner=True)
def tile_1x4(c, s, a, a_step, b, b_stride, K, n):
    """One row and up to four vectors of C, n columns in all."""
    L = lanes(c)
    c0, c1 = load_part(s, 0, n), load_part(s, L, n - L)
    c2, c3 = load_part(s, 2 * L, n - 2 * L), load_part(s, 3 * L, n - 3 * L)
    for k in range(K):
        ak, bk = a[k * a_step], pointer(b, k * b_stride)
        c0 = c0 + ak * load_part(bk, 0, n)
        c1 = c1 + ak * load_part(bk, L, n - L)
        c2 = c2 + ak * load_part(bk, 2 * L, n - 2 * L)
        c3 = c3 + ak * load_part(bk, 3 * L, n - 3 * L)
    store_part(c, 0, c0, n)
    store_part(c, L, c1, n - L)
    store_part(c, 2 * L, c2, n - 2 * L)
    store_part(c, 3 * L, c3, n - 3 * L)


@kernel(inner=True)
def tile_1x1(c, s, a, a_step, b, b_stride, K, n):
    """One row and one vector of C, n columns: loads of which nothing counts take as long as others."""
    c0 = load_part(s, 0, n)
    for k in range(K):
        c0 = c0 + a[k * a_step] * load_part(b, k * b_stride, n)
    store_part(c, 0, c0, n)


@kernel(inner=True)
def tile_6x1(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, K):
    """Six rows and one vector of C: of 16 registers of 32 bytes twelve hold sums."""
    c0, c1, c2 = load(s, 0), load(s, s_stride), load(s, 2 * s_stride)
    c3, c4, c5 = load(s, 3 * s_stride), load(s, 4 * s_stride), load(s, 5 * s_stride)
    for k in range(K):
        bk = load(b, k * b_stride)
        ak = pointer(a, k * a_step)
        c0, c1, c2 = c0 + ak[0] * bk, c1 + ak[a_stride] * bk, c2 + ak[2 * a_stride] * bk
        c3, c4, c5 = c3 + ak[3 * a_stride] * bk, c4 + ak[4 * a_stride] * bk, c5 + ak[5 * a_stride] * bk
    for row, v in ((0, c0), (1, c1), (2, c2), (3, c3), (4, c4), (5, c5)):
        store(c, row * c_stride, v)


@kernel(inner=True)
def tile_4x1(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, K, n):
    """Four rows and one vector of C, of which the first n columns count, for what larger tiles leave."""
    c0, c1 = load_part(s, 0, n), load_part(s, s_stride, n)
    c2, c3 = load_part(s, 2 * s_stride, n), load_part(s, 3 * s_stride, n)
    for k in range(K):
        bk = load_part(b, k * b_stride, n)
        ak = pointer(a, k * a_step)
        c0, c1 = c0 + ak[0] * bk, c1 + ak[a_stride] * bk
        c2, c3 = c2 + ak[2 * a_stride] * bk, c3 + ak[3 * a_stride] * bk
    for row, v in ((0, c0), (1, c1), (2, c2), (3, c3)):
        store_part(c, row * c_stride, v, n)


# The large tile for this processor, its rows and its vectors.
tile, ROWS, VECTORS = (tile_8x2, np.int64(8), np.int64(2)) if MANY_REGISTERS else (tile_6x1, np.int64(6), np.int64(1))


@kernel(inner=True)
def tiles(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K):
    """C = S + A @ B, from matrices as they lie there."""
    L = lanes(c)
    N2, N1 = N - N % (VECTORS * L), N - N % L  # columns in large tiles, and in whole vectors
    large = M - M % ROWS  # rows in large tiles
    whole = large + (M - large) // 4 * 4  # and in tiles of four rows
    M8, M4 = whole - whole % 8, whole - whole % 4  # where columns fill no vector, rows go in tiles of eight, then four
    # The columns of B that a tile needs stay in the fastest cache for all rows of C.
    for j in range(0, N2, VECTORS * L):
        for i in range(0, large, ROWS):
            ci, si, ai = pointer(c, i * c_stride + j), pointer(s, i * s_stride + j), pointer(a, i * a_stride)
            tile(ci, c_stride, si, s_stride, ai, a_stride, a_step, pointer(b, j), b_stride, K)
    for j in range(N2, N, L):
        for i in range(0, M8, 8):
            ci, si, ai = pointer(c, i * c_stride + j), pointer(s, i * s_stride + j), pointer(a, i * a_stride)
            tile_8x1(ci, c_stride, si, s_stride, ai, a_stride, a_step, pointer(b, j), b_stride, K, N - j)
    for j in range(0, N, L):
        for i in range(large if j < N1 else M8, whole if j < N1 else M4, 4):
            ci, si, ai = pointer(c, i * c_stride + j), pointer(s, i * s_stride + j), pointer(a, i * a_stride)
            tile_4x1(ci, c_stride, si, s_stride, ai, a_stride, a_step, pointer(b, j), b_stride, K, N - j)
    for i in range(M4, whole):  # two rows, where large tiles have six: a tile of four would reach beyond them
        for j in range(N1, N, L):
            ci, si, ai = pointer(c, i * c_stride + j), pointer(s, i * s_stride + j), pointer(a, i * a_stride)
            tile_1x1(ci, si, ai, a_step, pointer(b, j), b_stride, K, N - j)
    for i in range(whole, M):
        for j in range(0, N, 4 * L):
            ci, si, ai = pointer(c, i * c_stride + j), pointer(s, i * s_stride + j), pointer(a, i * a_stride)
            if N - j <= L:
                tile_1x1(ci, si, ai, a_step, pointer(b, j), b_stride, K, N - j)
            else:
                tile_1x4(ci, si, ai, a_step, pointer(b, j), b_stride, K, N - j)


@kernel(inner=True)
def copy_panel(panel, b, b_stride, K):
    """Copy the vectors of a tile from each of K rows of B, so that they lie side by side."""
    L = lanes(panel)
    for k in range(K):
        for v in range(VECTORS):
            store(panel, (VECTORS * k + v) * L, load(b, k * b_stride + v * L))


@kernel(inner=True)
def panel_by_panel(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K, room):
    """C = S + A @ B for whole tiles: a panel of B is copied, and serves all rows of C from the fastest cache."""
    width = VECTORS * lanes(c)
    for k in range(0, K, DEPTH):
        depth = min(DEPTH, K - k)
        for j in range(0, N, width):
            copy_panel(room, pointer(b, k * b_stride + j), b_stride, depth)
            for i in range(0, M, ROWS):
                ci, ai = pointer(c, i * c_stride + j), pointer(a, i * a_stride + k * a_step)
                si, stride = (pointer(s, i * s_stride + j), s_stride) if k == 0 else (ci, c_stride)
                tile(ci, c_stride, si, stride, ai, a_stride, a_step, room, width, depth)


@kernel(inner=True)
def row_by_row(c, c_stride, s, s_stride, a, a_step, b, b_stride, M, N, K, room):
    """C = S + A @ B for whole tiles and a transposed A: a tile's rows of C after the other, each from left to right.

    So the memory that C lies in is read ahead. The columns of A for these rows are copied, and all panels of B before.
    """
    width, strip, panels = VECTORS * lanes(c), room, pointer(room, ROWS * DEPTH)
    for first in range(0, N, BREADTH):
        breadth = min(BREADTH, N - first)
        for k in range(0, K, DEPTH):
            depth = min(DEPTH, K - k)
            for j in range(0, breadth, width):
                copy_panel(pointer(panels, j * depth), pointer(b, k * b_stride + first + j), b_stride, depth)
            for i in range(0, M, ROWS):
                for step in range(depth):
                    store_part(strip, ROWS * step, load_part(a, i + (k + step) * a_step, ROWS), ROWS)
                for j in range(0, breadth, width):
                    ci, panel = pointer(c, i * c_stride + first + j), pointer(panels, j * depth)
                    si, stride = (pointer(s, i * s_stride + first + j), s_stride) if k == 0 else (ci, c_stride)
                    tile(ci, c_stride, si, stride, strip, NEXT, ROWS, panel, width, depth)


@kernel(inner=True)
def product(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, M, N, K, room):
    """C = S + A @ B; room has room_for(N) entries, for copies of what would lie too far apart."""
    rows, columns = M - M % ROWS, N - N % (VECTORS * lanes(c))  # in large tiles
    if a_stride == NEXT and M * c_stride >= LARGE and rows > 0 and columns > 0:
        row_by_row(c, c_stride, s, s_stride, a, a_step, b, b_stride, rows, columns, K, room)
    elif b_stride >= FAR_APART and M >= 16 and columns > 0 and K > 0:
        panel_by_panel(c, c_stride, s, s_stride, a, a_stride, a_step, b, b_stride, rows, columns, K, room)
    else:
        rows, columns = np.int64(0), N
    # What is left: the last rows, and beside the others the last columns.
    if rows < M:
        ci, si, ai = pointer(c, rows * c_stride), pointer(s, rows * s_stride), pointer(a, rows * a_stride)
        tiles(ci, c_stride, si, s_stride, ai, a_stride, a_step, b, b_stride, M - rows, N, K)
    if columns < N and rows > 0:
        cj, sj, bj = pointer(c, columns), pointer(s, columns), pointer(b, columns)
        tiles(cj, c_stride, sj, s_stride, a, a_stride, a_step, bj, b_stride, rows, N - columns, K)


@kernel(inner=True)
def dots(c, bias, a, a_stride, b, M, K):
    """C (M,) = bias + A @ b for one column b (K,). One column fills no vector, so that vectors run along the sum.

    Each sum runs in as many strands as a vector has entries, which are added at the end in one fixed order.
    """
    L = lanes(c)
    K1 = K - K % L
    for i in range(M):
        ai = pointer(a, i * a_stride)
        strands = load_part(b, 0, 0)  # zeros: begun with a product, it could be rounded in either of two orders
        for k in range(0, K1, L):
            strands = strands + load(ai, k) * load(b, k)
        strands = strands + load_part(ai, K1, K - K1) * load_part(b, K1, K - K1)
        c[i] = bias + sum_lanes(strands)


@kernel(inner=True)
def column_sums(c, s, a, a_stride, M, N):
    """c (N,) = s + the sum of the rows of A (M, N), rows in order."""
    L = lanes(c)
    for j in range(0, N, 4 * L):
        n, aj = N - j, pointer(a, j)
        if n <= L:
            c0 = load_part(pointer(s, j), 0, n)
            for i in range(M):
                c0 = c0 + load_part(aj, i * a_stride, n)
            store_part(c, j, c0, n)
            continue
        c0, c1 = load_part(pointer(s, j), 0, n), load_part(pointer(s, j), L, n - L)
        c2, c3 = load_part(pointer(s, j), 2 * L, n - 2 * L), load_part(pointer(s, j), 3 * L, n - 3 * L)
        for i in range(M):
            c0 = c0 + load_part(aj, i * a_stride, n)
            c1 = c1 + load_part(aj, i * a_stride + L, n - L)
            c2 = c2 + load_part(aj, i * a_stride + 2 * L, n - 2 * L)
            c3 = c3 + load_part(aj, i * a_stride + 3 * L, n - 3 * L)
        store_part(c, j, c0, n)
        store_part(c, j + L, c1, n - L)
        store_part(c, j + 2 * L, c2, n - 2 * L)
        store_part(c, j + 3 * L, c3, n - 3 * L)


@kernel(inner=True)
def transposed(t, t_stride, a, M, N):
    """T (N, M), rows t_stride entries apart, = the transpose of A (M, N).

    In tiles that fit into registers, each read and written in whole vectors.
    """
    L = lanes(t)
    M1, N1 = M - M % L, N - N % L
    for i in range(0, M1, L):
        for j in range(0, N1, L):
            transpose_tile(pointer(t, j * t_stride + i), t_stride, pointer(a, i * N + j), N)
        for j in range(N1, N):
            for k in range(i, i + L):
                t[j * t_stride + k] = a[k * N + j]
    for i in range(M1, M):
        for j in range(N):
            t[j * t_stride + i] = a[i * N + j]


# Products of whole arrays, for callers outside: training uses the pointers above.


@kernel()
def add_product_with(C, A, B, room):
    """C += A @ B; A may be a transposed view."""
    c, stride, step = pointer(C, 0), A.strides[0] // A.itemsize, A.strides[1] // A.itemsize
    (M, K), N = A.shape, B.shape[1]
    product(c, N, c, N, pointer(A, 0), stride, step, pointer(B, 0), N, M, N, K, pointer(room, 0))


@kernel()
def add_column_sums(c, A):
    """c += A.sum(axis=0), rows in order."""
    column_sums(pointer(c, 0), pointer(c, 0), pointer(A, 0), A.shape[1], A.shape[0], A.shape[1])


@kernel()
def transpose(T, A):
    """T (N, M) = the transpose of A (M, N)."""
    transposed(pointer(T, 0), A.shape[0], pointer(A, 0), A.shape[0], A.shape[1])


@kernel()
def dense(out, x, weights, biases):
    """out (B, O) = x (B, I) @ weights (I, O) + biases (O,)."""
    (B, I), O = x.shape, out.shape[1]
    if O == 1:
        dots(pointer(out, 0), biases[0], pointer(x, 0), I, pointer(weights, 0), B, I)
    else:
        tiles(pointer(out, 0), O, pointer(biases, 0), SAME_ROW, pointer(x, 0), I, NEXT, pointer(weights, 0), O, B, O, I)
