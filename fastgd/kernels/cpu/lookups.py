"""The first layer's looked-up columns: a position finds in a table what its bins and levels together add to z.

With the weights W of a column fixed, that is piecewise linear in its position p = k + f, k whole, 0 ≤ f < 1, see
records.py: (1 − f) V[k] + f V[k+1]. The table V has a row for each knot, 0 to n_bins + n_levels + 1, and one behind, so
that V[k+1] is always there; so has G, the loss's gradient in V, which becomes that of the weights.

A block is done two vectors of z at a time, column by column, so that z and V, or dz and G, stay in the fastest cache.
Tables of all columns, written once a step, took steps of 256 rows with 8 columns of 96 bins 24 % longer, because their
knots came from the second cache.
"""

from __future__ import annotations

import numpy as np

from ..codes import N_IN, N_OUT
from ..formulas import number
from ..machinery.compile import kernel
from ..machinery.lanes import BYTES, lanes, load, load_part, pointer, store, store_part
from .products import SAME_ROW


def room_for_knots(net):
    """How many entries V or G of the column with most knots has, two vectors wide."""
    return max((net.lookups[:, 1:].sum(axis=1) + 3) * 2 * BYTES // net.parameters.itemsize, default=0)


@kernel(merge=True)
def dense_inputs(index, net):
    """How many inputs of a layer are multiplied by their weights: of the first, those that are not looked up."""
    return net.layers[index, N_IN] - (net.bin_mean.shape[0] if index == 0 else 0)


@kernel(merge=True)
def add_lookups(z, x, W, workspace, B, n, net):
    """z (B, O) += what the looked-up columns of x (B, n_in) add by their rows of W (I, O), n columns of z and W.

    Pointers alone go on from here: with whole records, a network without lookups took 14 % longer for a single row.
    """
    n_lookups, n_dense, O = net.lookups.shape[0], dense_inputs(0, net), net.layers[0, N_OUT]
    left, part, lookups = pointer(workspace.left, 0), pointer(workspace.part, 0), pointer(net.lookups, 0)
    find_knots(left, part, pointer(x, n_dense), net.input_mean.shape[0], lookups, n_lookups, B)
    V, W = pointer(workspace.knots, 0), pointer(W, n_dense * O)
    add_columns(z, V, left, part, W, lookups, pointer(net.bin_mean, 0), pointer(net.bin_scale, 0), n_lookups, B, O, n)


@kernel(merge=True)
def lookup_gradient(dW, dz, workspace, B, n, fresh, net):
    """The looked-up rows of dW (I, O), n columns, += their gradient (= if fresh), from dz and what forward found."""
    n_lookups, O = net.lookups.shape[0], net.layers[0, N_OUT]
    left, part, lookups = pointer(workspace.left, 0), pointer(workspace.part, 0), pointer(net.lookups, 0)
    G, dW = pointer(workspace.knots, 0), pointer(dW, dense_inputs(0, net) * O)
    s, stride = (pointer(workspace.zeros, 0), SAME_ROW) if fresh else (dW, O)
    mean, scale = pointer(net.bin_mean, 0), pointer(net.bin_scale, 0)
    columns_gradient(dW, s, stride, G, left, part, dz, lookups, mean, scale, n_lookups, B, O, n)


@kernel(inner=True)
def find_knots(left, part, p, stride, lookups, n_lookups, B):
    """For each of the positions p (B, n_lookups) where its V[k] begins, and f; kept for the way back.

    What is no position is taken to the nearest, NaN to the last. To find one takes as long as to add two vectors.
    """
    size, first = 2 * lanes(p), number(p, 0)
    for j in range(n_lookups):
        last = number(p, lookups[3 * j + 1] + lookups[3 * j + 2] + 1)
        for i in range(B):
            position = p[i * stride + j]
            position = position if position < last else last
            position = position if position > first else first
            k = np.int64(position)
            left[j * B + i], part[j * B + i] = k * size, position - number(position, k)


@kernel(inner=True)
def add_columns(z, V, left, part, W, lookups, mean, scale, n_lookups, B, O, n):
    """z (B, O) += what each column adds at its knots, by its rows of W, n columns."""
    for c in range(0, n, 2 * lanes(z)):
        for j in range(n_lookups):
            row, n_bins, n_levels = lookups[3 * j] - lookups[0], lookups[3 * j + 1], lookups[3 * j + 2]
            fill_knots(V, pointer(W, row * O + c), pointer(mean, row), pointer(scale, row), O, n - c, n_bins, n_levels)
            add_knots(pointer(z, c), V, pointer(left, j * B), pointer(part, j * B), O, B, n - c)


@kernel(inner=True)
def columns_gradient(dW, s, s_stride, G, left, part, dz, lookups, mean, scale, n_lookups, B, O, n):
    """dW = s + the gradient of each column's rows, n columns: forward was add_columns."""
    for c in range(0, n, 2 * lanes(dz)):
        for j in range(n_lookups):
            row, n_bins, n_levels = lookups[3 * j] - lookups[0], lookups[3 * j + 1], lookups[3 * j + 2]
            knots = n_bins + n_levels + 3
            scatter(G, pointer(dz, c), pointer(left, j * B), pointer(part, j * B), O, B, n - c, knots)
            to, start = pointer(dW, row * O + c), pointer(s, row * s_stride + c)
            fold(to, start, s_stride, G, pointer(mean, row), pointer(scale, row), O, n - c, n_bins, n_levels)


@kernel(inner=True)
def fill_knots(V, W, mean, scale, O, n, n_bins, n_levels):
    """V from the rows W (n_bins + n_levels, O) of one column, two vectors of which n columns count.

    Bin t adds −mean · scale · W[t] at all knots of numbers, and scale · W[t] at those to its right.
    """
    L, nothing = lanes(V), load_part(V, 0, 0)
    start0, start1, sum0, sum1 = nothing, nothing, nothing, nothing
    for t in range(n_bins):
        w, a, m = pointer(W, t * O), scale[t], mean[t] * scale[t]
        w0, w1 = load_part(w, 0, n), load_part(w, L, n - L)
        store(V, 2 * t * L, sum0)
        store(V, 2 * t * L + L, sum1)
        start0, start1 = start0 - m * w0, start1 - m * w1
        sum0, sum1 = sum0 + a * w0, sum1 + a * w1
    store(V, 2 * n_bins * L, sum0)
    store(V, 2 * n_bins * L + L, sum1)
    for k in range(n_bins + 1):
        v = pointer(V, 2 * k * L)
        store(v, 0, start0 + load(v, 0))
        store(v, L, start1 + load(v, L))
    for t in range(n_bins, n_bins + n_levels):
        v, w = pointer(V, 2 * (t + 1) * L), pointer(W, t * O)
        store(v, 0, load_part(w, 0, n))
        store(v, L, load_part(w, L, n - L))
    for k in range(n_bins + n_levels + 1, n_bins + n_levels + 3):
        store(V, 2 * k * L, nothing)
        store(V, 2 * k * L + L, nothing)


@kernel(inner=True)
def add_knots(z, V, left, part, O, B, n):
    """z (B, O) += (1 − f) V[k] + f V[k+1], two vectors of which n columns count."""
    L, one = lanes(z), number(z, 1)
    for i in range(B):
        to, v, f = pointer(z, i * O), pointer(V, left[i]), part[i]
        rest = one - f
        store_part(to, 0, load_part(to, 0, n) + rest * load(v, 0) + f * load(v, 2 * L), n)
        store_part(to, L, load_part(to, L, n - L) + rest * load(v, L) + f * load(v, 3 * L), n - L)


@kernel(inner=True)
def scatter(G, dz, left, part, O, B, n, n_rows):
    """G (n_rows): forward was z = (1 − f) V[k] + f V[k+1], so G[k] = Σ (1 − f) dz and G[k+1] = Σ f dz over the rows."""
    L, one, nothing = lanes(G), number(G, 1), load_part(G, 0, 0)
    for k in range(2 * n_rows):
        store(G, k * L, nothing)
    for i in range(B):
        d, g, f = pointer(dz, i * O), pointer(G, left[i]), part[i]
        d0, d1, rest = load_part(d, 0, n), load_part(d, L, n - L), one - f
        store(g, 0, load(g, 0) + rest * d0)
        store(g, L, load(g, L) + rest * d1)
        store(g, 2 * L, load(g, 2 * L) + f * d0)
        store(g, 3 * L, load(g, 3 * L) + f * d1)


@kernel(inner=True)
def fold(dW, s, s_stride, G, mean, scale, O, n, n_bins, n_levels):
    """dW (n_bins + n_levels, O) = s + the gradient of one column's weights, two vectors of which n columns count.

    forward was V[k] = Σ_{t<k} scale W[t] − Σ_t mean scale W[t], so dW[t] = scale (Σ_{k>t} G[k] − mean Σ_k G[k]), both
    over the knots of numbers, 0 to n_bins. A level's gradient is that of its knot.
    """
    L = lanes(G)
    sum0, sum1 = load(G, 2 * n_bins * L), load(G, 2 * n_bins * L + L)
    for k in range(n_bins - 1, -1, -1):
        g = pointer(G, 2 * k * L)
        sum0, sum1 = sum0 + load(g, 0), sum1 + load(g, L)
        store(g, 0, sum0)
        store(g, L, sum1)
    for t in range(n_bins):
        g, to, start = pointer(G, 2 * (t + 1) * L), pointer(dW, t * O), pointer(s, t * s_stride)
        a, m = scale[t], mean[t]
        store_part(to, 0, load_part(start, 0, n) + a * (load(g, 0) - m * sum0), n)
        store_part(to, L, load_part(start, L, n - L) + a * (load(g, L) - m * sum1), n - L)
    for t in range(n_bins, n_bins + n_levels):
        g, to, start = pointer(G, 2 * (t + 1) * L), pointer(dW, t * O), pointer(s, t * s_stride)
        store_part(to, 0, load_part(start, 0, n) + load(g, 0), n)
        store_part(to, L, load_part(start, L, n - L) + load(g, L), n - L)
