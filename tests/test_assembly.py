"""The machine code of the float32 kernels: vectors, no calls into the C mathematics library, no doubles."""

from __future__ import annotations

import re

import llvmlite.binding
import numba
import numpy as np
import pytest
from networks import make_case

import fastgd
from fastgd.kernels import formulas
from fastgd.kernels.codes import IDENTITY
from fastgd.kernels.cpu import activations, inside, launch, losses, products, training, updates
from fastgd.kernels.machinery import calls, nets
from fastgd.kernels.machinery.compile import OPTIONS, kernel
from fastgd.kernels.machinery.packing import packed

FEATURES = llvmlite.binding.get_host_cpu_features()
pytestmark = pytest.mark.skipif(
    not (FEATURES.get("avx2") and FEATURES.get("fma")), reason="reads the assembly of x86 processors with AVX2 and FMA"
)
MEMORY = re.compile(r"alloc|NRT_")
LIBM = re.compile(r"\b(exp|exp2|expm1|log|log1p|log2|pow|tanh|sinh|cosh|sin|cos|floor|ceil|round|rint|fma)f?\b")


def external_symbols(assembly):
    """The functions outside of the module whose addresses it loads or calls."""
    called = re.findall(r"movabsq\s+\$([A-Za-z_][\w.]*)|callq?\s+([A-Za-z_][\w.@]*)", assembly)
    return {a or b for a, b in called}


def assembly_of(dispatcher, arguments):
    """Compiled here and now, as the package compiles it: what comes from the disk cache has no assembly text."""
    fresh = type(dispatcher)(
        dispatcher.py_func,
        targetoptions=dispatcher.targetoptions,
        pipeline_class=dispatcher._compiler.pipeline_class,
    )
    fresh.compile(arguments)
    (text,) = fresh.inspect_asm().values()
    return text


def kernels_by_address():
    """Name, kernel, types of its arguments, and whether it works on vectors."""
    real, rule = calls.real_type("float32"), numba.typeof(fastgd.Adam().rule())
    yield "product", products.product, calls.product(real).args, True
    for each in losses.KERNELS.values():
        yield each.__name__, each, calls.loss(real).args, False
    for each in activations.FORWARD.values():
        yield each.__name__, each, calls.elementwise(real).args, each is not activations.FORWARD[IDENTITY]
    for each in [*activations.BACKWARD.values(), *activations.WITH_SLOPES.values()]:
        yield each.__name__, each, calls.elementwise_pair(real).args, each is not activations.BACKWARD[IDENTITY]
    for each in updates.KERNELS.values():
        yield each.__name__, each, calls.update_rule(real, rule).args, True


def whole_loops():
    case = make_case(3, [2, 3, 1], "float32", weighted=True)
    net, rows, loss, workspace, alone = case.net, case.rows, case.loss, case.workspace, launch.new_team_of_one()
    words = packed(training.Prediction(workspace, net, loss), np.dtype(np.float32))
    arguments = {
        "train": (
            alone, net, case.state, case.gradients, workspace, np.zeros(2), rows, 0, 2, np.zeros(1), loss,
            case.optimizer.rule(),
        ),
        "predict_packed": (np.zeros((3, 1), np.float32), rows.X, words),
        "mean_loss": (workspace, rows, net, loss),
    }  # fmt: skip
    for name, given in arguments.items():
        yield name, getattr(training, name), tuple(map(numba.typeof, given)), name == "train"
    fastgd.MLP([2, 3, 1], standardize=False).compiled()  # makes the record known that the words are of
    real = calls.real_type("float32")
    yield "predict_on_stack", inside.predict_on_stack, nets.prediction(real).args, False
    yield "train_in_place", inside.train_in_place, nets.training(real).args, True


KERNELS = {name: rest for name, *rest in [
    *kernels_by_address(), *whole_loops(),
]}  # fmt: skip
# The whole loops, losses and update rules have scalar doubles: learning rates and the value of the loss.
ALL_SINGLE = {"product", *(each.__name__ for each in [
    *activations.FORWARD.values(), *activations.BACKWARD.values(), *activations.WITH_SLOPES.values(),
])}  # fmt: skip
ADDING_RUNS = {"train", "train_in_place"}  # gradients over many rows are added up in float64
SCALAR_DOUBLE = r"\bv?(?:mul|add|sub|div|sqrt|max|min|fn?madd\d+|fn?msub\d+)sd\b"
# Blends and bitwise operations are not among them: with AVX2 they serve 64-bit whole numbers as well.
PACKED = r"v(?:mul|add|sub|div|max|min|cmp\w*|fn?madd\d+|fn?msub\d+){}\s.*[yz]mm"


@pytest.mark.parametrize("name", KERNELS)
def test_the_machine_code_of_a_float32_kernel(name):
    kernel, arguments, vectors = KERNELS[name]
    text = assembly_of(kernel, arguments)
    assert len(text) > 500
    assert not {symbol for symbol in external_symbols(text) if LIBM.search(symbol) or MEMORY.search(symbol)}
    doubles = re.findall(PACKED.format("pd"), text)
    if name in ADDING_RUNS:
        doubles = [instruction for instruction in doubles if not instruction.startswith("vaddpd")]
    assert not doubles, "packed arithmetic on doubles"
    assert bool(re.findall(PACKED.format("ps"), text)) >= vectors
    if name in ALL_SINGLE:
        assert not re.findall(SCALAR_DOUBLE, text), "scalar arithmetic on doubles"


def test_the_product_keeps_its_sums_in_registers():
    """Its inner loop has 16 multiply-adds on vectors, two loads of B, and stores nothing."""
    text = assembly_of(products.tile_8x2, products_tile_arguments())
    blocks = re.split(r"\n\.?LBB\w+:", text)
    inner = max(blocks, key=lambda block: len(re.findall(r"vfmadd\d+ps", block)))
    vectors = len(re.findall(r"vfmadd\d+ps\s.*[yz]mm", inner))
    assert vectors >= 16
    if "zmm" in inner:
        assert vectors % 16 == 0
        assert not re.findall(r"vmov\w+\s+%[xyz]mm\d+,\s*-?\d*\(", inner)


def products_tile_arguments():
    p, n = numba.types.CPointer(numba.float32), numba.int64
    return p, n, p, n, p, n, n, p, n, n


def test_the_reading_of_assembly_can_fail():
    @numba.njit(**OPTIONS)
    def with_libm(x):
        return np.exp(x) + np.tanh(x)

    @numba.njit(**OPTIONS)
    def with_doubles(x):
        return np.float32(x * 1.1 + 0.3)

    @numba.njit
    def with_memory(n):
        return np.empty(n).sum()

    with_memory(3)
    (text,) = with_memory.inspect_asm().values()
    assert {symbol for symbol in external_symbols(text) if MEMORY.search(symbol)}
    with_libm(np.float32(1))
    (text,) = with_libm.inspect_asm().values()
    assert {symbol for symbol in external_symbols(text) if LIBM.search(symbol)}
    with_doubles(np.float32(1))
    (text,) = with_doubles.inspect_asm().values()
    assert re.findall(SCALAR_DOUBLE, text)
    text = assembly_of(products.product, calls.product(calls.real_type("float64")).args)
    assert re.findall(PACKED.format("pd"), text)


@pytest.mark.parametrize("function", [formulas.exp, formulas.expm1, formulas.log1p, formulas.tanh])
def test_elementary_functions_become_vector_loops(function):
    def loop(out, x):
        for i in range(x.size):
            out[i] = function(x[i])

    array = numba.typeof(np.zeros(8, np.float32))
    text = assembly_of(kernel()(loop), (array, array))
    assert len(re.findall(r"v(?:fmadd|fnmadd)\d+ps\s.*[yz]mm", text)) >= 6
    assert not {symbol for symbol in external_symbols(text) if LIBM.search(symbol)}
