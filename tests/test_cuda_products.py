"""The products of a dense layer, as a GPU's threads share them out: every bit is that of a plain sum in order, whatever
the number of threads and the order in which they come, and no number beyond the layer's is touched.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import NamedTuple

import numba
import numpy as np
import pytest

from fastgd.kernels.cuda import products
from fastgd.kernels.cuda.block import FRESH, G, S, W
from fastgd.kernels.cuda.products import Product
from fastgd.kernels.cuda.sources import Target

WIDTHS = (*range(1, 10), 16, 17, 31, 64)
GAP = 3  # numbers between one matrix and the next that are nobody's
ARRAYS = (S, W, G)


def target(compile):
    """Phases compiled so; no product waits for anything."""
    return Target(compile, None, None, {})


PLAIN, COMPILED = target(lambda function: function), target(numba.njit)


class Layer(NamedTuple):
    """A layer's arrays as they lie in a buffer, and which places in it are theirs.

    S, W and G of a block are copies of the buffer, so that a number from the wrong one of them is noticed; G begins at
    `first`, as a gradient does that lies elsewhere than the parameters.
    """

    product: Product
    memory: np.ndarray
    places: dict[str, np.ndarray]
    first: int

    def view(self, name):
        return self.memory[self.places[name]]

    def copies(self):
        """S, W and G: other numbers in each, but where a product reads or adds."""
        s, w, g = (self.memory.copy() for _ in ARRAYS)
        for name in ("w", "b"):
            s[self.places[name]] += 1
        for name in ("x", "z"):
            w[self.places[name]] += 2
            g[self.places[name]] += 3
        return s, w, g[self.first :]


def layer(T, NT, I, O, dtype=np.float32, seed=0):
    """x (T, I), w (I, O), b (O,) and z (T, O) with NaN between them and beyond the columns of each."""
    pitches = {"x": -(-I // 4) * 4 + 4, "w": -(-O // 4) * 4, "z": -(-O // 4) * 4 + 8}
    sizes = {"z": (T, O), "x": (T, I), "w": (I, O), "b": (O,)}
    first, places, at = {}, {}, GAP
    for name, size in sizes.items():
        first[name] = at
        columns = np.arange(size[-1])
        places[name] = at + (np.arange(size[0])[:, None] * pitches[name] + columns if len(size) == 2 else columns)
        at = int(places[name].max()) + 1 + GAP
    memory = np.full(at, np.nan, dtype)
    random = np.random.default_rng(seed)
    for place in places.values():
        memory[place] = random.normal(size=place.shape)
    product = Product(
        np.dtype(dtype).name, T, NT, I, O, first["x"], pitches["x"], first["w"], pitches["w"], first["b"], first["z"],
        pitches["z"],
    )  # fmt: skip
    return Layer(product, memory, places, first["w"] - GAP)


def added(dtype, terms):
    """The sum of terms, or of a beginning and terms, one after the other, each sum and product rounded."""
    total = dtype.type(0)
    for term in terms:
        total = total + term
    return total


# For each product: its phase for a layer, and the values that the arrays which it writes then have.


def storing(target, place, pitch):
    """What writes a sum into S."""

    @target.compile
    def store(c, turn, i, j, s):
        c[S][place + i * pitch + j] = s

    return store


def forward(target, one):
    p = one.product
    return products.forward(target, p, storing(target, p.z, p.z_pitch))


def forward_values(one, order=1):
    x, w, z = one.view("x"), one.view("w"), one.view("b")
    for k in range(one.product.I)[::order]:
        z = z + x[:, k : k + 1] * w[k]
    return {"z": z}


def to_inputs(target, one):
    p = one.product
    return products.to_inputs(target, p, storing(target, p.x, p.x_pitch))


def to_inputs_values(one, order=1):
    dz, w = one.view("z"), one.view("w")
    return {"x": added(one.memory.dtype, [dz[:, j : j + 1] * w[:, j] for j in range(one.product.O)][::order])}


def to_weights(target, one):
    return products.to_weights(target, one.product, one.first)


def fresh_weights_values(one, order=1):
    x, dz, dtype = one.view("x"), one.view("z"), one.memory.dtype
    terms = [x[r][:, None] * dz[r] for r in range(one.product.T)]
    return {"w": added(dtype, terms[::order]), "b": added(dtype, list(dz[::order]))}


def more_weights_values(one, order=1):
    """The sum of the tile's rows is added to what there is."""
    return {name: one.view(name) + value for name, value in fresh_weights_values(one, order).items()}


class Case(NamedTuple):
    """A product: which matrices it reads in S, W and G, and in which of these it writes."""

    make: object
    values: object
    reads: tuple[str, str, str]
    writes_in: int
    fresh: bool = True


PRODUCTS = {
    "forward": Case(forward, forward_values, ("x", "wb", ""), S),
    "to_inputs": Case(to_inputs, to_inputs_values, ("z", "w", ""), S),
    "fresh to_weights": Case(to_weights, fresh_weights_values, ("xz", "", ""), G),
    "more to_weights": Case(to_weights, more_weights_values, ("xz", "", "wb"), G, fresh=False),
}


class Watched:
    """Memory that complains of every reading and writing outside of given places."""

    def __init__(self, memory, readable, writable):
        self.memory, self.readable, self.writable = memory, set(readable), set(writable)

    def __getitem__(self, place):
        assert place in self.readable, f"read at {place}"
        return self.memory[place]

    def __setitem__(self, place, value):
        assert place in self.writable, f"written at {place}"
        self.memory[place] = value


def watched(case, one, memories):
    """S, W and G of a block, each with what a product may do there."""
    written = case.values(one)

    def places(array, names):
        return [place - one.first * (array == G) for name in names for place in one.places[name].ravel().tolist()]

    return tuple(
        Watched(
            memories[array], places(array, case.reads[array]), places(array, written if array == case.writes_in else ())
        )
        for array in ARRAYS
    )


def orders(NT):
    threads = np.arange(NT)
    return threads, threads[::-1], np.random.default_rng(NT).permutation(NT)


def turn_of(case):
    """A turn, of which products ask only whether it is fresh."""
    return (0,) * FRESH + (case.fresh,)


def run(phase, case, c, threads):
    for tid in threads:
        phase(int(tid), c, turn_of(case))


@cache
def compiled_phase(make, product, first):
    """A phase for the CPU, one for both kinds of turns."""
    return make(COMPILED, Layer(product, None, None, first))


def differences(name, one, order_of_sums=1, compiled=False, threads=None):
    """Run a product's phase; the places where S, W and G are not what sums in order make of them."""
    case, memories, whole = PRODUCTS[name], one.copies(), one.copies()
    for written, value in case.values(one, order_of_sums).items():
        whole[case.writes_in][one.places[written] - one.first * (case.writes_in == G)] = value
    phase = compiled_phase(case.make, one.product, one.first) if compiled else case.make(PLAIN, one)
    c = memories if compiled else watched(case, one, memories)
    run(phase, case, c, orders(one.product.NT)[2] if threads is None else threads)
    return different(memories, whole)


def different(memories, whole):
    """Where bits differ."""
    bits = f"u{memories[0].itemsize}"
    return np.concatenate([np.flatnonzero(a.view(bits) != b.view(bits)) for a, b in zip(memories, whole, strict=True)])


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("I", WIDTHS)
def test_every_pair_of_widths(product, I):
    for O in WIDTHS:
        for T, NT in ((4, 10), (8, 32)):
            assert differences(product, layer(T, NT, I, O, seed=I)).size == 0, (T, NT, O)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 8, 10, 32, 128, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_of_threads_in_every_order(product, NT, dtype):
    for T, I, O in ((32, 6, 9), (8, 17, 16), (4, 5, 1)):
        for threads in orders(NT):
            assert differences(product, layer(T, NT, I, O, dtype), threads=threads).size == 0, (T, I, O)


FOR_THE_CPU = (
    (32, 128, 64, 64, np.float32), (32, 128, 64, 1, np.float32), (8, 10, 17, 31, np.float64), (4, 1, 9, 6, np.float32),
)  # fmt: skip


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(("T", "NT", "I", "O", "dtype"), FOR_THE_CPU)
def test_compiled_for_the_cpu(product, T, NT, I, O, dtype):
    assert differences(product, layer(T, NT, I, O, dtype), compiled=True).size == 0


@pytest.mark.parametrize("product", PRODUCTS)
def test_one_array_for_all(product):
    one, case = layer(8, 8, 6, 5)._replace(first=0), PRODUCTS[product]
    memory, whole = one.memory.copy(), one.memory.copy()
    for name, value in case.values(one).items():
        whole[one.places[name]] = value
    run(case.make(PLAIN, one), case, (memory,) * 3, range(8))
    assert different([memory], [whole]).size == 0


@pytest.mark.parametrize("NT", [1, 10, 32, 256])
@pytest.mark.parametrize(("I", "O"), [(6, 9), (17, 16), (5, 1), (1, 3)])
def test_every_sum_is_handed_over_once_with_its_turn(NT, I, O):
    one = layer(8, NT, I, O)
    stored, of_this_turn = Counter(), turn_of(PRODUCTS["forward"])

    def store(c, turn, i, j, s):
        assert turn is of_this_turn
        stored[i, j] += 1

    for make, n in ((products.forward, O), (products.to_inputs, I)):
        stored.clear()
        phase = make(PLAIN, one.product, store)
        for tid in range(NT):
            phase(tid, one.copies(), of_this_turn)
        assert stored == Counter((i, j) for i in range(8) for j in range(n))


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 256])  # in tiles, and one by one
def test_sums_in_another_order_are_told_apart(product, NT):
    assert differences(product, layer(8, NT, 17, 9), order_of_sums=-1).size > 0


def test_a_sum_that_is_continued_is_told_apart_from_one_that_is_added():
    one = layer(8, 8, 17, 9)
    terms = [one.view("x")[r][:, None] * one.view("z")[r] for r in range(8)]
    continued = added(one.memory.dtype, [one.view("w"), *terms])
    assert np.any(continued != more_weights_values(one)["w"])


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("NT", [1, 256])
@pytest.mark.parametrize("beyond", ["T", "I", "O"])
def test_a_step_beyond_the_layer_is_noticed(product, NT, beyond):
    one, case = layer(8, NT, 6, 9), PRODUCTS[product]
    grown = one.product._replace(**{beyond: getattr(one.product, beyond) + (4 if beyond == "T" else 1)})
    phase = case.make(PLAIN, one._replace(product=grown))
    with pytest.raises(AssertionError, match=r"(read|written) at"):
        run(phase, case, watched(case, one, one.copies()), range(NT))


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_thread_that_is_missing_is_noticed(product):
    assert differences(product, layer(8, 8, 6, 9), threads=range(1, 8)).size > 0
