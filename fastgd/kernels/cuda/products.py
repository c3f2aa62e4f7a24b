"""provisional"""

from typing import NamedTuple

from .block import FRESH, G, S, W


class Product(NamedTuple):
    T: int
    NT: int
    I: int
    O: int
    x: int
    x_pitch: int
    w: int
    w_pitch: int
    b: int
    z: int
    z_pitch: int


def forward(target, p, store):
    T, NT, I, O, x0, xp, w0, wp, b0, z0, zp = p

    def phase(tid, c, turn):
        i = tid
        while i < T * O:
            r = i // O
            j = i - r * O
            s = c[W][b0 + j]
            k = 0
            while k < I:
                s = s + c[S][x0 + r * xp + k] * c[W][w0 + k * wp + j]
                k += 1
            store(c, turn, r, j, s)
            i += NT

    return target.compile(phase)


def to_inputs(target, p, store):
    T, NT, I, O, x0, xp, w0, wp, b0, z0, zp = p

    def phase(tid, c, turn):
        i = tid
        while i < T * I:
            r = i // I
            k = i - r * I
            s = c[S][z0 + r * zp] * c[W][w0 + k * wp]
            j = 1
            while j < O:
                s = s + c[S][z0 + r * zp + j] * c[W][w0 + k * wp + j]
                j += 1
            store(c, turn, r, k, s)
            i += NT

    return target.compile(phase)


def to_weights(target, p):
    T, NT, I, O, x0, xp, w0, wp, b0, z0, zp = p

    def phase(tid, c, turn):
        i = tid
        while i < (I + 1) * O:
            k = i // O
            j = i - k * O
            if k < I:
                s = c[S][x0 + k] * c[S][z0 + j]
                r = 1
                while r < T:
                    s = s + c[S][x0 + r * xp + k] * c[S][z0 + r * zp + j]
                    r += 1
                at = w0 + k * wp + j
            else:
                s = c[S][z0 + j]
                r = 1
                while r < T:
                    s = s + c[S][z0 + r * zp + j]
                    r += 1
                at = b0 + j
            c[G][at] = s if turn[FRESH] else c[G][at] + s
            i += NT

    return target.compile(phase)
