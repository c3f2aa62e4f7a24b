"""The product loop. All matrix products of training are this one loop, walked along contiguous columns of the result.

Shapes: C (M, N), A (M, K), B (K, N). The vector runs over the columns of C, never over the sum: each element is one
chain of multiply-adds in the order of k, so its bits depend neither on the vector width nor on the rows around it.
"""

from __future__ import annotations

from ..compile import kernel


@kernel(noalias=True)
def add_product(C, A, B):
    """C += A @ B, four rows of C and four rows of B at a time: 16 multiply-adds for every 8 loads.

    The plain i, k, j loop reloads C for each multiply-add and reaches a quarter of the speed.
    """
    M, K = A.shape
    N = C.shape[1]
    M4 = M - M % 4
    K4 = K - K % 4
    for i in range(0, M4, 4):
        c0, c1, c2, c3 = C[i], C[i + 1], C[i + 2], C[i + 3]
        for k in range(0, K4, 4):
            b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
            a00, a01, a02, a03 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            a10, a11, a12, a13 = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
            a20, a21, a22, a23 = A[i + 2, k], A[i + 2, k + 1], A[i + 2, k + 2], A[i + 2, k + 3]
            a30, a31, a32, a33 = A[i + 3, k], A[i + 3, k + 1], A[i + 3, k + 2], A[i + 3, k + 3]
            for j in range(N):
                c0[j] = c0[j] + a00 * b0[j] + a01 * b1[j] + a02 * b2[j] + a03 * b3[j]
                c1[j] = c1[j] + a10 * b0[j] + a11 * b1[j] + a12 * b2[j] + a13 * b3[j]
                c2[j] = c2[j] + a20 * b0[j] + a21 * b1[j] + a22 * b2[j] + a23 * b3[j]
                c3[j] = c3[j] + a30 * b0[j] + a31 * b1[j] + a32 * b2[j] + a33 * b3[j]
        for k in range(K4, K):
            b0 = B[k]
            a00, a10, a20, a30 = A[i, k], A[i + 1, k], A[i + 2, k], A[i + 3, k]
            for j in range(N):
                c0[j] = c0[j] + a00 * b0[j]
                c1[j] = c1[j] + a10 * b0[j]
                c2[j] = c2[j] + a20 * b0[j]
                c3[j] = c3[j] + a30 * b0[j]
    for i in range(M4, M):
        c0 = C[i]
        for k in range(0, K4, 4):
            b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
            a00, a01, a02, a03 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
            for j in range(N):
                c0[j] = c0[j] + a00 * b0[j] + a01 * b1[j] + a02 * b2[j] + a03 * b3[j]
        for k in range(K4, K):
            b0 = B[k]
            a00 = A[i, k]
            for j in range(N):
                c0[j] = c0[j] + a00 * b0[j]


@kernel(noalias=True)
def add_column(c, A, b):
    """c += A @ b for one column b (K,): eight rows side by side, each its own chain in the order of k.

    With a single chain each multiply-add would wait four cycles for the one before.
    """
    M, K = A.shape
    M8 = M - M % 8
    for i in range(0, M8, 8):
        c0, c1, c2, c3 = c[i], c[i + 1], c[i + 2], c[i + 3]
        c4, c5, c6, c7 = c[i + 4], c[i + 5], c[i + 6], c[i + 7]
        for k in range(K):
            bk = b[k]
            c0 = c0 + A[i, k] * bk
            c1 = c1 + A[i + 1, k] * bk
            c2 = c2 + A[i + 2, k] * bk
            c3 = c3 + A[i + 3, k] * bk
            c4 = c4 + A[i + 4, k] * bk
            c5 = c5 + A[i + 5, k] * bk
            c6 = c6 + A[i + 6, k] * bk
            c7 = c7 + A[i + 7, k] * bk
        c[i], c[i + 1], c[i + 2], c[i + 3] = c0, c1, c2, c3
        c[i + 4], c[i + 5], c[i + 6], c[i + 7] = c4, c5, c6, c7
    for i in range(M8, M):
        total = c[i]
        for k in range(K):
            total = total + A[i, k] * b[k]
        c[i] = total


@kernel(noalias=True)
def add_column_sums(c, A):
    """c += A.sum(axis=0), rows in order."""
    M, N = A.shape
    for i in range(M):
        row = A[i]
        for j in range(N):
            c[j] = c[j] + row[j]


@kernel(noalias=True)
def multiply(C, A):
    """C = C · A, element by element."""
    c, a = C.reshape(C.size), A.reshape(A.size)
    for i in range(c.size):
        c[i] = c[i] * a[i]


@kernel(noalias=True)
def transpose(T, A):
    """T (N, M) = the transpose of A (M, N)."""
    M, N = A.shape
    for j in range(N):
        row = T[j]
        for i in range(M):
            row[i] = A[i, j]


@kernel()
def dense(out, x, weights, biases):
    """out (B, O) = x (B, I) @ weights (I, O) + biases (O,)."""
    B, O = out.shape
    for i in range(B):
        row = out[i]
        for j in range(O):
            row[j] = biases[j]
    if O == 1:  # a vector over one column would be no vector
        add_column(out.reshape(B), x, weights.reshape(weights.shape[0]))
    else:
        add_product(out, x, weights)
