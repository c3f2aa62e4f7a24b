"""A step: how the gradient moves every parameter, as phases; what they do is that of ../cpu/updates.py."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..codes import ADAMW
from ..records import Rule
from ..rules import rule_of
from .block import CONSTANTS, GROUPS, HYPER, KEPT, PARTS, RATE, STATE, STEP, STRANDS, WIDE, G, W
from .layout import (
    BETA1,
    BETA2,
    CLIP_NORM,
    CLIP_VALUE,
    EMA_DECAY,
    EPSILON,
    L1,
    MOMENTUM,
    WEIGHT_DECAY,
    Held,
    Step,
)
from .sources import Phase, Target
from .tile import Plan

OF_GROUP = STRANDS // GROUPS


def bounding(target: Target, dtype: str) -> Any:
    """`bounded(c, p)`: entry p of the gradient, within ±clip_value."""
    real = np.dtype(dtype).type

    @target.compile
    def bounded(c, p):
        g, limit = c[G][p], real(c[HYPER][CLIP_VALUE])
        return limit if g > limit else (-limit if g < -limit else g)

    return bounded


def norm_phases(target: Target, dtype: str, size: int, NT: int) -> tuple[Phase, ...]:
    """Σ g² of all parameters, in groups, in an order that depends on no number of threads.

    It is a sum in float64. Squares of float32 are far from its range; those of float64 are taken in parts of the
    largest entry, so that no square overflows.
    """
    bounded = bounding(target, dtype)
    groups, zero, one = PARTS + STRANDS, np.float64(0), np.float64(1)
    in_parts = np.dtype(dtype) == np.float64

    @target.compile
    def largest_of_groups(c):
        largest = zero
        i = 0
        while i < GROUPS:
            largest = c[WIDE][groups + i] if c[WIDE][groups + i] > largest else largest
            i += 1
        return largest

    @target.compile
    def largest_of_strands(tid, c, turn):
        strand = tid
        while strand < STRANDS:
            largest = zero
            p = strand
            while p < size:
                g = abs(np.float64(bounded(c, p)))
                largest = g if g > largest else largest
                p += STRANDS
            c[WIDE][PARTS + strand] = largest
            strand += NT

    @target.compile
    def largest_in_groups(tid, c, turn):
        group = tid
        while group < GROUPS:
            largest = zero
            i = group * OF_GROUP
            while i < (group + 1) * OF_GROUP:
                largest = c[WIDE][PARTS + i] if c[WIDE][PARTS + i] > largest else largest
                i += 1
            c[WIDE][groups + group] = largest
            group += NT

    @target.compile
    def squares_of_strands(tid, c, turn):
        unit = largest_of_groups(c) if in_parts else one
        unit = unit if unit > zero else one
        strand = tid
        while strand < STRANDS:
            total = zero
            p = strand
            while p < size:
                part = np.float64(bounded(c, p)) / unit if in_parts else np.float64(bounded(c, p))
                total += part * part
                p += STRANDS
            c[WIDE][PARTS + strand] = total
            strand += NT

    @target.compile
    def sums_of_groups(tid, c, turn):
        group = tid
        while group < GROUPS:
            total = zero
            i = group * OF_GROUP
            while i < (group + 1) * OF_GROUP:
                total += c[WIDE][PARTS + i]
                i += 1
            c[WIDE][PARTS + group * OF_GROUP] = total
            group += NT

    first = (largest_of_strands, largest_in_groups) if in_parts else ()
    return (*first, squares_of_strands, sums_of_groups)


def length_of(target: Target, dtype: str) -> Any:
    """`length(c)`: the gradient's length, from what the phases of the norm have left."""
    groups, zero, one = PARTS + STRANDS, np.float64(0), np.float64(1)
    in_parts = np.dtype(dtype) == np.float64

    @target.compile
    def length(c):
        total, unit = zero, zero if in_parts else one
        i = 0
        while i < GROUPS:
            total += c[WIDE][PARTS + i * OF_GROUP]
            if in_parts:
                unit = c[WIDE][groups + i] if c[WIDE][groups + i] > unit else unit
            i += 1
        return unit * math.sqrt(total)

    return length


def constants_phase(target: Target, rules: SimpleNamespace, dtype: str, step: Step, NT: int) -> Phase:
    """The rule's constants in this step, and what is kept of the moving average, by one thread."""
    constants = getattr(rules, rule_of_step(step).constants.__name__)
    power, zero, has_average = rules.power, np.dtype(dtype).type(0), step.has_average

    @target.compile
    def make_constants(tid, c, turn):
        if tid == NT - 1:
            hyper = c[HYPER]
            found = constants(zero, turn[RATE], turn[STEP], hyper[MOMENTUM], hyper[BETA1], hyper[BETA2], hyper[EPSILON])
            i = 0
            while i < len(found):
                c[WIDE][CONSTANTS + i] = found[i]
                i += 1
            if has_average:  # see ../cpu/updates.kept_of_average
                decay = hyper[EMA_DECAY]
                left_of_start = power(decay, turn[STEP])
                c[WIDE][KEPT] = (decay - left_of_start) / (1.0 - left_of_start)

    return make_constants


def rule_of_step(step: Step) -> Any:
    """The update rule of a step."""
    record = Rule(step.code, float(step.with_momentum), step.nesterov, 0, 0, 0, 0, 0, False, 0, 0, 0)
    return rule_of(record)


def constants_read(target: Target, dtype: str, n: int) -> Any:
    """`read(c)`: the n constants of the rule in the precision of the network."""
    real, first = np.dtype(dtype).type, CONSTANTS
    if n == 2:

        def read(c):
            return real(c[WIDE][first]), real(c[WIDE][first + 1])

    elif n == 5:

        def read(c):
            return (
                real(c[WIDE][first]), real(c[WIDE][first + 1]), real(c[WIDE][first + 2]), real(c[WIDE][first + 3]),
                real(c[WIDE][first + 4]),
            )  # fmt: skip

    else:

        def read(c):
            return (
                real(c[WIDE][first]), real(c[WIDE][first + 1]), real(c[WIDE][first + 2]), real(c[WIDE][first + 3]),
                real(c[WIDE][first + 4]), real(c[WIDE][first + 5]), real(c[WIDE][first + 6]),
            )  # fmt: skip

    return target.compile(read)


NUMBER_OF_CONSTANTS = {"descent_constants": 2, "adagrad_constants": 2, "rmsprop_constants": 5, "adam_constants": 7}


def remembering(target: Target, rules: SimpleNamespace, step: Step, held: Held) -> Any:
    """`moved(c, p, g, constants)`: how far parameter p moves; what the rule remembers of it is brought along."""
    rule, velocity, squares = rule_of_step(step), held.velocity, held.squares
    move = getattr(rules, rule.move.__name__)
    if rule.has_velocity and rule.has_squares:

        def moved(c, p, g, k):
            by, c[STATE][velocity, p], c[STATE][squares, p] = move(c[STATE][velocity, p], c[STATE][squares, p], g, k)
            return by

    elif rule.has_velocity:

        def moved(c, p, g, k):
            by, c[STATE][velocity, p] = move(c[STATE][velocity, p], g, k)
            return by

    elif rule.has_squares:

        def moved(c, p, g, k):
            by, c[STATE][squares, p] = move(c[STATE][squares, p], g, k)
            return by

    else:

        def moved(c, p, g, k):
            return move(g, k)

    return target.compile(moved)


def move_phase(target: Target, rules: SimpleNamespace, plan: Plan, step: Step, held: Held) -> Any:
    """`move(tid, threads, c, turn)`: clip, decay, move, and the moving average, for every `threads`-th parameter."""
    dtype, size, w0 = plan.shape.dtype, plan.parameters.size, plan.first
    real = np.dtype(dtype).type
    bounded, length, moved = bounding(target, dtype), length_of(target, dtype), remembering(target, rules, step, held)
    read = constants_read(target, dtype, NUMBER_OF_CONSTANTS[rule_of_step(step).constants.__name__])
    clips_norm, has_penalty, shrinks = step.clips_norm, step.has_penalty, step.code == ADAMW
    has_signs, has_average, zero = step.has_signs, step.has_average, real(0)
    average, is_decayed, signs = held.average, held.decayed, held.signs

    @target.compile
    def decayed(c, p, g, w, rate):
        """Gradient and parameter after weight decay and l1."""
        decay, l1 = c[HYPER][WEIGHT_DECAY], real(c[HYPER][L1])
        if decay > 0.0 and shrinks:
            w = w * real(1.0 - rate * decay)
        elif decay > 0.0:
            g = g + real(decay) * w
        if l1 > zero:
            g = g + (l1 if w > zero else (-l1 if w < zero else zero))
        return g, w

    @target.compile
    def move(tid, threads, c, turn):
        scale, clips = real(1), False
        if clips_norm:
            found, most = length(c), c[HYPER][CLIP_NORM]
            if found > most:
                scale, clips = real(most / (found + 1e-6)), True
        k = read(c)
        kept, rest = real(c[WIDE][KEPT]), real(1.0 - c[WIDE][KEPT])
        p = tid
        while p < size:
            g, w = bounded(c, p), c[W][w0 + p]
            g = g * scale if clips else g
            if has_penalty and c[STATE][is_decayed, p] > zero:
                g, w = decayed(c, p, g, w, turn[RATE])
            w = w - moved(c, p, g, k)
            if has_signs and w * c[STATE][signs, p] < zero:
                w = zero
            c[W][w0 + p] = w
            if has_average:
                c[STATE][average, p] = kept * c[STATE][average, p] + rest * w
            p += threads

    return move
