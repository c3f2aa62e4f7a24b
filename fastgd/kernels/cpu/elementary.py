"""Our own exponential and what is built on it, without branches, so that loops over them become vector loops.

`math.exp` is a call to the C library for every element (2.3 ns); the polynomial in a plain loop takes 0.2 ns and
gives the same bits on every machine. Each function exists for float32 and float64 and is chosen by the argument: it is
the compiled form of the function of the same name in formulas.py.
"""

from __future__ import annotations

import numpy as np

from .. import formulas
from ..formulas import exp, expm1, log1p, number, sigmoid, tanh, where
from ..machinery.compile import by_dtype, compiled_functions, kernel

# eˣ = 2ⁿ · eʳ with n = x / ln 2 rounded and |r| ≤ ln 2 / 2 = 0.3466. Adding and subtracting ROUND rounds to an integer;
# ln 2 is split in two so that n · LN2_HIGH is exact. The Taylor series of eʳ is cut where the rest is below a tenth of
# a unit in the last place: r⁸/8! = 5e-9 for float32, r¹⁴/14! = 4e-18 for float64.
F = np.float32
LOG2E_32, ROUND_32 = F(1.4426950408889634), F(12582912.0)  # 1.5 · 2²³
LN2_HIGH_32, LN2_LOW_32 = F(0.693359375), F(-2.12194440054690583e-4)
LARGEST_32, SMALLEST_32 = F(89.0), F(-104.0)  # beyond these eˣ is inf, 0
LOG2E_64, ROUND_64 = 1.4426950408889634, 6755399441055744.0  # 1.5 · 2⁵²
LN2_HIGH_64, LN2_LOW_64 = 6.93145751953125e-1, 1.42860682030941723212e-6
LARGEST_64, SMALLEST_64 = 710.0, -746.0
LOWEST_32, LOWEST_64 = F(-30.0), -60.0  # eˣ − 1 is −1 from here on
ZERO_32, HALF_32, ONE_32, TWO_32 = F(0), F(0.5), F(1), F(2)
C3_32, C4_32, C5_32, C6_32, C7_32 = F(1 / 6), F(1 / 24), F(1 / 120), F(1 / 720), F(1 / 5040)
C3, C4, C5, C6, C7, C8 = 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320
C9, C10, C11, C12, C13 = 1 / 362880, 1 / 3628800, 1 / 39916800, 1 / 479001600, 1 / 6227020800


@kernel(inline=True)
def from_bits_float32(n):
    """The number that these 32 bits are."""
    return np.int32(n).view(np.float32)


@kernel(inline=True)
def from_bits_float64(n):
    """The number that these 64 bits are."""
    return np.int64(n).view(np.float64)


@kernel(inline=True)
def bits_float32(x):
    """The bits of a number, as a whole number."""
    return np.float32(x).view(np.int32)


@kernel(inline=True)
def bits_float64(x):
    """The bits of a number, as a whole number."""
    return np.float64(x).view(np.int64)


@kernel(inline=True)
def with_sign(x, of):
    """|x| with the sign of another number."""
    return np.copysign(x, of)


@kernel(inline=True)
def power_of_two_float32(n):
    """2ⁿ for −126 ≤ n ≤ 127, by writing the exponent bits."""
    return from_bits_float32(np.int32((n + np.int32(127)) << np.int32(23)))


@kernel(inline=True)
def power_of_two_float64(n):
    """2ⁿ for −1022 ≤ n ≤ 1023."""
    return from_bits_float64(np.int64((n + np.int64(1023)) << np.int64(52)))


@kernel(inline=True)
def series_float32(r):
    """eʳ − 1 for |r| ≤ ln 2 / 2."""
    p = C5_32 + r * (C6_32 + r * C7_32)
    p = HALF_32 + r * (C3_32 + r * (C4_32 + r * p))
    return r + r * r * p


@kernel(inline=True)
def series_float64(r):
    """eʳ − 1 for |r| ≤ ln 2 / 2."""
    p = C9 + r * (C10 + r * (C11 + r * (C12 + r * C13)))
    p = C4 + r * (C5 + r * (C6 + r * (C7 + r * (C8 + r * p))))
    return r + r * r * (0.5 + r * (C3 + r * p))


@kernel(inline=True)
def exp_float32(x):
    bounded = min(max(x, SMALLEST_32), LARGEST_32)
    n = bounded * LOG2E_32 + ROUND_32 - ROUND_32
    r = bounded - n * LN2_HIGH_32 - n * LN2_LOW_32
    whole = np.int32(n)
    half = whole >> np.int32(1)  # two factors, because 2ⁿ alone leaves the range at both ends
    value = (ONE_32 + series_float32(r)) * power_of_two_float32(half) * power_of_two_float32(whole - half)
    return x if x != x else value


@kernel(inline=True)
def exp_float64(x):
    bounded = min(max(x, SMALLEST_64), LARGEST_64)
    n = bounded * LOG2E_64 + ROUND_64 - ROUND_64
    r = bounded - n * LN2_HIGH_64 - n * LN2_LOW_64
    whole = np.int64(n)
    half = whole >> np.int64(1)
    value = (1.0 + series_float64(r)) * power_of_two_float64(half) * power_of_two_float64(whole - half)
    return x if x != x else value


@kernel(inline=True)
def expm1_float32(x):
    a = max(x, LOWEST_32)
    n = a * LOG2E_32 + ROUND_32 - ROUND_32
    r = a - n * LN2_HIGH_32 - n * LN2_LOW_32
    power = power_of_two_float32(np.int32(n))
    value = power * series_float32(r) + (power - ONE_32)
    return x if x != x else value


@kernel(inline=True)
def expm1_float64(x):
    a = max(x, LOWEST_64)
    n = a * LOG2E_64 + ROUND_64 - ROUND_64
    r = a - n * LN2_HIGH_64 - n * LN2_LOW_64
    power = power_of_two_float64(np.int64(n))
    value = power * series_float64(r) + (power - 1.0)
    return x if x != x else value


@kernel(inline=True)
def tanh_float32(x):
    # tanh x = −t / (t + 2) with t = e^(−2|x|) − 1, which loses no digits near zero.
    t = expm1_float32(-TWO_32 * abs(x))
    value = with_sign(t / (t + TWO_32), x)
    return x if x != x else value


@kernel(inline=True)
def tanh_float64(x):
    t = expm1_float64(-2.0 * abs(x))
    value = with_sign(t / (t + 2.0), x)
    return x if x != x else value


# ln(1 + x) = e · ln 2 + ln m with 1 + x = 2ᵉ · m and m from √½ to √2; what the rounding of 1 + x loses is added back.
# With f = m − 1 and s = f / (2 + f): ln m = f − f²/2 + s · (f²/2 + 2s²/3 + 2s⁴/5 + …), the series of atanh cut where
# |s| ≤ 0.1716 leaves less than a tenth of a unit in the last place. The form is that of fdlibm's s_log1p.c.
L3_32, L5_32, L7_32, L9_32 = F(2 / 3), F(2 / 5), F(2 / 7), F(2 / 9)
L3, L5, L7, L9, L11 = 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11
L13, L15, L17, L19, L21, L23 = 2 / 13, 2 / 15, 2 / 17, 2 / 19, 2 / 21, 2 / 23
INFINITY_32, INFINITY_64 = F(np.inf), np.inf
SQRT_HALF_BITS_32, MANTISSA_32, SHIFT_32 = np.int32(0x3F3504F3), np.int32(0x007FFFFF), np.int32(23)
SQRT_HALF_BITS_64, MANTISSA_64, SHIFT_64 = np.int64(0x3FE6A09E667F3BCD), np.int64(0x000FFFFFFFFFFFFF), np.int64(52)


@kernel(inline=True)
def log1p_float32(x):
    u = ONE_32 + x
    lost = (x - (u - ONE_32)) / u
    moved = np.int32(bits_float32(u) - SQRT_HALF_BITS_32)
    e = np.float32(np.int32(moved >> SHIFT_32))
    m = from_bits_float32(np.int32((moved & MANTISSA_32) + SQRT_HALF_BITS_32))
    f = m - ONE_32
    s = f / (TWO_32 + f)
    z = s * s
    half = HALF_32 * f * f
    tail = s * (half + z * (L3_32 + z * (L5_32 + z * (L7_32 + z * L9_32))))
    value = e * LN2_HIGH_32 + (f - (half - (tail + (e * LN2_LOW_32 + lost))))
    value = -INFINITY_32 if x == -ONE_32 else value
    value = INFINITY_32 - INFINITY_32 if x < -ONE_32 else value
    return value if x == x and x != ZERO_32 and x != INFINITY_32 else x


@kernel(inline=True)
def log1p_float64(x):
    u = 1.0 + x
    lost = (x - (u - 1.0)) / u
    moved = np.int64(bits_float64(u) - SQRT_HALF_BITS_64)
    e = np.float64(np.int64(moved >> SHIFT_64))
    m = from_bits_float64(np.int64((moved & MANTISSA_64) + SQRT_HALF_BITS_64))
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    series = L11 + z * (L13 + z * (L15 + z * (L17 + z * (L19 + z * (L21 + z * L23)))))
    tail = s * (half + z * (L3 + z * (L5 + z * (L7 + z * (L9 + z * series)))))
    value = e * LN2_HIGH_64 + (f - (half - (tail + (e * LN2_LOW_64 + lost))))
    value = -INFINITY_64 if x == -1.0 else value
    value = INFINITY_64 - INFINITY_64 if x < -1.0 else value
    return value if x == x and x != 0.0 and x != INFINITY_64 else x


@kernel(inline=True)
def sigmoid_float32(x):
    t = exp_float32(-abs(x))  # never above 1, so that the small values on the left keep their digits
    return (t if x < ZERO_32 else ONE_32) / (ONE_32 + t)


@kernel(inline=True)
def sigmoid_float64(x):
    t = exp_float64(-abs(x))
    return (t if x < 0.0 else 1.0) / (1.0 + t)


by_dtype(exp, exp_float32, exp_float64)
by_dtype(expm1, expm1_float32, expm1_float64)
by_dtype(log1p, log1p_float32, log1p_float64)
by_dtype(tanh, tanh_float32, tanh_float64)
by_dtype(sigmoid, sigmoid_float32, sigmoid_float64)

# The formulas, as compiled loops call them.
FORMULAS = compiled_functions(formulas, given=(number, where, exp, expm1, log1p, tanh, sigmoid))
