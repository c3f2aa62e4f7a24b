"""The machine code of the float32 kernels: vectors, no calls into the C mathematics library, no packed doubles."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest
from networks import make_case

from fastgd.kernels import cpu
from fastgd.kernels.compile import OPTIONS, kernel
from fastgd.kernels.cpu import elementary

LIBM = re.compile(r"\b(exp|exp2|expm1|log|log1p|log2|pow|tanh|sinh|cosh|sin|cos|floor|ceil|round|rint|fma)f?\b")


def external_symbols(assembly):
    """The functions outside of the module whose addresses it loads or calls."""
    called = re.findall(r"movabsq\s+\$([A-Za-z_][\w.]*)|callq?\s+([A-Za-z_][\w.@]*)", assembly)
    return {a or b for a, b in called}


def assembly_of(dispatcher, arguments):
    """Compiled here and now: what comes from the disk cache has no assembly text."""
    fresh = numba.njit(**OPTIONS)(dispatcher.py_func)
    fresh.compile(tuple(numba.typeof(argument) for argument in arguments))
    (text,) = fresh.inspect_asm().values()
    return text


def train_arguments(dtype):
    case = make_case(3, [2, 3, 1], dtype, weighted=True)
    return (
        case.net, case.state, case.gradient, case.workspace, np.zeros(2), case.rows, 0, 2, np.zeros(1), case.loss,
        case.optimizer.rule(),
    )  # fmt: skip


def predict_arguments(dtype):
    case = make_case(3, [2, 3, 1], dtype)
    return np.zeros((3, 1), dtype), case.workspace, case.rows.X, case.net, case.loss


KERNELS = {"train": (cpu.train, train_arguments), "predict": (cpu.predict, predict_arguments)}


@pytest.mark.parametrize("name", KERNELS)
def test_no_libm_call_in_a_float32_kernel(name):
    dispatcher, arguments = KERNELS[name]
    text = assembly_of(dispatcher, arguments("float32"))
    assert len(text) > 10_000
    assert not {symbol for symbol in external_symbols(text) if LIBM.search(symbol)}
    packed = len(re.findall(r"v(?:fmadd|fnmadd)\d+ps\s.*[yz]mm", text))
    assert packed > 20
    assert not re.findall(r"v(?:mul|add|sub|div|fn?madd\d+)pd\s.*[yz]mm", text), "packed arithmetic on doubles"


def test_the_reading_of_assembly_can_fail():
    @numba.njit(**OPTIONS)
    def with_libm(x):
        return np.exp(x) + np.tanh(x)

    with_libm(np.float32(1))
    (text,) = with_libm.inspect_asm().values()
    assert {symbol for symbol in external_symbols(text) if LIBM.search(symbol)}


@pytest.mark.parametrize("function", [elementary.exp, elementary.expm1, elementary.log1p, elementary.tanh])
def test_elementary_functions_become_vector_loops(function):
    def loop(out, x):
        for i in range(x.size):
            out[i] = function(x[i])

    fresh = kernel()(loop)
    fresh(np.zeros(8, np.float32), np.zeros(8, np.float32))
    (text,) = fresh.inspect_asm().values()
    assert len(re.findall(r"v(?:fmadd|fnmadd)\d+ps\s.*[yz]mm", text)) >= 6
    assert not {symbol for symbol in external_symbols(text) if LIBM.search(symbol)}
