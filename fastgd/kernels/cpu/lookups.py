"""The first layer's looked-up columns: what a position adds to z is read from a table instead of summed over its bins.

With the weights fixed, z is piecewise linear in a position p = k + f, k whole, 0 ≤ f < 1 (records.Net says what a
position stands for): between two knots it is V[k] + f (V[k+1] − V[k]). V (n_knots, O) is written once a step from the
weights, and G (n_knots, O), the loss's gradient in V, becomes that of the weights once a shard. A column of T bins and
L levels has T + L + 2 knots; one row more stands at the end, so that V[k+1] is there for every knot.

Each thread writes a table of its own, because to fetch what another one has written takes longer.
"""

from __future__ import annotations

import numpy as np

from ..codes import N_IN, N_OUT, WEIGHTS
from ..formulas import number
from ..machinery.compile import kernel
from ..machinery.lanes import lanes, load_part, pointer, store_part
from ..machinery.teams import my_columns
from .products import SAME_ROW


def n_knots(net):
    """How many rows V and G have."""
    return len(net.bin_mean) + 2 * len(net.lookups) + 1 if len(net.lookups) else 0


@kernel(merge=True)
def dense_inputs(index, net):
    """How many inputs of a layer are multiplied by their weights: of the first, those that are not looked up."""
    return net.layers[index, N_IN] - (net.bin_mean.shape[0] if index == 0 else 0)


@kernel(inline=True)
def knot(p, last):
    """The knot k ≤ p and how far f behind it p lies; what is no position stands at a knot, NaN at the last one."""
    p = p if p < last else last
    p = p if p > number(p, 0) else number(p, 0)
    k = np.int64(p)
    return k, p - number(p, k)


@kernel(merge=True)
def tabulate(team, workspace, net):
    """Write V from the weights, for the columns of z that this thread works on. Once a step, before `forward`."""
    begin, end = my_columns(net.layers[0, N_OUT], team)
    if net.lookups.shape[0] > 0 and end > begin:
        O, first = net.layers[0, N_OUT], net.layers[0, WEIGHTS] + begin
        W = pointer(net.parameters, first + dense_inputs(0, net) * O)
        fill_knots(pointer(workspace.knots, begin), W, net.lookups, net.bin_mean, net.bin_scale, O, end - begin)


@kernel(inner=True)
def fill_knots(V, W, lookups, mean, scale, O, n):
    """V (n_knots, O) from W (n_rows, O), n columns, two vectors at a time.

    A bin adds nothing before its left knot but −mean · scale · W, then its share, and from its right knot on scale · W.
    """
    L, nothing = lanes(V), load_part(V, 0, 0)
    for c in range(0, n, 2 * L):
        n0, n1 = n - c, n - c - L
        v, w = pointer(V, c), pointer(W, c)
        for j in range(lookups.shape[0]):
            row, T = lookups[j, 0] - lookups[0, 0], lookups[j, 1]
            v0, v1 = nothing, nothing
            for t in range(T):
                factor, wt = mean[row + t] * scale[row + t], pointer(w, (row + t) * O)
                v0, v1 = v0 - factor * load_part(wt, 0, n0), v1 - factor * load_part(wt, L, n1)
            store_part(v, 0, v0, n0)
            store_part(v, L, v1, n1)
            for t in range(T):
                factor, wt = scale[row + t], pointer(w, (row + t) * O)
                v0, v1 = v0 + factor * load_part(wt, 0, n0), v1 + factor * load_part(wt, L, n1)
                v = pointer(v, O)
                store_part(v, 0, v0, n0)
                store_part(v, L, v1, n1)
            for t in range(T, T + lookups[j, 2]):
                wt, v = pointer(w, (row + t) * O), pointer(v, O)
                store_part(v, 0, load_part(wt, 0, n0), n0)
                store_part(v, L, load_part(wt, L, n1), n1)
            v = pointer(v, O)
            store_part(v, 0, nothing, n0)
            store_part(v, L, nothing, n1)
            v = pointer(v, O)
        store_part(v, 0, nothing, n0)
        store_part(v, L, nothing, n1)


@kernel(inner=True)
def add_knots(z, V, p, p_stride, lookups, B, O, n):
    """z (B, O) += V[k] + f (V[k+1] − V[k]) for the positions p (B, n_lookups), n columns, lookup by lookup."""
    L = lanes(z)
    for j in range(lookups.shape[0]):
        first, last = lookups[j, 0] - lookups[0, 0] + 2 * j, number(z, lookups[j, 1] + lookups[j, 2] + 1)
        for i in range(B):
            k, f = knot(p[i * p_stride + j], last)
            zi, left, right = pointer(z, i * O), pointer(V, (first + k) * O), pointer(V, (first + k + 1) * O)
            for c in range(0, n, L):
                v = load_part(left, c, n - c)
                store_part(zi, c, load_part(zi, c, n - c) + (v + f * (load_part(right, c, n - c) - v)), n - c)


@kernel(inner=True)
def scatter(G, dz, p, p_stride, lookups, B, O, n):
    """G[k] += (1 − f) dz and G[k+1] += f dz: forward was z = V[k] + f (V[k+1] − V[k])."""
    L, one = lanes(G), number(G, 1)
    for j in range(lookups.shape[0]):
        first, last = lookups[j, 0] - lookups[0, 0] + 2 * j, number(G, lookups[j, 1] + lookups[j, 2] + 1)
        for i in range(B):
            k, f = knot(p[i * p_stride + j], last)
            dzi, left, right = pointer(dz, i * O), pointer(G, (first + k) * O), pointer(G, (first + k + 1) * O)
            for c in range(0, n, L):
                d = load_part(dzi, c, n - c)
                store_part(left, c, load_part(left, c, n - c) + (one - f) * d, n - c)
                store_part(right, c, load_part(right, c, n - c) + f * d, n - c)


@kernel(merge=True)
def forget_knots(team, workspace, net):
    """G = 0, for the columns of this thread. Before the first block of a shard."""
    O = net.layers[0, N_OUT]
    begin, end = my_columns(O, team)
    for start in range(begin, workspace.knot_gradient.shape[0], O):
        workspace.knot_gradient[start : start + end - begin] = 0


@kernel(merge=True)
def fold_knots(gradient, team, workspace, fresh, net):
    """dW of the looked-up rows += what G says (= if fresh), for the columns of this thread. After a shard's blocks."""
    begin, end = my_columns(net.layers[0, N_OUT], team)
    if net.lookups.shape[0] > 0 and end > begin:
        O, first = net.layers[0, N_OUT], net.layers[0, WEIGHTS] + begin
        dW = pointer(gradient, first + dense_inputs(0, net) * O)
        initial, stride = (pointer(workspace.zeros, 0), SAME_ROW) if fresh else (dW, O)
        G = pointer(workspace.knot_gradient, begin)
        fold(dW, initial, stride, G, net.lookups, net.bin_mean, net.bin_scale, O, end - begin)


@kernel(inner=True)
def fold(dW, s, s_stride, G, lookups, mean, scale, O, n):
    """dW (n_rows, O) = s + the gradient in W, n columns, two vectors at a time.

    All knots right of bin t have it in full, and all knots of numbers less its mean:
    dW[t] = scale (Σ_{k>t} G[k] − mean Σ_k G[k]). A level has the gradient of its knot.
    """
    L, nothing = lanes(G), load_part(G, 0, 0)
    for c in range(0, n, 2 * L):
        n0, n1 = n - c, n - c - L
        for j in range(lookups.shape[0]):
            row, T = lookups[j, 0] - lookups[0, 0], lookups[j, 1]
            g, w, start = pointer(G, (row + 2 * j) * O + c), pointer(dW, row * O + c), pointer(s, row * s_stride + c)
            all0, all1 = nothing, nothing
            for k in range(T + 1):
                all0, all1 = all0 + load_part(g, k * O, n0), all1 + load_part(g, k * O + L, n1)
            right0, right1 = nothing, nothing
            for t in range(T - 1, -1, -1):
                gt, wt, st = pointer(g, (t + 1) * O), pointer(w, t * O), pointer(start, t * s_stride)
                right0, right1 = right0 + load_part(gt, 0, n0), right1 + load_part(gt, L, n1)
                m, a = mean[row + t], scale[row + t]
                store_part(wt, 0, load_part(st, 0, n0) + a * (right0 - m * all0), n0)
                store_part(wt, L, load_part(st, L, n1) + a * (right1 - m * all1), n1)
            for t in range(T, T + lookups[j, 2]):
                gt, wt, st = pointer(g, (t + 1) * O), pointer(w, t * O), pointer(start, t * s_stride)
                store_part(wt, 0, load_part(st, 0, n0) + load_part(gt, 0, n0), n0)
                store_part(wt, L, load_part(st, L, n1) + load_part(gt, L, n1), n1)
